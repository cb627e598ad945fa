/** The Clock of a real process. */
import type { Clock, Timer } from '../ports/clock.ts'

export class NodeClock implements Clock {
  monotonicMs(): number {
    return performance.now()
  }

  wallMs(): number {
    return Date.now()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  }

  defer(callback: () => void): void {
    setImmediate(callback)
  }
}
