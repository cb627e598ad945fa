import { describe, expect, it } from 'vitest'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { addLongDoubles, formatLongDouble, parseLongDouble } from './long-double.ts'

function printed(text: string): string | null {
  const value = parseLongDouble(latin1Bytes(text))
  return value === null || value === 'infinite' ? value : latin1Text(formatLongDouble(value))
}

function sum(a: string, b: string): string | null {
  const [left, right] = [a, b].map((text) => parseLongDouble(latin1Bytes(text)))
  if (left === null || right === null || left === 'infinite' || right === 'infinite') throw new Error('no number')
  const added = addLongDoubles(left, right)
  return added === null ? null : latin1Text(formatLongDouble(added))
}

describe('the 80-bit format', () => {
  it.each([
    ['0', '0'],
    ['-0', '0'],
    ['3.0e3', '3000'],
    ['1.', '1'],
    ['.5', '0.5'],
    ['-1.5', '-1.5'],
    ['0.1', '0.1'],
    // 64 bits of mantissa: exact where a double is not.
    ['18446744073709551615', '18446744073709551615'],
    ['18446744073709551617', '18446744073709551616'],
    ['1e-17', '0.00000000000000001'],
    ['1e-18', '0'],
    ['0x10', '16'],
    ['-0X1.8p3', '-12'],
    ['0x.8', '0.5'],
    ['0x', null],
    ['0x1p', null],
    ['', null],
    ['.', null],
    ['1e', null],
    [' 1', null],
    ['1 ', null],
    ['nan', null],
    ['inf', 'infinite'],
    ['-Infinity', 'infinite'],
    ['1e4933', null],
    ['1e-5000', null],
    ['1e999999999', null],
  ])('%j is %j', (text, expected) => {
    expect(printed(text)).toBe(expected)
  })

  it('holds its largest number, and no larger one', () => {
    const largest = (2n ** 64n - 1n) * 2n ** 16320n
    expect(printed(largest.toString())).toBe(largest.toString())
    expect(printed((2n ** 16384n).toString())).toBeNull()
    expect(sum(largest.toString(), largest.toString())).toBeNull()
  })

  it('adds', () => {
    expect(sum('0.1', '0.2')).toBe('0.3')
    expect(sum('1', '-1')).toBe('0')
    expect(sum('-1.5', '0.25')).toBe('-1.25')
    expect(sum('1e30', '1')).toBe('1000000000000000000024696061952')
  })
})
