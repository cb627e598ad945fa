/**
 * From a key's tag (32 bits of its hash) to the entries that have it: open addressing with linear probing in typed
 * arrays. Entries are only ever added. It grows without a stall: the next table, twice as large, takes over a few cells of the old one
 * with each addition, and until it has them all a look-up asks both.
 */
import { assert } from '../base/assert.ts'

const FIRST_CELLS = 512
/** The new table has room for 0.6 x old cells more additions than the old had; 8 cells an addition is far ahead of that. */
const MOVES_PER_ADDITION = 8

export class MemtableIndex {
  #tags = new Uint32Array(FIRST_CELLS)
  /** Entry number + 1; 0: vacant. */
  #entries = new Uint32Array(FIRST_CELLS)
  #mask = FIRST_CELLS - 1
  #used = 0
  #oldTags: Uint32Array | null = null
  #oldEntries: Uint32Array | null = null
  #oldMask = 0
  #moved = 0

  get bytes(): number {
    return (this.#mask + 1 + (this.#oldTags === null ? 0 : this.#oldMask + 1)) * 8
  }

  /** The entry with this tag for which `matches` holds; -1: none. */
  find(tag: number, matches: (entry: number) => boolean): number {
    const found = probe(this.#tags, this.#entries, this.#mask, tag, matches)
    if (found >= 0 || this.#oldTags === null || this.#oldEntries === null) return found
    return probe(this.#oldTags, this.#oldEntries, this.#oldMask, tag, matches)
  }

  /** The caller knows that the entry is new. */
  add(tag: number, entry: number): void {
    if (this.#oldTags !== null) this.#move(MOVES_PER_ADDITION)
    else if (this.#used >= (this.#mask + 1) * 0.6) this.#grow()
    this.#insert(tag, entry + 1)
  }

  #insert(tag: number, stored: number): void {
    const entries = this.#entries
    let at = tag & this.#mask
    while (entries[at] !== 0) at = (at + 1) & this.#mask
    entries[at] = stored
    this.#tags[at] = tag
    this.#used++
  }

  #grow(): void {
    this.#oldTags = this.#tags
    this.#oldEntries = this.#entries
    this.#oldMask = this.#mask
    this.#moved = 0
    const cells = (this.#mask + 1) * 2
    assert(cells <= 2 ** 30, 'memtable index: too many entries')
    this.#tags = new Uint32Array(cells)
    this.#entries = new Uint32Array(cells)
    this.#mask = cells - 1
    this.#used = 0
  }

  /** An entry that moved is in both tables until the old one goes; look-ups find it in the new one first. */
  #move(cells: number): void {
    const tags = this.#oldTags
    const entries = this.#oldEntries
    if (tags === null || entries === null) return
    const end = Math.min(this.#moved + cells, this.#oldMask + 1)
    for (let at = this.#moved; at < end; at++) if (entries[at] !== 0) this.#insert(tags[at], entries[at])
    this.#moved = end
    if (end > this.#oldMask) {
      this.#oldTags = null
      this.#oldEntries = null
    }
  }
}

function probe(
  tags: Uint32Array,
  entries: Uint32Array,
  mask: number,
  tag: number,
  matches: (entry: number) => boolean,
): number {
  for (let at = tag & mask; entries[at] !== 0; at = (at + 1) & mask) {
    if (tags[at] === tag && matches(entries[at] - 1)) return entries[at] - 1
  }
  return -1
}
