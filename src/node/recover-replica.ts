/**
 * What a restarted replica begins with: the log's record of it and the base file's, brought together. The base may be ahead of the
 * log's compaction point (the checkpoint came first), and, since a leader may apply what a quorum of others has on disk,
 * even ahead of this node's own log. Pure.
 */
import { asLogIndex } from '../base/brand.ts'
import type { CompactionPoint, RecoveredGroup } from '../ports/log.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RestoredState } from '../raft/raft-core.ts'
import type { CheckpointMeta } from '../store/store.ts'

export type RecoveredReplica =
  | {
      readonly kind: 'recovered'
      readonly state: RestoredState
      /** The log is to be compacted to here first: what it holds does not reach the base. */
      readonly compactTo: CompactionPoint | null
    }
  | { readonly kind: 'corrupt'; readonly message: string }

export function recoverReplica(
  recovered: RecoveredGroup,
  meta: CheckpointMeta | null,
  genesis: Membership,
): RecoveredReplica {
  const { hardState, compaction, entries, group } = recovered
  if (meta === null) {
    if (compaction.index > 0) {
      return {
        kind: 'corrupt',
        message: `group ${group}: the log begins after ${compaction.index}, but the base file is empty`,
      }
    }
    const applied = asLogIndex(0)
    return {
      kind: 'recovered',
      compactTo: null,
      state: { hardState, compaction, membership: genesis, entries, applied },
    }
  }
  const { applied, term, membership } = meta
  if (applied < compaction.index) {
    const message = `group ${group}: the log begins after ${compaction.index}, but the base file ends at ${applied}`
    return { kind: 'corrupt', message }
  }
  const entry = applied === compaction.index ? null : entries[applied - compaction.index - 1]
  const termInLog = entry === null ? compaction.term : entry?.term
  if (termInLog === term) {
    return { kind: 'recovered', compactTo: null, state: { hardState, compaction, membership, entries, applied } }
  }
  // What the log holds up to here is older than what the base knows to be committed: the log begins anew behind the base.
  const point = { index: applied, term }
  return {
    kind: 'recovered',
    compactTo: point,
    state: { hardState, compaction: point, membership, entries: [], applied },
  }
}
