/**
 * The metadata store: a small versioned tree, the way Apache ZooKeeper has it. It holds what a cluster agrees on beside its data: slot table,
 * registrations, reconfigs, elections. Two implementations, one contract suite: metadata/embedded (a state machine on the masters' Raft group)
 * and metadata/zookeeper. Nothing here promises more than ZooKeeper does:
 *
 * - Writes take effect in one total order, each as a whole; `multi` is one write. Versions and creation ids tell the order.
 * - Reads see the writes that this session was answered before, and never go backwards; they may lag behind other sessions' writes.
 *   After `sync` they see everything that was committed before the sync began.
 * - Watches are level-triggered: after the last change of what is watched, or after a time without connection, the listener is called at least
 *   once more. It is told nothing: read again and compare. Several changes may become one call. A session that is over calls nobody.
 * - A session lives while its holder is heard of within the session timeout, and it ends for good only through the tree's own log: then its
 *   ephemeral nodes go. `suspended` means "not heard of lately": the session may have ended already, and what rests on it must stop acting.
 *   `expired` is final: open another session.
 * - A write whose answer was lost has the outcome `unknown`: it may have happened, or may happen yet. It is never repeated here: read, then decide.
 *
 * Callbacks run as events of their own, in the order of the calls of one kind (reads and writes of a session keep their order). The words
 * that the calls use (paths, stats, operations, results, errors, limits) are in protocol/metadata-operation.ts.
 */
import type {
  MetadataError,
  MetadataNode,
  MetadataOperation,
  MetadataPath,
  MetadataResult,
  NodeStat,
} from '../protocol/metadata-operation.ts'

export type SessionState = 'connecting' | 'connected' | 'suspended' | 'expired' | 'closed'

/** Stops the calls; one that is under way is still made. */
export type StopWatching = () => void

export type Done<T> = (error: MetadataError | null, result: T | null) => void

/** One session with the tree. */
export interface MetadataStore {
  readonly state: SessionState
  /** This session's name, as NodeStat.ephemeralOwner tells it; null before it is open. */
  readonly sessionId: string | null
  /** Called after each change of `state`, beginning with the one to `connected`. */
  onStateChange(listener: (state: SessionState) => void): StopWatching
  /** `no-node` where there is none. */
  get(path: MetadataPath, done: Done<MetadataNode>): void
  /** Null, without an error, where there is none. */
  exists(path: MetadataPath, done: Done<NodeStat>): void
  /** Names without the parent's path, sorted by UTF-16 units, which for the characters allowed in a path is the order of their UTF-8 bytes. */
  children(path: MetadataPath, done: Done<readonly string[]>): void
  /** One write: all or nothing. The results stand in the operations' order. */
  multi(operations: readonly MetadataOperation[], done: Done<readonly MetadataResult[]>): void
  /** Reads called afterwards see all that was committed before this call. */
  sync(done: Done<true>): void
  /** The node's data, creation and deletion; the node need not exist. The first call comes soon after this one. */
  watchNode(path: MetadataPath, listener: () => void): StopWatching
  /** The node's children come and go, and the node itself. */
  watchChildren(path: MetadataPath, listener: () => void): StopWatching
  /** Everything at and below the path. */
  watchTree(path: MetadataPath, listener: () => void): StopWatching
  /** Ends the session: its ephemeral nodes go at once. */
  close(done: () => void): void
}
