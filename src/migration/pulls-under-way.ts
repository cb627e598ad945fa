/** The destination's pulls that wait for their answers. They go to one node: where one comes to nothing, they all do. */
import type { NodeId, SlotId } from '../base/brand.ts'

export interface PullUnderWay {
  readonly to: NodeId
  readonly slots: readonly SlotId[]
  /** An answer that takes longer counts as silence. */
  untilMs: number
}

export class PullsUnderWay {
  readonly #pulls = new Map<number, PullUnderWay>()

  get count(): number {
    return this.#pulls.size
  }

  add(requestId: number, pull: PullUnderWay): void {
    this.#pulls.set(requestId, pull)
  }

  has(requestId: number): boolean {
    return this.#pulls.has(requestId)
  }

  /** One that was answered; null: nobody waits for it. */
  take(requestId: number): PullUnderWay | null {
    const pull = this.#pulls.get(requestId) ?? null
    this.#pulls.delete(requestId)
    return pull
  }

  /** The answers come one after the other: those that are left have their time from now on. */
  extend(untilMs: number): void {
    for (const pull of this.#pulls.values()) pull.untilMs = untilMs
  }

  isTo(node: NodeId): boolean {
    for (const { to } of this.#pulls.values()) if (to === node) return true
    return false
  }

  /** When the first of them has waited for long enough. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY
    for (const { untilMs } of this.#pulls.values()) dueMs = Math.min(dueMs, untilMs)
    return dueMs
  }

  /** All of them, and there are none any more. */
  drop(): PullUnderWay[] {
    const pulls = [...this.#pulls.values()]
    this.#pulls.clear()
    return pulls
  }
}
