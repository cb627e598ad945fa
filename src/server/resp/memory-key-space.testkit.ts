/** A KeySpace in plain maps: for doors' tests, which are not about the store. Scans visit in insertion order, in one go. */
import type { LogIndex, SlotId } from '../../base/brand.ts'
import { latin1Text } from '../../base/bytes.ts'
import { type Generation, type KeySpace, SCAN_END, type ScanPosition, type StoredValue } from '../../ports/key-space.ts'

interface Held extends StoredValue {
  readonly key: Uint8Array
}

export class MemoryKeySpace implements KeySpace {
  readonly #generations = new Map<string, Map<string, Held>>()

  #of(slot: SlotId, generation: Generation): Map<string, Held> {
    const name = `${slot}:${generation}`
    const known = this.#generations.get(name)
    if (known !== undefined) return known
    const fresh = new Map<string, Held>()
    this.#generations.set(name, fresh)
    return fresh
  }

  get(slot: SlotId, generation: Generation, key: Uint8Array): StoredValue | null {
    return this.#of(slot, generation).get(latin1Text(key)) ?? null
  }

  put(
    slot: SlotId,
    generation: Generation,
    key: Uint8Array,
    value: Uint8Array,
    expiresAtMs: number,
    modificationIndex: LogIndex,
  ): void {
    const held = { key: key.slice(), value: value.slice(), expiresAtMs, modificationIndex }
    this.#of(slot, generation).set(latin1Text(key), held)
  }

  remove(slot: SlotId, generation: Generation, key: Uint8Array): void {
    this.#of(slot, generation).delete(latin1Text(key))
  }

  scan(
    slot: SlotId,
    generation: Generation,
    _position: ScanPosition,
    _limit: number,
    visit: (key: Uint8Array, value: StoredValue) => void,
  ): ScanPosition {
    for (const held of this.#of(slot, generation).values()) visit(held.key, held)
    return SCAN_END
  }

  count(slot: SlotId, generation: Generation): number {
    return this.#of(slot, generation).size
  }

  dropGeneration(slot: SlotId, generation: Generation, _maxKeys: number): boolean {
    this.#generations.delete(`${slot}:${generation}`)
    return true
  }
}
