/**
 * The seeded event loop behind all simulated ports: events run one at a time, in order of virtual time and then of
 * scheduling, so one seed gives one trace. No promises, no real clock. The trace hash covers every event's label and time.
 */
import { assert } from '../base/assert.ts'
import { Prng } from '../base/prng.ts'

export interface ScheduledEvent {
  readonly atMs: number
  readonly order: number
  readonly label: string
  callback: (() => void) | null
}

export class Scheduler {
  readonly random: Prng
  #nowMs = 0
  #order = 0
  #executed = 0
  #traceHash = 0x811c9dc5
  readonly #heap: ScheduledEvent[] = []

  constructor(seed: number) {
    this.random = new Prng(seed)
  }

  /** Virtual milliseconds since the start, fractional. */
  get nowMs(): number {
    return this.#nowMs
  }

  get executed(): number {
    return this.#executed
  }

  get pending(): number {
    return this.#heap.length
  }

  /** When the next event is due; Infinity: none. */
  get nextAtMs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0].atMs
  }

  get traceHash(): string {
    return (this.#traceHash >>> 0).toString(16).padStart(8, '0')
  }

  /** Mixes something observable into the trace (a message's kind, a reply's bytes), so that equal hashes mean equal runs. */
  trace(text: string): void {
    let hash = this.#traceHash
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    this.#traceHash = hash
  }

  after(delayMs: number, label: string, callback: () => void): ScheduledEvent {
    assert(delayMs >= 0 && Number.isFinite(delayMs), 'Scheduler.after: delay must be finite and not negative')
    const event: ScheduledEvent = { atMs: this.#nowMs + delayMs, order: this.#order++, label, callback }
    this.#push(event)
    return event
  }

  cancel(event: ScheduledEvent): void {
    event.callback = null
  }

  /** Runs the next event; false where there is none. */
  step(): boolean {
    const event = this.#pop()
    if (event === undefined) return false
    this.#nowMs = event.atMs
    const callback = event.callback
    if (callback === null) return true
    event.callback = null
    this.#executed++
    this.trace(`${event.label}@${event.atMs}`)
    callback()
    return true
  }

  /** Runs all events up to and including `untilMs`, then stands there. */
  runUntil(untilMs: number): void {
    while (this.#heap.length > 0 && this.#heap[0].atMs <= untilMs) this.step()
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, heap[parent])) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = event
  }

  #pop(): ScheduledEvent | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++
      if (!before(heap[child], last)) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return top
  }
}

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
