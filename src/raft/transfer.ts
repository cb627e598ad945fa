/**
 * Leadership transfer (thesis 3.10): stop taking proposals, bring the target up to date, tell it to stand at once. If it has not
 * taken over within an election time-out, go on leading.
 */
import type { ReplicaId } from '../base/brand.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { becomeFollower } from './roles.ts'

/** False: not the leader, another transfer is under way, or `to` is no other voter. */
export function transferLeadership(state: RaftState, to: ReplicaId): boolean {
  if (state.role !== 'leader' || to === state.self || !state.isVoter(to)) return false
  if (state.transferTo !== NOBODY) return state.transferTo === to
  state.transferTo = to
  state.transferElapsed = 0
  urgeTarget(state)
  return true
}

/** Tells the target to stand, if it holds the whole log. Repeated with each heartbeat: a second one of an old term does nothing. */
export function urgeTarget(state: RaftState): void {
  if (state.transferTo === NOBODY) return
  const peer = state.peers.get(state.transferTo)
  if (peer === undefined || peer.matchIndex < state.log.lastIndex) return
  const { group, self: from, term, transferTo: to } = state
  state.outbox.messagesNow.push({ type: 'timeoutNow', group, from, to, term })
}

export function tickTransfer(state: RaftState): void {
  if (state.transferTo === NOBODY) return
  state.transferElapsed++
  const targetGone = !state.isVoter(state.transferTo)
  if (!targetGone && state.transferElapsed < state.config.electionTicksMin) return
  state.transferTo = NOBODY
  // A leader that has left may not go on: the others elect one when it falls silent.
  if (hasLeft(state)) becomeFollower(state, state.term, NOBODY)
}

/** This leader is out of the membership, and that is committed. */
export function hasLeft(state: RaftState): boolean {
  return !state.isMember(state.self) && state.memberships.newestIndex <= state.commitIndex
}

/** A leader that removed itself serves until that commits, then hands over to the voter that holds most (thesis 4.2.2). */
export function handOverIfLeft(state: RaftState): void {
  if (state.role !== 'leader' || state.transferTo !== NOBODY || !hasLeft(state)) return
  let best = NOBODY
  let bestMatch = -1
  for (const voter of state.voters) {
    const match = state.peers.get(voter)?.matchIndex ?? 0
    if (match <= bestMatch) continue
    best = voter
    bestMatch = match
  }
  if (!transferLeadership(state, best)) becomeFollower(state, state.term, NOBODY)
}
