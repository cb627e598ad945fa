/**
 * A counter that one client counts up: with every outcome known it is exact. A count of unknown outcome leaves a range until the next answer, and longer
 * where that came under another session, which does not keep it from happening still.
 */

interface Pending {
  /** Null: not known for sure. */
  readonly session: number | null
  readonly untilMs: number
}

/** Longer than any write is retried. */
const PENDING_FOR_MS = 60_000

export class CounterModel {
  readonly #key: string
  #known = 0
  #pending: Pending[] = []

  constructor(key: string) {
    this.#key = key
  }

  /** A count was answered. Gives what is wrong with that; null: nothing. */
  counted(value: number, session: number | null, nowMs: number): string | null {
    const problem = this.#check(value, 1)
    this.#known = value
    this.#pending = this.#pending.filter(
      (pending) => nowMs <= pending.untilMs && (session === null || pending.session !== session),
    )
    return problem
  }

  unknown(session: number | null, nowMs: number): void {
    this.#pending.push({ session, untilMs: nowMs + PENDING_FOR_MS })
  }

  /** What stands there at the end. */
  read(value: string | null): string | null {
    return this.#check(Number(value ?? 0), 0)
  }

  #check(value: number, added: number): string | null {
    const low = this.#known + added
    const high = low + this.#pending.length
    if (value >= low && value <= high) return null
    return `${this.#key} counts ${value}, not ${low === high ? low : `${low} to ${high}`}`
  }
}
