/** Virtual time: events in the order of their times, and of their coming where those are the same. One event is one step. */
import { assert } from '../base/assert.ts'

interface QueuedEvent {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class EventQueue {
  nowMs = 0
  steps = 0
  #order = 0
  readonly #events: QueuedEvent[] = []

  after(delayMs: number, run: () => void): void {
    assert(delayMs >= 0, 'event: in the past')
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, run }
    // The few that are queued are kept in order, the next one last.
    let at = this.#events.length
    while (at > 0 && isBefore(this.#events[at - 1], event)) at--
    this.#events.splice(at, 0, event)
  }

  /** False: nothing is queued. */
  step(): boolean {
    const event = this.#events.pop()
    if (event === undefined) return false
    this.nowMs = event.atMs
    this.steps++
    event.run()
    return true
  }
}

function isBefore(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
