/**
 * The keys of the slots on the move that were changed lately, so that increments need no scan. Beside the replicated state: every replica of
 * the source keeps its own from what it applies, and one that cannot answer (after a restart, or because too much changed) says so; then the
 * reader walks the slot for what is newer.
 */
import type { LogIndex, SlotId } from '../../base/brand.ts'
import { latin1Text } from '../../base/bytes.ts'

/** Of one move. What a change counts for beside its key: about what it takes in memory. */
const JOURNAL_BYTES = 16 * 1024 * 1024
const CHANGE_BYTES = 96

export interface ChangedKey {
  readonly key: Uint8Array
  /** Of the key's last change. */
  readonly index: LogIndex
}

export class ChangeJournal {
  readonly #maxBytes: number
  /** In log order. */
  readonly #changes = new Map<SlotId, ChangedKey[]>()
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
    const changes = this.#changes.get(slot)
    const change = { key: key.slice(), index }
    if (changes === undefined) this.#changes.set(slot, [change])
    else changes.push(change)
    this.#bytes += key.length + CHANGE_BYTES
    if (this.#bytes <= this.#maxBytes) return
    this.#changes.clear()
    this.#bytes = 0
    // Of this entry, which may change more keys, nothing is promised either.
    this.#completeAbove = index
  }

  /** The slot's keys that changed above `index`, each once, in the order of their last changes; null: it does not reach back so far. */
  changedAbove(slot: SlotId, index: number): readonly ChangedKey[] | null {
    if (index < this.#completeAbove || index < (this.#trimmedThrough.get(slot) ?? 0)) return null
    const changes = this.#changes.get(slot) ?? []
    const seen = new Set<string>()
    const found: ChangedKey[] = []
    for (let at = changes.length - 1; at >= 0 && changes[at].index > index; at--) {
      const name = latin1Text(changes[at].key)
      if (seen.has(name)) continue
      seen.add(name)
      found.push(changes[at])
    }
    return found.reverse()
  }

  /** Changes of the slot up to `index` are at the destination. */
  trim(slot: SlotId, index: number): void {
    if (index <= (this.#trimmedThrough.get(slot) ?? 0)) return
    this.#trimmedThrough.set(slot, index)
    const changes = this.#changes.get(slot)
    if (changes === undefined) return
    let count = 0
    while (count < changes.length && changes[count].index <= index) {
      this.#bytes -= changes[count].key.length + CHANGE_BYTES
      count++
    }
    if (count === changes.length) this.#changes.delete(slot)
    else changes.splice(0, count)
  }
}
