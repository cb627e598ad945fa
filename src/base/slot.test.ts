// Slots against an oracle (cluster-key-slot, what ioredis uses) and the examples of the Redis Cluster specification.
import calculateSlot from 'cluster-key-slot'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8Bytes } from './bytes.ts'
import { crc16, REDIS_SLOT_COUNT, redisSlot, slotOf } from './slot.ts'

test('CRC16 is the XMODEM one of the specification', () => {
  expect(crc16(utf8Bytes('123456789'))).toBe(0x31c3)
})

test('hash tags: the first { and the first } after it, if anything is between them', () => {
  const same = (a: string, b: string) => expect(redisSlot(utf8Bytes(a))).toBe(redisSlot(utf8Bytes(b)))
  same('{user1000}.following', '{user1000}.followers')
  same('foo{bar}{zap}', 'bar')
  same('foo{{bar}}zap', '{bar')
  same('a}b{c}', 'c')
  expect(redisSlot(utf8Bytes('{}}'))).toBe(14790)
  expect(redisSlot(utf8Bytes('foo{}{bar}'))).toBe(crc16(utf8Bytes('foo{}{bar}')) & 0x3fff)
  expect(redisSlot(utf8Bytes('foo{bar'))).toBe(crc16(utf8Bytes('foo{bar')) & 0x3fff)
})

test('every key lands where the oracle puts it, tags and all', () => {
  const key = fc
    .array(fc.constantFrom('{', '}', 'a', 'b', 'é', '😀', ''), { maxLength: 12 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.oneof(key, fc.string()), (text) => {
      const slot = redisSlot(Buffer.from(text, 'utf8'))
      // The oracle looks beyond an empty tag where another } follows ("{}}"); Redis 7 takes the whole key (14790 for that one).
      const oracle = /^[^{]*\{\}/.test(text) ? crc16(Buffer.from(text, 'utf8')) & 0x3fff : calculateSlot(text)
      expect(slot).toBe(oracle)
      expect(slot).toBeLessThan(REDIS_SLOT_COUNT)
    }),
    { numRuns: 2_000 },
  )
})

test('fewer slots are runs of neighbouring Redis slots', () => {
  for (let i = 0; i < 5_000; i++) {
    const bytes = utf8Bytes(`key-${i}`)
    expect(slotOf(bytes, 1024)).toBe(Math.floor(redisSlot(bytes) / 16))
    expect(slotOf(bytes, 16384)).toBe(redisSlot(bytes))
    expect(slotOf(bytes, 1)).toBe(0)
  }
})

test('a key within a larger buffer is the same key', () => {
  const bytes = utf8Bytes('xx{tag}keyyy')
  expect(redisSlot(bytes, 2, 10)).toBe(redisSlot(utf8Bytes('{tag}key')))
})
