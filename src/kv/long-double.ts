/**
 * The numbers of INCRBYFLOAT: x87's 80-bit extended format, which Redis computes with on x86-64, on big integers. So the replies are
 * Redis's to the last digit, and the same on every replica whatever its processor.
 */
import { assert } from '../base/assert.ts'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'

/** mantissa * 2^exponent; the mantissa is signed, its size below 2^64. */
export interface LongDouble {
  readonly mantissa: bigint
  readonly exponent: number
}

const MANTISSA_BITS = 64
/** Of the last bit of the smallest number, and of the largest one. */
const EXPONENT_MIN = -16_445
const EXPONENT_MAX = 16_320
/** As Redis prints: "%.17Lf" without the zeros at the end. */
const DIGITS = 17
/** Redis's MAX_LONG_DOUBLE_CHARS. */
const TEXT_BYTES_END = 5 * 1024
const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/
/** As strtold takes it; the power is of two. */
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d{1,9}))?$/
const INFINITE = /^[+-]?inf(?:inity)?$/i

export const LONG_DOUBLE_ZERO: LongDouble = { mantissa: 0n, exponent: 0 }

/** Null: no number, or one that the format cannot hold (too large, or so small that it would be zero). */
export function parseLongDouble(bytes: Uint8Array): LongDouble | 'infinite' | null {
  if (bytes.length === 0 || bytes.length >= TEXT_BYTES_END) return null
  const text = latin1Text(bytes)
  if (INFINITE.test(text)) return 'infinite'
  const match = DECIMAL.exec(text)
  if (match === null) return parseHexadecimal(text)
  const [, sign, whole, fraction = '', power = '0'] = match
  if (whole.length + fraction.length === 0) return null
  const digits = BigInt(whole + fraction)
  if (digits === 0n) return LONG_DOUBLE_ZERO
  const scale = Number(power) - fraction.length
  // Far outside of the format; and a power of that size would take long to compute.
  if (Math.abs(scale) > 2 * TEXT_BYTES_END) return null
  const rounded =
    scale >= 0 ? roundedRatio(digits * 10n ** BigInt(scale), 1n) : roundedRatio(digits, 10n ** BigInt(-scale))
  if (rounded === null || rounded.mantissa === 0n) return null
  return sign === '-' ? { mantissa: -rounded.mantissa, exponent: rounded.exponent } : rounded
}

function parseHexadecimal(text: string): LongDouble | null {
  const match = HEXADECIMAL.exec(text)
  if (match === null) return null
  const [, sign, whole, fraction = '', power = '0'] = match
  if (whole.length + fraction.length === 0) return null
  const digits = BigInt(`0x${whole}${fraction}`)
  if (digits === 0n) return LONG_DOUBLE_ZERO
  const scale = Number(power) - 4 * fraction.length
  if (Math.abs(scale) > 8 * TEXT_BYTES_END) return null
  const rounded = scale >= 0 ? roundedRatio(digits << BigInt(scale), 1n) : roundedRatio(digits, 1n << BigInt(-scale))
  if (rounded === null || rounded.mantissa === 0n) return null
  return sign === '-' ? { mantissa: -rounded.mantissa, exponent: rounded.exponent } : rounded
}

/** Null: infinite. */
export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble | null {
  const exponent = Math.min(a.exponent, b.exponent)
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent))
  if (sum === 0n) return LONG_DOUBLE_ZERO
  const size = sum < 0n ? -sum : sum
  const rounded =
    exponent >= 0 ? roundedRatio(size << BigInt(exponent), 1n) : roundedRatio(size, 1n << BigInt(-exponent))
  if (rounded === null) return null
  return sum < 0n ? { mantissa: -rounded.mantissa, exponent: rounded.exponent } : rounded
}

export function formatLongDouble({ mantissa, exponent }: LongDouble): Uint8Array {
  const size = (mantissa < 0n ? -mantissa : mantissa) * 10n ** BigInt(DIGITS)
  const scaled = exponent >= 0 ? size << BigInt(exponent) : halfEven(size, 1n << BigInt(-exponent))
  if (scaled === 0n) return latin1Bytes('0')
  const digits = scaled.toString().padStart(DIGITS + 1, '0')
  const whole = digits.slice(0, -DIGITS)
  const fraction = digits.slice(-DIGITS).replace(/0+$/, '')
  return latin1Bytes(`${mantissa < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`)
}

/** The nearest number of the format to a positive ratio, ties to even; null: too large. */
function roundedRatio(numerator: bigint, denominator: bigint): LongDouble | null {
  assert(numerator > 0n && denominator > 0n, 'a ratio of the long double format is positive')
  let exponent = Math.max(EXPONENT_MIN, bitLength(numerator) - bitLength(denominator) - MANTISSA_BITS)
  let mantissa = scaledRatio(numerator, denominator, exponent)
  // The estimate may be one too low; rounding up may need one bit more.
  while (bitLength(mantissa) > MANTISSA_BITS) mantissa = scaledRatio(numerator, denominator, ++exponent)
  return exponent > EXPONENT_MAX ? null : { mantissa, exponent }
}

function scaledRatio(numerator: bigint, denominator: bigint, exponent: number): bigint {
  return exponent >= 0
    ? halfEven(numerator, denominator << BigInt(exponent))
    : halfEven(numerator << BigInt(-exponent), denominator)
}

function halfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && (quotient & 1n) === 1n) ? quotient + 1n : quotient
}

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0], 16)) + 28
}
