/**
 * The keys of the slots on the move that were changed lately, so that increments need no scan. Beside the replicated state: every replica of
 * the source keeps its own from what it applies, and one that cannot answer (after a restart, or because too much changed) says so; then the
 * reader walks the slot for what is newer.
 */
import type { LogIndex, SlotId } from '../../base/brand.ts'
import { latin1Text } from '../../base/bytes.ts'

/** Of one move. What a change counts for beside its key: about what it takes in memory. */
const JOURNAL_BYTES = 16 * 1024 * 1024
const CHANGE_BYTES = 160

export interface ChangedKey {
  readonly key: Uint8Array
  /** Of the key's last change. */
  readonly index: LogIndex
}

export class ChangeJournal {
  readonly #maxBytes: number
  /** Each key once, in the order of their last changes: a reader that takes what fits never looks at the rest. */
  readonly #changes = new Map<SlotId, Map<string, ChangedKey>>()
  /** Slots of which changes were dropped as no longer needed, and through which index. */
  readonly #trimmedThrough = new Map<SlotId, number>()
  #bytes = 0
  /** Every change above this index, and above what was trimmed, is here. */
  #completeAbove: LogIndex

  constructor(completeAbove: LogIndex, maxBytes: number = JOURNAL_BYTES) {
    this.#completeAbove = completeAbove
    this.#maxBytes = maxBytes
  }

  note(slot: SlotId, key: Uint8Array, index: LogIndex): void {
    let changes = this.#changes.get(slot)
    if (changes === undefined) {
      changes = new Map()
      this.#changes.set(slot, changes)
    }
    const name = latin1Text(key)
    if (!changes.delete(name)) this.#bytes += key.length + CHANGE_BYTES
    changes.set(name, { key: key.slice(), index })
    if (this.#bytes <= this.#maxBytes) return
    this.#changes.clear()
    this.#bytes = 0
    // Of this entry, which may change more keys, nothing is promised either.
    this.#completeAbove = index
  }

  /** The slot's keys that changed above `index`, each once, in the order of their last changes; null: it does not reach back so far. */
  changedAbove(slot: SlotId, index: number): Iterable<ChangedKey> | null {
    if (index < this.#completeAbove || index < (this.#trimmedThrough.get(slot) ?? 0)) return null
    return changesAbove(this.#changes.get(slot), index)
  }

  /** Keys of the slot that have changed and are not at the destination, as far as is known here. */
  pendingKeys(slot: SlotId): number {
    return this.#changes.get(slot)?.size ?? 0
  }

  /** Changes of the slot up to `index` are at the destination. */
  trim(slot: SlotId, index: number): void {
    if (index <= (this.#trimmedThrough.get(slot) ?? 0)) return
    this.#trimmedThrough.set(slot, index)
    const changes = this.#changes.get(slot)
    if (changes === undefined) return
    for (const [name, change] of changes) {
      if (change.index > index) return
      changes.delete(name)
      this.#bytes -= change.key.length + CHANGE_BYTES
    }
    this.#changes.delete(slot)
  }
}

function* changesAbove(changes: ReadonlyMap<string, ChangedKey> | undefined, index: number): Iterable<ChangedKey> {
  if (changes === undefined) return
  for (const change of changes.values()) if (change.index > index) yield change
}
