import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { LatencyHistogram } from './command-stats.ts'

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const value of values) histogram.add(value)
  return histogram
}

describe('LatencyHistogram', () => {
  it('tells small values exactly', () => {
    const histogram = histogramOf([1, 2, 2, 3, 15])
    expect(histogram.total).toBe(5)
    expect([0, 20, 50, 80, 100].map((percent) => histogram.percentile(percent))).toEqual([1, 1, 2, 3, 15])
  })

  it('tells any percentile within a sixteenth, never too low', () => {
    const random = new Prng(7)
    const values = Array.from({ length: 5000 }, () => 1 + Math.floor(2 ** (random.unit() * 30)))
    const histogram = histogramOf(values)
    const sorted = values.toSorted((a, b) => a - b)
    for (const percent of [0, 1, 10, 50, 90, 99, 99.9, 100]) {
      const exact = sorted[Math.max(1, Math.ceil((percent / 100) * sorted.length)) - 1]
      expect(histogram.percentile(percent)).toBeGreaterThanOrEqual(exact)
      expect(histogram.percentile(percent)).toBeLessThanOrEqual(exact * (1 + 1 / 16))
    }
  })

  it('counts what took no longer than each power of two', () => {
    expect(histogramOf([0, 1, 3, 3, 100, 120, 1000]).byPowersOfTwo()).toEqual([
      [1, 2],
      [4, 4],
      [128, 6],
      [1024, 7],
    ])
    expect(histogramOf([]).byPowersOfTwo()).toEqual([])
  })

  it('counts what lasts for ever as 36 minutes', () => {
    const histogram = histogramOf([1e15])
    expect(histogram.percentile(50)).toBe(2 ** 31 - 1)
    expect(histogram.byPowersOfTwo()).toEqual([[2 ** 31, 1]])
  })
})
