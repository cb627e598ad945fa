/**
 * The clock of one simulated process, and the gate through which everything reaches it. A killed process runs nothing
 * any more; a paused one (SIGSTOP) finds all that came meanwhile, in order, when it goes on. Ports that call back into the
 * process (network, disk) pass their callbacks through `deliver`.
 *
 * Time of the machine outlives the process: `successor` gives the next incarnation's clock.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { ScheduledEvent, Scheduler } from './scheduler.ts'

export interface SimClockOptions {
  /** For event labels. */
  readonly label: string
  /** Wall time at the scheduler's zero. */
  readonly wallStartMs?: number
  /** What monotonicMs shows at the scheduler's zero: machines booted at different times. */
  readonly monotonicStartMs?: number
  /** Local milliseconds a true millisecond: 1.0002 runs fast by 200 ppm. */
  readonly rate?: number
  /** A timer fires up to this much late, by the seed. */
  readonly timerLatenessMaxMs?: number
}

/** An engine that defers to itself for ever must not stop virtual time. */
const DEFER_MS = 0.01
/** A run that holds back more has lost its way. */
const MAX_HELD = 1_000_000

/** 2026-01-01T00:00:00Z. */
const DEFAULT_WALL_START_MS = 1_767_225_600_000

export class SimClock implements Clock {
  readonly #scheduler: Scheduler
  readonly #options: SimClockOptions
  readonly #timers: Set<ScheduledEvent> = new Set()
  #rate: number
  /** Local time at the true time where the rate last changed. */
  #localBaseMs: number
  #trueBaseMs = 0
  #wallOffsetMs: number
  #alive = true
  #paused = false
  #held: (() => void)[] = []
  #draining = false

  constructor(scheduler: Scheduler, options: SimClockOptions) {
    this.#scheduler = scheduler
    this.#options = options
    this.#rate = options.rate ?? 1
    assert(this.#rate > 0, 'SimClock: the rate must be positive')
    this.#localBaseMs = options.monotonicStartMs ?? 0
    this.#wallOffsetMs = (options.wallStartMs ?? DEFAULT_WALL_START_MS) - this.#localBaseMs
  }

  get alive(): boolean {
    return this.#alive
  }

  get paused(): boolean {
    return this.#paused
  }

  monotonicMs(): number {
    return this.#localBaseMs + (this.#scheduler.nowMs - this.#trueBaseMs) * this.#rate
  }

  wallMs(): number {
    return Math.max(0, Math.floor(this.monotonicMs() + this.#wallOffsetMs))
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const latenessMs = (this.#options.timerLatenessMaxMs ?? 1) * this.#scheduler.random.unit()
    return this.#schedule(Math.max(0, delayMs) / this.#rate + latenessMs, 'timer', callback)
  }

  defer(callback: () => void): void {
    this.#schedule(DEFER_MS, 'defer', callback)
  }

  #schedule(trueDelayMs: number, what: string, callback: () => void): Timer {
    let cancelled = !this.#alive
    if (cancelled) return { cancel() {} }
    const event = this.#scheduler.after(trueDelayMs, `${this.#options.label} ${what}`, () => {
      this.#timers.delete(event)
      // A timer that came due during a pause can still be cancelled by what runs before it.
      this.deliver(() => {
        if (!cancelled) callback()
      })
    })
    this.#timers.add(event)
    return {
      cancel: () => {
        cancelled = true
        this.#timers.delete(event)
        this.#scheduler.cancel(event)
      },
    }
  }

  /** Runs the callback now, later (paused), or never (killed). Only from scheduler events, never inside the process's own calls. */
  deliver(callback: () => void): void {
    if (!this.#alive) return
    if (!this.#paused && this.#held.length === 0) {
      callback()
      return
    }
    assert(this.#held.length < MAX_HELD, 'SimClock: too many events held back')
    this.#held.push(callback)
  }

  /** The clock's oscillator goes on at another speed. */
  setRate(rate: number): void {
    assert(rate > 0, 'SimClock: the rate must be positive')
    this.#localBaseMs = this.monotonicMs()
    this.#trueBaseMs = this.#scheduler.nowMs
    this.#rate = rate
  }

  /** Wall time jumps; monotonic time and timers do not notice. */
  stepWall(deltaMs: number): void {
    this.#wallOffsetMs += deltaMs
  }

  pause(): void {
    if (this.#alive) this.#paused = true
  }

  /** What was held back runs now, each as an event of its own, before anything newer. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#drainHeld()
  }

  #drainHeld(): void {
    if (this.#draining || this.#held.length === 0) return
    this.#draining = true
    this.#scheduler.after(0, `${this.#options.label} late`, () => {
      this.#draining = false
      if (!this.#alive || this.#paused) return
      const callback = this.#held.shift()
      callback?.()
      this.#drainHeld()
    })
  }

  /** The process is gone: no timer fires, nothing is delivered, no new timer is taken. */
  kill(): void {
    this.#alive = false
    this.#paused = false
    this.#held = []
    for (const event of this.#timers) this.#scheduler.cancel(event)
    this.#timers.clear()
  }

  /** The clock of the next process on the same machine. */
  successor(): SimClock {
    assert(!this.#alive, 'SimClock: the old process still lives')
    const next = new SimClock(this.#scheduler, this.#options)
    next.#rate = this.#rate
    next.#localBaseMs = this.#localBaseMs
    next.#trueBaseMs = this.#trueBaseMs
    next.#wallOffsetMs = this.#wallOffsetMs
    return next
  }
}
