/** The follower's side of replication: appends and heartbeats of the term's leader. */
import { asLogIndex, asTerm, type LogIndex, type ReplicaId } from '../base/brand.ts'
import type { AppendRequest, AppendResponse, Heartbeat } from '../protocol/raft-message.ts'
import { isWellFormedAppend } from './entry-check.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { becomeFollower } from './roles.ts'

/** A message of this term that only its leader sends. False: it is not from the leader this replica knows. */
export function hearLeader(state: RaftState, from: ReplicaId): boolean {
  // Two leaders of one term cannot be (paper 5.2): whoever claims it is not to be believed.
  if (state.role === 'leader' || (state.leader !== NOBODY && state.leader !== from)) return false
  if (state.leader === NOBODY) becomeFollower(state, state.term, from)
  state.electionElapsed = 0
  return true
}

export function onAppendRequest(state: RaftState, message: AppendRequest): void {
  if (!isWellFormedAppend(message) || !hearLeader(state, message.from)) return
  const { log } = state
  // What is committed here equals the leader's log: no need to compare it, and no need to have it still.
  const skipped = Math.max(0, state.commitIndex - message.prevIndex)
  const last = asLogIndex(message.prevIndex + message.entries.length)
  if (skipped === 0 && log.termAt(message.prevIndex) !== message.prevTerm) {
    const hint = log.lastIndexUpToTerm(message.prevIndex, message.prevTerm)
    answerAppend(state, message.from, false, message.prevIndex, hint.index, hint.term)
    return
  }
  for (let i = skipped; i < message.entries.length; i++) {
    const entry = message.entries[i]
    const term = log.termAt(entry.index)
    if (term === entry.term) continue
    if (term !== null) state.truncate(entry.index)
    state.append(entry)
  }
  const matched = asLogIndex(Math.max(last, state.commitIndex))
  // Only up to what this message proved equal: entries behind it may be of another branch.
  state.commitTo(asLogIndex(Math.min(message.commit, matched)))
  answerAppend(state, message.from, true, matched)
}

/** Leaves only once everything up to `index` is on disk (thesis 3.8). */
export function answerAppend(
  state: RaftState,
  to: ReplicaId,
  success: boolean,
  index: LogIndex,
  hintIndex = asLogIndex(0),
  hintTerm = asTerm(0),
): void {
  const { group, self: from, term } = state
  const message: AppendResponse = { type: 'appendResponse', group, from, to, term, success, index, hintIndex, hintTerm }
  if (state.mutations.appendAckBeforeDisk) state.outbox.messagesNow.push(message)
  else state.outbox.afterDisk(message)
}

export function onHeartbeat(state: RaftState, message: Heartbeat): void {
  if (!hearLeader(state, message.from)) return
  // The leader names no commit above what this replica acknowledged in this term.
  state.commitTo(asLogIndex(Math.min(message.commit, state.log.lastIndex)))
  const { group, self: from, term } = state
  const { from: to, readToken } = message
  state.outbox.messagesNow.push({ type: 'heartbeatResponse', group, from, to, term, readToken })
}
