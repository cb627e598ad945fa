import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { momentAfter } from './commands/expiry-time.ts'
import { addIntegers, decimalBytes, INT64_MAX, INT64_MIN, parseInteger } from './integer-text.ts'

const anyInt64 = fc.oneof(fc.bigInt(INT64_MIN, INT64_MAX), fc.integer().map(BigInt), fc.maxSafeInteger().map(BigInt))

describe('64-bit integers as text', () => {
  it('reads back whatever it writes', () => {
    fc.assert(
      fc.property(anyInt64, (value) => {
        const parsed = parseInteger(latin1Bytes(String(value)))
        expect(parsed === null ? null : BigInt(parsed)).toBe(value)
        expect(typeof parsed).toBe(Number.isSafeInteger(Number(value)) ? 'number' : 'bigint')
        expect(latin1Text(decimalBytes(parsed ?? 0))).toBe(String(value))
      }),
    )
  })

  it.each([
    '',
    '-',
    '+1',
    '01',
    '-0',
    '00',
    ' 1',
    '1 ',
    '1.0',
    '0x1',
    '9223372036854775808',
    '-9223372036854775809',
    '1'.repeat(21),
  ])('%j is none', (text) => {
    expect(parseInteger(latin1Bytes(text))).toBeNull()
  })

  it('adds exactly, or says that it does not fit', () => {
    fc.assert(
      fc.property(anyInt64, anyInt64, (a, b) => {
        const [left, right] = [a, b].map((value) => parseInteger(latin1Bytes(String(value))) ?? 0)
        const sum = addIntegers(left, right)
        const fits = a + b <= INT64_MAX && a + b >= INT64_MIN
        expect(sum === null ? null : BigInt(sum)).toBe(fits ? a + b : null)
      }),
    )
  })

  it('moments: exact while they are safe integers, then the last one, then overflow', () => {
    expect(momentAfter(10, 1000, 5)).toBe(10_005)
    expect(momentAfter(-10, 1000, 5)).toBe(-9_995)
    expect(momentAfter(9_100_000_000_000, 1000, 0)).toBe(Number.MAX_SAFE_INTEGER)
    expect(momentAfter(INT64_MAX - 5n, 1, 5)).toBe(Number.MAX_SAFE_INTEGER)
    expect(momentAfter(INT64_MAX - 5n, 1, 6)).toBeNull()
    expect(momentAfter(9_223_372_036_854_776n, 1000, 0)).toBeNull()
    expect(momentAfter(INT64_MIN, 1, 0)).toBe(Number.MIN_SAFE_INTEGER)
    expect(momentAfter(INT64_MIN, 1000, 0)).toBeNull()
  })
})
