/**
 * The client's session: under it each slot's writes are numbered, and the groups are told from where on they have no answer yet (design, "Exactly once").
 * A slot takes 256 at a time; what is more waits in its turn.
 */
import { MAX_UNANSWERED_WRITES } from '../protocol/client-session.ts'
import type { PendingCall } from './pending-call.ts'

/** Numbers of one slot: from the lowest that has no answer. */
export class SlotNumbers {
  #next = 1
  /** By sequence, rising; those that have ended stay until all below have. */
  #open: PendingCall[] = []
  readonly waiting: PendingCall[] = []

  get hasRoom(): boolean {
    return this.#open.length < MAX_UNANSWERED_WRITES
  }

  get lowestUnanswered(): number {
    return this.#open.length === 0 ? this.#next : this.#open[0].sequence
  }

  /** Gives the call its number; only where there is room. */
  take(call: PendingCall): void {
    call.sequence = this.#next++
    this.#open.push(call)
  }

  /** A call has ended, whatever became of it. Gives those that have waited for room. */
  ended(): PendingCall[] {
    let done = 0
    while (done < this.#open.length && this.#open[done].isEnded) done++
    if (done > 0) this.#open = this.#open.slice(done)
    const ready: PendingCall[] = []
    while (this.hasRoom && this.waiting.length > 0) {
      const call = this.waiting.shift()
      if (call === undefined || call.isEnded) continue
      this.take(call)
      ready.push(call)
    }
    return ready
  }
}

export class ClientSession {
  readonly session: number
  /** No write begins under it afterwards. Monotonic ms. */
  readonly endsMs: number
  /** What is added to the monotonic clock to have the cluster's time. */
  readonly #offsetMs: number
  readonly #slots = new Map<number, SlotNumbers>()

  constructor(session: number, endsMs: number, offsetMs: number) {
    this.session = session
    this.endsMs = endsMs
    this.#offsetMs = offsetMs
  }

  clusterMs(monotonicMs: number): number {
    return Math.floor(monotonicMs + this.#offsetMs)
  }

  numbers(slot: number): SlotNumbers {
    let numbers = this.#slots.get(slot)
    if (numbers === undefined) {
      numbers = new SlotNumbers()
      this.#slots.set(slot, numbers)
    }
    return numbers
  }
}
