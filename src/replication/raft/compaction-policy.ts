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
  /** The live log is never kept above this for a follower's sake: it gets an image instead. */
  readonly retainedBytesMax: number
}

export const DEFAULT_COMPACTION_LIMITS: CompactionLimits = {
  checkpointBytes: 64 * 1024 * 1024,
  checkpointEntries: 400_000,
  trailingEntries: 10_000,
  retainedBytesMax: 192 * 1024 * 1024,
}

export function checkpointDue(
  limits: CompactionLimits,
  state: { readonly memtableBytes: number; readonly logBytes: number; readonly entriesSinceCheckpoint: number },
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
    /** The lowest index that any member or image transfer still needs kept after it; Infinity: none known. */
    readonly neededAfter: number
  },
): LogIndex {
  if (state.logBytes >= limits.retainedBytesMax) return state.checkpointed
  const trailing = state.logBytes < limits.retainedBytesMax / 2 ? limits.trailingEntries : 0
  return asLogIndex(Math.max(0, Math.min(state.checkpointed - trailing, state.neededAfter)))
}
