// The masters are lost for good, recovered, and come back: a few seeds; `npm run simulate -- --kind recovery --seeds N` has more.
import { expect, it } from 'vitest'
import { runSeed } from './run-seed.ts'

/** Crashed and cut off, two of three and all, with crashes of the node that recovers before, at and after the beginning of the epoch. */
const SEEDS = [200, 201, 202, 203, 214]

it.each(SEEDS)(
  'seed %i: everything is as the new masters want it, and no client has seen anything wrong',
  (seed) => {
    const { violations, tooLittle, coverage } = runSeed(seed, {}, 'recovery')
    expect(violations).toEqual([])
    expect(tooLittle).toBeNull()
    expect(coverage).toMatchObject({ recovered: 1 })
  },
  120_000,
)
