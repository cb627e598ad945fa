/**
 * What a command sees while it runs: the keys of one slot as of log time, and the limits. One context serves all
 * commands of a state machine, one after the other; `begin` sets it up.
 *
 * In apply only log time decides what has expired. A query gives the reader's clock too: `find` notes where that clock has
 * passed the expiry of a key that log time still shows, and the query then answers `needsTick` instead.
 */

import { assert } from '../base/assert.ts'
import type { LogIndex, SlotId } from '../base/brand.ts'
import { type Generation, type KeySpace, SCAN_END, type ScanPosition, type StoredValue } from '../ports/key-space.ts'
import type { ExpiryHints } from './expiry-hints.ts'
import { EVENT_EXPIRED, EVENT_MISS, EVENT_NEW, type KeyEvent, type KeyEventSink } from './key-events.ts'
import type { KvLimits } from './kv-options.ts'
import { keepTombstone } from './moves/apply-move.ts'
import type { SlotMoves } from './moves/slot-moves.ts'
import type { KvMutations } from './mutations.ts'
import type { SlotStates } from './slot-states.ts'
import type { WriteTimes } from './write-times.ts'

/** The version that WATCH shows: see the design, "Versions". */
interface KeyVersion {
  readonly generation: Generation
  readonly index: LogIndex
}

export class ExecutionContext {
  readonly keySpace: KeySpace
  readonly limits: KvLimits
  readonly mutations: KvMutations
  slots: SlotStates
  readonly writeTimes: WriteTimes
  readonly events: KeyEventSink
  readonly #moves: SlotMoves
  readonly #hints: ExpiryHints
  slot: SlotId
  generation: Generation
  /** The log index of the entry that is applied; in a query 0, and nothing may be written. */
  index: LogIndex
  logTimeMs = 0
  /** For remaining times to live: log time in apply, the later of log time and the reader's clock in a query. */
  nowMs = 0
  /** The latest expiry between log time and the reader's clock among the keys looked at; 0: none. */
  tickAtLeastMs = 0

  constructor(
    keySpace: KeySpace,
    limits: KvLimits,
    mutations: KvMutations,
    slots: SlotStates,
    moves: SlotMoves,
    hints: ExpiryHints,
    writeTimes: WriteTimes,
    events: KeyEventSink,
  ) {
    this.keySpace = keySpace
    this.limits = limits
    this.mutations = mutations
    this.slots = slots
    this.#moves = moves
    this.#hints = hints
    this.writeTimes = writeTimes
    this.events = events
    this.slot = 0 as SlotId
    this.generation = 0 as Generation
    this.index = 0 as LogIndex
  }

  /** The caller has checked that the slot is owned. */
  begin(slot: SlotId, index: LogIndex, logTimeMs: number, nowMs: number): void {
    this.slot = slot
    this.generation = this.slots.generation(slot)
    this.index = index
    this.logTimeMs = logTimeMs
    this.nowMs = Math.max(logTimeMs, nowMs)
    this.tickAtLeastMs = 0
  }

  /** The key where it is visible: its expiry, if it has one, is later than log time. The view is valid until the next call. */
  find(key: Uint8Array): StoredValue | null {
    const stored = this.keySpace.get(this.slot, this.generation, key)
    if (stored !== null && this.#isVisible(stored)) return stored
    if (this.events.wanted && this.index === 0) this.events.emit(EVENT_MISS, key)
    return null
  }

  /**
   * Keys of any slot that the group owns, as KeySpace.scan visits them; `visible`: not expired by log time. Slots with nothing in them cost no more
   * than the look at their count.
   */
  scan(
    slot: SlotId,
    position: ScanPosition,
    limit: number,
    visit: (key: Uint8Array, visible: boolean) => void,
  ): ScanPosition {
    const generation = this.slots.generation(slot)
    if (this.keySpace.count(slot, generation) === 0) return SCAN_END
    return this.keySpace.scan(slot, generation, position, limit, (key, stored) => visit(key, this.#isVisible(stored)))
  }

  /** In a query it notes an expiry that the reader's clock has passed. */
  #isVisible(stored: StoredValue): boolean {
    if (stored.expiresAtMs === 0) return true
    if (stored.expiresAtMs <= this.logTimeMs) return false
    if (stored.expiresAtMs <= this.nowMs && stored.expiresAtMs > this.tickAtLeastMs) {
      this.tickAtLeastMs = stored.expiresAtMs
    }
    return true
  }

  /** `value` must not be a view of the key space: its next call may move what the view shows. */
  put(key: Uint8Array, value: Uint8Array, expiresAtMs: number, event: KeyEvent): void {
    assert(this.index > 0, 'a query wrote')
    if (this.events.wanted) this.#noteCreation(key)
    assert(value.length <= this.limits.maxValueBytes, 'a value above the limit reached the key space')
    this.keySpace.put(this.slot, this.generation, key, value, expiresAtMs, this.index)
    this.slots.notePut(this.slot)
    if (this.#moves.notes) this.#moves.noteChange(this.slot, key, this.index)
    if (expiresAtMs !== 0) this.#hints.note(this.slot, expiresAtMs)
    if (this.events.wanted) this.events.emit(event, key)
  }

  /** An event beside the one that the change itself names. */
  note(event: KeyEvent, key: Uint8Array): void {
    if (this.events.wanted) this.events.emit(event, key)
  }

  /** What is put where nothing was is new; what had expired and was not yet removed has gone now. */
  #noteCreation(key: Uint8Array): void {
    const stored = this.keySpace.get(this.slot, this.generation, key)
    if (stored !== null && this.#isVisible(stored)) return
    if (stored !== null) this.events.emit(EVENT_EXPIRED, key)
    this.events.emit(EVENT_NEW, key)
  }

  /** The key must be stored: its slot's last delete is this entry from now on. */
  remove(key: Uint8Array, event: KeyEvent | null): void {
    assert(this.index > 0, 'a query wrote')
    this.keySpace.remove(this.slot, this.generation, key, this.index)
    if (this.#moves.notes) {
      const place = this.#moves.noteChange(this.slot, key, this.index)
      if (place !== null && !this.mutations.tombstonesNotKept) {
        keepTombstone(this.keySpace, this.slot, place, key, this.index)
      }
    }
    this.slots.noteDelete(this.slot, this.index)
    if (event !== null && this.events.wanted) this.events.emit(event, key)
  }

  /** False where the slot's generations are used up. */
  flush(): boolean {
    assert(this.index > 0, 'a query wrote')
    const done = this.slots.flush(this.slot, this.index)
    this.generation = this.slots.generation(this.slot)
    return done
  }

  version(key: Uint8Array): KeyVersion {
    const visible = this.find(key)
    const index = visible === null ? this.slots.lastDelete(this.slot) : visible.modificationIndex
    return { generation: this.generation, index }
  }
}
