import { expect, it } from 'vitest'
import {
  FIRST_CURSOR,
  STAGE_KEYS,
  STAGE_SESSIONS,
  STAGE_STREAMING,
  type StageCursor,
} from '../protocol/move-command.ts'
import { copiedPart, MovedBytes } from './move-progress.ts'
import { RateMeter } from './rate-meter.ts'

const at = (fields: Partial<StageCursor>): StageCursor => ({ ...FIRST_CURSOR, sourceGeneration: 1, ...fields })

it('tells the copied part from the cursors', () => {
  const half = at({ stage: STAGE_KEYS, position: 2 ** 47 })
  expect(copiedPart([FIRST_CURSOR, at({ stage: STAGE_STREAMING })])).toBe(0.5)
  expect(copiedPart([half, half])).toBe(0.5)
  // A walk above an index looks for changes only.
  expect(copiedPart([at({ stage: STAGE_SESSIONS, above: 9 })])).toBe(1)
})

it('reckons the seconds left from the copied part and the pace', () => {
  const moved = new MovedBytes(0, new RateMeter(0))
  expect(moved.secondsLeft(0, 0, 0)).toBe(null)
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10) moved.note({ keys: 1, bytes: 1000 }, nowMs)
  // A megabyte was a quarter: three to go at a tenth of one each second.
  expect(moved.secondsLeft(0.25, 0, 10_000)).toBeGreaterThan(27)
  expect(moved.secondsLeft(0.25, 0, 10_000)).toBeLessThan(33)
  expect(moved.secondsLeft(1, 500_000, 10_000)).toBe(6)
  expect(moved.secondsLeft(1, 0, 60_000)).toBe(0)
  expect(moved.keys).toBe(1000)
})

it('a new leader does not count as its own what the one before it has copied', () => {
  const moved = new MovedBytes(0.5, new RateMeter(0))
  moved.note({ keys: 1, bytes: 1000 }, 0)
  expect(moved.secondsLeft(0.5, 0, 0)).toBe(null)
  expect(moved.secondsLeft(0.75, 0, 0)).toBe(1)
})
