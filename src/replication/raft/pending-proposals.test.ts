// Who hears what, and how often: gathered, appended, applied, lost; and how far the outcomes reach without a gap.
import { describe, expect, it } from 'vitest'
import { present } from '../../base/assert.ts'
import { asLogIndex, asTerm } from '../../base/brand.ts'
import { latin1Bytes, latin1Text } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_UNKNOWN } from '../../protocol/request-message.ts'
import { PendingProposals } from './pending-proposals.ts'

const all = (): boolean => true

class Callers {
  readonly pending: PendingProposals
  /** By caller, in the order of the calls: outcome and reply, as often as they came. */
  readonly heard: string[][] = []
  readonly order: number[] = []

  constructor(maxPending = 100) {
    this.pending = new PendingProposals(maxPending)
  }

  gather(bytes = 10): boolean {
    const caller = this.heard.length
    const kept = this.pending.gather(new Uint8Array(bytes), {
      settle: (outcome, reply) => {
        this.heard[caller].push(`${outcome}${latin1Text(reply)}`)
        this.order.push(caller)
      },
    })
    if (kept) this.heard.push([])
    return kept
  }

  /** Its ordinal. */
  park(): number | null {
    const caller = this.heard.length
    const ordinal = this.pending.park(new Uint8Array(10), {
      settle: (outcome, reply) => {
        this.heard[caller].push(`${outcome}${latin1Text(reply)}`)
        this.order.push(caller)
      },
    })
    if (ordinal !== null) this.heard.push([])
    return ordinal
  }
}

describe('PendingProposals', () => {
  it('answers each proposer of an entry of its own, and calls an overwritten one unknown', () => {
    const world = new Callers()
    for (let i = 0; i < 3; i++) world.gather()
    world.pending.appendedAt(asLogIndex(5), asTerm(2), 3)
    world.pending.applied(asLogIndex(4), asTerm(1), latin1Bytes('nobody'))
    world.pending.applied(asLogIndex(5), asTerm(2), latin1Bytes('a'))
    world.pending.applied(asLogIndex(6), asTerm(3), latin1Bytes('of another leader'))
    // 7 was never applied here one by one: an image came.
    world.pending.applied(asLogIndex(9), asTerm(3), latin1Bytes('later'))
    expect(world.heard).toEqual([[`${OUTCOME_REPLY}a`], [`${OUTCOME_UNKNOWN}`], [`${OUTCOME_UNKNOWN}`]])
    expect(world.pending.outstanding).toBe(0)
  })

  it('tells certain refusals from unknown outcomes when leadership goes, oldest first', () => {
    const world = new Callers()
    for (let i = 0; i < 4; i++) world.gather()
    world.pending.appendedAt(asLogIndex(1), asTerm(1), 2)
    world.pending.leadershipLost()
    expect(world.heard.map(([outcome]) => Number(outcome))).toEqual([
      OUTCOME_UNKNOWN,
      OUTCOME_UNKNOWN,
      OUTCOME_REFUSED,
      OUTCOME_REFUSED,
    ])
    expect(world.order).toEqual([0, 1, 2, 3])
    expect(world.pending.outstanding).toBe(0)
  })

  it('hands out a prefix within count, bytes and what is admitted, but at least one', () => {
    const world = new Callers()
    for (const bytes of [10, 10, 100, 10]) world.gather(bytes)
    const lengths = (maxCount: number, maxBytes: number, most = 1_000): number[] =>
      world.pending.peek(maxCount, maxBytes, (payload) => payload.length <= most).map(({ length }) => length)
    expect(lengths(10, 1_000)).toEqual([10, 10, 100, 10])
    expect(lengths(2, 1_000)).toEqual([10, 10])
    expect(lengths(10, 25)).toEqual([10, 10])
    expect(lengths(10, 1)).toEqual([10])
    expect(lengths(10, 1_000, 50)).toEqual([10, 10])
    expect(lengths(10, 1_000, 5)).toEqual([])
    expect(lengths(0, 1_000)).toEqual([])
    expect(world.pending.gathered).toBe(4)
  })

  it('does not count an early answer to a late proposal as the outcome of an older one', () => {
    const world = new Callers()
    world.gather()
    world.pending.appendedAt(asLogIndex(1), asTerm(1), 1)
    world.gather()
    world.pending.answerOldestGathered(latin1Bytes('-DISKFULL'))
    expect(world.order).toEqual([1])
    expect(world.pending.settledThrough).toBe(0)
    world.pending.applied(asLogIndex(1), asTerm(1), latin1Bytes('+OK'))
    expect(world.pending.settledThrough).toBe(2)
  })

  it('refuses beyond its bound', () => {
    const world = new Callers(3)
    expect([1, 2, 3, 4].map(() => world.gather())).toEqual([true, true, true, false])
    world.pending.appendedAt(asLogIndex(1), asTerm(1), 3)
    expect(world.pending.appendRoom).toBe(0)
    expect(world.gather()).toBe(true)
  })

  it('parks within the bound, lets go in any order, and counts a parked one as unsettled until its outcome', () => {
    const world = new Callers(3)
    const [first, second] = [world.park(), world.park()]
    world.gather()
    expect(world.park()).toBe(null)
    expect(world.gather()).toBe(false)
    world.pending.appendedAt(asLogIndex(1), asTerm(1), 1)
    world.pending.applied(asLogIndex(1), asTerm(1), latin1Bytes('+OK'))
    expect([world.order, world.pending.settledThrough]).toEqual([[2], 0])
    for (const ordinal of [second, first]) world.pending.unpark(present(ordinal, 'parked'))
    world.pending.appendedAt(asLogIndex(2), asTerm(1), 2)
    world.pending.applied(asLogIndex(2), asTerm(1), latin1Bytes('+OK'))
    expect([world.order, world.pending.settledThrough]).toEqual([[2, 1], 0])
    world.pending.applied(asLogIndex(3), asTerm(1), latin1Bytes('+OK'))
    expect([world.order, world.pending.settledThrough]).toEqual([[2, 1, 0], 3])
  })

  it('holds a reply until it is released, also by the end of leadership: it was applied', () => {
    const world = new Callers()
    for (let i = 0; i < 4; i++) world.gather()
    world.pending.appendedAt(asLogIndex(1), asTerm(1), 3)
    world.park()
    expect(world.pending.awaits(asLogIndex(1), asTerm(2))).toBe(false)
    expect(world.pending.awaits(asLogIndex(1), asTerm(1))).toBe(true)
    for (const index of [1, 2]) world.pending.hold(asLogIndex(index), latin1Bytes(`${index}`))
    expect(world.pending.settledThrough).toBe(0)
    world.pending.release(asLogIndex(1))
    world.pending.release(asLogIndex(1))
    expect(world.pending.settledThrough).toBe(1)
    world.pending.leadershipLost()
    const refused = `${OUTCOME_REFUSED}`
    expect(world.heard.map(([only]) => only)).toEqual(['11', '12', `${OUTCOME_UNKNOWN}`, refused, refused])
    expect(world.pending.settledThrough).toBe(5)
  })

  it('gives everyone exactly one outcome, and settledThrough is the gapless prefix, in any order of events', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Prng(seed)
      const world = new Callers(50)
      let last = 0
      let applied = 0
      let term = 1
      const parked: number[] = []
      const held: number[] = []
      for (let step = 0; step < 200; step++) {
        const dice = random.below(16)
        if (dice === 12) {
          const ordinal = world.park()
          if (ordinal !== null) parked.push(ordinal)
        } else if (dice === 13 && parked.length > 0) {
          world.pending.unpark(parked.splice(random.below(parked.length), 1)[0])
        } else if (dice === 14 && applied < last) {
          applied++
          const index = asLogIndex(applied)
          if (world.pending.awaits(index, asTerm(term))) world.pending.hold(index, latin1Bytes(''))
          else world.pending.applied(index, asTerm(term), latin1Bytes(''))
          held.push(applied)
        } else if (dice === 15 && held.length > 0) {
          world.pending.release(asLogIndex(held.splice(random.below(held.length), 1)[0]))
        } else if (dice < 5) world.gather()
        else if (dice < 8) {
          const count = Math.min(world.pending.peek(random.below(5), 1_000, all).length, world.pending.appendRoom)
          world.pending.appendedAt(asLogIndex(last + 1), asTerm(term), count)
          last += count
        } else if (dice < 10 && applied < last)
          world.pending.applied(asLogIndex(++applied), asTerm(term), latin1Bytes(''))
        else if (dice === 10) world.pending.answerOldestGathered(latin1Bytes(''))
        else if (dice === 11 && random.chance(0.2)) {
          world.pending.leadershipLost()
          term++
        }
        const waiting = world.heard.findIndex((outcomes) => outcomes.length === 0)
        expect(world.pending.settledThrough, `seed ${seed}`).toBe(waiting < 0 ? world.heard.length : waiting)
      }
      world.pending.leadershipLost()
      expect(world.heard.every((outcomes) => outcomes.length === 1)).toBe(true)
    }
  })
})
