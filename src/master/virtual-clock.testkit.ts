/** Virtual time for a world in one process: events in the order of their times, and of their coming where those are the same. */
import type { Clock, Timer } from '../ports/clock.ts'

interface QueuedEvent {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class VirtualClock implements Clock {
  #nowMs = 0
  #order = 0
  readonly #events: QueuedEvent[] = []

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return Math.floor(this.#nowMs)
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let isCancelled = false
    this.after(delayMs, () => {
      if (!isCancelled) callback()
    })
    return {
      cancel() {
        isCancelled = true
      },
    }
  }

  defer(callback: () => void): void {
    this.after(0, callback)
  }

  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.#nowMs + delayMs, order: this.#order++, run }
    let at = this.#events.length
    while (at > 0 && isBefore(this.#events[at - 1], event)) at--
    this.#events.splice(at, 0, event)
  }

  /** False: nothing will ever happen any more. */
  step(): boolean {
    const event = this.#events.pop()
    if (event === undefined) return false
    this.#nowMs = event.atMs
    event.run()
    return true
  }

  /** Runs until `done`; throws where that takes longer. */
  runUntil(done: () => boolean, maxMs: number, describe: () => string): void {
    const last = this.#nowMs + maxMs
    while (!done()) {
      if (this.#nowMs > last) throw new Error(`not done after ${maxMs} ms: ${describe()}`)
      if (!this.step()) throw new Error(`nothing happens any more: ${describe()}`)
    }
  }

  run(ms: number): void {
    const last = this.#nowMs + ms
    this.after(ms, () => {})
    while (this.#nowMs < last) this.step()
  }
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
