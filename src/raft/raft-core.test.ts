/** What scripts and fuzz cannot say: restored states that must not be accepted, and messages that make no sense. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asTerm } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { RaftCore, type RestoredState } from './raft-core.ts'
import type { RaftConfig } from './ready.ts'

const config: RaftConfig = {
  replicaId: asReplicaId(1),
  heartbeatTicks: 1,
  electionTicksMin: 5,
  electionTicksMax: 10,
  maxInflightMessages: 4,
  maxInflightBytes: 1000,
  maxMessageBytes: 200,
  maxEntryBytes: 100,
  maxUncommittedBytes: 1000,
  maxApplyBytes: 1000,
  maxPendingReads: 4,
}

const members = [1, 2, 3].map((id) => ({ replicaId: asReplicaId(id), nodeId: asNodeId(id), role: 'voter' as const }))

const empty: RestoredState = {
  hardState: { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) },
  compaction: { index: asLogIndex(0), term: asTerm(0) },
  membership: { members },
  entries: [],
  applied: asLogIndex(0),
}

const coreOf = (restored: Partial<RestoredState>, changed: Partial<RaftConfig> = {}): RaftCore =>
  new RaftCore(asGroupId(1), { ...config, ...changed }, { ...empty, ...restored }, new Prng(1))

describe('RaftCore', () => {
  it('does not start from a log that has lost what it knew to be committed', () => {
    const hardState = { term: asTerm(1), votedFor: asReplicaId(0), commit: asLogIndex(3) }
    expect(() => coreOf({ hardState })).toThrow(/before its own commit mark/)
    const compaction = { index: asLogIndex(5), term: asTerm(1) }
    expect(() => coreOf({ compaction, hardState })).toThrow(/behind the compaction point/)
    expect(() => coreOf({ compaction, applied: asLogIndex(5) })).toThrow(/term above the hard state/)
    expect(coreOf({ compaction, hardState, applied: asLogIndex(5) }).commitIndex).toBe(5)
  })

  it('does not start with time-outs or limits that make no sense', () => {
    expect(() => coreOf({}, { electionTicksMin: 1 })).toThrow(/outlast a heartbeat/)
    expect(() => coreOf({}, { electionTicksMax: 4 })).toThrow(/electionTicksMax/)
    expect(() => coreOf({}, { maxPendingReads: 0 })).toThrow(/limits/)
  })

  it('draws election time-outs from the whole range, both ends included', () => {
    const seen = new Set<number>()
    for (let seed = 0; seed < 200; seed++) {
      const core = new RaftCore(asGroupId(1), config, empty, new Prng(seed))
      let ticks = 0
      while (core.role === 'follower') {
        core.tick()
        ticks++
      }
      seen.add(ticks)
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([5, 6, 7, 8, 9, 10])
  })

  describe('that calls the roll', () => {
    /** Leads replicas 2 and 3, which have answered whatever it sent, and rests where the configuration lets it. */
    function leaderOf(changed: Partial<RaftConfig> = {}): {
      core: RaftCore
      turn: (answering: number[]) => RaftMessage[]
    } {
      const core = coreOf({}, changed)
      const answer = (message: RaftMessage): void => {
        const { group, from: to, to: from, term } = message
        const head = { group, from, to, term }
        if (message.type === 'preVoteRequest') core.step({ ...head, type: 'preVoteResponse', granted: true })
        else if (message.type === 'voteRequest') core.step({ ...head, type: 'voteResponse', granted: true })
        else if (message.type === 'heartbeat')
          core.step({ ...head, type: 'heartbeatResponse', readToken: message.readToken })
        else if (message.type === 'appendRequest') {
          const index = asLogIndex(message.prevIndex + message.entries.length)
          const hint = { hintIndex: asLogIndex(0), hintTerm: asTerm(0) }
          core.step({ ...head, type: 'appendResponse', success: true, index, ...hint })
        }
      }
      const turn = (answering: number[]): RaftMessage[] => {
        const sent: RaftMessage[] = []
        for (let ready = core.takeReady(); ready !== null; ready = core.takeReady()) {
          core.persisted(ready.number)
          if (ready.committed.length > 0) core.applied(ready.committed[ready.committed.length - 1].index)
          const messages = [...ready.messagesNow, ...ready.messagesAfterDisk]
          sent.push(...messages)
          for (const message of messages) if (answering.includes(message.to)) answer(message)
        }
        return sent
      }
      core.campaign()
      turn([2, 3])
      expect(core.role).toBe('leader')
      return { core, turn }
    }
    const answered = (core: RaftCore, roll: number): number[] =>
      core
        .progress()
        .filter((progress) => progress.answered >= roll)
        .map(({ replicaId }) => replicaId)

    it('hears who answers after that, and counts no answer that was under way before', () => {
      const { core, turn } = leaderOf()
      core.tick()
      const [early] = turn([]).filter(({ type, to }) => type === 'heartbeat' && to === 2)
      const roll = core.callRoll()
      const { group, term } = early
      const late = { type: 'heartbeatResponse', group, from: asReplicaId(2), to: asReplicaId(1), term } as const
      core.step({ ...late, readToken: 0 })
      expect([core.progress()[0].isHeard, answered(core, roll)]).toEqual([true, []])
      // Nor one to a question that was never asked.
      core.step({ ...late, readToken: roll + 1 })
      expect(answered(core, roll)).toEqual([])
      core.tick()
      turn([3])
      expect(answered(core, roll)).toEqual([3])
      const next = core.callRoll()
      expect(answered(core, next)).toEqual([])
      core.tick()
      turn([2, 3])
      expect(answered(core, next)).toEqual([2, 3])
    })

    it('wakes its group, which rests no more until it is quiet again', () => {
      const { core, turn } = leaderOf({ heartbeatTicks: 2, restAfterTicks: 3 })
      for (let i = 0; i < 10; i++) {
        core.tick()
        turn([2, 3])
      }
      expect(core.resting).toBe(true)
      const roll = core.callRoll()
      expect(core.resting).toBe(false)
      core.tick()
      turn([2])
      expect(answered(core, roll)).toEqual([2])
    })

    it('goes on from rest with the silence of the node that is named, and of no other', () => {
      const { core, turn } = leaderOf({ heartbeatTicks: 2, restAfterTicks: 3 })
      for (let i = 0; i < 10; i++) {
        core.tick()
        turn([2, 3])
      }
      core.wake(5, asNodeId(3))
      expect(core.progress().map(({ replicaId, isHeard }) => [replicaId, isHeard])).toEqual([
        [2, true],
        [3, false],
      ])
      core.tick()
      turn([2])
      expect(core.role).toBe('leader')
    })
  })

  it('never throws on a message, whatever it says, in any role', () => {
    const number = fc.oneof(fc.nat(4), fc.nat(1000), fc.maxSafeNat())
    const head = {
      group: fc.nat(2),
      from: fc.nat(5),
      to: fc.constantFrom(1, 1, 1, 2),
      term: fc.nat(4),
    }
    const entry = fc.record({
      term: fc.nat(4),
      index: fc.nat(6),
      kind: fc.nat(2),
      payload: fc.uint8Array({ maxLength: 4 }),
    })
    const type = (name: RaftMessage['type']) => fc.constant(name)
    const message = fc.oneof(
      fc.record({ type: type('preVoteRequest'), ...head, lastIndex: number, lastTerm: number }),
      fc.record({ type: type('preVoteResponse'), ...head, granted: fc.boolean() }),
      fc.record({ type: type('voteRequest'), ...head, lastIndex: number, lastTerm: number, transfer: fc.boolean() }),
      fc.record({ type: type('voteResponse'), ...head, granted: fc.boolean() }),
      fc.record({
        type: type('appendRequest'),
        ...head,
        prevIndex: fc.nat(4),
        prevTerm: fc.nat(2),
        // A leader that lies about what is committed is beyond what any replica can survive.
        commit: fc.constant(0),
        entries: fc.array(entry, { maxLength: 3 }),
      }),
      fc.record({
        type: type('appendResponse'),
        ...head,
        success: fc.constant(false),
        index: number,
        hintIndex: number,
        hintTerm: number,
      }),
      fc.record({ type: type('heartbeat'), ...head, commit: fc.constant(0), readToken: number }),
      fc.record({ type: type('heartbeatResponse'), ...head, readToken: number }),
      fc.record({ type: type('timeoutNow'), ...head }),
      fc.record({ type: type('rest'), ...head, commit: fc.constant(0) }),
      fc.record({ type: type('readIndexRequest'), ...head, context: number }),
      fc.record({ type: type('readIndexResponse'), ...head, context: number, ok: fc.boolean(), index: number }),
    )
    const roles = new Set<string>()
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), fc.nat(100), (messages, seed) => {
        const core = new RaftCore(asGroupId(1), config, empty, new Prng(seed))
        for (const one of messages) {
          core.tick()
          core.step(one as unknown as RaftMessage)
          for (let ready = core.takeReady(); ready !== null; ready = core.takeReady()) core.persisted(ready.number)
          roles.add(core.role)
        }
      }),
      { numRuns: 2000 },
    )
    expect(roles.size).toBeGreaterThanOrEqual(3)
  })
})
