/**
 * The keys of one replica as the state machine sees them; store/ implements it. Everything is synchronous: what is
 * not in the memtable is read from the base file.
 */
import type { LogIndex, SlotId } from '../base/brand.ts'

/**
 * A slot's life in one group, the pair (reconfigId, counter) in one safe integer:
 * reconfigId * 2^24 + counter. Never re-used. See `makeGeneration`.
 */
export type Generation = number & { readonly __generation: true }

const COUNTER_LIMIT = 2 ** 24
const RECONFIG_LIMIT = 2 ** 29

/** Null where either part has run out of room (reconfigId < 2^29, counter < 2^24). */
export function makeGeneration(reconfigId: number, counter: number): Generation | null {
  if (reconfigId >= RECONFIG_LIMIT || counter >= COUNTER_LIMIT) return null
  return (reconfigId * COUNTER_LIMIT + counter) as Generation
}

export function generationParts(generation: Generation): { readonly reconfigId: number; readonly counter: number } {
  return { reconfigId: Math.floor(generation / COUNTER_LIMIT), counter: generation % COUNTER_LIMIT }
}

export interface StoredValue {
  /** A view, valid until the next call on the key space: copy what must stay. */
  readonly value: Uint8Array
  /** Milliseconds since the Unix epoch; 0: never. */
  readonly expiresAtMs: number
  /** The log index of the entry that wrote this value. */
  readonly modificationIndex: LogIndex
}

/** A position in the hash order of a slot: the next key's 48-bit hash; equal hashes are never split. */
export type ScanPosition = number

export const SCAN_END: ScanPosition = -1

export interface KeySpace {
  /** Null where the key is absent or removed. Expiry is the caller's business. */
  get(slot: SlotId, generation: Generation, key: Uint8Array): StoredValue | null
  put(
    slot: SlotId,
    generation: Generation,
    key: Uint8Array,
    value: Uint8Array,
    expiresAtMs: number,
    modificationIndex: LogIndex,
  ): void
  remove(slot: SlotId, generation: Generation, key: Uint8Array, modificationIndex: LogIndex): void
  /**
   * Visits keys in (hash, key) order from `position` on: at least one hash's keys, then until `limit` keys were seen.
   * Returns where to go on, or SCAN_END. Views valid during the visit, which must not call the key space.
   * Stops earlier, possibly with no key at all, where thousands of removed ones lie in between.
   */
  scan(
    slot: SlotId,
    generation: Generation,
    position: ScanPosition,
    limit: number,
    visit: (key: Uint8Array, value: StoredValue) => void,
  ): ScanPosition
  /** Exact number of keys, expired ones that are not yet removed included. */
  count(slot: SlotId, generation: Generation): number
  /** Removes up to `maxKeys` keys of a dead generation; true when none is left. The caller's log entry names the generation. */
  dropGeneration(slot: SlotId, generation: Generation, maxKeys: number): boolean
}
