import { describe, expect, it } from 'vitest'
import { asLogIndex, asTerm } from '../base/brand.ts'
import type { Entry } from '../protocol/entry.ts'
import { RaftLog } from './raft-log.ts'

const entry = (index: number, term: number): Entry => ({
  term: asTerm(term),
  index: asLogIndex(index),
  kind: 1,
  payload: new Uint8Array(10),
})

/** Terms of the entries 1, 2, ... */
const logOf = (...terms: number[]): RaftLog =>
  new RaftLog(
    { index: asLogIndex(0), term: asTerm(0) },
    terms.map((term, i) => entry(i + 1, term)),
  )

describe('RaftLog', () => {
  it('never counts an older write for a newer branch, even where index and term come back', () => {
    const log = logOf(1)
    log.append(entry(2, 1))
    log.takeWrites(1, false)
    log.truncate(asLogIndex(2))
    log.append(entry(2, 2))
    log.takeWrites(2, false)
    // The same index and term as in the first write, but after it the disk held something else.
    log.truncate(asLogIndex(2))
    log.append(entry(2, 3))
    expect(log.takeWrites(3, false)).toEqual({ truncateFrom: 2, entries: [entry(2, 3)] })
    log.persisted(1)
    expect(log.durableIndex).toBe(1)
    log.persisted(2)
    expect(log.durableIndex).toBe(1)
    log.persisted(3)
    expect(log.durableIndex).toBe(2)
  })

  it('truncates on disk only what the disk was given', () => {
    const log = logOf(1)
    log.append(entry(2, 1))
    log.truncate(asLogIndex(2))
    expect(log.hasWrites).toBe(false)
    log.append(entry(2, 2))
    expect(log.takeWrites(1, false)).toEqual({ truncateFrom: null, entries: [entry(2, 2)] })
  })

  it('finds where logs may still agree, a term at a time', () => {
    const log = logOf(1, 1, 1, 4, 4, 6)
    const upTo = (index: number, term: number) => log.lastIndexUpToTerm(index, asTerm(term))
    expect(upTo(9, 9)).toEqual({ index: 6, term: 6 })
    expect(upTo(6, 5)).toEqual({ index: 5, term: 4 })
    expect(upTo(5, 3)).toEqual({ index: 3, term: 1 })
    expect(upTo(2, 1)).toEqual({ index: 2, term: 1 })
    expect(upTo(6, 0)).toEqual({ index: 0, term: 0 })
    log.compact({ index: asLogIndex(4), term: asTerm(4) })
    expect(upTo(6, 5)).toEqual({ index: 5, term: 4 })
    expect(upTo(6, 3)).toEqual({ index: 3, term: 0 })
    expect(upTo(1, 9)).toEqual({ index: 1, term: 0 })
  })

  it('keeps a suffix after an image only where the term matches', () => {
    const point = (index: number, term: number) => ({ index: asLogIndex(index), term: asTerm(term) })
    const matching = logOf(1, 1, 2, 2)
    expect(matching.install(point(3, 2), asLogIndex(1))).toBe(true)
    expect([matching.firstIndex, matching.lastIndex, matching.bytes]).toEqual([4, 4, 10])
    const foreign = logOf(1, 1, 2, 2)
    expect(foreign.install(point(3, 3), asLogIndex(1))).toBe(false)
    expect([foreign.firstIndex, foreign.lastIndex, foreign.bytes, foreign.durableIndex]).toEqual([4, 3, 0, 1])
    foreign.takeWrites(1, true)
    foreign.persisted(1)
    expect(foreign.durableIndex).toBe(3)
    const behind = logOf(1)
    expect(behind.install(point(8, 2), asLogIndex(1))).toBe(false)
    expect(behind.termAt(8)).toBe(2)
    expect(behind.termAt(7)).toBe(null)
  })

  it('counts payload bytes through append, truncation and compaction', () => {
    const log = logOf(1, 1)
    log.append(entry(3, 1))
    expect(log.bytes).toBe(30)
    log.truncate(asLogIndex(3))
    log.compact({ index: asLogIndex(1), term: asTerm(1) })
    expect(log.bytes).toBe(10)
    expect(() => log.compact({ index: asLogIndex(2), term: asTerm(7) })).toThrow(/not in this log/)
  })

  it('refuses restored logs with gaps or falling terms', () => {
    const base = { index: asLogIndex(0), term: asTerm(0) }
    expect(() => new RaftLog(base, [entry(2, 1)])).toThrow(/gap/)
    expect(() => new RaftLog(base, [entry(1, 2), entry(2, 1)])).toThrow(/fall/)
  })
})
