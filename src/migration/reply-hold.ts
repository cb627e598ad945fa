/**
 * The synchronous step near the end of a move: replies to writes of the moving slots wait at the source until the destination has staged them too, so
 * that writers go no faster than the move and little is left to go when the slots are handed over. That bounds the gap; no safety rests on it (the
 * source's log has decided already), so nothing waits for long: where the destination does not confirm within 50 ms, or too much is held,
 * everything goes and nothing is held for a second.
 */
import type { LogIndex, SlotId } from '../base/brand.ts'
import { BoundedDeque } from '../base/deque.ts'

export const HOLD_MS = 50
const HOLD_BYTES_MAX = 1024 * 1024
const HOLD_REPLIES_MAX = 4096
const REST_MS = 1_000

interface HeldReply {
  readonly slot: SlotId
  readonly index: LogIndex
  readonly bytes: number
  readonly untilMs: number
}

export class ReplyHold {
  readonly #held = new BoundedDeque<HeldReply>(HOLD_REPLIES_MAX)
  readonly #confirmedThrough = new Map<SlotId, number>()
  #bytes = 0
  #active = false
  #restUntilMs = 0

  /** Whether the move is near its end. Not any more: what is held goes with the next `release`. */
  setActive(active: boolean): void {
    this.#active = active
  }

  /** A write of the slot was applied at `index`; its command and reply take so many bytes. True: the reply waits until `release` names its index. */
  offer(slot: SlotId, index: LogIndex, bytes: number, nowMs: number): boolean {
    if (!this.#active || nowMs < this.#restUntilMs) return false
    if (this.#bytes + bytes > HOLD_BYTES_MAX || !this.#held.push({ slot, index, bytes, untilMs: nowMs + HOLD_MS })) {
      this.#rest(nowMs)
      return false
    }
    this.#bytes += bytes
    return true
  }

  /** The destination holds everything of the slot through `index`. */
  confirm(slot: SlotId, index: number): void {
    if (index > (this.#confirmedThrough.get(slot) ?? 0)) this.#confirmedThrough.set(slot, index)
  }

  /** Indexes whose replies may go now, in order. One that waits keeps those behind it back, never beyond its own 50 ms. */
  release(nowMs: number): LogIndex[] {
    const first = this.#held.peek()
    if (first !== undefined && nowMs >= first.untilMs && !this.#isConfirmed(first)) this.#rest(nowMs)
    const free = !this.#active || nowMs < this.#restUntilMs
    const released: LogIndex[] = []
    for (let held = this.#held.peek(); held !== undefined; held = this.#held.peek()) {
      if (!free && !this.#isConfirmed(held)) break
      this.#held.shift()
      this.#bytes -= held.bytes
      released.push(held.index)
    }
    return released
  }

  /** When `release` is to be asked at the latest. */
  get dueMs(): number {
    return this.#held.peek()?.untilMs ?? Number.POSITIVE_INFINITY
  }

  #isConfirmed({ slot, index }: HeldReply): boolean {
    return (this.#confirmedThrough.get(slot) ?? 0) >= index
  }

  #rest(nowMs: number): void {
    this.#restUntilMs = nowMs + REST_MS
  }
}
