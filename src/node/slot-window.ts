/**
 * A door's writes to one slot that have no answer yet: numbers them, knows the lowest one, and holds back what would be the 257th
 * (design, "Exactly once": the state machine keeps at most 256 results a session and slot).
 */
import { assert } from '../base/assert.ts'

export const SLOT_WINDOW_MAX = 256

export interface NumberedWrite {
  readonly sequence: number
  readonly answered: boolean
}

export class SlotWindow<W extends NumberedWrite, P> {
  #next = 1
  #writes: W[] = []
  #head = 0
  /** Requests that wait for room, oldest first; all later ones of the slot queue behind them. */
  readonly parked: P[] = []

  get hasRoom(): boolean {
    return this.#writes.length - this.#head < SLOT_WINDOW_MAX
  }

  get lowestUnanswered(): number {
    this.#skipAnswered()
    return this.#head < this.#writes.length ? this.#writes[this.#head].sequence : this.#next
  }

  /** The first of the writes without an answer. */
  get oldestUnanswered(): W | null {
    this.#skipAnswered()
    return this.#writes[this.#head] ?? null
  }

  takeSequence(): number {
    return this.#next++
  }

  add(write: W): void {
    this.#skipAnswered()
    assert(this.hasRoom, 'SlotWindow: full')
    this.#writes.push(write)
  }

  /** Call after a write was answered: true where there is room for parked ones. */
  answered(): boolean {
    this.#skipAnswered()
    return this.parked.length > 0 && this.hasRoom
  }

  #skipAnswered(): void {
    while (this.#head < this.#writes.length && this.#writes[this.#head].answered) this.#head++
    if (this.#head === this.#writes.length) {
      this.#writes.length = 0
      this.#head = 0
    } else if (this.#head >= SLOT_WINDOW_MAX) {
      this.#writes = this.#writes.slice(this.#head)
      this.#head = 0
    }
  }
}
