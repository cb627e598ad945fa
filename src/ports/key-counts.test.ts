import { expect, it } from 'vitest'
import { DecodeError } from '../base/bytes.ts'
import { KeyCounts } from './key-counts.ts'

const prefix = (first: number, last: number): Uint8Array => Uint8Array.of(first, 0, 0, 0, 0, 0, 0, 0, 0, last)

it('adds up by prefix, forgets what is back at zero, and survives encoding', () => {
  const counts = KeyCounts.empty()
  counts.add(Uint8Array.of(...prefix(1, 2), 99, 98), 3)
  counts.add(prefix(1, 2), -1)
  counts.add(prefix(255, 255), 2 ** 40)
  counts.add(prefix(4, 4), 1)
  counts.add(prefix(4, 4), -1)
  const again = KeyCounts.decode(counts.encode())
  expect([prefix(1, 2), prefix(255, 255), prefix(4, 4), prefix(1, 3)].map((one) => again.get(one))).toEqual([
    2,
    2 ** 40,
    0,
    0,
  ])
  expect(again.encode().length).toBe(6 + 2 * 18)
})

it('never goes below zero, and a copy goes its own way', () => {
  const counts = KeyCounts.empty()
  const copy = counts.copy()
  copy.add(prefix(1, 1), 1)
  expect(counts.get(prefix(1, 1))).toBe(0)
  expect(() => counts.add(prefix(1, 1), -1)).toThrow(/more keys removed/)
})

it('refuses bytes that it did not write', () => {
  const bytes = KeyCounts.empty().encode()
  expect(() => KeyCounts.decode(bytes.subarray(0, 5))).toThrow(DecodeError)
  expect(() => KeyCounts.decode(Uint8Array.of(2, ...bytes.subarray(1)))).toThrow(/unknown version/)
  expect(() => KeyCounts.decode(Uint8Array.of(...bytes, 0))).toThrow(DecodeError)
})
