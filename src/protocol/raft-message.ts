/**
 * Messages between the replicas of one group. Every message names its group, sender, receiver and the sender's term.
 * Images (InstallSnapshot) travel as chunks on a lane of their own, see image-frame.ts; what the consensus core sees of
 * one is its meta data, once it is whole and on disk.
 */
import type { GroupId, LogIndex, ReplicaId, Term } from '../base/brand.ts'
import type { Entry } from './entry.ts'

interface Envelope {
  readonly group: GroupId
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly term: Term
}

/** `term` is the term that the candidate would start (thesis 9.6); it changes nobody's term. */
export interface PreVoteRequest extends Envelope {
  readonly type: 'preVoteRequest'
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
}

/** A grant carries the request's term; a rejection the voter's own. */
export interface PreVoteResponse extends Envelope {
  readonly type: 'preVoteResponse'
  readonly granted: boolean
}

export interface VoteRequest extends Envelope {
  readonly type: 'voteRequest'
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  /** Set by a leadership transfer: passes leader stickiness (thesis 3.10, 4.2.3). */
  readonly transfer: boolean
}

export interface VoteResponse extends Envelope {
  readonly type: 'voteResponse'
  readonly granted: boolean
}

export interface AppendRequest extends Envelope {
  readonly type: 'appendRequest'
  readonly prevIndex: LogIndex
  readonly prevTerm: Term
  readonly commit: LogIndex
  readonly entries: readonly Entry[]
}

export interface AppendResponse extends Envelope {
  readonly type: 'appendResponse'
  readonly success: boolean
  /** On success the last index known equal to the leader's; on refusal the request's prevIndex. */
  readonly index: LogIndex
  /** On refusal: where the follower's log may still agree (the largest index with a term <= prevTerm), and its term there. */
  readonly hintIndex: LogIndex
  readonly hintTerm: Term
}

export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat'
  /** Never above what the receiver is known to hold. */
  readonly commit: LogIndex
  /** The newest read round that this heartbeat confirms; made by the leader, never re-used. 0: none. */
  readonly readToken: number
}

export interface HeartbeatResponse extends Envelope {
  readonly type: 'heartbeatResponse'
  readonly readToken: number
}

export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow'
}

/** A follower asks its leader for a read index; `context` is the follower's own number for the round. */
export interface ReadIndexRequest extends Envelope {
  readonly type: 'readIndexRequest'
  readonly context: number
}

/** `index` 0 with `ok` false: not the leader, or too busy; ask again. */
export interface ReadIndexResponse extends Envelope {
  readonly type: 'readIndexResponse'
  readonly context: number
  readonly ok: boolean
  readonly index: LogIndex
}

/** The leader sends nothing more until something happens: everybody holds everything up to `commit`, the end of its log. */
export interface Rest extends Envelope {
  readonly type: 'rest'
  readonly commit: LogIndex
}

export type RaftMessage =
  | PreVoteRequest
  | PreVoteResponse
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse
  | Rest
