/**
 * What the source knows of the destination's cursors: up to where each slot is staged for certain. From that it tells what is left to go, and what its
 * journal need not keep. A destination's new leader may say less than the one before it did; nothing is taken back.
 */
import type { SlotId } from '../base/brand.ts'
import type { OpenMove, SlotMover } from '../ports/slot-mover.ts'
import type { PulledSlot } from '../protocol/migration-message.ts'
import { FIRST_CURSOR, STAGE_STREAMING, type StageCursor } from '../protocol/move-command.ts'
import { partBytes } from './stage-batches.ts'

/** What a key counts for while nothing has been sent to tell the usual size. */
const KEY_BYTES = 256

export class ConfirmedCursors {
  readonly #cursors = new Map<SlotId, StageCursor>()
  #keysSent = 0
  #bytesSent = 0

  constructor(move: OpenMove) {
    for (const { slot } of move.slots) this.#cursors.set(slot, FIRST_CURSOR)
  }

  get all(): StageCursor[] {
    return [...this.#cursors.values()]
  }

  tell(move: OpenMove, pulled: readonly PulledSlot[]): void {
    for (const { slot, confirmed } of pulled) {
      const known = this.#cursors.get(slot)
      if (known === undefined) continue
      const isNewer =
        confirmed.index > known.index || (confirmed.index === known.index && confirmed.stage >= known.stage)
      if (!isNewer) continue
      this.#cursors.set(slot, confirmed)
      move.journal?.trim(slot, confirmed.index)
    }
  }

  /** What was given out, so that the usual size of a key is known. */
  sent(size: { readonly keys: number; readonly bytes: number }): void {
    this.#keysSent += size.keys
    this.#bytesSent += size.bytes
  }

  /** Every slot is walked, and changes stream. */
  get streams(): boolean {
    return this.all.every(({ stage }) => stage === STAGE_STREAMING)
  }

  /** Every slot has come so far once; some may be walked again since. */
  get haveStreamed(): boolean {
    return this.all.every(({ stage, above }) => stage === STAGE_STREAMING || above > 0)
  }

  /** Changed and not confirmed, by the journal. Costs little. */
  lag(move: OpenMove): { readonly keys: number; readonly bytes: number } {
    let keys = 0
    for (const { slot } of move.slots) keys += move.journal?.pendingKeys(slot) ?? 0
    const usualBytes = this.#keysSent === 0 ? KEY_BYTES : this.#bytesSent / this.#keysSent
    return { keys, bytes: Math.ceil(keys * usualBytes) }
  }

  /**
   * Whether less than `maxBytes` is to go, exactly: by reading it. Costs up to that much, so it is asked only where the lag speaks for it: one
   * large value among small ones would make for a long pause.
   */
  isWithin(mover: SlotMover, move: OpenMove, maxBytes: number): boolean {
    if (!this.streams) return false
    let left = maxBytes
    for (const [slot, cursor] of this.#cursors) {
      const part = mover.readPart(move.reconfigId, slot, cursor, 0, left)
      if (part === null) {
        // Nothing has changed; or this leader has not applied yet what the cursor rests on.
        if (mover.appliedIndex < cursor.index) return false
        continue
      }
      left -= partBytes(part)
      if (left <= 0 || part.next.stage !== STAGE_STREAMING || part.next.index < mover.appliedIndex) return false
    }
    return true
  }
}
