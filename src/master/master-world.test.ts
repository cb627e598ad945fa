import { expect, test } from 'vitest'
import { asGroupId } from '../base/brand.ts'
import { MasterWorld } from './master-world.testkit.ts'
import { randomRun } from './random-world.testkit.ts'

const SEEDS = Number(process.env.QUORATE_MASTER_SEEDS ?? 60)
const FIRST = Number(process.env.QUORATE_MASTER_FIRST_SEED ?? 1)

test('whatever happens to masters, sessions and answers, everything comes right', () => {
  const sums = { reconfigs: 0, done: 0, cancelled: 0, failed: 0, kills: 0 }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    try {
      const run = randomRun(seed)
      for (const name of ['reconfigs', 'done', 'cancelled', 'failed', 'kills'] as const) sums[name] += run[name]
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
  // The mixture meets what it is for.
  expect(sums.done).toBeGreaterThan(SEEDS * 4)
  expect(Math.min(sums.cancelled, sums.failed, sums.kills)).toBeGreaterThan(SEEDS / 2)
  if (process.env.QUORATE_MASTER_SEEDS !== undefined) console.log(sums)
})

test('a master whose place is removed under it, while its session lives, changes nothing, and stands again', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS / 3; seed++) {
    try {
      randomRun(seed, {}, 0.1)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
})

/** A new group, another weight, a drain, a move and its cancellation. Returns how many acts of masters it took. */
function script(killAt: number, killAfter: boolean): { acts: number; counts: number[]; kills: boolean } {
  const world = new MasterWorld(77, { weights: [1, 1] })
  world.killAt = killAt
  world.killAfter = killAfter
  world.createGroup(2)
  world.settle()
  world.done('reconfig', { slots: [[0, 2]] }, asGroupId(3))
  world.groups.unreachable.add(asGroupId(2))
  const { reconfigIds } = world.done('reconfig', { slots: [[3, 5]] }, asGroupId(2))
  for (const reconfigId of reconfigIds) world.done('cancel', reconfigId)
  world.groups.unreachable.clear()
  world.done('setWeight', asGroupId(1), 3)
  world.done('drain', asGroupId(2), true)
  world.settle()
  const isKilled = world.lives.length > 0 && world.actCount > killAt
  return { acts: world.actCount, counts: world.counts(), kills: isKilled }
}

test('the active master dies before, and after, each of its writes and commands: everything finishes', () => {
  const { acts, counts } = script(-1, false)
  expect(acts).toBeGreaterThan(30)
  for (const killAfter of [false, true]) {
    for (let killAt = 0; killAt < acts; killAt++) {
      try {
        const run = script(killAt, killAfter)
        // A call whose answer was lost is made twice, and so a group too: but nothing is left in the drained one.
        expect(run.kills).toBe(true)
        expect(run.counts[1]).toBe(0)
        if (run.counts.length === 3) expect(run.counts).toEqual(counts)
      } catch (error) {
        throw new Error(`killed ${killAfter ? 'after' : 'before'} act ${killAt}: ${(error as Error).message}`, {
          cause: error,
        })
      }
    }
  }
})
