/**
 * So that a move always ends: after 10 s of streaming the source admits writes to the slots at half of the pace at which the destination confirms, and
 * what is left to go shrinks. A write can be smaller than what it changes (one APPEND has its whole value staged): where what is left does not
 * shrink within 5 s, or a slot has to be walked again, the half is halved. A destination that is silent holds nobody up: without word of it for
 * a second writes go freely.
 */
import type { RateMeter } from './rate-meter.ts'

const FREE_MS = 10_000
const CHECK_EVERY_MS = 5_000
/** What is left now, of what was left at the last check, where the move gets on. */
const SHRUNK = 0.9
const SILENCE_MS = 1_000

export class WriteThrottle {
  readonly #confirmed: RateMeter
  #streamingSinceMs: number | null = null
  #heardAtMs = 0
  #halvings = 1
  /** Null: some slot was walked. */
  #lagBytes: number | null = null
  #checkAtMs = 0

  /** `confirmed`: bytes that the destination has staged. */
  constructor(confirmed: RateMeter) {
    this.#confirmed = confirmed
  }

  /** Every slot has streamed once, if only for a moment: counts from the first call, as heavy writing may send slots back to a walk for ever. */
  streams(nowMs: number): void {
    this.#streamingSinceMs ??= nowMs
  }

  /** The destination has pulled. `lagBytes`: what is left to go; null: a slot is being walked, and nobody knows. */
  heard(lagBytes: number | null, nowMs: number): void {
    this.#heardAtMs = nowMs
    const before = this.#lagBytes
    if (!this.#isOn(nowMs)) return this.#begin(lagBytes, nowMs)
    if (lagBytes === null || before === null) {
      if (before !== null) this.#halvings++
      this.#begin(lagBytes, nowMs)
    } else if (nowMs >= this.#checkAtMs) {
      if (lagBytes > before * SHRUNK) this.#halvings++
      this.#begin(lagBytes, nowMs)
    }
  }

  /** The slots' writes together; null: no limit. */
  admittedBytesPerSecond(nowMs: number): number | null {
    if (!this.#isOn(nowMs) || nowMs - this.#heardAtMs > SILENCE_MS) return null
    return Math.max(1, Math.floor(this.#confirmed.perSecond(nowMs) / 2 ** this.#halvings))
  }

  #isOn(nowMs: number): boolean {
    return this.#streamingSinceMs !== null && nowMs - this.#streamingSinceMs >= FREE_MS
  }

  #begin(lagBytes: number | null, nowMs: number): void {
    this.#lagBytes = lagBytes
    this.#checkAtMs = nowMs + CHECK_EVERY_MS
  }
}
