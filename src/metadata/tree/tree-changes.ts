/**
 * What a node-local listener is told after each applied entry: which paths changed, and which sessions came and went. It is called once the
 * entry's whole effect is there, and must not call back into apply. Nothing of it is replicated state.
 */
import type { ExpireReason } from '../../protocol/metadata-command.ts'
import type { MetadataPath } from '../../protocol/metadata-operation.ts'

/** A child that comes or goes is told twice: for itself, and as `children` for its parent. */
export interface TreeChange {
  readonly path: MetadataPath
  readonly kind: 'created' | 'deleted' | 'data' | 'children'
}

export interface TreeListener {
  changed(change: TreeChange): void
  sessionOpened(session: number, timeoutMs: number): void
  /** Its ephemeral nodes are gone already. */
  sessionEnded(session: number, reason: ExpireReason | 'closed'): void
  /** Another state has been taken over: every path and every session may be another. */
  everythingChanged(): void
}

export const NO_TREE_LISTENER: TreeListener = {
  changed() {},
  sessionOpened() {},
  sessionEnded() {},
  everythingChanged() {},
}
