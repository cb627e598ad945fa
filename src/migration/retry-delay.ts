/** When to try again: at once at first, then after a delay that doubles with each failure in a row up to a bound. Also paces polls that bring no news. */
export class RetryDelay {
  readonly #firstMs: number
  readonly #mostMs: number
  #nextDelayMs: number
  #dueMs = 0

  constructor(firstMs: number, mostMs: number) {
    this.#firstMs = firstMs
    this.#mostMs = mostMs
    this.#nextDelayMs = firstMs
  }

  get dueMs(): number {
    return this.#dueMs
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#dueMs
  }

  /** Nothing came of it. */
  failed(nowMs: number): void {
    this.#dueMs = nowMs + this.#nextDelayMs
    this.#nextDelayMs = Math.min(this.#mostMs, this.#nextDelayMs * 2)
  }

  /** Something came of it: the next try is due at once, and delays begin anew. */
  reset(): void {
    this.#dueMs = 0
    this.#nextDelayMs = this.#firstMs
  }

  /** Something came of it, and the next try is due after the first delay. */
  settle(nowMs: number): void {
    this.#dueMs = nowMs + this.#firstMs
    this.#nextDelayMs = Math.min(this.#mostMs, this.#firstMs * 2)
  }

  /** Not later than this. */
  hasten(dueMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, dueMs)
  }
}
