/**
 * From the numbers that clients give to a moment in log time, with Redis's 64-bit overflow rules. Moments beyond 2^53 - 1 ms (the
 * year 287,396) are kept as that moment, because stored expiries are safe integers.
 */
import { INT64_MAX, INT64_MIN, type Integer } from '../integer-text.ts'

/** `amount` units after `baseMs`; null where that, or the amount in milliseconds, does not fit 64 bits. */
export function momentAfter(amount: Integer, unitMs: 1 | 1000, baseMs: number): number | null {
  if (typeof amount === 'number') {
    const moment = amount * unitMs + baseMs
    if (Number.isSafeInteger(moment)) return moment
  }
  const amountMs = BigInt(amount) * BigInt(unitMs)
  const moment = amountMs + BigInt(baseMs)
  if (amountMs > INT64_MAX || amountMs < INT64_MIN || moment > INT64_MAX) return null
  if (moment > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER
  return moment < BigInt(Number.MIN_SAFE_INTEGER) ? Number.MIN_SAFE_INTEGER : Number(moment)
}
