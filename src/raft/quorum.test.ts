import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asNodeId, asReplicaId, type ReplicaId } from '../base/brand.ts'
import type { Member, Membership } from '../protocol/membership.ts'
import { changeMembership, type MembershipChange, votersOf } from './membership-history.ts'
import { majorityOf, quorumIndex, voteOutcome } from './quorum.ts'

/** Every smallest majority of these voters. */
function majorities(voters: readonly ReplicaId[]): ReplicaId[][] {
  const all: ReplicaId[][] = []
  for (let mask = 0; mask < 1 << voters.length; mask++) {
    const chosen = voters.filter((_, i) => (mask >> i) & 1)
    if (chosen.length === majorityOf(voters.length)) all.push(chosen)
  }
  return all
}

const membership = fc.integer({ min: 1, max: 7 }).chain((size) =>
  fc.array(fc.constantFrom<Member['role']>('voter', 'voter', 'learner'), { minLength: size, maxLength: size }).map(
    (roles): Membership => ({
      members: roles.map((role, i) => ({ replicaId: asReplicaId(i + 1), nodeId: asNodeId(i + 1), role })),
    }),
  ),
)

const change = fc.record({
  kind: fc.constantFrom<MembershipChange['kind']>('addLearner', 'promote', 'remove'),
  replicaId: fc.integer({ min: 0, max: 9 }).map(asReplicaId),
  nodeId: fc.constant(asNodeId(1)),
})

describe('quorums', () => {
  it('before and after one change always overlap, for odd and even sizes', () => {
    const sizes = new Set<number>()
    fc.assert(
      fc.property(membership, change, (before, one) => {
        fc.pre(votersOf(before).length > 0)
        const result = changeMembership(before, one)
        if (result.kind === 'refused') return
        const [old, next] = [votersOf(before), votersOf(result.membership)]
        sizes.add(old.length * 10 + next.length)
        expect(next.length).toBeGreaterThan(0)
        expect(Math.abs(old.length - next.length)).toBeLessThanOrEqual(1)
        for (const a of majorities(old)) {
          for (const b of majorities(next)) expect(a.some((voter) => b.includes(voter))).toBe(true)
        }
      }),
      { numRuns: 1000 },
    )
    // Growth and shrinkage, from odd and from even.
    for (const seen of [23, 34, 45, 43, 32, 54]) expect(sizes).toContain(seen)
  })

  it('two changes at once would not: why changes go one by one', () => {
    const old = majorities([1, 2, 3].map(asReplicaId))
    const next = majorities([1, 2, 3, 4, 5].map(asReplicaId))
    expect(old.every((a) => next.every((b) => a.some((voter) => b.includes(voter))))).toBe(false)
  })

  it('hold the quorum index: a majority has it, and none has more', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }), (matches) => {
        const index = quorumIndex(matches.slice())
        const holding = (at: number): number => matches.filter((match) => match >= at).length
        expect(holding(index)).toBeGreaterThanOrEqual(majorityOf(matches.length))
        expect(holding(index + 1)).toBeLessThan(majorityOf(matches.length))
      }),
    )
    expect(quorumIndex([])).toBe(0)
  })

  it('decide votes as soon as the rest cannot change them', () => {
    const voters = [1, 2, 3, 4].map(asReplicaId)
    const outcome = (votes: [number, boolean][]) =>
      voteOutcome(voters, new Map(votes.map(([voter, granted]) => [asReplicaId(voter), granted])))
    expect(
      outcome([
        [1, true],
        [2, true],
      ]),
    ).toBe('pending')
    expect(
      outcome([
        [1, true],
        [2, true],
        [3, true],
      ]),
    ).toBe('won')
    expect(
      outcome([
        [1, false],
        [2, false],
      ]),
    ).toBe('lost')
    // Answers of others than voters do not count; without voters nobody wins.
    expect(
      outcome([
        [1, true],
        [2, true],
        [9, true],
      ]),
    ).toBe('pending')
    expect(voteOutcome([], new Map([[asReplicaId(1), true]]))).not.toBe('won')
  })
})
