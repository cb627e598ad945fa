/** One request of one kind that is under way: it keeps its number while it is sent again, until it is answered. */
export class Exchange {
  readonly #resendMs: number
  #request = 0
  #sinceMs = 0
  #dueMs = 0

  constructor(resendMs: number) {
    this.#resendMs = resendMs
  }

  get active(): boolean {
    return this.#request !== 0
  }

  get request(): number {
    return this.#request
  }

  /** Since when it waits without an answer of any use; null: nothing is under way. */
  get waitingSinceMs(): number | null {
    return this.active ? this.#sinceMs : null
  }

  /** Sent for the first time. */
  begin(request: number, nowMs: number): void {
    this.#request = request
    this.#sinceMs = nowMs
    this.#dueMs = nowMs + this.#resendMs
  }

  /** Time to send it again; counts as sent. */
  isDue(nowMs: number): boolean {
    if (!this.active || nowMs < this.#dueMs) return false
    this.#dueMs = nowMs + this.#resendMs
    return true
  }

  /** Sent again under another number. */
  renumber(request: number): void {
    this.#request = request
  }

  /** Part of the answer has come. */
  progress(nowMs: number): void {
    this.#sinceMs = nowMs
  }

  /** Not now: it is sent again when its time has come. */
  refused(request: number, nowMs: number): void {
    if (request === this.#request) this.#dueMs = nowMs + this.#resendMs
  }

  /** Another master is asked, at once. */
  restart(nowMs: number): void {
    this.#sinceMs = nowMs
    this.#dueMs = nowMs
  }

  end(): void {
    this.#request = 0
  }
}
