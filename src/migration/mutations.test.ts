// Known bugs, put back in one at a time: the checks of the world must catch each.
import { expect, it } from 'vitest'
import type { MigrationMutations } from './migration-driver.ts'
import { allSlots, MigrationWorld, ROUGH, type WorldOptions } from './migration-world.testkit.ts'

const SEEDS = 20

/** What is wrong with a move of this seed; null: nothing. */
function failureOf(seed: number, options: Partial<WorldOptions>, mutations: MigrationMutations): string | null {
  const settings = { ...(options.settings ?? { maxStageBytes: 400, bytesPerSecond: 0 }), mutations }
  try {
    const world = new MigrationWorld(seed, { ...options, settings })
    world.begin(1, allSlots())
    world.run(60_000, () => world.isOver(1) || world.events.nowMs > 1_500)
    world.calm()
    world.run(6_000, () => world.isOver(1))
    world.finish()
    const early = world.outcomes(world.destination, 'enable').filter((outcome) => outcome === 'too-early')
    if (options.faults === undefined && early.length > 0) return 'an ENABLE came too early, and nothing had failed'
    if (world.handoverBytes() > 300 * 1024) return `${world.handoverBytes()} bytes were staged while nobody served`
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function found(options: Partial<WorldOptions>, mutations: MigrationMutations): string | null {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const failure = failureOf(seed, options, mutations)
    if (failure !== null) return failure
  }
  return null
}

/** More than may be left at the hand-over. */
const MUCH = { preload: 1000, keys: 1000, valueBytes: 500, settings: { maxStageBytes: 64 * 1024, bytesPerSecond: 0 } }

it('an ENABLE before the last STAGE', () => {
  expect(found({}, { enableBeforeLastStage: true })).toContain('came too early')
})

it('a FORGET without CheckCommit', () => {
  expect(found({ faults: ROUGH }, { forgetWithoutAsking: true })).toMatch(/is forgotten, and nobody has it/)
})

it('a DROP without asking the source', () => {
  expect(found({ faults: ROUGH }, { dropWithoutAsking: true })).not.toBe(null)
})

it('a DISABLE while there is much to copy', () => {
  expect(found(MUCH, { disableWhileCopying: true })).toContain('while nobody served')
  expect(failureOf(1, MUCH, {})).toBe(null)
})

it('predictions that are kept after a STAGE was not done', () => {
  expect(found({ faults: ROUGH }, { predictionsKeptAfterRefusal: true })).toContain('not done after')
})
