/** The few statistics that the tables need, by their plain definitions. */
import { assert } from '../base/assert.ts'

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The middle value; of an even count the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  assert(values.length > 0, 'median: of nothing')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Nearest rank: the smallest value with at least `percent` % of all values at or below it. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  assert(sorted.length > 0, 'percentile: of nothing')
  assert(percent > 0 && percent <= 100, 'percentile: percent in (0, 100]')
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1]
}

/** To so many significant digits: what a table can honestly show. */
export function rounded(value: number, digits = 4): number {
  return value === 0 ? 0 : Number(value.toPrecision(digits))
}
