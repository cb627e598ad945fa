// Whole moves between two groups, seed by seed: every one must end, with everything that was written, once, in one place.
import { describe, expect, it } from 'vitest'
import { asSlotId } from '../base/brand.ts'
import { allSlots, MigrationWorld, ROUGH, type WorldOptions } from './migration-world.testkit.ts'

const FAULTY_MS = 1_500
/** From the last fault on. */
const MOST_STEPS_TO_END = 6_000

/** Runs under faults for a while, then without; what is told must come to its end soon. */
function runToEnd(world: MigrationWorld, isOver: () => boolean): void {
  world.run(60_000, () => isOver() || world.events.nowMs > FAULTY_MS)
  world.calm()
  world.run(MOST_STEPS_TO_END, isOver)
}

function eachSeed(
  first: number,
  count: number,
  options: Partial<WorldOptions>,
  run: (world: MigrationWorld, seed: number) => void,
) {
  for (let seed = first; seed < first + count; seed++) {
    try {
      run(new MigrationWorld(seed, options), seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
  }
}

describe('a move when nothing fails', () => {
  it('proposes each decision once, and nothing in vain', () => {
    eachSeed(1, 10, {}, (world) => {
      world.begin(1, allSlots())
      world.run(5_000, () => world.isOver(1))
      for (const kind of ['disable', 'forget'] as const) expect(world.outcomes(world.source, kind)).toEqual(['done'])
      expect(world.outcomes(world.destination, 'enable')).toEqual(['done'])
      expect(new Set(world.outcomes(world.destination, 'stage'))).toEqual(new Set(['done']))
      // Six messages and entries of at most 3 ms each.
      expect(world.pauseMs()).toBeLessThan(18)
      world.finish()
    })
  })

  it('takes thousands of keys along while they are written to, with a short hand-over', () => {
    const settings = { maxStageBytes: 64 * 1024, bytesPerSecond: 0 }
    const world = new MigrationWorld(3, {
      settings,
      preload: 3000,
      keys: 3000,
      valueBytes: 300,
      clients: 8,
      thinkMs: 1,
    })
    world.begin(1, allSlots())
    world.run(20_000, () => world.isOver(1))
    expect(world.handoverBytes()).toBeLessThan(300 * 1024)
    world.finish()
  })

  it('keeps to a limit of bytes per second until the hand-over', () => {
    const settings = { maxStageBytes: 16 * 1024, bytesPerSecond: 200_000 }
    const world = new MigrationWorld(4, { settings, preload: 600, keys: 600, valueBytes: 500, clients: 1, thinkMs: 50 })
    world.begin(1, allSlots())
    world.run(20_000, () => world.isOver(1))
    // 300 KB at 200 KB a second, but for the last 256 KiB at most, which wait for nothing.
    const disabledAtMs = world.source.steps.find(({ command }) => command.kind === 'disable')?.atMs ?? 0
    expect(disabledAtMs).toBeGreaterThan(1_200)
    expect(disabledAtMs).toBeLessThan(2_500)
    world.finish()
  })

  it('ends although writers are faster than the destination: they are throttled after 10 s', () => {
    const settings = { maxStageBytes: 16 * 1024, bytesPerSecond: 50_000 }
    const world = new MigrationWorld(5, {
      settings,
      preload: 100,
      keys: 1000,
      valueBytes: 3000,
      clients: 4,
      thinkMs: 30,
    })
    world.begin(1, allSlots())
    let throttled = false
    world.beforeStep = () => {
      const { leader } = world.source
      throttled ||= leader?.migration.admittedBytesPerSecond(asSlotId(0), world.events.nowMs) != null
    }
    world.run(400_000, () => world.isOver(1))
    expect(throttled).toBe(true)
    expect(world.events.nowMs).toBeGreaterThan(10_000)
    expect(world.events.nowMs).toBeLessThan(120_000)
    expect(world.handoverBytes()).toBeLessThan(300 * 1024)
    world.finish()
  })
})

describe('a move when everything fails for a while', () => {
  it('ends soon after, whatever was lost', () => {
    const seen = { ended: 0, held: 0 }
    eachSeed(1, 50, { faults: ROUGH, flushes: true }, (world) => {
      world.begin(1, allSlots())
      runToEnd(world, () => world.isOver(1))
      if (world.events.nowMs < FAULTY_MS) seen.ended++
      seen.held += world.source.repliesHeld
      world.finish()
    })
    expect(seen.ended).toBeGreaterThan(10)
    expect(seen.held).toBeGreaterThan(50)
  })

  it('with large values', () => {
    const settings = { maxStageBytes: 2000, bytesPerSecond: 0 }
    eachSeed(100, 6, { faults: ROUGH, settings, largeValueBytes: 30_000 }, (world) => {
      world.begin(1, allSlots())
      runToEnd(world, () => world.isOver(1))
      world.finish()
    })
  })

  it('with thousands of keys', () => {
    const settings = { maxStageBytes: 16_000, bytesPerSecond: 0 }
    eachSeed(200, 2, { faults: ROUGH, settings, preload: 2000, keys: 2000 }, (world) => {
      world.begin(1, allSlots())
      runToEnd(world, () => world.isOver(1))
      world.finish()
    })
  })

  it('two moves at once, of other slots', () => {
    eachSeed(300, 15, { faults: ROUGH, flushes: true }, (world) => {
      world.begin(1, [0, 1, 2, 3, 8, 9])
      world.begin(2, [4, 5, 6, 7])
      runToEnd(world, () => world.isOver(1) && world.isOver(2))
      for (const slot of [0, 4, 9]) expect(world.destination.authority.machine.slots.owns(asSlotId(slot))).toBe(true)
      expect(world.source.authority.machine.slots.owns(asSlotId(10))).toBe(true)
      world.finish()
    })
  })

  it.each(['cancel', 'refuse'] as const)(
    'called off at any moment (%s): it is done, or as if it had never been',
    (how) => {
      const ends = { done: 0, calledOff: 0 }
      eachSeed(400, 25, { faults: { ...ROUGH, crashEveryMs: 300 }, flushes: true }, (world, seed) => {
        world.begin(1, allSlots())
        world.events.after((seed % 25) * 12, () => world.callOff(1, how))
        runToEnd(world, () => world.isOver(1))
        const isDone = world.destination.authority.machine.slots.owns(asSlotId(0))
        ends[isDone ? 'done' : 'calledOff']++
        expect(world.source.authority.machine.slots.owns(asSlotId(0))).toBe(!isDone)
        world.finish()
      })
      expect(ends.calledOff).toBeGreaterThan(3)
    },
  )
})
