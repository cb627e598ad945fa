// recover-masters on simulated nodes, step by step; seeds with load and crashes everywhere are simulation/recovery-run.test.ts.
import { beforeEach, describe, expect, test } from 'vitest'
import { asGroupId } from '../../base/brand.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { fenceOf, replicaIdOf } from '../../master/cluster-epoch.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { AdminError } from '../../ports/cluster-admin.ts'
import { ClusterTruth } from '../../simulation/cluster-truth.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimCluster, type SimHost } from '../../simulation/sim-cluster.ts'
import { SimNetwork } from '../../simulation/sim-network.ts'

const SLOTS = 16
const ANSWER_MS = 40_000

interface Answer {
  readonly error: AdminError | null
  readonly answer: Readonly<Record<string, unknown>>
}

/** Five nodes, of which 1 to 3 are masters and 5 has not the role; both groups have a replica on each. */
class World {
  readonly scheduler = new Scheduler(7)
  readonly cluster = new SimCluster(this.scheduler, new SimNetwork(this.scheduler, { latencyMaxMs: 2 }), {
    ...{ nodes: 5, masters: 3, masterRoles: 4, replicas: 5, groups: 2, slotCount: SLOTS },
    ...{ timings: { tickMs: 40 }, clockSpreadMs: 0, clockDrift: 0 },
    // Segments are written in full before they are used.
    limits: { segmentBytes: 512 * 1024, logBatchBytes: 64 * 1024 },
  })

  constructor() {
    this.cluster.startAll()
    this.run(6_000)
  }

  run(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
    expect(this.cluster.ends).toEqual([])
  }

  host(node: number): SimHost {
    return this.cluster.host(node)
  }

  crash(...nodes: readonly number[]): void {
    for (const node of nodes) this.cluster.crash(this.host(node))
  }

  start(...nodes: readonly number[]): void {
    for (const node of nodes) this.cluster.start(this.host(node))
  }

  ask(node: number, name: string, args: Readonly<Record<string, unknown>> = {}): Answer {
    const answers: Answer[] = []
    const { admin } = this.host(node).node ?? {}
    admin?.call(name, args, (error, answer) => answers.push({ error, answer: answer as Answer['answer'] }))
    const untilMs = this.scheduler.nowMs + ANSWER_MS
    while (answers.length === 0 && this.scheduler.nowMs < untilMs) this.run(50)
    expect(answers, name).toHaveLength(1)
    return answers[0]
  }

  epochs(): number[] {
    return this.cluster.hosts.map(({ identity }) => identity.masters?.epoch ?? 0)
  }

  fences(): Set<number> {
    const machines = this.cluster.replicas().map(({ replica }) => replica.machine)
    return new Set(machines.flatMap((machine) => (machine instanceof KvStateMachine ? [machine.masterFence] : [])))
  }

  /** As the node's own replica of the masters' group has it. */
  truth(node: number): ClusterTruth {
    const machine = this.host(node).node?.replica(MASTERS_GROUP)?.machine
    expect(machine).toBeDefined()
    return new ClusterTruth(machine as NonNullable<typeof machine>)
  }
}

let world: World
beforeEach(() => {
  world = new World()
})

describe('it is refused', () => {
  test('while a majority of the masters answers, one that is cut off from their leader included', () => {
    expect(world.ask(4, 'recover-masters', { yes: true }).error?.code).toBe('masters-live')
    world.crash(1)
    expect(world.ask(4, 'recover-masters', { yes: true }).error?.code).toBe('masters-live')
    expect([world.epochs(), world.fences()]).toEqual([[0, 0, 0, 0, 0], new Set([0])])
  })

  test('of a node without the role; with groups that there never were, or that answer, named as lost', () => {
    world.crash(1, 2)
    expect(world.ask(5, 'recover-masters', { yes: true }).error?.code).toBe('no-master-role')
    expect(world.ask(4, 'recover-masters', { yes: true, lost: [9] }).error?.code).toBe('unknown-group')
    expect(world.ask(4, 'recover-masters', { yes: true, lost: [2] }).error?.code).toBe('group-in-use')
    expect(world.fences()).toEqual(new Set([0]))
  })

  test('while a group has no leader: too few of its nodes answer', () => {
    world.crash(1, 2, 3)
    const { error } = world.ask(4, 'recover-masters', { yes: true })
    expect(error).toMatchObject({ code: 'groups-silent', message: expect.stringMatching(/group 1, group 2/) })
    expect(world.epochs()).toEqual([0, 0, 0, 0, 0])
  })
})

test('without yes it says what would be done, and nothing changes', () => {
  world.crash(1, 2)
  const { error, answer } = world.ask(4, 'recover-masters')
  expect(error).toBeNull()
  expect(answer).toMatchObject({ done: false, epoch: 1, master: 4, answered: [3, 4, 5], silent: [1, 2], lost: [] })
  expect(answer).toMatchObject({ groups: [1, 2], slotsOfLost: 0, openReconfigs: [], forgottenReconfigs: 0 })
  expect([world.epochs(), world.fences()]).toEqual([[0, 0, 0, 0, 0], new Set([0])])
})

test('a node that was no master begins the epoch; the others follow, the old ones when they are back', () => {
  world.ask(1, 'group-weight', { group: 2, weight: 30 })
  world.run(20_000)
  world.crash(1, 2)
  const owners = world.truth(3).slotTable()?.groups
  expect(world.ask(4, 'recover-masters', { yes: true }).answer).toMatchObject({ done: true, epoch: 1 })
  world.run(3_000)
  expect(world.epochs()).toEqual([0, 0, 1, 1, 1])
  expect(world.fences()).toEqual(new Set([fenceOf(1, 0)]))
  // What the old tree wished of its own group is not done to the new one.
  expect(world.host(4).node?.replica(MASTERS_GROUP)?.core.membershipIndex).toBe(0)
  // A master that had survived has given up its replica; the tree has what the old one had.
  expect(world.host(3).node?.replica(MASTERS_GROUP)).toBeUndefined()
  expect(world.truth(4).slotTable()?.groups).toEqual(owners)
  expect(world.truth(4).groups().get(asGroupId(2))?.weight).toBe(30)
  expect([...world.truth(4).nodes().keys()]).toEqual([1, 2, 3, 4, 5])

  world.start(1, 2)
  world.run(10_000)
  expect(world.epochs()).toEqual([1, 1, 1, 1, 1])
  for (const node of [1, 2]) expect(world.host(node).node?.replica(MASTERS_GROUP)).toBeUndefined()
  expect(world.host(2).node?.view.tableVersion).toBe(world.host(4).node?.view.tableVersion)
  expect(world.ask(2, 'join', { node: 2, masters: true }).answer).toMatchObject({ replica: replicaIdOf(1, 2) })
  world.run(10_000)
  expect(world.host(2).node?.replica(MASTERS_GROUP)?.core.membership.members).toHaveLength(2)
  expect(world.ask(1, 'move', { ranges: [[0, 1]], to: 1 }).error).toBeNull()

  // Of all nodes at once: each finds the masters by what it has kept.
  world.crash(1, 2, 3, 4, 5)
  world.start(1, 2, 3, 4, 5)
  world.run(15_000)
  expect(world.ask(3, 'status').answer).toMatchObject({ masters: { settled: true } })
})

test('a crash after the log and before the identity: the restart goes on with the new epoch', () => {
  world.crash(1, 2)
  const host = world.host(4)
  const saves: unknown[] = []
  host.saveIdentity = (change) => saves.push(change)
  host.node?.admin.call('recover-masters', { yes: true }, () => {})
  const untilMs = world.scheduler.nowMs + ANSWER_MS
  while (!saves.some((change) => (change as { masters?: unknown }).masters !== undefined)) {
    expect(world.scheduler.nowMs).toBeLessThan(untilMs)
    world.run(5)
  }
  world.crash(4)
  Reflect.deleteProperty(host, 'saveIdentity')
  expect(world.epochs()).toEqual([0, 0, 0, 0, 0])
  world.start(4)
  world.run(10_000)
  expect(world.epochs()).toEqual([0, 0, 1, 1, 1])
  expect(world.truth(4).activeMaster()).toBe(4)
  expect(world.ask(5, 'move', { ranges: [[0, 0]], to: 2 }).error).toBeNull()
})

test('one that ended at the groups is to be finished, although the old masters are back: those are not heard any more', () => {
  world.crash(1, 2)
  world.host(4).node?.admin.call('recover-masters', { yes: true }, () => {})
  const untilMs = world.scheduler.nowMs + ANSWER_MS
  while (world.fences().size === 1 && world.scheduler.nowMs < untilMs) world.scheduler.step()
  world.crash(4)
  world.start(1, 2, 4)
  world.run(10_000)
  expect(world.epochs()).toEqual([0, 0, 0, 0, 0])
  const { answer } = world.ask(1, 'move', { ranges: [[0, SLOTS - 1]], to: 2 })
  const [reconfig] = answer.reconfigIds as readonly number[]
  world.run(10_000)
  expect(world.ask(1, 'reconfig', { reconfig }).answer.phase).not.toBe('done')
  expect(world.ask(4, 'recover-masters', { yes: true }).answer).toMatchObject({ done: true, epoch: 2 })
  world.run(10_000)
  expect(world.epochs()).toEqual([2, 2, 2, 2, 2])
  expect(world.ask(1, 'move', { ranges: [[0, SLOTS - 1]], to: 2 }).error).toBeNull()
  world.run(10_000)
  expect(new Set(world.truth(4).slotTable()?.groups)).toEqual(new Set([2]))
})
