/**
 * What is counted of each command, for INFO commandstats and latencystats and for LATENCY HISTOGRAM. The counters stand on the command
 * itself: no look-up is made for a request.
 */
import { assert } from '../../base/assert.ts'

/** Each power of two is cut into so many: a percentile is wrong by at most a sixteenth. */
const PARTS = 16
const PART_BITS = 4
/** 2^31 us is 36 minutes; what takes longer is counted there. */
const LARGEST_US = 2 ** 31 - 1
const BUCKETS = (31 - PART_BITS + 1) * PARTS

/** Values below PARTS have a bucket each; above, `PARTS` buckets for every power of two. */
function bucketOf(us: number): number {
  if (us < PARTS) return us
  const exponent = 31 - Math.clz32(us)
  return (exponent - PART_BITS + 1) * PARTS + ((us >>> (exponent - PART_BITS)) & (PARTS - 1))
}

/** The largest value that the bucket counts. */
function highestIn(bucket: number): number {
  if (bucket < PARTS) return bucket
  const exponent = Math.floor(bucket / PARTS) + PART_BITS - 1
  return 2 ** (exponent - PART_BITS) * (PARTS + (bucket % PARTS) + 1) - 1
}

/** Durations in whole microseconds, at least 1; 3.5 KiB, and constant. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0

  get total(): number {
    return this.#total
  }

  add(us: number): void {
    this.#counts[bucketOf(us < 1 ? 1 : us > LARGEST_US ? LARGEST_US : Math.trunc(us))]++
    this.#total++
  }

  /** The least of the counted values, or its bucket's highest, that `percent` of all do not exceed. */
  percentile(percent: number): number {
    assert(this.#total > 0 && percent >= 0 && percent <= 100, 'LatencyHistogram.percentile: of nothing')
    const wanted = Math.max(1, Math.ceil((percent / 100) * this.#total))
    let seen = 0
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.#counts[i]
      if (seen >= wanted) return highestIn(i)
    }
    return LARGEST_US
  }

  /** How many took no longer than each power of two, from the first that anything took to the last. */
  byPowersOfTwo(): [us: number, count: number][] {
    const steps: [number, number][] = []
    let bucket = 0
    let seen = 0
    for (let us = 1; us <= LARGEST_US + 1 && seen < this.#total; us *= 2) {
      const before = seen
      while (bucket < BUCKETS && highestIn(bucket) <= us) seen += this.#counts[bucket++]
      // The bucket that begins with a power of two counts larger values too: the next step has them.
      if (seen > before) steps.push([us, seen])
    }
    return steps
  }
}

export class CommandStats {
  /** Calls that were answered. */
  calls = 0
  /** All of them together, from dispatch to reply. */
  ms = 0
  /** Refused before they ran: wrong number of words, out of memory, not inside MULTI ... */
  rejected = 0
  /** Ran, and were answered with an error. */
  failed = 0
  histogram: LatencyHistogram | null = null

  get isEmpty(): boolean {
    return this.calls === 0 && this.rejected === 0 && this.failed === 0
  }

  measured(ms: number): void {
    this.histogram ??= new LatencyHistogram()
    this.histogram.add(ms * 1000)
  }

  reset(): void {
    this.calls = 0
    this.ms = 0
    this.rejected = 0
    this.failed = 0
    this.histogram = null
  }
}
