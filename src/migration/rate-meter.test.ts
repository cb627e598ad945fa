import { expect, it } from 'vitest'
import { RateMeter } from './rate-meter.ts'

it('follows a steady flow within a tenth, and forgets it when it ends', () => {
  const meter = new RateMeter(0)
  for (let nowMs = 0; nowMs < 5000; nowMs += 10) meter.note(1000, nowMs)
  expect(meter.perSecond(5000)).toBeGreaterThan(90_000)
  expect(meter.perSecond(5000)).toBeLessThan(110_000)
  expect(meter.perSecond(15_000)).toBeLessThan(10)
})
