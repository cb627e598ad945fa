/**
 * Calls that the node has made on the disk and that are not answered yet. A killed node's descriptors may be closed only when nothing uses
 * them any more: the number of a closed one can be another file's by then.
 */
import type { NodeLife } from './node-life.ts'

export class PendingCalls {
  readonly #life: NodeLife
  #pending = 0
  readonly #whenNone: (() => void)[] = []

  constructor(life: NodeLife) {
    this.#life = life
  }

  /** The callback to hand on: counts the call until its answer, which reaches the node only while that lives. */
  expect<Answer extends unknown[]>(callback: (...answer: Answer) => void): (...answer: Answer) => void {
    this.#pending++
    return (...answer) => {
      this.#life.run(() => callback(...answer))
      this.#pending--
      if (this.#pending === 0) for (const none of this.#whenNone.splice(0)) none()
    }
  }

  whenNone(): Promise<void> {
    return new Promise((none) => {
      if (this.#pending === 0) none()
      else this.#whenNone.push(none)
    })
  }
}
