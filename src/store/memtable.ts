/**
 * What changed since the last checkpoint, for all slots of one replica: the newest record of each key, or that the key
 * is gone. No JS object a key: keys and records lie in an arena of shared memory, the rest in rows of numbers that are, as they
 * stand, the run which the next checkpoint's writer reads (ports/base-file.ts `SortedRun`), so freezing costs nothing.
 *
 *   row := key slab | key offset | key length | record slab | record offset | record length (REMOVED_LENGTH: gone)
 *          | the chain's next entry + 1 | record room | flags
 *
 * Entries of one slot and generation form a chain, newest first, for scans, counts and the dropping of generations.
 * A blind write does not look below (in the frozen memtable and the base file): whether the key was there is unknown until a
 * count wants to know.
 */
import { assert } from '../base/assert.ts'
import type { SlotId } from '../base/brand.ts'
import { REMOVED_LENGTH, ROW_WORDS, ROWS_PER_CHUNK, type SortedRun } from '../ports/base-file.ts'
import type { Generation, StoredValue } from '../ports/key-space.ts'
import { hashInKey, sortByHash } from '../ports/sorted-run.ts'
import { RECORD_HEADER_BYTES, RECORD_OVERHEAD_BYTES, storedValue } from './composite-key.ts'
import { MemtableIndex } from './memtable-index.ts'
import { SlabArena, type SlabPool } from './slab-arena.ts'

const KEY_SLAB = 0
const KEY_OFFSET = 1
const KEY_LENGTH = 2
const RECORD_SLAB = 3
const RECORD_OFFSET = 4
const RECORD_LENGTH = 5
const NEXT = 6
const ROOM = 7
const FLAGS = 8

/** The chain's `settledDifference` counts this entry. */
const FLAG_SETTLED = 1
/** With FLAG_SETTLED: the key is there below this memtable. */
const FLAG_BELOW = 2

/** Records that outgrow their room get half as much again, so that a growing value (APPEND) wastes a bounded share. */
const GROWTH = 1.5

export type Below = 'unknown' | 'present' | 'absent'

/** The entries of one slot and generation. */
export interface Chain {
  readonly slot: SlotId
  readonly generation: Generation
  /** Newest entry + 1; 0: none. */
  head: number
  count: number
  /** Entries that hold a value: the number of keys where nothing is below. */
  present: number
  /** From this entry + 1 on, all are settled. */
  settledFrom: number
  /** Keys that the settled entries add to what is below, or take from it. */
  settledDifference: number
  /** Entries in key order, up to date where `sortedFrom` is the head. */
  sorted: Uint32Array
  sortedFrom: number
}

const NO_ENTRIES = new Uint32Array(0)

export class Memtable {
  readonly #arena: SlabArena
  readonly #index = new MemtableIndex()
  readonly #chunks: SharedArrayBuffer[] = []
  readonly #rows: Uint32Array[] = []
  readonly #chains = new Map<SlotId, Chain[]>()
  #count = 0
  /** The key that `#matches` compares with: fields instead of a closure a look-up. */
  #soughtKey: Uint8Array = new Uint8Array(0)
  #soughtLength = 0
  readonly #matches = (entry: number): boolean => this.#equalsSought(entry)

  constructor(pool: SlabPool) {
    this.#arena = new SlabArena(pool)
  }

  get entries(): number {
    return this.#count
  }

  /** All memory that the table holds: slabs, rows, index. */
  get bytes(): number {
    return this.#arena.allocatedBytes + this.#chunks.length * ROWS_PER_CHUNK * ROW_WORDS * 4 + this.#index.bytes
  }

  #word(entry: number, word: number): number {
    return this.#rows[Math.floor(entry / ROWS_PER_CHUNK)][(entry % ROWS_PER_CHUNK) * ROW_WORDS + word]
  }

  #setWord(entry: number, word: number, value: number): void {
    this.#rows[Math.floor(entry / ROWS_PER_CHUNK)][(entry % ROWS_PER_CHUNK) * ROW_WORDS + word] = value
  }

  #equalsSought(entry: number): boolean {
    const length = this.#soughtLength
    if (this.#word(entry, KEY_LENGTH) !== length) return false
    const bytes = this.#arena.bytes[this.#word(entry, KEY_SLAB)]
    const offset = this.#word(entry, KEY_OFFSET)
    const sought = this.#soughtKey
    for (let i = length - 1; i >= 0; i--) if (bytes[offset + i] !== sought[i]) return false
    return true
  }

  /** The entry of this composite key, in the first `length` bytes of `key`; -1: none. */
  find(key: Uint8Array, length: number, tag: number): number {
    this.#soughtKey = key
    this.#soughtLength = length
    return this.#index.find(tag, this.#matches)
  }

  /** Writes a value, or with null a removal. `below` is what the caller happens to know about the key below this table. */
  write(
    key: Uint8Array,
    length: number,
    tag: number,
    slot: SlotId,
    generation: Generation,
    value: Uint8Array | null,
    expiresAtMs: number,
    modificationIndex: number,
    below: Below,
  ): void {
    const found = this.find(key, length, tag)
    const chain = this.#chainFor(slot, generation)
    if (found < 0) {
      const entry = this.#addEntry(key, length, chain)
      this.#index.add(tag, entry)
      this.#writeRecord(entry, value, expiresAtMs, modificationIndex)
      if (value !== null) chain.present++
      if (below !== 'unknown') this.#settleEntry(chain, entry, below === 'present')
      return
    }
    const wasPresent = this.isPresent(found)
    this.#writeRecord(found, value, expiresAtMs, modificationIndex)
    const change = (value === null ? 0 : 1) - (wasPresent ? 1 : 0)
    chain.present += change
    if ((this.#word(found, FLAGS) & FLAG_SETTLED) !== 0) chain.settledDifference += change
  }

  #addEntry(key: Uint8Array, length: number, chain: Chain): number {
    const entry = this.#count++
    assert(entry < 2 ** 31, 'memtable: too many entries')
    if (entry % ROWS_PER_CHUNK === 0) {
      const chunk = new SharedArrayBuffer(ROWS_PER_CHUNK * ROW_WORDS * 4)
      this.#chunks.push(chunk)
      this.#rows.push(new Uint32Array(chunk))
    }
    const arena = this.#arena
    arena.allocate(length)
    // A loop: for a few dozen bytes, subarray and set cost more.
    const target = arena.bytes[arena.slab]
    for (let i = 0, at = arena.offset; i < length; i++, at++) target[at] = key[i]
    this.#setWord(entry, KEY_SLAB, arena.slab)
    this.#setWord(entry, KEY_OFFSET, arena.offset)
    this.#setWord(entry, KEY_LENGTH, length)
    this.#setWord(entry, RECORD_LENGTH, REMOVED_LENGTH)
    this.#setWord(entry, ROOM, 0)
    this.#setWord(entry, FLAGS, 0)
    this.#setWord(entry, NEXT, chain.head)
    chain.head = entry + 1
    chain.count++
    return entry
  }

  #writeRecord(entry: number, value: Uint8Array | null, expiresAtMs: number, modificationIndex: number): void {
    if (value === null) {
      this.#setWord(entry, RECORD_LENGTH, REMOVED_LENGTH)
      const room = this.#word(entry, ROOM)
      if (room === 0) return
      if (this.#arena.freeIfAlone(this.#word(entry, RECORD_SLAB), this.#word(entry, RECORD_OFFSET), room)) {
        this.#setWord(entry, ROOM, 0)
      }
      return
    }
    const length = value.length + RECORD_OVERHEAD_BYTES
    // A value may be a view of the very record that it replaces: the old bytes stay until the new ones are copied.
    if (length > this.#word(entry, ROOM)) this.#moveRecord(entry, length, value)
    else {
      const offset = this.#word(entry, RECORD_OFFSET)
      this.#arena.bytes[this.#word(entry, RECORD_SLAB)].set(value, offset + RECORD_HEADER_BYTES)
    }
    const offset = this.#word(entry, RECORD_OFFSET)
    const view = this.#arena.views[this.#word(entry, RECORD_SLAB)]
    view.setUint32(offset, modificationIndex >>> 0, true)
    view.setUint32(offset + 4, Math.floor(modificationIndex / 0x1_0000_0000), true)
    view.setUint32(offset + 8, expiresAtMs >>> 0, true)
    view.setUint32(offset + 12, Math.floor(expiresAtMs / 0x1_0000_0000), true)
    this.#setWord(entry, RECORD_LENGTH, length)
  }

  #moveRecord(entry: number, length: number, value: Uint8Array): void {
    const arena = this.#arena
    const oldRoom = this.#word(entry, ROOM)
    const oldSlab = this.#word(entry, RECORD_SLAB)
    const oldOffset = this.#word(entry, RECORD_OFFSET)
    const room = oldRoom === 0 ? length : Math.ceil(length * GROWTH)
    arena.allocate(room)
    arena.bytes[arena.slab].set(value, arena.offset + RECORD_HEADER_BYTES)
    this.#setWord(entry, RECORD_SLAB, arena.slab)
    this.#setWord(entry, RECORD_OFFSET, arena.offset)
    this.#setWord(entry, ROOM, room)
    if (oldRoom > 0) arena.freeIfAlone(oldSlab, oldOffset, oldRoom)
  }

  isPresent(entry: number): boolean {
    return this.#word(entry, RECORD_LENGTH) !== REMOVED_LENGTH
  }

  /** The entry must be present; the value is a view. */
  stored(entry: number): StoredValue {
    const length = this.#word(entry, RECORD_LENGTH)
    assert(length !== REMOVED_LENGTH, 'memtable: the value of a removed key')
    const slab = this.#word(entry, RECORD_SLAB)
    const offset = this.#word(entry, RECORD_OFFSET)
    return storedValue(this.#arena.bytes[slab], offset, length)
  }

  /** The record's bytes, a view; the entry must be present. The checksum in it is not filled in yet. */
  record(entry: number): Uint8Array {
    const length = this.#word(entry, RECORD_LENGTH)
    assert(length !== REMOVED_LENGTH, 'memtable: the record of a removed key')
    const offset = this.#word(entry, RECORD_OFFSET)
    return this.#arena.bytes[this.#word(entry, RECORD_SLAB)].subarray(offset, offset + length)
  }

  /** The composite key, a view. */
  key(entry: number): Uint8Array {
    const offset = this.#word(entry, KEY_OFFSET)
    return this.#arena.bytes[this.#word(entry, KEY_SLAB)].subarray(offset, offset + this.#word(entry, KEY_LENGTH))
  }

  hash(entry: number): number {
    return hashInKey(this.#arena.bytes[this.#word(entry, KEY_SLAB)], this.#word(entry, KEY_OFFSET))
  }

  chain(slot: SlotId, generation: Generation): Chain | null {
    const chains = this.#chains.get(slot)
    if (chains === undefined) return null
    for (const chain of chains) if (chain.generation === generation) return chain
    return null
  }

  #chainFor(slot: SlotId, generation: Generation): Chain {
    const known = this.chain(slot, generation)
    if (known !== null) return known
    const chain: Chain = {
      slot,
      generation,
      head: 0,
      count: 0,
      present: 0,
      settledFrom: 0,
      settledDifference: 0,
      sorted: NO_ENTRIES,
      sortedFrom: 0,
    }
    const chains = this.#chains.get(slot)
    if (chains === undefined) this.#chains.set(slot, [chain])
    else chains.push(chain)
    return chain
  }

  #settleEntry(chain: Chain, entry: number, isBelow: boolean): void {
    this.#setWord(entry, FLAGS, FLAG_SETTLED | (isBelow ? FLAG_BELOW : 0))
    chain.settledDifference += (this.isPresent(entry) ? 1 : 0) - (isBelow ? 1 : 0)
  }

  /** How many keys this chain adds to what is below (or takes: negative). Asks `isBelow` once for each entry that nobody knew of. */
  difference(chain: Chain, isBelow: (compositeKey: Uint8Array) => boolean): number {
    for (let stored = chain.head; stored !== chain.settledFrom; ) {
      const entry = stored - 1
      if ((this.#word(entry, FLAGS) & FLAG_SETTLED) === 0) this.#settleEntry(chain, entry, isBelow(this.key(entry)))
      stored = this.#word(entry, NEXT)
    }
    chain.settledFrom = chain.head
    return chain.settledDifference
  }

  /** The chain's entries in key order. Sorted once; later entries are sorted among themselves and merged in. */
  sorted(chain: Chain): Uint32Array {
    if (chain.sortedFrom === chain.head) return chain.sorted
    const fresh = new Uint32Array(chain.count - chain.sorted.length)
    let filled = 0
    for (let stored = chain.head; stored !== chain.sortedFrom; stored = this.#word(stored - 1, NEXT)) {
      fresh[filled++] = stored - 1
    }
    assert(filled === fresh.length, 'memtable: a chain and its count differ')
    sortByHash(
      fresh,
      (entry) => this.hash(entry),
      (a, b) => this.#compareKeys(a, b),
    )
    chain.sorted = chain.sorted.length === 0 ? fresh : this.#merge(chain.sorted, fresh)
    chain.sortedFrom = chain.head
    return chain.sorted
  }

  #merge(older: Uint32Array, fresh: Uint32Array): Uint32Array {
    const merged = new Uint32Array(older.length + fresh.length)
    let at = 0
    let from = 0
    for (const entry of fresh) {
      const until = lowerBound(older, from, (other) => this.#compareKeys(other, entry))
      merged.set(older.subarray(from, until), at)
      at += until - from
      from = until
      merged[at++] = entry
    }
    merged.set(older.subarray(from), at)
    return merged
  }

  #compareKeys(a: number, b: number): number {
    const left = this.key(a)
    const right = this.key(b)
    const shared = Math.min(left.length, right.length)
    for (let i = 0; i < shared; i++) if (left[i] !== right[i]) return left[i] - right[i]
    return left.length - right.length
  }

  /** As it stands: nothing is copied or sorted here. The table must not be written to any more. */
  run(): SortedRun {
    return { slabs: this.#arena.slabs, rows: this.#chunks, count: this.#count }
  }

  /** Gives the memory back. The table must not be used any more. */
  release(): void {
    this.#arena.release()
    this.#chains.clear()
  }
}

/** The first place in items[from ..] at which `compare` is not negative. */
export function lowerBound(items: Uint32Array, from: number, compare: (item: number) => number): number {
  let low = from
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(items[middle]) < 0) low = middle + 1
    else high = middle
  }
  return low
}
