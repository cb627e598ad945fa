/**
 * Redis's latency monitor: for each event the last 160 seconds in which it took longer than latency-monitor-threshold, with the worst of each
 * second. The door's events are Redis's `command` and `fast-command`, the latter for commands that the table calls fast.
 */

/** LATENCY_TS_LEN. */
const MAX_SAMPLES = 160

export interface LatencySample {
  readonly unixSeconds: number
  /** The worst of that second, whole milliseconds. */
  readonly ms: number
}

export interface LatencyEvent {
  /** Oldest first; never empty. */
  readonly samples: readonly LatencySample[]
  /** Since the event was reset. */
  readonly maxMs: number
}

export type LatencyEventName = 'command' | 'fast-command'

export class LatencyMonitor {
  readonly #events = new Map<string, { samples: LatencySample[]; maxMs: number }>()

  add(name: LatencyEventName, unixSeconds: number, ms: number): void {
    let event = this.#events.get(name)
    if (event === undefined) {
      event = { samples: [], maxMs: 0 }
      this.#events.set(name, event)
    }
    event.maxMs = Math.max(event.maxMs, ms)
    const last = event.samples.at(-1)
    if (last?.unixSeconds === unixSeconds) {
      event.samples[event.samples.length - 1] = { unixSeconds, ms: Math.max(ms, last.ms) }
      return
    }
    event.samples.push({ unixSeconds, ms })
    if (event.samples.length > MAX_SAMPLES) event.samples.shift()
  }

  event(name: string): LatencyEvent | null {
    return this.#events.get(name) ?? null
  }

  events(): ReadonlyMap<string, LatencyEvent> {
    return this.#events
  }

  /** How many of the named events there were; without names, all of them. */
  reset(names: readonly string[]): number {
    const reset = names.length === 0 ? [...this.#events.keys()] : names
    return reset.filter((name) => this.#events.delete(name)).length
  }
}
