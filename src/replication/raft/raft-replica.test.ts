// One group of real replicas: what may be acknowledged when, what happens on a full disk, and how an image takes a replica's place.
import { describe, expect, it } from 'vitest'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN } from '../../protocol/request-message.ts'
import type { RaftReplica } from './raft-replica.ts'
import { ReplicaWorld, type WorldNode } from './replica-world.testkit.ts'

const OK = '+OK\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

/** A disk that has taken the write but not finished its sync: everything that waits for it waits. */
function stall(node: WorldNode): void {
  node.clock.pause()
}

describe('writes', () => {
  it('are acknowledged once a quorum has them, and not before', () => {
    const world = new ReplicaWorld({ seed: 1, nodes: 3 })
    const leader = world.leader()
    const [a, b] = world.followers()
    expect(world.done(world.write(leader, 'SET', 'k', '1'))).toBe(OK)
    world.cut(a)
    world.cut(b)
    const write = world.write(leader, 'SET', 'k', '2')
    world.runFor(300)
    expect(write.outcome).toBeNull()
    world.mend(a)
    expect(world.done(write)).toBe(OK)
    expect(write.times).toBe(1)
  })

  it('leave a follower as acknowledged only after its disk has them', () => {
    const world = new ReplicaWorld({ seed: 2, nodes: 3 })
    const leader = world.leader()
    const [follower, other] = world.followers()
    world.cut(other)
    world.runFor(500)
    let synced = 0
    const { log } = follower
    const flush = log.flush.bind(log)
    log.flush = (done) =>
      flush(() => {
        synced++
        done()
      })
    const before = world.sent.length
    const write = world.write(leader, 'SET', 'k', '1')
    const acknowledged = (): boolean =>
      world.sent
        .slice(before)
        .some(({ from, message }) => from === follower.nodeId && message.type === 'appendResponse')
    world.runUntil(() => synced > 0 || acknowledged(), 'the follower syncs')
    // The callback that counts runs before the replica's own, which sends: none may have left earlier.
    expect(synced).toBe(1)
    expect(world.done(write)).toBe(OK)
  })

  it('are unknown where they stood in the log when leadership went, and nobody is left waiting', () => {
    const world = new ReplicaWorld({ seed: 3, nodes: 3 })
    const leader = world.leader()
    world.runFor(200)
    world.cut(leader)
    const write = world.write(leader, 'SET', 'k', '1')
    const read = world.read(leader, true, 'GET', 'k')
    world.runUntil(() => write.outcome !== null && read.outcome !== null, 'the leader gives up')
    expect([write.outcome, read.outcome]).toEqual([OUTCOME_UNKNOWN, OUTCOME_REFUSED])
    const late = world.write(leader, 'SET', 'k', '2')
    world.runUntil(() => late.outcome !== null, 'a follower refuses')
    expect(late.outcome).toBe(OUTCOME_REFUSED)
    expect([write.times, read.times, late.times]).toEqual([1, 1, 1])
  })

  it('wait as a paused leader does, and are not answered from its old belief', () => {
    const world = new ReplicaWorld({ seed: 4, nodes: 3 })
    const old = world.leader()
    expect(world.done(world.write(old, 'SET', 'k', '1'))).toBe(OK)
    stall(old)
    world.runFor(3_000)
    const next = world.nodes.find((node) => node !== old && node.replica.isLeader)
    if (next === undefined) throw new Error('nobody took over')
    expect(world.done(world.write(next, 'SET', 'k', '2'))).toBe(OK)
    const read = world.read(old, false, 'GET', 'k')
    old.clock.resume()
    world.runUntil(() => read.outcome !== null, 'the old leader answers')
    expect(read.outcome).toBe(OUTCOME_REFUSED)
  })
})

describe('reads', () => {
  it('see the writes of their own connection, also while those are still gathered', () => {
    const world = new ReplicaWorld({ seed: 5, nodes: 3 })
    const leader = world.leader()
    for (let round = 0; round < 50; round++) {
      const writes = Array.from({ length: 5 }, (_, i) => world.write(leader, 'SET', 'k', `${round}.${i}`))
      const read = world.read(leader, true, 'GET', 'k')
      expect(world.done(read)).toBe(bulk(`${round}.4`))
      for (const write of writes) expect(world.done(write)).toBe(OK)
    }
  })

  it('are served in a group of one when the write before them was answered without an entry', () => {
    const world = new ReplicaWorld({ seed: 6, nodes: 1 })
    const leader = world.leader()
    expect(world.done(world.write(leader, 'SET', 'k', '1'))).toBe(OK)
    world.runFor(50)
    leader.acceptsGrowth = false
    const write = world.write(leader, 'SET', 'k', '2')
    const read = world.read(leader, true, 'GET', 'k')
    world.runUntil(() => read.outcome !== null, 'the read is answered', 100)
    expect(write.reply).toContain('-DISKFULL')
    expect(read.reply).toBe(bulk('1'))
  })
})

describe('a full disk', () => {
  it('refuses what grows, also behind what does not', () => {
    const world = new ReplicaWorld({ seed: 7, nodes: 3 })
    const leader = world.leader()
    expect(world.done(world.write(leader, 'SET', 'k', '1'))).toBe(OK)
    leader.acceptsGrowth = false
    const outcomes = [
      world.write(leader, 'DEL', 'other'),
      world.write(leader, 'SET', 'k', '2'),
      world.write(leader, 'DEL', 'k'),
      world.write(leader, 'APPEND', 'k', 'x'),
    ]
    const replies = outcomes.map((outcome) => world.done(outcome))
    expect(replies.map((reply) => reply.slice(0, 9))).toEqual([':0\r\n', '-DISKFULL', ':1\r\n', '-DISKFULL'])
    leader.acceptsGrowth = true
    expect(world.done(world.write(leader, 'SET', 'k', '3'))).toBe(OK)
  })

  it('lets a checkpoint wait for room instead of ending the process', () => {
    const world = new ReplicaWorld({ seed: 8, nodes: 1, limits: { checkpointEntries: 10 } })
    const leader = world.leader()
    leader.files.full = true
    for (let i = 0; i < 20; i++) world.done(world.write(leader, 'SET', `k${i}`, 'v'))
    world.runUntil(() => leader.warnings.length > 0, 'the checkpoint finds no room')
    expect(world.done(world.write(leader, 'SET', 'k', 'v'))).toContain('-DISKFULL')
    expect(world.done(world.write(leader, 'DEL', 'k0'))).toBe(':1\r\n')
    world.runFor(20_000)
    // 1, 2, 4, 8 ... seconds apart.
    expect(leader.warnings.length).toBeLessThanOrEqual(6)
    leader.files.full = false
    world.runUntil(
      () => leader.replica.store.meta?.applied === leader.replica.applied,
      'the checkpoint is written',
      60_000,
    )
    expect(leader.fatals).toEqual([])
    expect(world.done(world.write(leader, 'SET', 'k', 'v'))).toBe(OK)
  })
})

describe('images', () => {
  function lagging(seed: number): { world: ReplicaWorld; leader: WorldNode; behind: WorldNode } {
    const world = new ReplicaWorld({ seed, nodes: 3, limits: { checkpointEntries: 20, retainedBytesMax: 1 } })
    const leader = world.leader()
    const [behind] = world.followers()
    world.cut(behind)
    for (let i = 0; i < 100; i++) world.done(world.write(leader, 'SET', `k${i}`, String(i)))
    world.runUntil(() => leader.replica.core.firstIndex > 60, 'the log before the checkpoint goes')
    return { world, leader, behind }
  }

  it('bring a replica back whose log is gone at the leader, and it goes on from there', () => {
    const { world, leader, behind } = lagging(9)
    const store = behind.replica.store
    world.mend(behind)
    world.runUntil(() => behind.replica.applied >= leader.replica.applied, 'it catches up')
    expect(behind.replica.store).not.toBe(store)
    world.done(world.write(leader, 'SET', 'after', '1'))
    world.runUntil(() => behind.replica.applied === leader.replica.applied, 'it follows')
    const digests = [leader, behind].map(({ replica }) => digestOf(replica))
    expect(digests[0]).toBe(digests[1])
    world.runFor(1_000)
    let left: unknown
    behind.files.open('group-1', 0, (_error, base) => {
      left = base?.meta()
    })
    world.runFor(10)
    // The old base directory is gone: opening 0 made it anew.
    expect(left).toBeNull()
  })

  it('are asked for at a bounded rate by a follower that cannot take them', () => {
    const { world, leader, behind } = lagging(10)
    behind.files.full = true
    let made = 0
    const image = leader.replica.store.image.bind(leader.replica.store)
    leader.replica.store.image = (done) => {
      made++
      image(done)
    }
    world.mend(behind)
    // A transfer that began before the cut was noticed ends by silence first.
    world.runFor(30_000)
    expect(made).toBeGreaterThan(2)
    expect(made).toBeLessThan(12)
    behind.files.full = false
    world.runUntil(() => behind.replica.applied >= leader.replica.applied, 'it catches up once there is room')
  })
})

function digestOf(replica: RaftReplica): string {
  const { machine } = replica
  return machine instanceof KvStateMachine ? machine.digest() : 'no such machine'
}

describe('closing', () => {
  it('answers all that waits, takes nothing more, and may be asked twice', () => {
    const world = new ReplicaWorld({ seed: 11, nodes: 3 })
    const leader = world.leader()
    world.runFor(200)
    for (const follower of world.followers()) world.cut(follower)
    const waiting = [world.write(leader, 'SET', 'k', '1'), world.read(leader, true, 'GET', 'k')]
    world.runFor(20)
    const gathered = world.write(leader, 'SET', 'k', '2')
    let closed = 0
    leader.replica.close(() => closed++)
    leader.replica.close(() => closed++)
    expect(waiting.map(({ outcome }) => outcome)).toEqual([OUTCOME_UNKNOWN, OUTCOME_REFUSED])
    expect(gathered.outcome).toBe(OUTCOME_REFUSED)
    const late = [world.write(leader, 'SET', 'k', '3'), world.read(leader, false, 'GET', 'k')]
    expect(late.map(({ outcome }) => outcome)).toEqual([OUTCOME_REFUSED, OUTCOME_REFUSED])
    expect(leader.replica.leaderNode).toBeNull()
    world.runFor(1_000)
    expect(closed).toBe(2)
    leader.replica.close(() => closed++)
    world.runFor(10)
    expect(closed).toBe(3)
    expect([...waiting, gathered, ...late].every(({ times }) => times === 1)).toBe(true)
  })

  it('waits for a running checkpoint', () => {
    const world = new ReplicaWorld({ seed: 12, nodes: 1 })
    const leader = world.leader()
    const write = world.write(leader, 'SET', 'k', '1')
    expect([world.done(write), write.outcome]).toEqual([OK, OUTCOME_REPLY])
    leader.replica.checkpoint()
    expect(leader.replica.store.checkpointing).toBe(true)
    let closed = false
    leader.replica.close(() => {
      closed = true
    })
    expect(closed).toBe(false)
    world.runUntil(() => closed, 'it closes')
    expect(leader.replica.store.checkpointing).toBe(false)
  })
})
