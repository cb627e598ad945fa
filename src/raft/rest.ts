/**
 * Rest: a group in which nothing happens stops its clock. Its leader sends no heartbeats and its followers count no silence, until anything at all
 * happens. It is a matter of cost and of liveness alone: votes, commits and reads are decided by the same messages as ever, a leader that rests
 * confirms a read with its quorum before it answers, and nothing rests that is not wholly committed, applied and acknowledged by every member.
 *
 * Who rests trusts the driver to watch over the nodes of the others and to call `wake` when one falls silent: followers when the leader's node no longer
 * says that this replica leads and rests, leaders when a member's node no longer answers (node/rest-watch.ts).
 */
import { asLogIndex, type NodeId } from '../base/brand.ts'
import type { Rest } from '../protocol/raft-message.ts'
import { hearLeader } from './follower.ts'
import type { Progress } from './progress.ts'
import { NOBODY, type RaftState } from './raft-state.ts'

/** After each tick of a leader: counts the quiet ones, and after enough of them tells everybody to rest. */
export function tickRest(state: RaftState): void {
  const { restAfterTicks } = state.config
  if (restAfterTicks === undefined || restAfterTicks === 0 || state.role !== 'leader') return
  const { lastIndex } = state.log
  const { roundsEver, count } = state.reads
  const isQuiet = lastIndex === state.quietIndex && roundsEver === state.quietRounds && count === 0
  state.quietIndex = lastIndex
  state.quietRounds = roundsEver
  state.quietTicks = isQuiet ? state.quietTicks + 1 : 0
  if (state.quietTicks < restAfterTicks || !isSettled(state)) return
  state.resting = true
  const { group, self: from, term, commitIndex: commit } = state
  for (const to of state.peers.keys()) state.outbox.messagesNow.push({ type: 'rest', group, from, to, term, commit })
}

/** Nothing is under way, here or with anybody. */
function isSettled(state: RaftState): boolean {
  const { log, commitIndex, reads, memberships } = state
  if (log.lastIndex !== commitIndex || log.durableIndex !== commitIndex || state.appliedIndex !== commitIndex)
    return false
  if (!state.hasCommittedInTerm || reads.count > 0 || state.transferTo !== NOBODY) return false
  if (memberships.newestIndex > commitIndex || !state.isMember(state.self)) return false
  for (const peer of state.peers.values()) if (!isAbreast(state, peer)) return false
  return state.outbox.isEmpty
}

/** It holds everything, knows that, and has answered the last heartbeat: nothing that is still on its way can wake the group. */
function isAbreast(state: RaftState, peer: Progress): boolean {
  return (
    peer.state === 'replicate' &&
    peer.matchIndex === state.commitIndex &&
    peer.sentCommit >= state.commitIndex &&
    !peer.nudgeDue &&
    peer.silentTicks <= state.config.heartbeatTicks * 2
  )
}

/** The leader rests. So does a follower whose log is the leader's to the end; another one goes on counting, and asks in the end. */
export function onRest(state: RaftState, message: Rest): void {
  if (!hearLeader(state, message.from)) return
  const { log, reads } = state
  // As with heartbeats: the leader names no commit above what this replica acknowledged in this term.
  state.commitTo(asLogIndex(Math.min(message.commit, log.lastIndex)))
  const isSame = log.lastIndex === message.commit && log.durableIndex === log.lastIndex
  state.resting = isSame && state.role === 'follower' && reads.count === 0
}

/**
 * Goes on as if the last word between the members had been `silentTicks` ago; at a leader, the last word of `silentNode`. A leader
 * speaks at its next tick.
 */
export function wake(state: RaftState, silentTicks = 0, silentNode: NodeId | null = null): void {
  if (!state.resting) return
  state.resting = false
  state.quietTicks = 0
  if (state.role === 'leader') {
    state.heartbeatElapsed = state.config.heartbeatTicks
    for (const { replicaId, nodeId } of state.membership.members) {
      const peer = state.peers.get(replicaId)
      if (peer !== undefined) peer.silentTicks = nodeId === silentNode ? silentTicks : 0
    }
  } else state.electionElapsed = Math.max(state.electionElapsed, silentTicks)
}
