// Bringing log and base file together after a crash: every order in which the two can have reached the disk.
import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asReplicaId, asTerm } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import { ENTRY_NOOP, type Entry } from '../protocol/entry.ts'
import { recoverReplica } from './recover-replica.ts'

const genesis = { members: [] }

function entriesFrom(first: number, terms: readonly number[]): Entry[] {
  return terms.map((term, i) => ({
    index: asLogIndex(first + i),
    term: asTerm(term),
    kind: ENTRY_NOOP,
    payload: EMPTY_BYTES,
  }))
}

function logOf(compaction: readonly [number, number], terms: readonly number[]): RecoveredGroup {
  return {
    group: asGroupId(1),
    replicaId: asReplicaId(1),
    hardState: { term: asTerm(9), votedFor: asReplicaId(0), commit: asLogIndex(0) },
    compaction: { index: asLogIndex(compaction[0]), term: asTerm(compaction[1]) },
    baseDirectory: 0,
    entries: entriesFrom(compaction[0] + 1, terms),
  }
}

const baseAt = (applied: number, term: number) => ({
  applied: asLogIndex(applied),
  term: asTerm(term),
  membership: genesis,
  state: EMPTY_BYTES,
})

describe('recoverReplica', () => {
  it('begins with nothing at genesis', () => {
    const result = recoverReplica(logOf([0, 0], [1, 1]), null, genesis)
    expect(result).toMatchObject({ kind: 'recovered', compactTo: null, state: { applied: 0, entries: { length: 2 } } })
  })

  it('replays the log behind the base', () => {
    const result = recoverReplica(logOf([5, 2], [2, 3, 3]), baseAt(6, 2), genesis)
    expect(result).toMatchObject({ kind: 'recovered', compactTo: null, state: { applied: 6, entries: { length: 3 } } })
  })

  it('begins the log anew where the base is ahead of all of it', () => {
    const result = recoverReplica(logOf([5, 2], [2]), baseAt(9, 4), genesis)
    expect(result).toMatchObject({
      kind: 'recovered',
      compactTo: { index: 9, term: 4 },
      state: { applied: 9, compaction: { index: 9, term: 4 }, entries: [] },
    })
  })

  it('throws away a log that disagrees with the base at its index', () => {
    const result = recoverReplica(logOf([5, 2], [2, 2, 2]), baseAt(6, 3), genesis)
    expect(result).toMatchObject({ kind: 'recovered', compactTo: { index: 6, term: 3 }, state: { entries: [] } })
  })

  it('calls a gap between base and log corruption', () => {
    expect(recoverReplica(logOf([5, 2], [2]), null, genesis)).toMatchObject({ kind: 'corrupt' })
    expect(recoverReplica(logOf([5, 2], [2]), baseAt(4, 2), genesis)).toMatchObject({ kind: 'corrupt' })
  })
})
