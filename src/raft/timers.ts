/** Time, as ticks: election time-outs, heartbeats, and the leader's check that a quorum still hears it. */
import { standForElection } from './election.ts'
import { majorityOf } from './quorum.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { refuseReads, tickReads } from './reads.ts'
import { sendHeartbeat, sendTimerHeartbeats } from './replication.ts'
import { tickRest } from './rest.ts'
import { becomeFollower } from './roles.ts'
import { tickTransfer, urgeTarget } from './transfer.ts'

export function tick(state: RaftState): void {
  if (state.resting) return
  if (state.role === 'leader') {
    tickLeader(state)
    tickRest(state)
  } else tickOther(state)
}

function tickOther(state: RaftState): void {
  state.electionElapsed++
  tickReads(state)
  if (state.electionElapsed < state.electionTimeout) return
  if (state.mayStand) {
    standForElection(state)
    return
  }
  // A learner, or one that was removed, only stops believing in the leader that it no longer hears.
  refuseReads(state)
  state.leader = NOBODY
  state.resetElectionTimer()
}

function tickLeader(state: RaftState): void {
  for (const peer of state.peers.values()) {
    peer.silentTicks++
    if (peer.imageWaitTicks > 0 && --peer.imageWaitTicks === 0) peer.becomeProbe(peer.nextIndex)
  }
  if (!hearsQuorum(state)) {
    becomeFollower(state, state.term, NOBODY)
    return
  }
  tickTransfer(state)
  if (state.role !== 'leader') return
  state.commitAtTick = state.commitIndex
  if (++state.heartbeatElapsed >= state.config.heartbeatTicks) {
    state.heartbeatElapsed = 0
    sendTimerHeartbeats(state)
    urgeTarget(state)
    return
  }
  // With no appends to carry it, the commit index travels by itself, at most a tick late.
  for (const peer of state.peers.values()) {
    if (peer.sentCommit < Math.min(state.commitIndex, peer.matchIndex)) sendHeartbeat(state, peer)
  }
}

/** Check-quorum: stickiness without it would keep a deaf leader for ever (thesis 6.2, 4.2.3). */
function hearsQuorum(state: RaftState): boolean {
  const voters = state.voters
  let heard = 0
  for (const voter of voters) {
    const peer = state.peers.get(voter)
    if (voter === state.self || (peer !== undefined && peer.silentTicks < state.config.electionTicksMin)) heard++
  }
  return heard >= majorityOf(voters.length)
}
