// Limits that do not fit together are told at the start, in words, and not found out by an assertion later.
import { expect, it } from 'vitest'
import { MAX_MESSAGE_BYTES } from '../protocol/frame.ts'
import { checkLimits, MAX_KEY_BYTES_MAX, maxEntryBytesOf } from './check-limits.ts'
import { DEFAULT_LIMITS, type NodeLimits } from './node-config.ts'

const MIB = 1024 * 1024
const withLimits = (limits: Partial<NodeLimits>): NodeLimits => ({ ...DEFAULT_LIMITS, ...limits })

it('takes the defaults', () => {
  expect(checkLimits(DEFAULT_LIMITS)).toBeNull()
})

it('lets the largest entry fit one message between nodes and half a segment, whatever it takes', () => {
  for (const limits of [
    DEFAULT_LIMITS,
    withLimits({ maxValueBytes: 64 * 1024, segmentBytes: 256 * 1024 }),
    withLimits({ maxValueBytes: 9 * MIB - 4096 }),
    withLimits({ maxValueBytes: 1 }),
  ]) {
    expect(checkLimits(limits)).toBeNull()
    const entryBytes = maxEntryBytesOf(limits)
    expect(entryBytes).toBeGreaterThanOrEqual(limits.maxValueBytes + 4096)
    expect(entryBytes).toBeLessThan(MAX_MESSAGE_BYTES - 1024)
    expect(entryBytes + 1024).toBeLessThan(limits.segmentBytes / 2)
  }
})

it('names what does not fit, and what would', () => {
  for (const [limits, what] of [
    [{ maxKeyBytes: MAX_KEY_BYTES_MAX + 1 }, 'largest key'],
    [{ maxKeyBytes: 0 }, 'largest key'],
    [{ maxValueBytes: 9 * MIB }, 'largest value'],
    [{ maxValueBytes: Number.NaN }, 'largest value'],
    [{ segmentBytes: 8 * MIB }, 'log segments'],
    [{ segmentBytes: 64 * MIB + 512 }, 'log segments'],
  ] as const) {
    const error = checkLimits(withLimits(limits))
    expect(error?.code).toBe('limits')
    expect(error?.message).toContain(what)
    expect(error?.mend).toMatch(/^choose /)
  }
})
