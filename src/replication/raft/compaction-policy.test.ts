// When a checkpoint is due, and how much log stays behind it.
import { describe, expect, it } from 'vitest'
import { asLogIndex } from '../../base/brand.ts'
import { checkpointDue, compactionTarget } from './compaction-policy.ts'

const LIMITS = { checkpointBytes: 1_000, checkpointEntries: 50, trailingEntries: 10, retainedBytesMax: 4_000 }
const NOBODY = Number.POSITIVE_INFINITY

describe('checkpointDue', () => {
  const quiet = { memtableBytes: 0, logBytes: 0, entriesSinceCheckpoint: 1 }

  it('asks for one by memory, by log and by entries', () => {
    expect(checkpointDue(LIMITS, quiet)).toBe(false)
    expect(checkpointDue(LIMITS, { ...quiet, memtableBytes: 1_000 })).toBe(true)
    expect(checkpointDue(LIMITS, { ...quiet, logBytes: 1_999 })).toBe(false)
    expect(checkpointDue(LIMITS, { ...quiet, logBytes: 2_000 })).toBe(true)
    expect(checkpointDue(LIMITS, { ...quiet, entriesSinceCheckpoint: 50 })).toBe(true)
  })

  it('never asks for one of nothing', () => {
    expect(checkpointDue(LIMITS, { memtableBytes: 9_999, logBytes: 9_999, entriesSinceCheckpoint: 0 })).toBe(false)
  })
})

describe('compactionTarget', () => {
  const target = (logBytes: number, neededAfter = NOBODY, pinnedAfter = NOBODY): number =>
    compactionTarget(LIMITS, { checkpointed: asLogIndex(100), logBytes, neededAfter, pinnedAfter })

  it('keeps some entries for followers that lag a little, while they are cheap', () => {
    expect(target(1_000)).toBe(90)
    expect(target(2_000)).toBe(100)
  })

  it('keeps what a slow member needs, up to the bound', () => {
    expect(target(1_000, 40)).toBe(40)
    expect(target(3_999, 40)).toBe(40)
    expect(target(4_000, 40)).toBe(100)
  })

  it('keeps what the receiver of an image needs beyond that, up to twice the bound', () => {
    expect(target(1_000, NOBODY, 70)).toBe(70)
    expect(target(4_000, 40, 70)).toBe(70)
    expect(target(7_999, 40, 70)).toBe(70)
    expect(target(8_000, 40, 70)).toBe(100)
  })

  it('never goes beyond the checkpoint, nor below the beginning', () => {
    expect(target(9_000, 500, 500)).toBe(100)
    const early = { checkpointed: asLogIndex(3), logBytes: 0, neededAfter: NOBODY, pinnedAfter: NOBODY }
    expect(compactionTarget(LIMITS, early)).toBe(0)
  })
})
