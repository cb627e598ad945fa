import { expect, test } from 'vitest'
import { asGroupId } from '../base/brand.ts'
import { MasterWorld } from './master-world.testkit.ts'
import type { MasterMutations } from './mutations.ts'
import { randomRun } from './random-world.testkit.ts'

const SEEDS = 60

/** What the first run that fails says. */
function found(mutations: MasterMutations, removal = 0): string | null {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      randomRun(seed, { mutations }, removal)
    } catch (error) {
      return (error as Error).message
    }
  }
  return null
}

test('BEGIN before the predecessor’s outcome is found', () => {
  expect(found({ beginBeforePredecessor: true })).not.toBeNull()
})

test('publishing before the destination has enabled is found', () => {
  expect(found({ publishBeforeEnable: true })).not.toBeNull()
})

test('writes without the check of the election node are found', () => {
  expect(found({ writesUnchecked: true }, 0.05)).toMatch(/wrote, but/)
})

test('a master that leads on while its session is suspended is found', () => {
  expect(found({ leadsWhileSuspended: true })).toMatch(/are active/)
})

test('an outcome from the master’s own memory is found', () => {
  expect(found({ outcomeFromMemory: true })).not.toBeNull()
})

test('the chain by itself shows a BEGIN that is sent too early', () => {
  const chain = (mutations: MasterMutations): string[] => {
    const world = new MasterWorld(1, { weights: [1, 1, 1], mutations })
    world.groups.unreachable.add(asGroupId(2))
    world.done('reconfig', { slots: [[0, 0]] }, asGroupId(2))
    world.groups.unreachable.clear()
    world.done('reconfig', { slots: [[0, 0]] }, asGroupId(3))
    world.clock.run(3_000)
    return world.reconfigs().map(({ status }) => status)
  }
  expect(chain({})).toEqual(['done', 'done'])
  expect(chain({ beginBeforePredecessor: true })).toEqual(['done', 'failed'])
})
