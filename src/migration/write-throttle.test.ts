import { describe, expect, it } from 'vitest'
import { RateMeter } from './rate-meter.ts'
import { WriteThrottle } from './write-throttle.ts'

const STREAMS_AT_MS = 1_000

/** A destination that confirms 100 KB each second, from 0 on, and of what is left to go. */
function throttleAfter(ms: number, lagBytes: (nowMs: number) => number | null = () => 1e6): WriteThrottle {
  const rate = new RateMeter(0)
  const throttle = new WriteThrottle(rate)
  for (let nowMs = 0; nowMs <= ms; nowMs += 10) {
    rate.note(1000, nowMs)
    throttle.heard(lagBytes(nowMs), nowMs)
    if (nowMs >= STREAMS_AT_MS) throttle.streams(nowMs)
  }
  return throttle
}

function admittedKb(ms: number, lagBytes?: (nowMs: number) => number | null): number | null {
  const admitted = throttleAfter(ms, lagBytes).admittedBytesPerSecond(ms)
  return admitted === null ? null : Math.round(admitted / 1000)
}

const shrinking = (nowMs: number): number => 1e6 * 0.7 ** (nowMs / 5_000)

describe('the throttle of writes', () => {
  it('leaves them alone for 10 s of streaming, however long the copying took', () => {
    expect(admittedKb(STREAMS_AT_MS - 10)).toBe(null)
    expect(admittedKb(STREAMS_AT_MS + 9_990)).toBe(null)
    expect(admittedKb(STREAMS_AT_MS + 10_000)).toBe(50)
  })

  it('then admits half of what the destination confirms, as long as less and less is left', () => {
    for (const ms of [11_000, 30_000, 60_000]) expect(admittedKb(ms, shrinking)).toBe(50)
  })

  it('and halves that each 5 s where it is not less', () => {
    expect([14_000, 16_000, 21_000, 26_000].map((ms) => admittedKb(ms))).toEqual([50, 25, 13, 6])
  })

  it('and where a slot has to be walked again, once for each time, not for as long as it takes', () => {
    const walked = (nowMs: number): number | null => (nowMs > 12_000 && nowMs < 40_000 ? null : shrinking(nowMs))
    expect([12_000, 13_000, 39_000].map((ms) => admittedKb(ms, walked))).toEqual([50, 25, 25])
  })

  it('never admits nothing at all', () => {
    expect(throttleAfter(600_000).admittedBytesPerSecond(600_000)).toBe(1)
  })

  it('lets go when the destination has been silent for a second', () => {
    const throttle = throttleAfter(20_000)
    expect(throttle.admittedBytesPerSecond(21_000)).not.toBe(null)
    expect(throttle.admittedBytesPerSecond(21_001)).toBe(null)
  })
})
