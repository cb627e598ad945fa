// Seeded faults: what the store promises holds through them, and each known bug is caught.
import { describe, expect, it } from 'vitest'
import { faultRun } from './fault-run.testkit.ts'
import type { EmbeddedMutations } from './mutations.ts'

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]

/** With a seed that finds it. */
const FOUND: readonly (readonly [keyof EmbeddedMutations, number])[] = [
  ['expiryByLocalTimer', 1],
  ['newLeaderStartsShorter', 1],
  ['readsGoBack', 1],
  ['quietReattachment', 4],
  ['newSequenceOnRepeat', 1],
  ['syncUnconfirmed', 1],
]

describe('under faults', () => {
  let done = 0
  let expired = 0
  let reigns = 0

  it.each(SEEDS)('what is promised holds: seed %i', (seed) => {
    const run = faultRun(seed)
    expect(run.violations).toEqual([])
    // A run in which nothing was done shows nothing.
    const outcomes = [...run.writes.values()]
    expect(outcomes.filter((outcome) => outcome === 'done').length).toBeGreaterThan(100)
    expect(run.reads).toBeGreaterThan(100)
    expect(run.syncs).toBeGreaterThan(20)
    done += outcomes.length
    expired += run.expired
    reigns += run.reigns.length
  })

  it('the runs had something in them', () => {
    expect(done).toBeGreaterThan(1_000)
    expect(expired).toBeGreaterThan(0)
    expect(reigns).toBeGreaterThan(20)
  })

  it('one seed gives one run', () => {
    expect(faultRun(1).trace).toBe(faultRun(1).trace)
  })

  it.each(FOUND)('a known bug is caught: %s', (mutation, seed) => {
    expect(faultRun(seed, { [mutation]: true }).violations).not.toEqual([])
  })
})
