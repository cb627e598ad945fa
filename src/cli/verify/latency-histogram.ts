/** Latencies in buckets that are 5% apart: small, and precise enough for a percentile. */

const RATIO = 1.05
const SMALLEST_MS = 0.01
const BUCKETS = 400

export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  maxMs = 0

  record(ms: number): void {
    const bucket = ms <= SMALLEST_MS ? 0 : Math.ceil(Math.log(ms / SMALLEST_MS) / Math.log(RATIO))
    this.#counts[Math.min(bucket, BUCKETS - 1)]++
    this.#count++
    if (ms > this.maxMs) this.maxMs = ms
  }

  /** At least this share of all was not slower; 0 where there are none. */
  percentile(share: number): number {
    let left = Math.ceil(this.#count * share)
    if (left === 0) return 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket]
      if (left <= 0) return Math.min(this.maxMs, SMALLEST_MS * RATIO ** bucket)
    }
    return this.maxMs
  }
}
