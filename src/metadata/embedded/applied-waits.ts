/** Reads that wait until this master has applied what their session has seen already; bounded in number and in time. */
interface Wait {
  readonly index: number
  readonly untilMs: number
  run(reached: boolean): void
}

export class AppliedWaits {
  readonly #waitsMax: number
  #waits: Wait[] = []

  constructor(waitsMax: number) {
    this.#waitsMax = waitsMax
  }

  /** False: too many wait. `run(false)` where the index is not reached in time. */
  add(index: number, untilMs: number, run: (reached: boolean) => void): boolean {
    if (this.#waits.length >= this.#waitsMax) return false
    this.#waits.push({ index, untilMs, run })
    return true
  }

  /** Runs what is due, in the order in which it came. */
  serve(appliedIndex: number, nowMs: number): void {
    if (this.#waits.length === 0) return
    const due = this.#waits.filter((wait) => wait.index <= appliedIndex || wait.untilMs <= nowMs)
    if (due.length === 0) return
    this.#waits = this.#waits.filter((wait) => wait.index > appliedIndex && wait.untilMs > nowMs)
    for (const wait of due) wait.run(wait.index <= appliedIndex)
  }
}
