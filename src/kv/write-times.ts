/**
 * When entries were applied, roughly: about one sample a second of (log index, log time), for OBJECT IDLETIME. Each replica keeps its own, from its
 * start on; nothing replicated rests on it. When it is full, every second sample of the older half goes.
 */
import type { LogIndex } from '../base/brand.ts'

const SAMPLE_EVERY_MS = 1000
const MAX_SAMPLES = 4096

export class WriteTimes {
  readonly #indexes: number[] = []
  readonly #times: number[] = []
  #nextAtMs = 0

  /** For each applied entry. */
  note(index: LogIndex, logTimeMs: number): void {
    if (logTimeMs < this.#nextAtMs) return
    this.#nextAtMs = logTimeMs + SAMPLE_EVERY_MS
    if (this.#indexes.length === MAX_SAMPLES) this.#thin()
    this.#indexes.push(index)
    this.#times.push(logTimeMs)
  }

  /** Log time of about when the entry was applied, in milliseconds; for entries from before the first sample, that one's; null: none is known. */
  timeOf(index: LogIndex): number | null {
    let low = 0
    let high = this.#indexes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#indexes[middle] <= index) low = middle + 1
      else high = middle
    }
    return this.#times[Math.max(0, low - 1)] ?? null
  }

  #thin(): void {
    const half = MAX_SAMPLES / 2
    const keep = (_: number, at: number): boolean => at >= half || at % 2 === 0
    const indexes = this.#indexes.filter(keep)
    const times = this.#times.filter(keep)
    this.#indexes.splice(0, MAX_SAMPLES, ...indexes)
    this.#times.splice(0, MAX_SAMPLES, ...times)
  }
}
