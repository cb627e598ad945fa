// What is kept keeps no more alive than about twice itself.
import { expect, it } from 'vitest'
import { ownBytes } from './own-bytes.ts'

it('copies a small message out of a large frame, and leaves one alone that is most of its frame', () => {
  const frame = new Uint8Array(256 * 1024).fill(3)
  const small = frame.subarray(100, 160)
  const own = ownBytes(small)
  expect(own.buffer.byteLength).toBe(60)
  expect(own).toEqual(small)
  const large = frame.subarray(0, 200 * 1024)
  expect(ownBytes(large)).toBe(large)
})
