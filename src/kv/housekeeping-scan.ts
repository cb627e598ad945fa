/**
 * The leader's search for work: expired keys to purge and dead generations to drop. Its place in the keys is kept here, outside the replicated
 * state; what it finds becomes log entries, and apply decides again (commands/housekeeping.ts).
 *
 * Bounded: each call looks at no more than the given number of keys. Slots whose keys have no expiry that can have passed are
 * not looked at (expiry-hints.ts).
 */
import { assert } from '../base/assert.ts'
import { asSlotId, type SlotId } from '../base/brand.ts'
import { type Generation, type KeySpace, SCAN_END, type ScanPosition } from '../ports/key-space.ts'
import { encodeDropGeneration, encodePurge } from './commands/housekeeping.ts'
import type { ExpiryHints } from './expiry-hints.ts'
import type { SlotStates } from './slot-states.ts'

/** Bounds one purge entry; keys are at most some KiB. */
const MAX_PURGE_BYTES = 256 * 1024
/** Generations whose drop one call proposes. */
const MAX_DROPS = 16

/**
 * Calls in a row that may rest on the floor of all hints, without a look at each slot: a node with a thousand groups could not afford that ten times a
 * second. Slots that have come from elsewhere are noticed after so many calls.
 */
const MAX_PASSED_OVER = 9

/** To be wrapped in a housekeeping payload, stamped and proposed. */
export interface HousekeepingCommand {
  readonly slot: SlotId
  readonly command: Uint8Array
}

interface FoundKey {
  readonly key: Uint8Array
  readonly modificationIndex: number
}

export class HousekeepingScan {
  readonly #keySpace: KeySpace
  readonly #hints: ExpiryHints
  #slot = 0
  /** Null: the slot has not been begun. */
  #position: ScanPosition | null = null
  #generation: Generation | null = null
  /** The earliest expiry seen in this scan of the slot. */
  #earliestMs = Number.POSITIVE_INFINITY
  #nextDropSlot = 0
  #passedOver = 0

  constructor(keySpace: KeySpace, hints: ExpiryHints) {
    this.#keySpace = keySpace
    this.#hints = hints
  }

  /** False: as far as is known nothing here ever expires, nor is dead. Asked before each call of `next`, which costs more. */
  hasWork(slots: SlotStates): boolean {
    const { floorMs } = this.#hints
    if (this.#position !== null || floorMs !== Number.POSITIVE_INFINITY || slots.hasDead) return true
    return ++this.#passedOver > MAX_PASSED_OVER
  }

  /** `nowMs`: what log time will be when they apply, as far as the leader can tell. */
  next(slots: SlotStates, maxKeys: number, nowMs: number): HousekeepingCommand[] {
    assert(maxKeys >= 1, 'housekeeping: at least one key a call')
    const commands = this.#drops(slots, maxKeys)
    if (this.#position === null && this.#hints.floorMs > nowMs && this.#passedOver < MAX_PASSED_OVER) {
      this.#passedOver++
      return commands
    }
    this.#passedOver = 0
    let budget = maxKeys
    for (let visited = 0; visited < slots.slotCount && budget > 0; visited++) {
      if (!this.#mayHaveExpired(slots, nowMs)) {
        this.#leaveSlot(slots)
        continue
      }
      const found: FoundKey[] = []
      budget -= this.#scanSome(asSlotId(this.#slot), budget, nowMs, found)
      if (found.length > 0) commands.push({ slot: asSlotId(this.#slot), command: encodePurge(found) })
      if (this.#position === SCAN_END) {
        this.#hints.note(this.#slot, this.#earliestMs)
        this.#leaveSlot(slots)
      }
    }
    this.#hints.floorMs = budget > 0 ? this.#earliestOfOwned(slots) : 0
    return commands
  }

  #earliestOfOwned(slots: SlotStates): number {
    let earliestMs = Number.POSITIVE_INFINITY
    for (let slot = 0; slot < slots.slotCount; slot++) {
      const hintMs = this.#hints.earliestMs(slot)
      if (hintMs < earliestMs && slots.owns(asSlotId(slot))) earliestMs = hintMs
    }
    return earliestMs
  }

  #drops(slots: SlotStates, maxKeys: number): HousekeepingCommand[] {
    const waiting = slots.slotsWithDead()
    const from = waiting.findIndex((slot) => slot >= this.#nextDropSlot)
    const turned = from < 0 ? waiting : [...waiting.slice(from), ...waiting.slice(0, from)]
    const commands: HousekeepingCommand[] = []
    for (const slot of turned.slice(0, MAX_DROPS)) {
      const generation = slots.oldestDead(asSlotId(slot))
      if (generation !== null) {
        commands.push({ slot: asSlotId(slot), command: encodeDropGeneration(generation, maxKeys) })
      }
      this.#nextDropSlot = slot + 1
    }
    return commands
  }

  #mayHaveExpired(slots: SlotStates, nowMs: number): boolean {
    const slot = asSlotId(this.#slot)
    if (!slots.owns(slot)) return false
    const generation = slots.generation(slot)
    if (this.#position !== null && this.#generation === generation) return true
    if (this.#hints.earliestMs(slot) > nowMs) return false
    this.#position = 0
    this.#generation = generation
    this.#earliestMs = Number.POSITIVE_INFINITY
    this.#hints.clear(slot)
    return true
  }

  /** Returns how many keys it looked at, at least 1: an empty slot counts too. */
  #scanSome(slot: SlotId, limit: number, nowMs: number, found: FoundKey[]): number {
    const generation = this.#generation
    const position = this.#position
    assert(generation !== null && position !== null && position !== SCAN_END, 'housekeeping: no slot begun')
    let seen = 0
    let bytes = 0
    this.#position = this.#keySpace.scan(slot, generation, position, limit, (key, stored) => {
      seen++
      if (stored.expiresAtMs === 0) return
      // Also of those found: should the purge never be committed, the slot must be looked at again.
      this.#earliestMs = Math.min(this.#earliestMs, stored.expiresAtMs)
      if (stored.expiresAtMs > nowMs || bytes > MAX_PURGE_BYTES) return
      bytes += key.length
      found.push({ key: key.slice(), modificationIndex: stored.modificationIndex })
    })
    return Math.max(1, seen)
  }

  #leaveSlot(slots: SlotStates): void {
    this.#slot = (this.#slot + 1) % slots.slotCount
    this.#position = null
    this.#generation = null
  }
}
