// Writes that are parked before they are proposed or held before they are answered, and what waits for them; and the read that is only a barrier.
import { describe, expect, it } from 'vitest'
import type { LogIndex, SlotId } from '../../base/brand.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN, type RequestOutcome } from '../../protocol/request-message.ts'
import type { RaftReplica } from './raft-replica.ts'
import { ReplicaWorld } from './replica-world.testkit.ts'
import type { WriteGate } from './write-gate.ts'

const OK = '+OK\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

/** Stops everything, as told. */
class Gate implements WriteGate {
  parks = false
  holds = false
  readonly ordinals: number[] = []
  readonly indexes: LogIndex[] = []

  admits(): boolean {
    return !this.parks
  }

  parked(_slot: SlotId, _bytes: number, ordinal: number): void {
    this.ordinals.push(ordinal)
  }

  holdsReply(_slot: SlotId, index: LogIndex): boolean {
    if (this.holds) this.indexes.push(index)
    return this.holds
  }
}

function gated(seed: number) {
  const world = new ReplicaWorld({ seed, nodes: 3 })
  const leader = world.leader()
  const gate = new Gate()
  leader.replica.setWriteGate(gate)
  return { world, leader, gate }
}

describe('a held reply', () => {
  it('goes when it is released; its write is seen by others, and reads behind it wait', () => {
    const { world, leader, gate } = gated(1)
    gate.holds = true
    const write = world.write(leader, 'SET', 'k', '1')
    const behind = world.read(leader, true, 'GET', 'k')
    world.runUntil(() => gate.indexes.length === 1, 'the write is applied')
    expect(world.done(world.read(leader, false, 'GET', 'k'))).toBe(bulk('1'))
    world.runFor(200)
    expect([write.outcome, behind.outcome]).toEqual([null, null])
    leader.replica.releaseReply(gate.indexes[0])
    expect(write.reply).toBe(OK)
    expect(world.done(behind)).toBe(bulk('1'))
    leader.replica.releaseReply(gate.indexes[0])
    expect(write.times).toBe(1)
  })

  it('holds no error back', () => {
    const { world, leader, gate } = gated(2)
    expect(world.done(world.write(leader, 'SET', 'k', 'text'))).toBe(OK)
    gate.holds = true
    expect(world.done(world.write(leader, 'INCR', 'k'))).toContain('-ERR')
    expect(gate.indexes).toEqual([])
  })

  it.each(['a lost leadership', 'a gate that is lifted', 'a close'])('goes with %s: the write was done', (what) => {
    const { world, leader, gate } = gated(3)
    gate.holds = true
    const write = world.write(leader, 'SET', 'k', '1')
    world.runUntil(() => gate.indexes.length === 1, 'the write is applied')
    gate.holds = false
    gate.parks = true
    const parked = world.write(leader, 'SET', 'k', '2')
    if (what === 'a close') leader.replica.close(() => {})
    else if (what === 'a gate that is lifted') leader.replica.setWriteGate(null)
    else {
      const [other] = world.followers()
      leader.replica.transferLeadership(other.replica.replicaId)
      world.runUntil(() => !leader.replica.isLeader, 'another leads')
    }
    world.runUntil(() => write.outcome !== null && parked.outcome !== null, 'both have their outcome')
    expect([write.outcome, write.reply, write.times]).toEqual([OUTCOME_REPLY, OK, 1])
    const expected = what === 'a gate that is lifted' ? OUTCOME_REPLY : OUTCOME_REFUSED
    expect([parked.outcome, parked.times]).toEqual([expected, 1])
  })
})

describe('a parked write', () => {
  it('goes on when it may; reads behind it wait, others do not', () => {
    const { world, leader, gate } = gated(4)
    gate.parks = true
    const write = world.write(leader, 'SET', 'k', '1')
    const behind = world.read(leader, true, 'GET', 'k')
    expect(gate.ordinals.length).toBe(1)
    expect(world.done(world.read(leader, false, 'GET', 'k'))).toBe('_\r\n')
    world.runFor(200)
    expect([write.outcome, behind.outcome]).toEqual([null, null])
    leader.replica.unpark(gate.ordinals[0])
    expect(world.done(write)).toBe(OK)
    expect(world.done(behind)).toBe(bulk('1'))
    leader.replica.unpark(gate.ordinals[0])
    world.runFor(100)
    expect(write.times).toBe(1)
  })
})

describe('a barrier', () => {
  const ask = (replica: RaftReplica): { outcome: RequestOutcome | null } => {
    const asked: { outcome: RequestOutcome | null } = { outcome: null }
    const taken = replica.barrier({ settle: (outcome) => (asked.outcome = outcome) })
    expect(taken).toBe(true)
    return asked
  }

  it('is answered by a leader that a majority confirms, and by no other', () => {
    const world = new ReplicaWorld({ seed: 5, nodes: 3 })
    const leader = world.leader()
    const [follower] = world.followers()
    const confirmed = ask(leader.replica)
    world.runUntil(() => confirmed.outcome !== null, 'the leader answers')
    expect(confirmed.outcome).toBe(OUTCOME_REPLY)
    const refused = ask(follower.replica)
    world.runUntil(() => refused.outcome !== null, 'the follower answers')
    expect(refused.outcome).toBe(OUTCOME_REFUSED)
    world.cut(leader)
    const alone = ask(leader.replica)
    world.runFor(5_000)
    expect([null, OUTCOME_REFUSED, OUTCOME_UNKNOWN]).toContain(alone.outcome)
    world.mend(leader)
    world.runUntil(() => alone.outcome !== null, 'it hears of its successor')
    expect(alone.outcome).toBe(OUTCOME_REFUSED)
  })
})
