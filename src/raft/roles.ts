/** The four roles and the steps between them. Every step ends what the old role had under way. */
import { assert } from '../base/assert.ts'
import { asLogIndex, asTerm, type ReplicaId, type Term } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { ENTRY_NOOP, encodedEntryBytes } from '../protocol/entry.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { refuseReads } from './reads.ts'
import { syncPeers } from './replication.ts'

function leaveRole(state: RaftState): void {
  refuseReads(state)
  state.peers.clear()
  state.peersFor = null
  state.transferTo = NOBODY
  state.uncommittedBytes = 0
  state.votes.clear()
  state.selfVoteReady = null
  state.resting = false
  state.quietTicks = 0
}

/** `leader` is NOBODY where the new term's leader is not known. The vote stays as long as the term does (etcd 2461, CCF 8094). */
export function becomeFollower(state: RaftState, term: Term, leader: ReplicaId): void {
  assert(term >= state.term, 'becomeFollower: the term falls')
  leaveRole(state)
  if (term > state.term || state.mutations.clearVoteInSameTerm) state.votedFor = NOBODY
  state.role = 'follower'
  state.term = term
  state.leader = leader
  state.resetElectionTimer()
}

/** Asks first, without touching term or vote, so that a replica that cannot win disturbs nobody (thesis 9.6). */
export function becomePreCandidate(state: RaftState): void {
  assert(state.role !== 'leader', 'becomePreCandidate: a leader does not stand')
  leaveRole(state)
  state.role = 'preCandidate'
  state.leader = NOBODY
  state.resetElectionTimer()
}

export function becomeCandidate(state: RaftState): void {
  assert(state.role !== 'leader', 'becomeCandidate: a leader does not stand')
  assert(state.mayStand, 'becomeCandidate: only voters stand')
  leaveRole(state)
  state.role = 'candidate'
  state.term = asTerm(state.term + 1)
  state.votedFor = state.self
  state.leader = NOBODY
  state.selfVoteReady = 0
  state.resetElectionTimer()
}

export function becomeLeader(state: RaftState): void {
  assert(state.role === 'candidate', 'becomeLeader: only a candidate can win')
  assert(state.votedFor === state.self, 'becomeLeader: has not voted for itself')
  leaveRole(state)
  state.role = 'leader'
  state.leader = state.self
  state.electionElapsed = 0
  state.heartbeatElapsed = 0
  state.termStart = asLogIndex(state.log.lastIndex + 1)
  state.commitAtTick = state.log.lastIndex
  for (let i = state.commitIndex + 1; i <= state.log.lastIndex; i++) {
    state.uncommittedBytes += encodedEntryBytes(state.log.entryAt(i))
  }
  syncPeers(state)
  if (!state.mutations.noNoop) {
    const noop = { term: state.term, index: state.termStart, kind: ENTRY_NOOP, payload: EMPTY_BYTES } as const
    state.append(noop)
    state.uncommittedBytes += encodedEntryBytes(noop)
  }
}
