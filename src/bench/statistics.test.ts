import { describe, expect, it } from 'vitest'
import { median, percentile, rounded, spread } from './statistics.ts'

describe('statistics', () => {
  it('median of odd and even counts, in any order', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([7])).toBe(7)
    expect(() => median([])).toThrow('of nothing')
  })

  it('does not sort what it was given', () => {
    const values = [3, 1, 2]
    expect(spread(values)).toEqual({ median: 2, min: 1, max: 3 })
    expect(values).toEqual([3, 1, 2])
  })

  it('percentiles by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
    expect(percentile(hundred, 50)).toBe(50)
    expect(percentile(hundred, 99)).toBe(99)
    expect(percentile(hundred, 100)).toBe(100)
    expect(percentile([10, 20, 30], 50)).toBe(20)
    expect(percentile([10, 20, 30], 99)).toBe(30)
    expect(percentile([10, 20, 30], 1)).toBe(10)
    expect(() => percentile([], 50)).toThrow('of nothing')
  })

  it('rounds to significant digits', () => {
    expect(rounded(1234.5678)).toBe(1235)
    expect(rounded(0.00123456, 3)).toBe(0.00123)
    expect(rounded(0)).toBe(0)
  })
})
