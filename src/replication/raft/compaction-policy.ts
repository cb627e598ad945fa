/**
 * When a replica takes a checkpoint, and how much log it keeps behind it for followers that lag: pure decisions.
 */
import { asLogIndex, type LogIndex } from '../../base/brand.ts'

export interface CompactionLimits {
  /** A checkpoint starts once this much was written to the memtable since the last one. */
  readonly checkpointBytes: number
  /** ... or this many entries were applied since. */
  readonly checkpointEntries: number
  /** Entries kept behind the checkpoint for followers, where they take less than half of `retainedBytesMax`. */
  readonly trailingEntries: number
  /** The live log is not kept above this for a follower's sake: it gets an image instead. Twice of it for one that is getting an image. */
  readonly retainedBytesMax: number
}

export const DEFAULT_COMPACTION_LIMITS: CompactionLimits = {
  checkpointBytes: 64 * 1024 * 1024,
  checkpointEntries: 400_000,
  trailingEntries: 10_000,
  retainedBytesMax: 192 * 1024 * 1024,
}

/** Writers are slowed above `retainedBytesMax` while an image is under way; beyond this multiple of it the image is given up. */
const PINNED_SHARE_MAX = 2

export function checkpointDue(
  limits: CompactionLimits,
  state: {
    readonly memtableBytes: number
    /** Written since the last checkpoint: what is kept behind it for followers is no reason for another. */
    readonly logBytes: number
    readonly entriesSinceCheckpoint: number
  },
): boolean {
  if (state.entriesSinceCheckpoint === 0) return false
  return (
    state.memtableBytes >= limits.checkpointBytes ||
    state.logBytes >= limits.checkpointBytes * 2 ||
    state.entriesSinceCheckpoint >= limits.checkpointEntries
  )
}

/** The index up to which the log may go, given a durable checkpoint at `checkpointed`. */
export function compactionTarget(
  limits: CompactionLimits,
  state: {
    readonly checkpointed: LogIndex
    readonly logBytes: number
    /** The lowest index that any member still needs kept after it; Infinity: none known. */
    readonly neededAfter: number
    /** The same for receivers of images, which would need another image at once; Infinity: none. */
    readonly pinnedAfter: number
  },
): LogIndex {
  const { checkpointed, logBytes, neededAfter, pinnedAfter } = state
  if (logBytes >= limits.retainedBytesMax * PINNED_SHARE_MAX) return checkpointed
  if (logBytes >= limits.retainedBytesMax) return asLogIndex(Math.min(checkpointed, pinnedAfter))
  const trailing = logBytes < limits.retainedBytesMax / 2 ? limits.trailingEntries : 0
  return asLogIndex(Math.max(0, Math.min(checkpointed - trailing, neededAfter, pinnedAfter)))
}
