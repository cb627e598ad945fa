/** Bytes per second of late: an average in which a second ago counts for a third of now, so that it follows within seconds and a pause does not halve it. */
const MEMORY_MS = 1000

export class RateMeter {
  #bytesPerSecond = 0
  #countedAtMs: number

  constructor(nowMs: number) {
    this.#countedAtMs = nowMs
  }

  note(bytes: number, nowMs: number): void {
    this.#bytesPerSecond = this.perSecond(nowMs) + (bytes * 1000) / MEMORY_MS
    this.#countedAtMs = Math.max(nowMs, this.#countedAtMs)
  }

  perSecond(nowMs: number): number {
    return this.#bytesPerSecond * Math.exp(-Math.max(0, nowMs - this.#countedAtMs) / MEMORY_MS)
  }
}
