/**
 * A key space in a Map, for tests of the state machine. Strict where the port is: views that it handed out are overwritten on its
 * next call, so that whoever keeps one too long reads rubbish. `hashBits` is small so that keys share hashes.
 */
import { assert } from '../base/assert.ts'
import { asLogIndex, type LogIndex, type SlotId } from '../base/brand.ts'
import { compareBytes, latin1Text } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { type Generation, type KeySpace, SCAN_END, type ScanPosition, type StoredValue } from '../ports/key-space.ts'

interface Item {
  readonly key: Uint8Array
  readonly hash: number
  readonly value: Uint8Array
  readonly expiresAtMs: number
  readonly modificationIndex: LogIndex
}

export class MemoryKeySpace implements KeySpace {
  readonly #spaces = new Map<string, Map<string, Item>>()
  readonly #hashMask: number
  #handedOut: Uint8Array[] = []
  /** Calls of get and scan: for tests that nothing was looked up. */
  lookups = 0

  constructor(hashBits = 6) {
    this.#hashMask = 2 ** hashBits - 1
  }

  get(slot: SlotId, generation: Generation, key: Uint8Array): StoredValue | null {
    const wanted = latin1Text(key)
    this.#spoilViews()
    this.lookups++
    const item = this.#space(slot, generation).get(wanted)
    return item === undefined ? null : this.#view(item)
  }

  put(
    slot: SlotId,
    generation: Generation,
    key: Uint8Array,
    value: Uint8Array,
    expiresAtMs: number,
    modificationIndex: LogIndex,
  ): void {
    assert(Number.isSafeInteger(expiresAtMs) && expiresAtMs >= 0, 'put: the expiry is not an unsigned safe integer')
    this.#spoilViews()
    const item = {
      key: key.slice(),
      hash: crc32c(key) & this.#hashMask,
      value: value.slice(),
      expiresAtMs,
      modificationIndex: asLogIndex(modificationIndex),
    }
    this.#space(slot, generation).set(latin1Text(key), item)
  }

  remove(slot: SlotId, generation: Generation, key: Uint8Array, _modificationIndex: LogIndex): void {
    this.#spoilViews()
    assert(this.#space(slot, generation).delete(latin1Text(key)), 'remove: of a key that is not stored')
  }

  scan(
    slot: SlotId,
    generation: Generation,
    position: ScanPosition,
    limit: number,
    visit: (key: Uint8Array, value: StoredValue) => void,
  ): ScanPosition {
    this.#spoilViews()
    this.lookups++
    let seen = 0
    let lastHash = -1
    for (const item of this.#sorted(slot, generation)) {
      if (item.hash < position) continue
      if (seen >= limit && item.hash !== lastHash) return item.hash
      visit(item.key.slice(), this.#view(item))
      lastHash = item.hash
      seen++
    }
    return SCAN_END
  }

  count(slot: SlotId, generation: Generation): number {
    return this.#space(slot, generation).size
  }

  dropGeneration(slot: SlotId, generation: Generation, maxKeys: number): boolean {
    this.#spoilViews()
    const space = this.#space(slot, generation)
    for (const item of this.#sorted(slot, generation).slice(0, maxKeys)) space.delete(latin1Text(item.key))
    return space.size === 0
  }

  /** What a checkpoint of the keys would hold. */
  clone(): MemoryKeySpace {
    const copy = new MemoryKeySpace(Math.log2(this.#hashMask + 1))
    for (const [name, space] of this.#spaces) copy.#spaces.set(name, new Map(space))
    return copy
  }

  /** Keys of all generations, dead ones too. */
  get totalKeys(): number {
    let total = 0
    for (const space of this.#spaces.values()) total += space.size
    return total
  }

  #space(slot: SlotId, generation: Generation): Map<string, Item> {
    assert(generation > 0, 'a generation of no life')
    const name = `${slot}/${generation}`
    let space = this.#spaces.get(name)
    if (space === undefined) {
      space = new Map()
      this.#spaces.set(name, space)
    }
    return space
  }

  #sorted(slot: SlotId, generation: Generation): Item[] {
    return [...this.#space(slot, generation).values()].sort((a, b) => a.hash - b.hash || compareBytes(a.key, b.key))
  }

  #view(item: Item): StoredValue {
    const value = item.value.slice()
    this.#handedOut.push(value)
    return { value, expiresAtMs: item.expiresAtMs, modificationIndex: item.modificationIndex }
  }

  #spoilViews(): void {
    for (const view of this.#handedOut) view.fill(0xdd)
    this.#handedOut = []
  }
}
