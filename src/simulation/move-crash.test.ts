// A fault at a step of a move: a share of all pairs of step and victim; `npm run simulate -- --kind crash --seeds N` has every one.
import { expect, it } from 'vitest'
import { VICTIMS } from './aimed-faults.ts'
import { MOVE_CRASHES } from './move-crash-run.ts'
import { runSeed } from './run-seed.ts'

/** Each step, and each victim, at least once. */
const SHARE = 12

function shareOf(): number[] {
  const perStep = VICTIMS.length
  const steps = MOVE_CRASHES.length / perStep
  return Array.from({ length: SHARE }, (_, i) => (i % steps) * perStep + (i % perStep))
}

it('has every step and every victim in its share', () => {
  const share = shareOf().map((at) => MOVE_CRASHES[at])
  expect(new Set(shareOf()).size).toBe(SHARE)
  expect(new Set(share.map(({ victim }) => victim)).size).toBe(VICTIMS.length)
  const steps = (crashes: typeof MOVE_CRASHES): Set<string> => {
    return new Set(crashes.map(({ step, cancelled }) => `${step} ${cancelled}`))
  }
  expect(steps(share)).toEqual(steps(MOVE_CRASHES))
})

it('a move survives a fault at each of its steps', () => {
  let struck = 0
  for (const seed of shareOf()) {
    const { violations, tooLittle, faults } = runSeed(seed, {}, 'crash')
    expect(violations, `--kind crash --seed ${seed}`).toEqual([])
    expect(tooLittle, `--kind crash --seed ${seed}`).toBeNull()
    if (Object.keys(faults).some((name) => name.startsWith('aimed '))) struck++
  }
  // A step of a move that is called off does not come where the source was faster.
  expect(struck).toBeGreaterThanOrEqual(SHARE * 0.7)
}, 240_000)
