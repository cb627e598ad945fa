import { expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { MemtableIndex } from './memtable-index.ts'

it('finds every entry at every size, while the old table moves into the new one', () => {
  const index = new MemtableIndex()
  const random = new Prng(1)
  const tags: number[] = []
  for (let entry = 0; entry < 20_000; entry++) {
    // A few tags are shared by many entries, some entries only by the low bits.
    const tag = random.chance(0.1)
      ? random.below(3)
      : random.chance(0.1)
        ? random.below(16) * 0x1000_0000
        : random.u32()
    index.add(tag, entry)
    tags.push(tag)
    const probe = random.below(tags.length)
    expect(index.find(tags[probe], (found) => found === probe)).toBe(probe)
    if (entry % 997 === 0) {
      for (const [known, knownTag] of tags.entries()) {
        if (index.find(knownTag, (found) => found === known) !== known) expect.unreachable(`entry ${known} is lost`)
      }
    }
  }
  expect(index.find(12345, () => false)).toBe(-1)
  expect(index.bytes).toBeLessThan(20_000 * 8 * 5)
})
