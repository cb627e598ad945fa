import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareBytes } from '../base/bytes.ts'
import { contractKey, makeRun } from '../store/base-file-contract.testkit.ts'
import { checksumHolds, hashInKey, RunReader, sealRun, sortByHash } from './sorted-run.ts'

/** Few distinct parts, so that slots, generations and hashes collide. */
const keys = fc.uniqueArray(
  fc
    .tuple(
      fc.constantFrom(0, 1, 256, 16383),
      fc.constantFrom(0, 1, 2 ** 32, 2 ** 53 - 2),
      fc.oneof(fc.constantFrom(0, 1, 2 ** 32, 2 ** 48 - 1), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
      fc.uint8Array({ maxLength: 3 }),
    )
    .map(([slot, generation, hash, key]) => contractKey(slot, generation, hash, key)),
  { selector: (key) => Buffer.from(key).toString('hex'), maxLength: 200 },
)

describe('sealRun', () => {
  it('orders any keys as their bytes do, and fills in every checksum', () => {
    fc.assert(
      fc.property(keys, fc.infiniteStream(fc.option(fc.uint8Array({ maxLength: 40 }))), (list, values) => {
        const changes = list.map((key) => ({ key, value: values.next().value ?? null }))
        const run = makeRun(changes)
        const order = sealRun(run)
        const reader = new RunReader(run)
        const sorted = changes.slice().sort((a, b) => compareBytes(a.key, b.key))
        expect(order.length).toBe(sorted.length)
        for (const [i, row] of order.entries()) {
          expect(compareBytes(reader.key(row), sorted[i].key)).toBe(0)
          const value = reader.value(row)
          expect(value === null).toBe(sorted[i].value === null)
          if (value !== null) expect(checksumHolds(sorted[i].key, value)).toBe(true)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('gives a checksum that no flipped bit and no other key passes', () => {
    const key = contractKey(1, 2, 3, Uint8Array.of(4))
    const run = makeRun([{ key, value: Uint8Array.of(1, 2, 3) }])
    sealRun(run)
    const value = new RunReader(run).value(0)?.slice() ?? new Uint8Array(0)
    for (let bit = 0; bit < value.length * 8; bit++) {
      value[bit >> 3] ^= 1 << (bit & 7)
      expect(checksumHolds(key, value)).toBe(false)
      value[bit >> 3] ^= 1 << (bit & 7)
    }
    expect(checksumHolds(contractKey(1, 2, 3, Uint8Array.of(5)), value)).toBe(false)
    expect(checksumHolds(key, value.subarray(0, 3))).toBe(false)
  })
})

describe('sortByHash', () => {
  it('decides by the whole hash, also between hashes whose upper bits agree', () => {
    const hashes = [2 ** 48 - 1, 2 ** 48 - 2, 5, 4, 4, 2 ** 47, 0]
    const items = Uint32Array.from(hashes, (_, i) => i)
    sortByHash(
      items,
      (item) => hashes[item],
      (a, b) => b - a,
    )
    expect([...items]).toEqual([6, 4, 3, 2, 5, 1, 0])
  })

  it('reads the hash back from a key', () => {
    for (const hash of [0, 1, 0x8000_0000, 0xffff_ffff, 2 ** 47 + 5, 2 ** 48 - 1]) {
      expect(hashInKey(contractKey(9, 9, hash, new Uint8Array(2)), 0)).toBe(hash)
    }
  })
})
