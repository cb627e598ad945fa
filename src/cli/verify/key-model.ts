/**
 * What one key of one client may hold. Nobody else writes it, and each value is written once, so every answer can be checked. A write whose outcome is unknown
 * may have happened, or happen later still: until a later write under the same session has its answer (the group then refuses the old one),
 * or its retry time is over.
 */

/** Null: the key is absent. */
export type Value = string | null

interface Pending {
  /** Null: not known for sure. */
  readonly session: number | null
  readonly untilMs: number
}

/** Longer than any write is retried. */
const PENDING_FOR_MS = 60_000

export class KeyModel {
  readonly #key: string
  /** What it holds; more than one only where nobody has looked since. */
  #possible = new Set<Value>([null])
  readonly #pending = new Map<Value, Pending>()

  constructor(key: string) {
    this.#key = key
  }

  /** Something that it may hold, to compare with. */
  get guess(): Value {
    const [first] = this.#possible
    return first
  }

  wrote(value: Value, session: number | null, nowMs: number): void {
    this.#possible = new Set([value])
    this.#settle(session, nowMs)
  }

  writeUnknown(value: Value, session: number | null, nowMs: number): void {
    this.#pending.set(value, { session, untilMs: nowMs + PENDING_FOR_MS })
  }

  /** What is wrong with it; null: nothing. */
  read(value: Value, nowMs: number): string | null {
    this.#expire(nowMs)
    const problem = this.#mayHold(value) ? null : `${this.#key} holds ${show(value)}, not ${this.#expected()}`
    this.#possible = new Set([value])
    // A value comes once; several deletes may be on their way.
    if (value !== null) this.#pending.delete(value)
    return problem
  }

  compared(
    expected: Value,
    next: string,
    result: { readonly ok: boolean; readonly current?: Value },
    session: number | null,
    nowMs: number,
  ): string | null {
    this.#expire(nowMs)
    const { ok, current = null } = result
    let problem: string | null = null
    if (ok && !this.#mayHold(expected)) {
      problem = `${this.#key}: compare-and-set of ${show(expected)} was done, but it holds ${this.#expected()}`
    } else if (!ok && (current === expected || !this.#mayHold(current))) {
      problem = `${this.#key}: compare-and-set of ${show(expected)} was refused with ${show(current)}, but it holds ${this.#expected()}`
    }
    this.#possible = new Set([ok ? next : current])
    this.#settle(session, nowMs)
    return problem
  }

  #mayHold(value: Value): boolean {
    return this.#possible.has(value) || this.#pending.has(value)
  }

  #expected(): string {
    return [...this.#possible, ...this.#pending.keys()].map(show).join(' or ')
  }

  /** A write under the session was answered: older ones of it will not happen any more. */
  #settle(session: number | null, nowMs: number): void {
    for (const [value, pending] of this.#pending)
      if (session !== null && pending.session === session) this.#pending.delete(value)
    this.#expire(nowMs)
  }

  #expire(nowMs: number): void {
    for (const [value, { untilMs }] of this.#pending) {
      if (nowMs <= untilMs) continue
      // It happened before, or never will: the next look tells.
      this.#possible.add(value)
      this.#pending.delete(value)
    }
  }
}

function show(value: Value): string {
  return value === null ? 'nothing' : JSON.stringify(value)
}
