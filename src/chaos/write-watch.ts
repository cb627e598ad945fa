/** When does a group take writes again? Told of every acknowledged write; answers for those that were called after a fault. */

interface Waiting {
  readonly afterMs: number
  readonly missing: Set<number>
  readonly done: (unavailableMs: number | null) => void
}

export class WriteWatch {
  readonly #waiting = new Set<Waiting>()

  /** A write that was called before the fault proves nothing: its answer may have been under way already. */
  acknowledged(groupId: number, calledAtMs: number, nowMs: number): void {
    for (const waiting of this.#waiting) {
      if (calledAtMs <= waiting.afterMs || !waiting.missing.delete(groupId) || waiting.missing.size > 0) continue
      this.#waiting.delete(waiting)
      waiting.done(nowMs - waiting.afterMs)
    }
  }

  /** How long after `afterMs` the last of these groups acknowledged a write again; null: not within `timeoutMs` from now. */
  resumption(groupIds: readonly number[], afterMs: number, timeoutMs: number): Promise<number | null> {
    if (groupIds.length === 0) return Promise.resolve(0)
    return new Promise((resolve) => {
      const done = (unavailableMs: number | null): void => {
        clearTimeout(deadline)
        resolve(unavailableMs)
      }
      const waiting: Waiting = { afterMs, missing: new Set(groupIds), done }
      const deadline = setTimeout(() => {
        this.#waiting.delete(waiting)
        resolve(null)
      }, timeoutMs)
      this.#waiting.add(waiting)
    })
  }
}
