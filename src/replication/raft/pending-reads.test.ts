// Reads through their stations: each ends once, none before its index is applied or before its connection's earlier writes have their outcome.
import { describe, expect, it } from 'vitest'
import { asLogIndex, asSlotId } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY } from '../../protocol/request-message.ts'
import { type PendingRead, PendingReads } from './pending-reads.ts'

class Readers {
  readonly pending: PendingReads
  readonly outcomes: number[][] = []
  readonly served: number[] = []
  readonly afterProposals: number[] = []
  readonly #numbers = new Map<PendingRead['waiter'], number>()

  constructor(maxPending = 100) {
    this.pending = new PendingReads(maxPending)
  }

  gather(afterProposals = 0): boolean {
    const number = this.outcomes.length
    const waiter: PendingRead['waiter'] = { settle: (outcome) => this.outcomes[number].push(outcome) }
    if (!this.pending.gather({ slot: asSlotId(0), slotEpoch: 0, command: EMPTY_BYTES, waiter, afterProposals }))
      return false
    this.outcomes.push([])
    this.afterProposals.push(afterProposals)
    this.#numbers.set(waiter, number)
    return true
  }

  readonly run = (read: PendingRead): boolean => {
    this.served.push(this.numberOf(read))
    read.waiter.settle(OUTCOME_REPLY, EMPTY_BYTES)
    return true
  }

  numberOf(read: PendingRead): number {
    return this.#numbers.get(read.waiter) ?? -1
  }
}

describe('PendingReads', () => {
  it('serves a round once its index is applied, and not before', () => {
    const readers = new Readers()
    readers.gather()
    readers.gather()
    readers.pending.confirming(1)
    readers.gather()
    readers.pending.serve(asLogIndex(100), 0, readers.run)
    expect(readers.served).toEqual([])
    readers.pending.confirmed(1, asLogIndex(7))
    readers.pending.serve(asLogIndex(6), 0, readers.run)
    expect(readers.served).toEqual([])
    readers.pending.serve(asLogIndex(7), 0, readers.run)
    expect(readers.served).toEqual([0, 1])
    expect(readers.pending.gathered).toBe(1)
  })

  it('holds single reads of a round back until the writes before them have their outcome', () => {
    const readers = new Readers()
    readers.gather(0)
    readers.gather(3)
    readers.gather(2)
    readers.pending.confirming(1)
    readers.pending.confirmed(1, asLogIndex(1))
    readers.pending.serve(asLogIndex(5), 1, readers.run)
    readers.pending.serve(asLogIndex(5), 2, readers.run)
    readers.pending.serve(asLogIndex(5), 3, readers.run)
    expect(readers.served).toEqual([0, 2, 1])
    expect(readers.pending.hasConfirmed).toBe(false)
  })

  it('keeps a read that needs a tick until the tick, and refuses it where there is none', () => {
    const readers = new Readers()
    readers.gather()
    readers.gather()
    readers.pending.confirming(1)
    readers.pending.confirmed(1, asLogIndex(1))
    readers.pending.serve(asLogIndex(1), 0, (read) => readers.numberOf(read) === 1 && readers.run(read))
    expect([readers.served, readers.pending.ticking]).toEqual([[1], 1])
    readers.pending.ticked(readers.run)
    expect([readers.served, readers.pending.ticking]).toEqual([[1, 0], 0])
    readers.gather()
    readers.pending.confirming(2)
    readers.pending.confirmed(2, asLogIndex(1))
    readers.pending.serve(asLogIndex(1), 0, () => false)
    readers.pending.refuseTicking()
    expect(readers.outcomes).toEqual([[OUTCOME_REPLY], [OUTCOME_REPLY], [OUTCOME_REFUSED]])
  })

  it('ignores what the core says of rounds that it does not know', () => {
    const readers = new Readers()
    readers.pending.confirmed(9, asLogIndex(1))
    readers.pending.refused(9)
    expect(readers.pending.hasConfirmed).toBe(false)
  })

  it('ends every read exactly once and gets its room back, in any order of events', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Prng(seed)
      const readers = new Readers(20)
      let round = 0
      let confirmed = 0
      let applied = 0
      let settled = 0
      for (let step = 0; step < 200; step++) {
        const dice = random.below(10)
        if (dice < 4) readers.gather(random.below(4) + settled)
        else if (dice === 4 && readers.pending.gathered > 0) readers.pending.confirming(++round)
        else if (dice === 5 && confirmed < round) {
          if (random.chance(0.2)) readers.pending.refused(++confirmed)
          else readers.pending.confirmed(++confirmed, asLogIndex(applied + random.below(3)))
        } else if (dice === 6) applied++
        else if (dice === 7) settled++
        else if (dice === 8 && random.chance(0.1)) readers.pending.leadershipLost()
        else {
          readers.pending.serve(asLogIndex(applied), settled, (read) => {
            expect(readers.afterProposals[readers.numberOf(read)]).toBeLessThanOrEqual(settled)
            return random.chance(0.9) && readers.run(read)
          })
          if (random.chance(0.5)) readers.pending.ticked(readers.run)
        }
      }
      readers.pending.leadershipLost()
      expect(readers.outcomes.every((outcomes) => outcomes.length === 1)).toBe(true)
      for (let i = 0; i < 20; i++) expect(readers.gather(), `seed ${seed}`).toBe(true)
      expect(readers.gather()).toBe(false)
    }
  })
})
