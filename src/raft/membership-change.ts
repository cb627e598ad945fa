/**
 * Joining and leaving, one replica at a time, in force from the append on (thesis 4). Two guards keep majorities of neighbouring
 * memberships overlapping: the one before must be committed, and the leader must have committed an entry of its own term
 * (the erratum to thesis 4: else a membership that this leader never saw may still be committed by another).
 */
import { asLogIndex, type LogIndex, type ReplicaId, type Term } from '../base/brand.ts'
import { ENTRY_MEMBERSHIP, encodedEntryBytes } from '../protocol/entry.ts'
import { encodeMembership } from '../protocol/membership.ts'
import { changeMembership, type MembershipChange } from './membership-history.ts'
import { NOBODY, type RaftState } from './raft-state.ts'
import { maybeCommit, syncPeers } from './replication.ts'

export type ProposeMembershipResult =
  | { readonly kind: 'accepted'; readonly term: Term; readonly index: LogIndex }
  | { readonly kind: 'notLeader'; readonly leader: ReplicaId }
  | { readonly kind: 'refused'; readonly reason: string }

export function proposeMembership(state: RaftState, change: MembershipChange): ProposeMembershipResult {
  if (state.role !== 'leader') return { kind: 'notLeader', leader: state.leader }
  const reason = state.mutations.configurationLate ? null : whyNotNow(state, change)
  if (reason !== null) return { kind: 'refused', reason }
  const result = changeMembership(state.membership, change)
  if (result.kind === 'refused') return result
  const index = asLogIndex(state.log.lastIndex + 1)
  const payload = encodeMembership(result.membership)
  const entry = { term: state.term, index, kind: ENTRY_MEMBERSHIP, payload } as const
  state.append(entry)
  state.uncommittedBytes += encodedEntryBytes(entry)
  syncPeers(state)
  maybeCommit(state)
  return { kind: 'accepted', term: state.term, index }
}

function whyNotNow(state: RaftState, change: MembershipChange): string | null {
  if (state.transferTo !== NOBODY) return 'leadership is being transferred'
  if (!state.hasCommittedInTerm) return 'this leader has not committed an entry of its own term yet'
  if (state.memberships.newestIndex > state.commitIndex) return 'the change before is not committed yet'
  if (change.kind === 'promote' && !isCaughtUp(state, change.replicaId)) {
    return `replica ${change.replicaId} has not caught up`
  }
  return null
}

/** Holds what was committed at the last tick: as a voter it would not hold commits up for longer than that (thesis 4.2.1). */
function isCaughtUp(state: RaftState, replicaId: ReplicaId): boolean {
  const peer = state.peers.get(replicaId)
  if (peer === undefined) return true // Not a member: changeMembership says so.
  return (
    peer.state === 'replicate' &&
    peer.matchIndex >= state.commitAtTick &&
    peer.silentTicks < state.config.electionTicksMin
  )
}
