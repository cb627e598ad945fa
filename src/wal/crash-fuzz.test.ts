/** Random writes, random crashes: the oracle of wal.testkit.ts after each. */
import { describe, expect, it } from 'vitest'
import { WalWorld } from './wal.testkit.ts'

/** Some life of a log: opens (perhaps crashing meanwhile), writes, ends somehow. Throws where the oracle is not met. */
function live(world: WalWorld, rounds: number, groups: number, faults: boolean): void {
  const { random, scheduler } = world
  for (let round = 0; round < rounds; round++) {
    if (random.chance(0.3)) {
      // A crash while it opens: recovery, the rewritten tail, the fresh segment.
      world.startOpen(() => {})
      const events = random.below(60)
      for (let i = 0; i < events; i++) scheduler.step()
      world.end(random.pick(['crash', 'kill']))
    }
    world.reopen()
    if (faults && random.chance(0.5)) {
      const operation = random.pick(['write', 'sync', 'rename', 'syncDirectory', 'create', 'open', 'remove'] as const)
      world.disk.failOnce(operation, random.pick(['io', 'no-space']), 1 + random.below(20))
    }
    const bursts = random.below(40)
    for (let burst = 0; burst < bursts && world.fatal === null; burst++) {
      const writes = random.below(8)
      for (let i = 0; i < writes && world.log?.hasRoom; i++)
        world.appendRandom(groups, random.chance(0.05) ? 9000 : 300)
      if (random.chance(0.8)) world.flush()
      world.run(random.pick([0.05, 0.3, 1, 20, 250]))
    }
    world.disk.clearFaults()
    if (world.fatal === null && random.chance(0.2)) world.close()
    else world.end(random.pick(['crash', 'kill']))
  }
  world.reopen()
}

describe('the log under crashes', () => {
  it('gives back exactly what flush confirmed, or a little more', () => {
    let flushes = 0
    for (let seed = 1; seed <= 30; seed++) {
      const world = new WalWorld(seed)
      try {
        live(world, 12, 3, false)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
      flushes += world.flushes
    }
    expect(flushes).toBeGreaterThan(2_500)
  })

  it('does so with failing writes, syncs, renames and full disks', () => {
    let faults = 0
    for (let seed = 1000; seed < 1030; seed++) {
      const world = new WalWorld(seed)
      try {
        live(world, 12, 3, true)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
      faults += world.disk.counts.faults
    }
    expect(faults).toBeGreaterThan(50)
  })

  it('runs the same way twice', () => {
    const hashes = [1, 2].map(() => {
      const world = new WalWorld(7)
      live(world, 4, 3, true)
      return world.scheduler.traceHash
    })
    expect(hashes[0]).toBe(hashes[1])
  })
})
