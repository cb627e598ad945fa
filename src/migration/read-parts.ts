/** Answers a pull from applied state: part after part, slot after slot, until bytes or time are used up. */
import type { SlotMover } from '../ports/slot-mover.ts'
import type { MigrationPull } from '../protocol/migration-message.ts'
import { STAGE_STREAMING, type StagePart } from '../protocol/move-command.ts'
import { PART_BYTES, partBytes } from './stage-batches.ts'

/** Whatever the destination asks for. */
const ANSWER_BYTES_MAX = 1024 * 1024
/** Below this, or so much of the whole, the next slot is left to the next pull: it would be looked at for little. */
const WORTHWHILE_BYTES = 64
const WORTHWHILE_SHARE = 1 / 64
/**
 * Bounds the time that one answer takes on the event loop, in keys that are looked at: some 5 ms at a microsecond each. A walk for what is newer looks at
 * keys that it does not give, thousands at most (kv/moves/source-reader.ts): it counts as so many.
 */
const ANSWER_KEYS_MAX = 4096
const WALK_ABOVE_KEYS = 1024
const PART_KEYS = 16

export interface PartsRead {
  readonly parts: readonly StagePart[]
  readonly slotsRead: number
  readonly bytes: number
  readonly keys: number
}

/** `throughIndex`: parts are given for the index alone up to it. */
export function readParts(mover: SlotMover, pull: MigrationPull, throughIndex: number): PartsRead {
  const parts: StagePart[] = []
  const maxBytes = Math.min(pull.maxBytes, ANSWER_BYTES_MAX)
  let [bytes, keys, cost, slotsRead] = [0, 0, 0, 0]
  const worthwhile = Math.max(WORTHWHILE_BYTES, maxBytes * WORTHWHILE_SHARE)
  let isFull = false
  const hasRoom = (): boolean => !isFull && maxBytes - bytes >= worthwhile && cost < ANSWER_KEYS_MAX
  for (const { slot, cursor } of pull.slots) {
    if (parts.length > 0 && !hasRoom()) break
    slotsRead++
    let at = cursor
    // A slot that streams has come to its end with one part; a walk goes on as long as there is room, of which each part takes some.
    while (parts.length === 0 || hasRoom()) {
      const part = mover.readPart(pull.reconfigId, slot, at, throughIndex, Math.max(1, maxBytes - bytes - PART_BYTES))
      if (part === null) break
      const size = partBytes(part)
      // More than was asked for would be a STAGE entry of its own.
      isFull = parts.length > 0 && bytes + size > maxBytes
      if (isFull) {
        if (at === cursor) slotsRead--
        break
      }
      parts.push(part)
      bytes += size
      keys += part.items.length
      const isWalk = part.next.stage !== STAGE_STREAMING || at.stage !== STAGE_STREAMING
      cost += PART_KEYS + (isWalk && part.next.above > 0 ? WALK_ABOVE_KEYS : part.items.length)
      at = part.next
      if (!isWalk) break
    }
    cost++
  }
  return { parts, slotsRead, bytes, keys }
}
