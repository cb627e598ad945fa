// One small move, and then the same once more for each of its steps, with a leader killed right before it: not sampled, every one.
import { expect, it } from 'vitest'
import { allSlots, MigrationWorld, type WorldOptions } from './migration-world.testkit.ts'

const MANY_SLOTS = { thinkMs: 15, settings: { maxStageBytes: 300, bytesPerSecond: 0 } }
/** Walked part by part: a new leader of the source, which has applied less, must not go on with the walk of the one before it. */
const ONE_SLOT = { ...MANY_SLOTS, oneSlot: true, preload: 60, keys: 60, clients: 2, thinkMs: 3 }
const MOST_STEPS_TO_END = 2_500

function world(options: Partial<WorldOptions>): MigrationWorld {
  const made = new MigrationWorld(7, options)
  made.begin(1, allSlots(), options.oneSlot === true ? 60 : 0)
  return made
}

function steps(options: Partial<WorldOptions>): number {
  const calm = world(options)
  calm.run(5_000, () => calm.isOver(1))
  return calm.events.steps
}

it.each([
  ['the source', MANY_SLOTS, [true, false]],
  ['the destination', MANY_SLOTS, [false, true]],
  ['both', MANY_SLOTS, [true, true]],
  ['the source of one large slot', ONE_SLOT, [true, false]],
] as const)('the move ends, whenever the leader of %s is killed', (_name, options, [atSource, atDestination]) => {
  const count = steps(options)
  expect(count).toBeGreaterThan(100)
  for (let at = 1; at <= count; at++) {
    const killed = world(options)
    killed.beforeStep = (step) => {
      if (step !== at) return
      if (atSource) killed.source.crash(5)
      if (atDestination) killed.destination.crash(5)
    }
    try {
      killed.run(MOST_STEPS_TO_END, () => killed.isOver(1))
      killed.finish()
    } catch (error) {
      throw new Error(`killed before step ${at}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
  }
})
