/**
 * The node's write-ahead log as its users see it: one log, many groups. wal/ implements it.
 */
import type { GroupId, LogIndex, ReplicaId, Term } from '../base/brand.ts'
import type { Entry } from '../protocol/entry.ts'

/** What Raft must never forget (paper, figure 2), and the commit index as a hint for restarts. */
export interface HardState {
  readonly term: Term
  /** 0: nobody yet in this term. */
  readonly votedFor: ReplicaId
  readonly commit: LogIndex
}

/** The point up to which the base file holds the state, so that the log before and at it may go. */
export interface CompactionPoint {
  readonly index: LogIndex
  readonly term: Term
}

/**
 * What one group adds to the log in one step. Applied at recovery in the order of the fields:
 * replica, hardState, truncateFrom, base (with its compaction point), compaction, entries.
 */
export interface GroupWrite {
  readonly group: GroupId
  /** Creates the group's record on this node: the genesis of a replica, or its first Join. */
  readonly replicaId?: ReplicaId
  readonly hardState?: HardState
  /** Entries from this index on are gone. */
  readonly truncateFrom?: LogIndex
  /** The switch to another base directory: the install of an image is this record and nothing else. */
  readonly base?: { readonly directory: number; readonly point: CompactionPoint }
  readonly compaction?: CompactionPoint
  /** Neighbouring indexes; entries that the log already has from the first index on are replaced. */
  readonly entries?: readonly Entry[]
}

export interface RecoveredGroup {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  readonly hardState: HardState
  readonly compaction: CompactionPoint
  /** 0: the directory that genesis made. */
  readonly baseDirectory: number
  /** From compaction.index + 1 on, without a gap. */
  readonly entries: readonly Entry[]
}

/** Gives a group's live entries again when the log must copy them out of an old segment. Both ends included. */
export type LiveEntries = (group: GroupId, from: LogIndex, to: LogIndex) => readonly Entry[]

export interface NodeLog {
  /** Adds to the batch that gathers. Entries' payloads must not change any more. */
  append(write: GroupWrite): void
  /** Calls back, as an event of its own, once everything appended so far is on disk. A failed sync never calls back: it ends the node. */
  flush(done: () => void): void
  /** True while a batch is being written or synced. */
  readonly busy: boolean
  /** False while too much waits for the disk: appends that can wait should. */
  readonly hasRoom: boolean
  /** Drops all that the log keeps of the group (a replica that left). */
  forget(group: GroupId): void
  /** Syncs what was appended, writes the closing mark, closes the files. */
  close(done: () => void): void
}
