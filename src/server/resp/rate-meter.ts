/** What goes through the door in a second, as Redis counts it: the mean of the last sixteen samples, taken at least 100 ms apart. */
import type { RespServerStats } from './door.ts'

const SAMPLE_MS = 100
const SAMPLES = 16

interface Sample {
  readonly atMs: number
  readonly commands: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

export interface Rates {
  readonly commandsPerSecond: number
  readonly receivedPerSecond: number
  readonly sentPerSecond: number
}

export class RateMeter {
  #samples: Sample[]
  #nextMs: number

  constructor(nowMs: number) {
    this.#samples = [{ atMs: nowMs, commands: 0, receivedBytes: 0, sentBytes: 0 }]
    this.#nextMs = nowMs + SAMPLE_MS
  }

  /** Called as often as anything happens. */
  sample(nowMs: number, stats: RespServerStats): void {
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + SAMPLE_MS
    this.#samples.push(sampleOf(nowMs, stats))
    if (this.#samples.length > SAMPLES) this.#samples.shift()
  }

  /** The counters begin anew. */
  reset(nowMs: number): void {
    this.#samples = [{ atMs: nowMs, commands: 0, receivedBytes: 0, sentBytes: 0 }]
    this.#nextMs = nowMs + SAMPLE_MS
  }

  /** Over the last 1.6 s and whatever was silent since. */
  rates(nowMs: number, stats: RespServerStats): Rates {
    const windowMs = SAMPLE_MS * SAMPLES
    const recent = this.#samples.find((sample) => nowMs - sample.atMs <= windowMs) ?? this.#samples.at(-1)
    const first = recent ?? sampleOf(nowMs, stats)
    const seconds = Math.max(nowMs - first.atMs, 1) / 1000
    return {
      commandsPerSecond: (stats.commandsProcessed - first.commands) / seconds,
      receivedPerSecond: (stats.bytesReceived - first.receivedBytes) / seconds,
      sentPerSecond: (stats.bytesSent - first.sentBytes) / seconds,
    }
  }
}

function sampleOf(atMs: number, stats: RespServerStats): Sample {
  return {
    atMs,
    commands: stats.commandsProcessed,
    receivedBytes: stats.bytesReceived,
    sentBytes: stats.bytesSent,
  }
}
