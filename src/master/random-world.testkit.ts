/** Random calls and faults over a world of masters and groups, then calm, then everything must have come right. One seed decides all of it. */
import { asGroupId, asNodeId, type GroupId } from '../base/brand.ts'
import type { LostFate } from '../metadata/tree/local-metadata.testkit.ts'
import { MasterWorld, type WorldOptions } from './master-world.testkit.ts'
import { CALM_GROUPS, ROUGH_GROUPS } from './simulated-groups.testkit.ts'

export interface RandomRun {
  readonly calls: number
  readonly reconfigs: number
  readonly done: number
  readonly cancelled: number
  readonly failed: number
  readonly kills: number
}

const CALLS = 40
const MAX_GROUPS = 6
const FATES: readonly LostFate[] = ['done', 'dropped', 'late']

/** Throws where an invariant breaks, or where it does not come right. */
export function randomRun(seed: number, options: Partial<WorldOptions> = {}, removal = 0): RandomRun {
  const world = new MasterWorld(seed, { weights: [1, 2, 1], ...options })
  const { random, clock, groups } = world
  world.removal = removal
  let kills = 0
  if (random.chance(0.8)) Object.assign(groups.faults, ROUGH_GROUPS)
  if (random.chance(0.3)) groups.faults.refuse = 0.1
  let isCalm = false
  const hurt = (): void => {
    if (isCalm) return
    kills += hurtMaster(world)
    clock.after(random.between(20, 600), hurt)
  }
  clock.after(300, hurt)
  for (let i = 0; i < CALLS; i++) {
    randomCall(world)
    clock.run(random.between(0, 150))
    // Looks whether two are active.
    void world.active
    world.addMissingGroups()
    if (random.chance(0.1)) swap(groups.unreachable, random.pick([...groups.groups.keys()]))
  }
  isCalm = true
  world.removal = 0
  Object.assign(groups.faults, CALM_GROUPS)
  groups.faults.refuse = 0
  groups.unreachable.clear()
  // What was late comes, and what was suspended is back.
  clock.run(5_000)
  for (const { store } of world.lives) {
    store?.deliverLate()
    store?.loseAnswers(0, 'done')
  }
  world.settle()
  const all = world.reconfigs()
  const count = (wanted: string): number => all.filter(({ status }) => status === wanted).length
  const byStatus = { done: count('done'), cancelled: count('cancelled'), failed: count('failed') }
  return { calls: CALLS, reconfigs: all.length, ...byStatus, kills }
}

function hurtMaster(world: MasterWorld): number {
  const { random, clock, metadata } = world
  // Mostly the one that matters.
  const life = random.chance(0.7) ? world.active : random.pick(world.lives)
  const store = life?.store ?? null
  if (life === null || store === null || life.isDead || store.state !== 'connected') return 0
  const isOpen = (): boolean => metadata.machine.hasSession(store.session)
  switch (random.below(5)) {
    case 0:
      world.kill(life)
      return 1
    case 1:
    case 2:
      store.suspend(random.pick(FATES))
      if (random.chance(0.5)) {
        clock.after(random.between(10, 400), () => {
          if (isOpen()) metadata.expire(store)
        })
      }
      clock.after(random.between(10, 800), () => {
        if (store.state === 'suspended') store.resume()
      })
      break
    case 3:
      metadata.expire(store)
      break
    default:
      store.loseAnswers(random.between(1, 3), random.pick(FATES))
  }
  clock.after(random.between(10, 2_000), () => store.deliverLate())
  return 0
}

/** Of any master, the wrong one too. Answers are nobody's business: whatever came of it, the end must be right. */
function randomCall(world: MasterWorld): void {
  const { random } = world
  const life = random.chance(0.8) ? (world.active ?? world.lives[0]) : random.pick(world.lives)
  const known = [...world.groups.groups.keys()]
  const group: GroupId = random.pick(known)
  const first = random.below(world.options.slotCount)
  const last = Math.min(world.options.slotCount - 1, first + random.below(4))
  const nothing = (): void => {}
  switch (random.below(12)) {
    case 0:
      if (known.length < MAX_GROUPS) world.ask(life, 'createGroup', [random.below(4), [asNodeId(1)]], nothing)
      break
    case 1:
      world.ask(life, 'setWeight', [group, random.below(4)], nothing)
      break
    case 2:
      world.ask(life, 'drain', [group, random.chance(0.5)], nothing)
      break
    case 3:
      world.ask(life, 'rebalance', [random.chance(0.3)], nothing)
      break
    case 4:
    case 5: {
      const lastId = world.snapshot().migrations.value.last
      world.ask(life, 'cancel', [Math.max(1, lastId - random.below(6))], nothing)
      break
    }
    default:
      world.ask(life, 'reconfig', [{ slots: [[first, last]] }, random.chance(0.95) ? group : asGroupId(99)], nothing)
  }
}

function swap<T>(set: Set<T>, value: T): void {
  if (!set.delete(value)) set.add(value)
}
