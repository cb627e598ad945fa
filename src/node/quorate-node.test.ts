// A node's beginning and end on simulated ports: whatever goes wrong or comes too early, nothing of it runs on.
import { describe, expect, it } from 'vitest'
import { asGroupId, asReplicaId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import type { NodeRole } from '../ports/cluster-view.ts'
import { SILENT_LOGGER } from '../ports/logger.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimBaseFileStore } from '../simulation/sim-base-file.ts'
import { SimClock } from '../simulation/sim-clock.ts'
import { SimDisk } from '../simulation/sim-disk.ts'
import { SimNetwork } from '../simulation/sim-network.ts'
import { SIM_PROCESS_USAGE } from '../simulation/sim-process-usage.ts'
import {
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
  type GroupGenesisConfig,
  type NodeConfig,
  type NodeError,
} from './node-config.ts'
import { QuorateNode } from './quorate-node.ts'

const LIMITS = { ...DEFAULT_LIMITS, maxValueBytes: 64 * 1024, segmentBytes: 256 * 1024 }

class World {
  readonly scheduler = new Scheduler(1)
  readonly network = new SimNetwork(this.scheduler, {})
  readonly clock = new SimClock(this.scheduler, { label: 'n1' })
  readonly wires = this.network.forNode(1, this.clock)
  readonly disk = new SimDisk(this.scheduler, this.scheduler.random.fork())
  readonly files = new SimBaseFileStore(this.scheduler)
  readonly fatals: string[] = []
  groups: readonly GroupGenesisConfig[] = [
    { groupId: 1, replicas: [{ replicaId: 1, nodeId: 1 }], slots: [[0, 15]], weight: 1, made: false },
  ]

  /** So many changes of groups are saved before one fails. */
  failingSaves = -1

  constructor() {
    this.disk.makeDirectory('/data', () => {})
    this.runFor(10)
  }

  node(changes: Partial<NodeConfig> = {}): QuorateNode {
    const config: NodeConfig = {
      dataDirectory: '/data',
      host: '10.0.0.1',
      nodeId: 1,
      clusterId: '00112233445566778899aabbccddeeff',
      slotCount: 16,
      respAddress: '10.0.0.1:7379',
      peerAddress: '10.0.0.1:7383',
      clusterAddress: '10.0.0.1:7380',
      roles: ['worker'],
      secret: 'ffeeddccbbaa99887766554433221100',
      nodes: [{ nodeId: 1, peer: '10.0.0.1:7383', resp: '10.0.0.1:7379', cluster: '10.0.0.1:7380', roles: ['worker'] }],
      groups: this.groups,
      hashKey: '0123456789abcdef',
      incarnation: 1,
      timings: DEFAULT_TIMINGS,
      limits: LIMITS,
      ...changes,
    }
    return new QuorateNode(
      {
        clock: this.clock,
        disk: this.disk,
        network: this.wires,
        baseFiles: this.files,
        random: new Prng(1),
        usage: SIM_PROCESS_USAGE,
        logger: SILENT_LOGGER,
        saveIdentity: ({ groups }, done) => {
          if (groups !== undefined && this.failingSaves-- === 0) return this.clock.defer(() => done('no space'))
          this.clock.setTimer(0.5, () => {
            this.groups = groups ?? this.groups
            done(null)
          })
        },
        onFatal: (message) => this.fatals.push(message),
      },
      config,
    )
  }

  start(node: QuorateNode): (NodeError | null)[] {
    const results: (NodeError | null)[] = []
    node.start((error) => results.push(error))
    return results
  }

  runFor(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }
}

describe('start and stop', () => {
  it('may meet at any moment: both call back, and the next start finds everything in order', () => {
    for (let atMs = 0; atMs < 12; atMs += 0.25) {
      const world = new World()
      const node = world.node()
      const started = world.start(node)
      world.runFor(atMs)
      let stopped = 0
      node.stop(() => stopped++)
      world.runFor(5_000)
      expect([stopped, started.length], `stopped after ${atMs} ms`).toEqual([1, 1])
      const again = world.node({ incarnation: 2 })
      expect(world.fatals).toEqual([])
      const results = world.start(again)
      world.runFor(3_000)
      expect(results).toEqual([null])
      expect(again.replica(asGroupId(1))?.isLeader).toBe(true)
      again.stop(() => stopped++)
      world.runFor(1_000)
      expect(stopped).toBe(2)
      expect(world.fatals).toEqual([])
    }
  })

  it("leaves nothing running where the peers' address is taken", () => {
    const world = new World()
    world.wires.listen(
      '10.0.0.1:7383',
      () => {},
      () => {},
    )
    world.runFor(10)
    const node = world.node()
    const started = world.start(node)
    world.runFor(3_000)
    expect(started.map((error) => error?.code)).toEqual(['address-in-use'])
    expect([...node.replicas()].some((replica) => replica.isLeader)).toBe(false)
  })

  it('refuses limits that do not fit before it touches the disk', () => {
    const world = new World()
    const started = world.start(world.node({ limits: { ...LIMITS, segmentBytes: 64 * 1024 } }))
    world.runFor(1_000)
    expect(started.map((error) => error?.code)).toEqual(['limits'])
    expect(world.groups[0].made).toBe(false)
  })

  it('refuses to vote again where the disk was wiped', () => {
    const world = new World()
    world.groups = world.groups.map((group) => ({ ...group, made: true }))
    const started = world.start(world.node())
    world.runFor(1_000)
    expect(started.map((error) => error?.code)).toEqual(['wiped'])
  })
})

describe('rejoinAs', () => {
  it('may meet a stop at any moment, and either replica is there afterwards, never none', () => {
    const found = new Set<number>()
    for (let atMs = 0; atMs < 3; atMs += 0.1) {
      const world = new World()
      const node = world.node()
      world.start(node)
      world.runFor(3_000)
      node.rejoinAs(asGroupId(1), asReplicaId(9), () => {})
      world.runFor(atMs)
      let stopped = 0
      node.stop(() => stopped++)
      world.runFor(1_000)
      expect(stopped, `stopped after ${atMs} ms`).toBe(1)
      const again = world.node({ incarnation: 2 })
      const results = world.start(again)
      world.runFor(1_000)
      expect(results).toEqual([null])
      const replicaId = again.replica(asGroupId(1))?.replicaId
      expect([1, 9]).toContain(replicaId)
      found.add(Number(replicaId))
      expect(world.fatals).toEqual([])
    }
    expect(found).toEqual(new Set([1, 9]))
  })
})

const MASTERS: GroupGenesisConfig = {
  groupId: 0,
  replicas: [{ replicaId: 1, nodeId: 1 }],
  slots: [],
  weight: 0,
  made: false,
}
const BOTH: readonly NodeRole[] = ['master', 'worker']

/** A cluster of this one node, masters and all, with its tree. */
function cluster(): { readonly world: World; start(incarnation: number): QuorateNode } {
  const world = new World()
  world.groups = [MASTERS, ...world.groups]
  const start = (incarnation: number): QuorateNode => {
    const [own] = world.node().config.nodes
    const node = world.node({ incarnation, roles: BOTH, nodes: [{ ...own, roles: BOTH }] })
    const results = world.start(node)
    world.runFor(8_000)
    expect(results).toEqual([null])
    return node
  }
  return { world, start }
}

describe('replicas that come and go', () => {
  it('may meet a stop at any moment: in the end the replica is there, under an id of its own', () => {
    const seen = new Set<string>()
    for (let atMs = 0; atMs < 60; atMs += 0.9) {
      const { world, start } = cluster()
      const node = start(1)
      node.admin.call('group-create', { weight: 0, nodes: [1] }, () => {})
      world.runFor(atMs)
      node.stop(() => {})
      world.runFor(50)
      const { made = null, ownReplica = null } = world.groups.find(({ groupId }) => groupId === 2) ?? {}
      seen.add(`${made}`)
      const again = start(2)
      const known = again.view.group(asGroupId(2))
      if (known !== undefined) expect(again.replica(asGroupId(2))?.isLeader, `stopped after ${atMs} ms`).toBe(true)
      else expect(ownReplica).toBe(null)
      expect(world.fatals).toEqual([])
    }
    expect(seen).toEqual(new Set(['null', 'false', 'true']))
  })

  it('may meet a full disk at any save, and get over it', () => {
    for (let saves = 0; saves < 4; saves++) {
      const { world, start } = cluster()
      const node = start(1)
      world.failingSaves = saves
      node.admin.call('group-create', { weight: 0, nodes: [1] }, () => {})
      world.runFor(8_000)
      expect(node.replica(asGroupId(2))?.isLeader, `save ${saves} failed`).toBe(true)
      node.admin.call('group-remove', { group: 2 }, () => {})
      world.runFor(12_000)
      expect(node.replica(asGroupId(2))).toBe(undefined)
      expect(world.groups.map(({ groupId }) => groupId)).toEqual([0, 1])
      expect(world.fatals).toEqual([])
    }
  })

  it('one that was to come, and of which nothing is in the log, is not made up at a start', () => {
    const { world, start } = cluster()
    const replicas = [{ replicaId: 1, nodeId: 1 }]
    const came: GroupGenesisConfig = { groupId: 5, replicas, slots: [], weight: 0, made: false, ownReplica: 9 }
    world.groups = [...world.groups, came]
    expect(start(1).replica(asGroupId(5))).toBe(undefined)
    expect(world.groups.map(({ groupId }) => groupId)).toEqual([0, 1])
  })

  it('one on its way out goes on going', () => {
    const { world, start } = cluster()
    start(1).stop(() => {})
    world.runFor(50)
    world.groups = world.groups.map((group) => (group.groupId === 1 ? { ...group, going: true } : group))
    // The masters still want one here: another.
    expect(start(2).replica(asGroupId(1))?.replicaId).not.toBe(1)
    expect(world.fatals).toEqual([])
  })

  it('a log that the identity does not know is not thrown away', () => {
    const { world, start } = cluster()
    start(1).stop(() => {})
    world.runFor(50)
    world.groups = world.groups.filter(({ groupId }) => groupId !== 1)
    const refused = world.start(world.node({ incarnation: 2 }))
    world.runFor(1_000)
    expect(refused.map((error) => error?.code)).toEqual(['corrupt'])
    expect(refused[0]?.message).toContain('group 1')
  })
})

describe('a new group', () => {
  it('is made on nodes that answer only, unless it is to be made all the same', () => {
    const { world, start } = cluster()
    const node = start(1)
    const call = (name: string, args: Record<string, unknown>): unknown => {
      let result: unknown = 'no answer'
      node.admin.call(name, args, (error, answer) => {
        result = error ?? answer
      })
      world.runFor(2_500)
      return result
    }
    const addresses = { peer: '10.0.0.2:7383', resp: '10.0.0.2:7379', cluster: '10.0.0.2:7380' }
    expect(call('register-node', { ...addresses, roles: ['worker'] })).toEqual({ node: 2 })
    expect(call('group-create', { weight: 0, nodes: [1, 2] })).toMatchObject({
      code: 'node-away',
      message: 'node 2 does not answer',
      mend: expect.stringContaining('--anyway'),
    })
    expect(call('group-create', { weight: 0, nodes: [9] })).toMatchObject({ code: 'unknown-node' })
    expect(call('group-create', { weight: 0 })).toEqual({ group: 2 })
    expect(node.view.group(asGroupId(2))?.members).toEqual([1])
    expect(call('group-create', { weight: 0, nodes: [2], anyway: true })).toEqual({ group: 3 })
    expect(world.fatals).toEqual([])
  })
})
