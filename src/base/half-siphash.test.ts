import { describe, expect, it } from 'vitest'
import { latin1Bytes } from './bytes.ts'
import { halfSipHash64, makeKeyHash48 } from './half-siphash.ts'

const KEY = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7)

/** The first rows of vectors_hsip64 in the reference: messages of 0, 1, 2, ... bytes 00 01 02 ... */
const VECTORS = [
  '218d1f59b9b83cc8',
  'be552412f8387315',
  '064f39ef7c50eb57',
  'ce0f1a45f7060679',
  'd5e78a175be52ea1',
  'cb9d7c3f2f3db580',
  'ce3e91358aa2bc25',
  'ff202728b07bc684',
  'edfee820bce4858c',
  '5b51cccc13888307',
]

function hex(words: { readonly first: number; readonly second: number }): string {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setUint32(0, words.first, true)
  new DataView(bytes.buffer).setUint32(4, words.second, true)
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

describe('HalfSipHash-2-4', () => {
  it('gives the reference implementation’s vectors', () => {
    for (const [length, vector] of VECTORS.entries()) {
      const message = Uint8Array.from({ length }, (_, i) => i)
      expect(hex(halfSipHash64(KEY, message)), `length ${length}`).toBe(vector)
    }
  })

  it('hashes part of an array like the same bytes alone, to 48 bits', () => {
    const hash = makeKeyHash48(KEY)
    const padded = latin1Bytes('xxkey:{7}yy')
    const alone = latin1Bytes('key:{7}')
    const value = hash(padded, 2, 9)
    expect(value).toBe(hash(alone, 0, 7))
    const words = halfSipHash64(KEY, alone)
    expect(value).toBe((words.second & 0xffff) * 2 ** 32 + words.first)
    expect(value).toBeLessThan(2 ** 48)
  })

  it('depends on the key', () => {
    const other = makeKeyHash48(Uint8Array.of(1, 1, 2, 3, 4, 5, 6, 7))
    expect(other(latin1Bytes('a'), 0, 1)).not.toBe(makeKeyHash48(KEY)(latin1Bytes('a'), 0, 1))
  })
})
