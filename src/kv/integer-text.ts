/**
 * 64-bit signed integers as decimal text, as strict as Redis's string2ll: one canonical form (no plus, no leading zeros, no spaces,
 * no "-0"). A value is a `number` where that is exact and a `bigint` beyond, so that the common case allocates nothing.
 */
import { latin1Bytes, latin1Text } from '../base/bytes.ts'

export type Integer = number | bigint

export const INT64_MAX = 2n ** 63n - 1n
export const INT64_MIN = -(2n ** 63n)

/** Digits that always fit a safe integer. */
const SAFE_DIGITS = 15
/** "-9223372036854775808" */
const MAX_CHARACTERS = 20

export function parseInteger(bytes: Uint8Array): Integer | null {
  const length = bytes.length
  if (length === 0 || length > MAX_CHARACTERS) return null
  const negative = bytes[0] === 0x2d
  const first = negative ? 1 : 0
  if (length === 1 && bytes[0] === 0x30) return 0
  if (length === first || bytes[first] < 0x31 || bytes[first] > 0x39) return null
  let value = 0
  for (let i = first; i < length; i++) {
    const digit = bytes[i] - 0x30
    if (digit < 0 || digit > 9) return null
    value = value * 10 + digit
  }
  if (length - first <= SAFE_DIGITS) return negative ? -value : value
  const exact = BigInt(latin1Text(bytes))
  if (exact > INT64_MAX || exact < INT64_MIN) return null
  return narrow(exact)
}

/** The sum; null where it does not fit 64 bits. */
export function addIntegers(a: Integer, b: Integer): Integer | null {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isSafeInteger(sum)) return sum
  }
  const exact = BigInt(a) + BigInt(b)
  return exact > INT64_MAX || exact < INT64_MIN ? null : narrow(exact)
}

export function decimalBytes(value: Integer): Uint8Array {
  return latin1Bytes(String(value))
}

function narrow(value: bigint): Integer {
  const small = Number(value)
  return Number.isSafeInteger(small) ? small : value
}
