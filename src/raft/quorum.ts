/** Majorities: the arithmetic behind elections, commitment and read confirmation. A set without voters has no majority. */
import type { ReplicaId } from '../base/brand.ts'

export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/** The highest index that a majority holds, given each voter's match index. Sorts `matches` in place; 0 without voters. */
export function quorumIndex(matches: number[]): number {
  // Groups have a handful of voters: insertion sort, descending, beats a comparator call.
  for (let i = 1; i < matches.length; i++) {
    const value = matches[i]
    let at = i
    for (; at > 0 && matches[at - 1] < value; at--) matches[at] = matches[at - 1]
    matches[at] = value
  }
  return matches.length === 0 ? 0 : matches[majorityOf(matches.length) - 1]
}

type VoteOutcome = 'won' | 'lost' | 'pending'

/** Counts only answers of current voters: a learner votes when asked, but is not asked by those who know its role. */
export function voteOutcome(voters: readonly ReplicaId[], votes: ReadonlyMap<ReplicaId, boolean>): VoteOutcome {
  let granted = 0
  let rejected = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === true) granted++
    else if (vote === false) rejected++
  }
  const needed = majorityOf(voters.length)
  if (granted >= needed) return 'won'
  return voters.length - rejected < needed ? 'lost' : 'pending'
}
