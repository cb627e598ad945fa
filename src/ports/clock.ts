/**
 * Time as the node sees it. Real: platform/. Simulated: simulation/, with drift, steps and pauses.
 * A callback runs as an event of its own, never inside the call that set it.
 */
export interface Clock {
  /** Milliseconds from an arbitrary start, fractional, never running backwards. For time-outs and durations. */
  monotonicMs(): number
  /** Milliseconds since the Unix epoch, whole; may jump either way. For expiries and stamps only. */
  wallMs(): number
  setTimer(delayMs: number, callback: () => void): Timer
  /** Runs the callback after the current event and the IO already reported (Node: setImmediate). */
  defer(callback: () => void): void
}

export interface Timer {
  cancel(): void
}
