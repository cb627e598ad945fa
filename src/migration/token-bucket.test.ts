import { describe, expect, it } from 'vitest'
import { TokenBucket } from './token-bucket.ts'

describe('a token bucket', () => {
  it('0 bytes per second is no limit', () => {
    const bucket = new TokenBucket(0, 0)
    bucket.take(1e12, 0)
    expect(bucket.available(0)).toBe(Number.MAX_SAFE_INTEGER)
    expect(bucket.readyAtMs(5)).toBe(5)
  })

  it('holds the rate over time, whatever the pieces', () => {
    const bucket = new TokenBucket(1_000_000, 0)
    let taken = 0
    for (let nowMs = 0; nowMs <= 10_000; nowMs++) {
      const bytes = Math.min(bucket.available(nowMs), 70_000)
      bucket.take(bytes, nowMs)
      taken += bytes
    }
    // Ten seconds and the burst of a tenth at the beginning.
    expect(taken).toBeGreaterThan(9_900_000)
    expect(taken).toBeLessThanOrEqual(10_100_000)
  })

  it('owes what came beyond it, and says when it has paid', () => {
    const bucket = new TokenBucket(100_000, 0)
    bucket.take(1_010_000, 0)
    expect(bucket.available(0)).toBe(0)
    // A million owed, and ten thousand (a burst) until it is worth asking again.
    expect(bucket.readyAtMs(0)).toBe(10_100)
    expect(bucket.available(10_099)).toBe(0)
    expect(bucket.available(10_100)).toBeGreaterThan(0)
  })

  it('saves up no more than a burst, also where time stands still or goes back', () => {
    const bucket = new TokenBucket(1_000_000, 1000)
    expect(bucket.available(3_600_000)).toBe(100_000)
    bucket.take(100_000, 3_600_000)
    expect(bucket.available(0)).toBe(0)
    expect(bucket.available(3_600_000)).toBe(0)
  })

  it('a very low limit still lets something through', () => {
    const bucket = new TokenBucket(1, 0)
    bucket.take(bucket.available(0), 0)
    expect(bucket.readyAtMs(0)).toBe(1000)
    expect(bucket.available(1000)).toBe(1)
  })
})
