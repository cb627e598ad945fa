// What a Ready writes: the commit hint may survive a crash that loses the entries behind it in the same write.
import { expect, it } from 'vitest'
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asTerm } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { ENTRY_NOOP, type Entry } from '../protocol/entry.ts'
import { RaftCore } from './raft-core.ts'

const config = {
  replicaId: asReplicaId(1),
  heartbeatTicks: 1,
  electionTicksMin: 10,
  electionTicksMax: 20,
  maxInflightMessages: 8,
  maxInflightBytes: 1_000_000,
  maxMessageBytes: 1_000_000,
  maxEntryBytes: 1_000_000,
  maxUncommittedBytes: 1_000_000,
  maxApplyBytes: 1_000_000,
  maxPendingReads: 10,
}

function entries(term: number, from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    term: asTerm(term),
    index: asLogIndex(from + i),
    kind: ENTRY_NOOP,
    payload: EMPTY_BYTES,
  }))
}

it('never writes a commit index that earlier writes do not hold', () => {
  const members = [1, 2, 3].map((id) => ({ replicaId: asReplicaId(id), nodeId: asNodeId(id), role: 'voter' as const }))
  // Entries 1..6 of term 1 are on disk; 4..6 belong to a branch that the new leader replaces.
  const core = new RaftCore(
    asGroupId(1),
    config,
    {
      hardState: { term: asTerm(1), votedFor: asReplicaId(0), commit: asLogIndex(2) },
      compaction: { index: asLogIndex(0), term: asTerm(0) },
      membership: { members },
      entries: entries(1, 1, 6),
      applied: asLogIndex(0),
    },
    new Prng(1),
  )
  core.step({
    type: 'appendRequest',
    group: asGroupId(1),
    from: asReplicaId(2),
    to: asReplicaId(1),
    term: asTerm(2),
    prevIndex: asLogIndex(3),
    prevTerm: asTerm(1),
    commit: asLogIndex(9),
    entries: entries(2, 4, 9),
  })
  const ready = core.takeReady()
  expect(core.commitIndex).toBe(9)
  expect(ready).toMatchObject({ truncateFrom: 4, hardState: { term: 2, commit: 3 } })
  expect(ready?.entries.map(({ index }) => index)).toEqual([4, 5, 6, 7, 8, 9])
})
