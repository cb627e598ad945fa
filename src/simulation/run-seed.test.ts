// The simulator itself: the same seed gives the same trace, and known bugs that are put back in are found.
import { describe, expect, it } from 'vitest'
import { SIM_MUTATIONS } from './mutations.ts'
import { runSeed } from './run-seed.ts'

describe('a seed', () => {
  it('replays exactly, and counts', () => {
    const first = runSeed(7)
    const second = runSeed(7)
    expect(first.violations).toEqual([])
    expect(first.tooLittle).toBeNull()
    expect(first.operationsOk).toBeGreaterThanOrEqual(1_000)
    expect(second).toEqual(first)
    expect(runSeed(8).traceHash).not.toBe(first.traceHash)
  })
})

describe('a seed with masters', () => {
  it('replays exactly, and counts', () => {
    const first = runSeed(2, {}, 'cluster')
    expect(first.violations).toEqual([])
    expect(first.tooLittle).toBeNull()
    expect(first.operationsOk).toBeGreaterThanOrEqual(1_000)
    expect(first.coverage['moves enabled']).toBeGreaterThanOrEqual(3)
    expect(runSeed(2, {}, 'cluster')).toEqual(first)
  }, 180_000)
})

describe('a mutation', () => {
  // The quickest ones to show; `npm run simulate -- --mutation NAME` has them all.
  it.each([
    'apply-before-commit',
    'retries-run-twice',
    'watch-ignored',
    'serve-before-enable',
    'forget-unchecked',
    'slots-left-out',
  ])(
    '%s is caught',
    (name) => {
      const mutation = SIM_MUTATIONS.find((one) => one.name === name)
      expect(mutation).toBeDefined()
      const caughtBy = Array.from({ length: 30 }, (_, i) => i + 1).find(
        (seed) => runSeed(seed, { mutation, stopEarly: true }).violations.length > 0,
      )
      expect(caughtBy).toBeDefined()
    },
    180_000,
  )
})
