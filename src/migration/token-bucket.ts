/**
 * A limit in bytes per second: tokens gather with time, at most a burst of them, and what is received takes its bytes. What was received may be more
 * than there was (one large value comes whole): then the bucket owes, and nothing more is asked for until that is paid off.
 */

/** What may gather while nothing is taken, as time at the full rate. */
const BURST_MS = 100
/** The least that is worth asking for, so that a low limit does not make for many tiny messages. */
const WORTHWHILE_BYTES = 16 * 1024

export class TokenBucket {
  readonly bytesPerSecond: number
  readonly #bytesPerMs: number
  readonly #burstBytes: number
  #tokens: number
  #countedAtMs: number

  /** 0: no limit. */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.bytesPerSecond = bytesPerSecond
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#burstBytes = Math.max(1, Math.floor(this.#bytesPerMs * BURST_MS))
    this.#tokens = this.#burstBytes
    this.#countedAtMs = nowMs
  }

  get isUnlimited(): boolean {
    return this.#bytesPerMs === 0
  }

  /** Bytes that may be asked for now; 0: wait until `readyAtMs`. */
  available(nowMs: number): number {
    if (this.isUnlimited) return Number.MAX_SAFE_INTEGER
    this.#gather(nowMs)
    return this.#tokens >= this.#worthwhile ? Math.floor(this.#tokens) : 0
  }

  take(bytes: number, nowMs: number): void {
    if (this.isUnlimited) return
    this.#gather(nowMs)
    this.#tokens -= bytes
  }

  /** From when on `available` is above 0. */
  readyAtMs(nowMs: number): number {
    if (this.available(nowMs) > 0) return nowMs
    return nowMs + Math.ceil((this.#worthwhile - this.#tokens) / this.#bytesPerMs)
  }

  get #worthwhile(): number {
    return Math.min(WORTHWHILE_BYTES, this.#burstBytes)
  }

  #gather(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#countedAtMs)
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + passedMs * this.#bytesPerMs)
    this.#countedAtMs = Math.max(nowMs, this.#countedAtMs)
  }
}
