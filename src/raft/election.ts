/** Standing for election, and voting (paper 5.2, 5.4.1; pre-vote: thesis 9.6; stickiness: thesis 4.2.3). */
import { asTerm, type LogIndex, type ReplicaId, type Term } from '../base/brand.ts'
import type {
  PreVoteRequest,
  PreVoteResponse,
  RaftMessage,
  VoteRequest,
  VoteResponse,
} from '../protocol/raft-message.ts'
import { voteOutcome } from './quorum.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts'

/** Pre-vote first: nothing changes here or elsewhere unless a majority would vote for this replica. */
export function standForElection(state: RaftState): void {
  if (state.role === 'leader' || !state.mayStand) return
  becomePreCandidate(state)
  for (const to of state.voters) {
    if (to !== state.self) state.outbox.messagesNow.push(voteQuestion(state, 'preVoteRequest', to))
  }
  countVote(state, state.self, true)
}

/** Raises the term. `transfer`: the leader itself asked for it, so the voters' stickiness does not hold (thesis 3.10). */
export function campaign(state: RaftState, transfer: boolean): void {
  if (state.role === 'leader' || !state.mayStand) return
  becomeCandidate(state)
  state.stoodByTransfer = transfer
  for (const to of state.voters) {
    if (to !== state.self) state.outbox.afterDisk(voteQuestion(state, 'voteRequest', to, transfer))
  }
}

function voteQuestion(
  state: RaftState,
  type: 'preVoteRequest' | 'voteRequest',
  to: ReplicaId,
  transfer = false,
): RaftMessage {
  const { group, self: from, log } = state
  const { lastIndex, lastTerm } = log
  if (type === 'voteRequest') return { type, group, from, to, term: state.term, lastIndex, lastTerm, transfer }
  return { type, group, from, to, term: asTerm(state.term + 1), lastIndex, lastTerm }
}

/** The candidate's vote for itself, once it is on disk: in a group of one that is the whole election. */
export function selfVotePersisted(state: RaftState): void {
  state.selfVoteReady = null
  if (state.role === 'candidate') countVote(state, state.self, true)
}

function countVote(state: RaftState, from: ReplicaId, granted: boolean): void {
  // A refusal may be late, from the question before; a grant stands.
  if (granted || !state.votes.has(from)) state.votes.set(from, granted)
  const outcome = voteOutcome(state.voters, state.votes)
  if (outcome === 'pending') return
  if (outcome === 'lost') becomeFollower(state, state.term, NOBODY)
  else if (state.role === 'preCandidate') campaign(state, false)
  // Never before the own vote is durable: a crash would free it for another candidate of this term.
  else if (state.selfVoteReady === null) becomeLeader(state)
}

/** While a leader is heard, nobody else's ambition counts. */
export function isSticky(state: RaftState): boolean {
  return state.leader !== NOBODY && state.electionElapsed < state.config.electionTicksMin
}

function isUpToDate(state: RaftState, lastTerm: Term, lastIndex: LogIndex): boolean {
  const { log } = state
  return lastTerm > log.lastTerm || (lastTerm === log.lastTerm && lastIndex >= log.lastIndex)
}

function mayVoteInThisTerm(state: RaftState, candidate: ReplicaId): boolean {
  return state.votedFor === candidate || (state.votedFor === NOBODY && state.leader === NOBODY)
}

/**
 * Changes nothing here. A learner answers like a voter (it may be one and not know yet). A request of a lower term is
 * refused in so many words: the candidate learns the term and does not wait for ever.
 */
export function onPreVoteRequest(state: RaftState, message: PreVoteRequest): void {
  const ahead = message.term > state.term
  if (ahead && isSticky(state)) return
  const granted =
    message.term >= state.term &&
    (ahead || mayVoteInThisTerm(state, message.from)) &&
    isUpToDate(state, message.lastTerm, message.lastIndex)
  const { group, self: from } = state
  const term = granted ? message.term : state.term
  state.outbox.messagesNow.push({ type: 'preVoteResponse', group, from, to: message.from, term, granted })
}

export function onPreVoteResponse(state: RaftState, message: PreVoteResponse): void {
  if (!message.granted && message.term > state.term) {
    becomeFollower(state, message.term, NOBODY)
    return
  }
  if (state.role !== 'preCandidate') return
  const answersThisOne = message.granted ? message.term === state.term + 1 : message.term === state.term
  if (answersThisOne) countVote(state, message.from, message.granted)
}

/** The request's term is this replica's own by now; see step.ts for lower and higher ones. */
export function onVoteRequest(state: RaftState, message: VoteRequest): void {
  const granted = mayVoteInThisTerm(state, message.from) && isUpToDate(state, message.lastTerm, message.lastIndex)
  if (granted) {
    state.votedFor = message.from
    state.electionElapsed = 0
  }
  answerVote(state, message.from, granted)
}

/** Leaves only once the vote is on disk (thesis 3.8). */
export function answerVote(state: RaftState, to: ReplicaId, granted: boolean): void {
  const { group, self: from, term } = state
  const message: VoteResponse = { type: 'voteResponse', group, from, to, term, granted }
  if (state.mutations.voteBeforeDisk) state.outbox.messagesNow.push(message)
  else state.outbox.afterDisk(message)
}

export function onVoteResponse(state: RaftState, message: VoteResponse): void {
  if (state.role === 'candidate') countVote(state, message.from, message.granted)
}
