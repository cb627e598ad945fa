/**
 * HalfSipHash-2-4 with 64 bits out (Aumasson, Bernstein; reference halfsiphash.c): SipHash on 32-bit words, so that it is quick without
 * 64-bit integers. Keyed, so that nobody who does not know the key can choose colliding keys; never a signature.
 * The store takes the low 48 bits: they fit a safe integer and leave SCAN's 64-bit cursor 16 bits for the slot.
 */
import { assert } from './assert.ts'

const HASH_KEY_BYTES = 8

/** A hash of bytes[from, to) in 0 .. 2^48 - 1. */
export type KeyHash = (bytes: Uint8Array, from: number, to: number) => number

/** The second word of the last hash: a slot of its own saves an allocation a call (single-threaded, read at once). */
let secondWord = 0

/** Returns the first output word (unsigned), leaves the second in `secondWord`. */
function halfSipHash(k0: number, k1: number, bytes: Uint8Array, from: number, to: number): number {
  let v0 = k0
  let v1 = k1 ^ 0xee
  let v2 = 0x6c796765 ^ k0
  let v3 = 0x74656462 ^ k1
  const length = to - from
  const lastWord = from + (length & ~3)
  // Rounds: 2 for each word and the tail, 4 at the end of each output word; unrolled in place by one flat loop over
  // (word, rounds), as calls a round cost more than the arithmetic.
  let at = from
  for (let phase = 0; ; ) {
    let word = 0
    let rounds = 2
    if (phase === 0) {
      if (at < lastWord) {
        word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
        at += 4
      } else {
        word = length << 24
        const left = length & 3
        if (left > 2) word |= bytes[at + 2] << 16
        if (left > 1) word |= bytes[at + 1] << 8
        if (left > 0) word |= bytes[at]
        phase = 1
      }
      v3 ^= word
    } else {
      rounds = 4
      if (phase === 1) v2 ^= 0xee
      else v1 ^= 0xdd
      phase++
    }
    for (; rounds > 0; rounds--) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    if (phase <= 1) v0 ^= word
    else if (phase === 2) secondWord = v1 ^ v3
    else break
  }
  const first = secondWord
  secondWord = (v1 ^ v3) >>> 0
  return first >>> 0
}

function wordsOf(key: Uint8Array): readonly [number, number] {
  assert(key.length === HASH_KEY_BYTES, 'half-siphash: the key has 8 bytes')
  const word = (at: number): number => key[at] | (key[at + 1] << 8) | (key[at + 2] << 16) | (key[at + 3] << 24)
  return [word(0), word(4)]
}

/** The whole 64-bit output as its two 32-bit words, for tests against the reference vectors. */
export function halfSipHash64(key: Uint8Array, bytes: Uint8Array): { readonly first: number; readonly second: number } {
  const [k0, k1] = wordsOf(key)
  const first = halfSipHash(k0, k1, bytes, 0, bytes.length)
  return { first, second: secondWord }
}

export function makeKeyHash48(key: Uint8Array): KeyHash {
  const [k0, k1] = wordsOf(key)
  return (bytes, from, to) => {
    const first = halfSipHash(k0, k1, bytes, from, to)
    return (secondWord & 0xffff) * 0x1_0000_0000 + first
  }
}
