/** Whether this node uses more memory than maxmemory allows, sampled at most every 100 ms: asking costs more than a request does. */
import type { MemoryUse, ProcessUsage } from '../../ports/process-usage.ts'

const SAMPLE_MS = 100

export class MemoryWatch {
  readonly #usage: ProcessUsage
  #use: MemoryUse
  #sampledAtMs: number
  /** Highest of the samples. */
  peakBytes: number

  constructor(usage: ProcessUsage, nowMs: number) {
    this.#usage = usage
    this.#use = usage.memory()
    this.#sampledAtMs = nowMs
    this.peakBytes = this.#use.usedBytes
  }

  sample(nowMs: number): MemoryUse {
    this.#use = this.#usage.memory()
    this.#sampledAtMs = nowMs
    this.peakBytes = Math.max(this.peakBytes, this.#use.usedBytes)
    return this.#use
  }

  isAbove(limitBytes: number, nowMs: number): boolean {
    const use = nowMs - this.#sampledAtMs >= SAMPLE_MS ? this.sample(nowMs) : this.#use
    return use.usedBytes > limitBytes
  }
}
