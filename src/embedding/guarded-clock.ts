/** The Clock of one node: its timers end with the node's life, so that they hold up neither the process nor anything else. */
import type { Clock, Timer } from '../ports/clock.ts'
import type { NodeLife } from './node-life.ts'

export class GuardedClock implements Clock {
  readonly #clock: Clock
  readonly #life: NodeLife
  readonly #timers = new Set<Timer>()

  constructor(clock: Clock, life: NodeLife) {
    this.#clock = clock
    this.#life = life
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    // Code that was running when the life ended may still ask for one.
    if (this.#life.over) return { cancel() {} }
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#timers.delete(timer)
      this.#life.run(callback)
    })
    this.#timers.add(timer)
    return {
      cancel: () => {
        timer.cancel()
        this.#timers.delete(timer)
      },
    }
  }

  defer(callback: () => void): void {
    this.#clock.defer(() => this.#life.run(callback))
  }

  /** After the life's end. */
  end(): void {
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }
}
