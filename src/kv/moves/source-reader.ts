/**
 * What the source gives of one slot next: a bounded part of its state that follows the destination's cursor (protocol/move-command.ts). It reads
 * applied state only, and the cursor says all that it needs to know: any replica of the source can go on where another has stopped.
 *
 *   walk       sessions, then keys in hash order, then (where the walk is not the first) tombstones: everything that changed above `above`.
 *              The walk's `index` is the applied index at its beginning; what changes behind its back is found by the streaming.
 *   streaming  the current state of every key that changed above `index`, from the journal. Where the journal does not reach back, or one
 *              entry changed more than fits, another walk begins, above that index.
 *
 * Staging a key twice is harmless, and the later state wins: parts are staged in cursor order, and a read is never older than the one before.
 */
import { present } from '../../base/assert.ts'
import type { LogIndex, SlotId } from '../../base/brand.ts'
import { ByteSlab } from '../../base/byte-slab.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { type Generation, type KeySpace, SCAN_END } from '../../ports/key-space.ts'
import {
  STAGE_KEYS,
  STAGE_SESSIONS,
  STAGE_STREAMING,
  STAGE_TOMBSTONES,
  type StageCursor,
  type StagedItem,
  type StagePart,
} from '../../protocol/move-command.ts'
import type { SessionTable } from '../session-table.ts'
import type { SlotStates } from '../slot-states.ts'
import type { MovingSlot, SlotMove } from './slot-moves.ts'

export interface SourceGround {
  readonly keySpace: KeySpace
  readonly slots: SlotStates
  readonly sessions: SessionTable
  readonly appliedIndex: LogIndex
}

/** Keys that one part looks at: bounds its time on the event loop. */
const MAX_KEYS_SEEN = 4096
const SCAN_KEYS = 128
/** What an item takes beside key and value. */
const ITEM_BYTES = 32

/** What an answer holds goes together. */
const answerSlab = new ByteSlab()

function copied(bytes: Uint8Array): Uint8Array {
  const copy = answerSlab.take(bytes.length)
  copy.set(bytes)
  return copy
}

function itemBytes(key: Uint8Array, value: Uint8Array | null | undefined): number {
  return ITEM_BYTES + key.length + (value?.length ?? 0)
}

/**
 * The part after `cursor`, of `maxBytes` at most, or one key's state alone, which is never split. Null: the destination has everything, and no part is
 * wanted for the index alone, which `throughIndex` asks for; or this replica has not applied yet what the cursor rests on.
 */
export function readPart(
  ground: SourceGround,
  move: SlotMove,
  slot: SlotId,
  cursor: StageCursor,
  throughIndex: number,
  maxBytes: number,
): StagePart | null {
  const part = present(
    move.slots.find((candidate) => candidate.slot === slot),
    `slot ${slot} is not in move ${move.reconfigId}`,
  )
  // A new leader may have applied less than the one before it had read: what changed in between no later part would tell of.
  if (ground.appliedIndex < cursor.index) return null
  const reader = new PartReader(ground, move, part, cursor, maxBytes)
  const sourceGeneration = ground.slots.generation(slot)
  if (cursor.sourceGeneration !== sourceGeneration) return reader.walk(beginWalk(ground, sourceGeneration, 0))
  if (cursor.stage !== STAGE_STREAMING) return reader.walk(cursor)
  return reader.stream(throughIndex) ?? null
}

function beginWalk({ appliedIndex }: SourceGround, sourceGeneration: number, above: number): StageCursor {
  return { sourceGeneration, stage: STAGE_SESSIONS, position: 0, above, index: appliedIndex }
}

class PartReader {
  readonly #ground: SourceGround
  readonly #move: SlotMove
  readonly #part: MovingSlot
  readonly #expected: StageCursor
  readonly #maxBytes: number
  readonly #items: StagedItem[] = []
  #bytes = 0

  constructor(ground: SourceGround, move: SlotMove, part: MovingSlot, expected: StageCursor, maxBytes: number) {
    this.#ground = ground
    this.#move = move
    this.#part = part
    this.#expected = expected
    this.#maxBytes = maxBytes
  }

  /** One stage of a walk, or a piece of it. */
  walk(at: StageCursor): StagePart {
    switch (at.stage) {
      case STAGE_SESSIONS: {
        const { slot } = this.#part
        const found = this.#ground.sessions.exportFrom(slot, at.position, at.above, this.#maxBytes)
        const next: StageCursor =
          found.next === null ? { ...at, stage: STAGE_KEYS, position: 0 } : { ...at, position: found.next }
        return this.#finish(next, found.records)
      }
      case STAGE_KEYS: {
        const position = this.#scan(this.#generation, at.position, (key, value, expiresAtMs, changedAt) => {
          if (changedAt > at.above) this.#add(copied(key), copied(value), expiresAtMs)
        })
        if (position !== SCAN_END) return this.#finish({ ...at, position })
        // Of the first walk: what was removed since it began is found by the streaming, and before it nothing was staged.
        const stage = at.above === 0 ? STAGE_STREAMING : STAGE_TOMBSTONES
        return this.#finish({ ...at, stage, position: 0 })
      }
      default: {
        const position = this.#scan(this.#part.generation, at.position, (key, _value, _expiresAtMs, changedAt) => {
          if (changedAt > at.above) this.#add(copied(key), null, 0)
        })
        // A key that was set again is newer than `above`, too: the keys' walk has it, or the streaming will.
        for (const item of this.#items.splice(0)) if (this.#stored(item.key) === null) this.#items.push(item)
        if (position !== SCAN_END) return this.#finish({ ...at, position })
        return this.#finish({ ...at, stage: STAGE_STREAMING, position: 0, above: 0 })
      }
    }
  }

  stream(throughIndex: number): StagePart | null {
    const { slot } = this.#part
    const { index } = this.#expected
    const { appliedIndex, sessions } = this.#ground
    if (appliedIndex <= index) return null
    const changed = this.#move.journal?.changedAbove(slot, index) ?? null
    const records = sessions.exportFrom(slot, 0, index, this.#maxBytes)
    if (changed === null || records.next !== null) return this.#walkAbove(index)
    this.#bytes = records.records.length
    let through: number = appliedIndex
    for (const { key, index: changedAt } of changed) {
      const stored = this.#stored(key)
      if (this.#bytes > 0 && this.#bytes + itemBytes(key, stored?.value) > this.#maxBytes) {
        // What is left changed at `changedAt` or later; keys of that entry may be among those taken.
        through = changedAt - 1
        break
      }
      if (stored === null) this.#add(key, null, 0)
      else this.#add(key, copied(stored.value), stored.expiresAtMs)
    }
    if (through <= index) return this.#walkAbove(index)
    if (this.#items.length === 0 && records.records.length === 0 && index >= throughIndex) return null
    return this.#finish({ ...this.#expected, index: through }, records.records)
  }

  #walkAbove(index: number): StagePart {
    this.#items.length = 0
    this.#bytes = 0
    return this.walk(beginWalk(this.#ground, this.#expected.sourceGeneration, index))
  }

  get #generation(): Generation {
    return this.#ground.slots.generation(this.#part.slot)
  }

  #stored(key: Uint8Array) {
    return this.#ground.keySpace.get(this.#part.slot, this.#generation, key)
  }

  #add(key: Uint8Array, value: Uint8Array | null, expiresAtMs: number): void {
    this.#items.push({ key, value, expiresAtMs })
    this.#bytes += itemBytes(key, value)
  }

  /** Visits keys until the part is full; returns where to go on, or SCAN_END. */
  #scan(
    generation: Generation,
    from: number,
    visit: (key: Uint8Array, value: Uint8Array, expiresAtMs: number, changedAt: number) => void,
  ): number {
    const { keySpace } = this.#ground
    let position = from
    let seen = 0
    let limit = SCAN_KEYS
    while (seen < MAX_KEYS_SEEN) {
      const [items, bytes] = [this.#items.length, this.#bytes]
      let tooMuch = false
      const next = keySpace.scan(this.#part.slot, generation, position, limit, (key, stored) => {
        seen++
        if (!tooMuch) visit(key, stored.value, stored.expiresAtMs, stored.modificationIndex)
        // The keys of one hash are never split: a part that begins with them takes them whole, and others leave them to the next part.
        tooMuch ||= this.#bytes > this.#maxBytes && (limit > 1 || items > 0)
      })
      if (tooMuch) {
        this.#items.length = items
        this.#bytes = bytes
        if (limit === 1) return position
        limit = Math.max(1, limit >> 3)
        continue
      }
      if (next === SCAN_END) return SCAN_END
      position = next
      if (this.#bytes >= this.#maxBytes) break
    }
    return position
  }

  #finish(next: StageCursor, sessions: Uint8Array = EMPTY_BYTES): StagePart {
    return { slot: this.#part.slot, expected: this.#expected, next, sessions, items: this.#items }
  }
}
