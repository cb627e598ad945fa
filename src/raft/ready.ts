/**
 * What the consensus core asks of its driver, in one step. Durability stands in the type (thesis 3.8, etcd-io/raft msgsAfterAppend):
 * `messagesAfterDisk` may leave only once `hardState` and `entries` of this and all earlier Readys are synced.
 *
 * The driver, for each Ready: hand hardState / truncateFrom / entries to the log; send messagesNow; when the log has synced them,
 * send messagesAfterDisk and call `persisted(number)`; apply `committed` in order, then call `applied(index)`.
 * A leader's appends are in messagesNow: it replicates while its own disk writes, and counts itself only at `persisted`.
 */
import type { LogIndex, ReplicaId, Term } from '../base/brand.ts'
import type { HardState } from '../ports/log.ts'
import type { Entry } from '../protocol/entry.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'

export type RaftRole = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/** What an image says of itself; `index`/`term` are the last entry that it holds. */
export interface ImageMeta {
  readonly index: LogIndex
  readonly term: Term
  readonly membership: Membership
}

export interface ReadState {
  /** The number that `readIndex` gave. */
  readonly read: number
  /** Serve the read once this index has been applied. */
  readonly index: LogIndex
}

export interface Ready {
  /** Rises by one with each Ready. */
  readonly number: number
  /** Set where term, vote or (as a hint) commit changed and must be written. */
  readonly hardState: HardState | null
  /** Entries from this index on are to be dropped before `entries` are appended; null: none. */
  readonly truncateFrom: LogIndex | null
  readonly entries: readonly Entry[]
  readonly messagesNow: readonly RaftMessage[]
  readonly messagesAfterDisk: readonly RaftMessage[]
  /** Newly committed entries, in order, each given once; on the leader possibly before its own disk has them (never before a quorum's disks do). */
  readonly committed: readonly Entry[]
  readonly readStates: readonly ReadState[]
  /** Reads that will not be confirmed: leadership was lost. */
  readonly readsRefused: readonly number[]
  /**
   * The core took over this image (see `installImage`): write the switch to it, then load it. Comes before any `committed` above it.
   * Where `keepsLogSuffix` is false all of the old log goes, in the same write as the switch; `truncateFrom` does not say so.
   */
  readonly installed: (ImageMeta & { readonly keepsLogSuffix: boolean }) | null
  /** Followers that need an image: their next entry has been compacted away. Asked once until `imageOutcome`. */
  readonly imagesWanted: readonly ReplicaId[]
  /** Set where role, term, leader or membership changed. */
  readonly status: RaftStatus | null
}

export interface RaftStatus {
  readonly role: RaftRole
  readonly term: Term
  /** 0: unknown. */
  readonly leader: ReplicaId
  readonly membership: Membership
}

export interface RaftConfig {
  readonly replicaId: ReplicaId
  /** In ticks. An election time-out is drawn uniformly from [electionTicksMin, electionTicksMax]. */
  readonly heartbeatTicks: number
  readonly electionTicksMin: number
  readonly electionTicksMax: number
  /** A leader lets the group rest after so many ticks in which nothing happened (rest.ts); 0 or absent: never. Asks for a driver that watches over nodes. */
  readonly restAfterTicks?: number
  /** Appends in flight to one follower, in messages and in bytes. Bytes are those of entries as encoded (entry.ts): an empty one is not free. */
  readonly maxInflightMessages: number
  readonly maxInflightBytes: number
  /** Entry bytes of one append message; a single larger entry still goes alone. */
  readonly maxMessageBytes: number
  /** One entry's payload. */
  readonly maxEntryBytes: number
  /** Entry bytes proposed and not yet committed; over it `propose` is refused as busy. With none outstanding one entry always passes. */
  readonly maxUncommittedBytes: number
  /** Entry bytes given as `committed` and not yet reported by `applied`; one entry always passes. */
  readonly maxApplyBytes: number
  readonly maxPendingReads: number
}
