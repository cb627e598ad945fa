/** The known bugs, put back: the oracle must see each of them. */
import { describe, expect, it } from 'vitest'
import { NO_WAL_MUTATIONS, type WalMutations } from './mutations.ts'
import { WalWorld } from './wal.testkit.ts'

/** A log that rolls and recycles much, ended by power losses. Null: nothing seen. */
function violation(seed: number, mutations: WalMutations): string | null {
  const world = new WalWorld(seed, { segmentBytes: 48 * 1024, mutations })
  try {
    for (let round = 0; round < 6; round++) {
      world.reopen()
      for (let burst = 0; burst < 25; burst++) {
        for (let i = 0; i < 4; i++) world.appendRandom(2, 300)
        world.flush()
        world.run(world.random.pick([0.2, 1, 3]))
      }
      world.end('crash')
    }
    world.reopen()
    return null
  } catch (error) {
    return String(error)
  }
}

function seedsThatSee(mutation: keyof WalMutations, seeds: number): number {
  let seen = 0
  for (let seed = 1; seed <= seeds; seed++) {
    expect(violation(seed, NO_WAL_MUTATIONS)).toBeNull()
    if (violation(seed, { ...NO_WAL_MUTATIONS, [mutation]: true }) !== null) seen++
  }
  return seen
}

describe('mutations', () => {
  it('a flush without a sync loses what it confirmed', () => {
    expect(seedsThatSee('skipSync', 5)).toBeGreaterThan(2)
  })

  it('stale batches in a recycled segment come back to life', () => {
    expect(seedsThatSee('acceptStaleSegments', 5)).toBeGreaterThan(2)
  })
})
