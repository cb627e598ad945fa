/** What a run has seen: counts, latencies, pauses, and what must not be. */
import { CommandError, QuorateClientError } from '../../client/index.ts'
import { LatencyHistogram } from './latency-histogram.ts'

const MAX_VIOLATIONS = 50
const MAX_ERROR_KINDS = 20

export type Outcome<T> =
  | { readonly kind: 'ok'; readonly value: T }
  /** It may have happened, and may still. */
  | { readonly kind: 'unknown' }
  /** It did not happen. */
  | { readonly kind: 'failed' }

export class Findings {
  readonly violations: string[] = []
  readonly errors = new Map<string, number>()
  readonly latency = new LatencyHistogram()
  operations = 0
  uncertain = 0
  failed = 0
  readonly #now: () => number

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now
  }

  get nowMs(): number {
    return this.#now()
  }

  violation(text: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push(text)
  }

  /** Runs one operation and counts what came of it. */
  async measure<T>(pause: PauseMeter, operation: () => Promise<T>): Promise<Outcome<T>> {
    const startedMs = this.#now()
    try {
      const value = await operation()
      const endedMs = this.#now()
      this.operations++
      this.latency.record(endedMs - startedMs)
      pause.answered(endedMs)
      return { kind: 'ok', value }
    } catch (error) {
      if (!(error instanceof QuorateClientError)) throw error
      const text = error instanceof CommandError ? error.message : error.code
      if (this.errors.has(text) || this.errors.size < MAX_ERROR_KINDS) {
        this.errors.set(text, (this.errors.get(text) ?? 0) + 1)
      }
      if (error.mayHaveRun) this.uncertain++
      else this.failed++
      return { kind: error.mayHaveRun ? 'unknown' : 'failed' }
    }
  }
}

/** The longest time in which one client got no answer. */
export class PauseMeter {
  longestMs = 0
  #lastMs: number

  constructor(nowMs: number) {
    this.#lastMs = nowMs
  }

  answered(nowMs: number): void {
    this.longestMs = Math.max(this.longestMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
  }

  /** The run is over: what waits still counts. */
  finish(nowMs: number): void {
    this.longestMs = Math.max(this.longestMs, nowMs - this.#lastMs)
  }
}
