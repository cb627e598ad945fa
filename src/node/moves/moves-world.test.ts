// Moves between groups of real replicas under load: calm, called off, and with crashes and changes of leader on both sides.
import { describe, expect, it } from 'vitest'
import { present } from '../../base/assert.ts'
import type { GroupId } from '../../base/brand.ts'
import { HOLD_MS } from '../../migration/reply-hold.ts'
import { CALM, DESTINATION, MovesWorld, ROUGH, SOURCE, type WorldOptions } from './moves-world.testkit.ts'
import { PARKED_MS_MAX } from './throttled-writes.ts'

function loaded(seed: number, options: Partial<WorldOptions> = {}): MovesWorld {
  const world = new MovesWorld(seed, options)
  world.clients.start()
  world.runFor(50)
  return world
}

function seeds(first: number, last: number, run: (seed: number) => void): void {
  for (let seed = first; seed <= last; seed++) {
    try {
      run(seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
  }
}

describe('a move between two groups', () => {
  it('takes the slots along under load, there and back, and holds replies at its end', () => {
    const world = loaded(1, { keys: 200, thinkMs: 2, clients: 8 })
    world.begin(1, 0, 15)
    world.run(() => world.isClean, 'the move is over')
    expect(world.findings).toEqual(['done', 'clean'])
    expect(world.gates.gated.size).toBe(0)
    world.begin(2, 0, 15, 1, DESTINATION)
    world.run(() => world.isClean, 'the move back is over')
    world.finish()
    expect(world.gates.held).toBeGreaterThan(0)
    expect(world.clients.reads).toBeGreaterThan(100)
    expect(Math.max(...world.clients.longestMs)).toBeLessThan(100)
  })

  it('costs nothing while there is none', () => {
    const world = loaded(1)
    world.runFor(500)
    expect(world.clients.writes).toBeGreaterThan(100)
    expect(world.timers).toBe(0)
    world.begin(1, 0, 15)
    world.run(() => world.isClean, 'the move is over')
    // What was due once may be looked at once more.
    world.runFor(2_000)
    const { timers } = world
    expect(timers).toBeGreaterThan(0)
    world.runFor(2_000)
    expect(world.timers).toBe(timers)
    world.finish()
  })

  it('ends where writers are faster than it, because they are held back, and other slots are not', () => {
    const settings = { maxStageBytes: 8_000, bytesPerSecond: 100_000 }
    const world = loaded(1, { keys: 400, clients: 6, thinkMs: 12, valueBytes: 3_000, settings })
    world.begin(1, 0, 11)
    world.run(() => world.isClean, 'the move is over', 120_000)
    world.finish()
    expect(world.gates.parked).toBeGreaterThan(50)
    expect(Math.max(...world.clients.longestMs.slice(0, 12))).toBeLessThan(PARKED_MS_MAX + 100)
    expect(Math.max(...world.clients.longestMs.slice(12))).toBeLessThan(100)
  })

  it('goes faster as soon as it may', () => {
    const world = loaded(1, { keys: 300, settings: { maxStageBytes: 600, bytesPerSecond: 1 } })
    world.begin(1, 0, 11)
    world.runFor(2_000)
    expect(world.isClean).toBe(false)
    for (const { moves } of world.nodes) moves?.setBandwidth(0)
    world.run(() => world.isClean, 'the move is over', 5_000)
    world.finish()
  })
})

describe('a move that is called off', () => {
  it('by its master', () => {
    const world = loaded(2, { keys: 200, settings: { maxStageBytes: 600, bytesPerSecond: 2_000 } })
    world.begin(1, 0, 11)
    world.runFor(300)
    world.callOff()
    world.run(() => world.isClean, 'the move is over')
    expect(world.reconfig?.status).toBe('cancelled')
    world.finish()
  })

  it('by an operator, or a full disk, at the destination', () => {
    for (const why of ['refused', 'full']) {
      const world = loaded(3, { keys: 200, settings: { maxStageBytes: 600, bytesPerSecond: 2_000 } })
      world.begin(1, 0, 11)
      world.runFor(300)
      const { node } = present(world.leaderOf(DESTINATION), 'a leader')
      if (why === 'full') node.acceptsGrowth = false
      else expect(node.moves?.refuse(DESTINATION, 1)).toBe(true)
      world.run(() => world.isClean, 'the move is over')
      node.acceptsGrowth = true
      expect(world.reconfig?.status, why).toBe('failed')
      world.finish()
    }
  })
})

describe('with faults', () => {
  const small = { clients: 2, keys: 12, thinkMs: 10 }
  const FAULTS: readonly [string, (world: MovesWorld, group: GroupId) => void][] = [
    ['crash', (world, group) => world.crash(present(world.leaderOf(group), 'a leader').node, 30)],
    ['transfer', (world, group) => world.transfer(group)],
  ]

  it.each(FAULTS)('%s of either leader at any step: the move ends, and nothing is lost', (_what, fault) => {
    const calm = loaded(7, small)
    calm.begin(1, 0, 15)
    calm.run(() => calm.isClean, 'the move is over')
    for (let at = 3; at < calm.steps; at += 23) {
      for (const group of [SOURCE, DESTINATION]) {
        const world = loaded(7, small)
        world.beforeStep = (step) => {
          if (step === at) fault(world, group)
        }
        world.begin(1, 0, 15)
        world.run(() => world.isClean, `the move is over, with a fault before step ${at} in group ${group}`)
        world.finish()
      }
    }
  })

  it('holds no reply for long where the destination falls silent at the end', () => {
    // A seed in which a write comes while replies are held: the hand-over may follow at once.
    const world = loaded(2, { keys: 200, thinkMs: 2, clients: 8 })
    // Its leader is elsewhere: the source has its majority all the same.
    if (world.leaderOf(SOURCE)?.node === world.leaderOf(DESTINATION)?.node) {
      world.transfer(DESTINATION)
      world.runFor(500)
    }
    let silencedAtMs = 0
    world.beforeStep = () => {
      if (silencedAtMs > 0 || world.gates.held === 0) return
      silencedAtMs = world.scheduler.nowMs
      world.crash(present(world.leaderOf(DESTINATION), 'a leader').node, 300)
    }
    world.begin(1, 0, 11)
    world.run(() => world.isClean, 'the move is over')
    expect(silencedAtMs).toBeGreaterThan(0)
    expect(world.scheduler.nowMs - silencedAtMs).toBeGreaterThan(150)
    world.finish()
    // Those of the slots that stay show what a write takes beside being held.
    expect(Math.max(...world.clients.longestMs.slice(12))).toBeLessThan(60)
    expect(Math.max(...world.clients.longestMs.slice(0, 12))).toBeLessThan(HOLD_MS + 60)
  })

  it('of all kinds, again and again', () => {
    seeds(1, 8, (seed) => {
      const settings = { maxStageBytes: 300, bytesPerSecond: seed % 3 === 0 ? 400_000 : 0 }
      const world = loaded(seed, { faults: ROUGH, keys: 200, clients: 6, thinkMs: 4, settings })
      nemesis(world, seed % 2 === 0 ? 200 : 700)
      world.begin(1, 0, 11)
      if (seed % 4 === 0) {
        world.scheduler.after(200, 'call off', () => {
          if (world.reconfig?.status === 'begun') world.callOff()
        })
      }
      world.run(() => world.isClean, 'the move is over', 120_000)
      if (world.reconfig?.status === 'done') world.begin(2, 0, 11, 1, DESTINATION)
      world.run(() => world.isClean, 'the move back is over', 120_000)
      world.finish()
    })
  })
})

/** Leaders change, and one node at a time is down, until the wires are calm. */
function nemesis(world: MovesWorld, everyMs: number): void {
  const { random } = world.scheduler
  world.scheduler.after(30 + random.unit() * everyMs, 'nemesis', () => {
    if (world.faults === CALM) return
    const group = random.chance(0.5) ? SOURCE : DESTINATION
    const victim = random.chance(0.3) ? world.nodes[random.below(3)] : world.leaderOf(group)?.node
    if (random.chance(0.5)) world.transfer(group)
    else if (victim !== undefined && world.nodes.every(({ isUp }) => isUp))
      world.crash(victim, 50 + random.unit() * 300)
    nemesis(world, everyMs)
  })
}
