import { expect, it } from 'vitest'
import { DecodeError, latin1Bytes } from '../base/bytes.ts'
import { makeKeyHash48 } from '../base/half-siphash.ts'
import { decodeBaseMeta, decodeCheckpointMeta, encodeBaseMeta, encodeCheckpointMeta } from './checkpoint-meta.ts'
import { HASH_KEY, metaAt } from './store-model.testkit.ts'

it('comes back as it went, indexes beyond 32 bits and an empty state included', () => {
  for (const meta of [metaAt(2 ** 40 + 3), metaAt(1, new Uint8Array(0)), metaAt(7, new Uint8Array(2_000).fill(9))]) {
    expect(decodeCheckpointMeta(encodeCheckpointMeta(meta))).toEqual(meta)
  }
})

it('with one bit flipped or one byte missing is refused', () => {
  const bytes = encodeCheckpointMeta(metaAt(12))
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3] ^= 1 << (bit & 7)
    expect(() => decodeCheckpointMeta(bytes), `bit ${bit}`).toThrow(DecodeError)
    bytes[bit >> 3] ^= 1 << (bit & 7)
  }
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decodeCheckpointMeta(bytes.subarray(0, length)), `length ${length}`).toThrow(DecodeError)
  }
})

it('in a base file is tied to the hash key', () => {
  const hash = makeKeyHash48(HASH_KEY)
  const bytes = encodeBaseMeta(metaAt(3), hash)
  expect(decodeBaseMeta(bytes, hash)).toEqual(metaAt(3))
  expect(() => decodeBaseMeta(bytes, makeKeyHash48(latin1Bytes('another!')))).toThrow(/another hash key/)
})
