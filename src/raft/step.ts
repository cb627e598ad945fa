/** One message in: its term first, then its kind. A stale, foreign or senseless message changes nothing. */
import { unreachable } from '../base/assert.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import {
  answerVote,
  campaign,
  isSticky,
  onPreVoteRequest,
  onPreVoteResponse,
  onVoteRequest,
  onVoteResponse,
} from './election.ts'
import { answerAppend, hearLeader, onAppendRequest, onHeartbeat } from './follower.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { confirmReads, onReadIndexRequest, onReadIndexResponse } from './reads.ts'
import { onAppendResponse, onHeartbeatResponse } from './replication.ts'
import { onRest, wake } from './rest.ts'
import { becomeFollower } from './roles.ts'
import { urgeTarget } from './transfer.ts'

/** What only a term's leader sends. */
const LEADERS_OWN: ReadonlySet<RaftMessage['type']> = new Set(['appendRequest', 'heartbeat', 'rest'])

export function step(state: RaftState, message: RaftMessage): void {
  if (message.group !== state.group || message.to !== state.self) return
  if (message.from === state.self || message.from === NOBODY) return
  // Whatever it says: somebody of the group is awake.
  wake(state)
  // A pre-vote's term is only a question, and its answer says which term it is about.
  if (message.type === 'preVoteRequest') {
    onPreVoteRequest(state, message)
    return
  }
  if (isFromOutside(state, message)) return
  if (message.type === 'preVoteResponse') {
    onPreVoteResponse(state, message)
    return
  }
  if (message.term < state.term) {
    answerLowerTerm(state, message)
    return
  }
  if (message.term > state.term && !adoptTerm(state, message)) return
  dispatch(state, message)
}

/**
 * A leader takes answers and questions from members only: a removed replica's term does not unseat it. Requests for votes and the messages
 * of leaders are heard from anyone, for a replica may not know yet who is a member (thesis 4.1).
 */
function isFromOutside(state: RaftState, message: RaftMessage): boolean {
  if (state.role !== 'leader') return false
  if (message.type === 'voteRequest' || LEADERS_OWN.has(message.type)) return false
  return !state.isMember(message.from)
}

/** False: the message is to be ignored, its term as well. */
function adoptTerm(state: RaftState, message: RaftMessage): boolean {
  switch (message.type) {
    case 'voteRequest':
      // While a leader is heard, a request that it did not cause itself is a disturbance (thesis 4.2.3).
      if (!message.transfer && isSticky(state)) return false
      becomeFollower(state, message.term, NOBODY)
      return true
    case 'appendRequest':
    case 'heartbeat':
    case 'rest':
    case 'timeoutNow':
      becomeFollower(state, message.term, message.from)
      return true
    default:
      becomeFollower(state, message.term, NOBODY)
      return true
  }
}

/**
 * Answers that carry the higher term. Without the ones to a leader, a replica that once raised its term alone would be stuck: it ignores
 * the leader, and stickiness and pre-vote make all others ignore it (etcd-io/raft Step, "checkQuorum").
 */
function answerLowerTerm(state: RaftState, message: RaftMessage): void {
  switch (message.type) {
    case 'appendRequest':
      answerAppend(state, message.from, false, message.prevIndex)
      return
    case 'heartbeat':
    case 'rest':
      answerAppend(state, message.from, false, state.commitIndex)
      return
    case 'voteRequest':
      answerVote(state, message.from, false)
      return
    default:
      return
  }
}

function dispatch(state: RaftState, message: RaftMessage): void {
  switch (message.type) {
    case 'voteRequest':
      onVoteRequest(state, message)
      return
    case 'voteResponse':
      onVoteResponse(state, message)
      return
    case 'appendRequest':
      onAppendRequest(state, message)
      return
    case 'appendResponse':
      if (state.role !== 'leader') return
      onAppendResponse(state, message)
      if (message.from === state.transferTo) urgeTarget(state)
      return
    case 'heartbeat':
      onHeartbeat(state, message)
      return
    case 'rest':
      onRest(state, message)
      return
    case 'heartbeatResponse':
      if (state.role !== 'leader') return
      onHeartbeatResponse(state, message)
      confirmReads(state)
      return
    case 'timeoutNow':
      // The leader's own word: no pre-vote, and the request passes stickiness (thesis 3.10).
      if (state.mayStand && hearLeader(state, message.from)) campaign(state, true)
      return
    case 'readIndexRequest':
      onReadIndexRequest(state, message)
      return
    case 'readIndexResponse':
      onReadIndexResponse(state, message)
      return
    case 'preVoteRequest':
    case 'preVoteResponse':
      return
    default:
      unreachable(message)
  }
}
