/**
 * The words of the metadata tree, as they stand in commands, replies and the port (ports/metadata-store.ts, which says what is
 * promised): nodes and their versions, operations, results, errors, limits.
 */

/** A slash-separated absolute path, without a slash at its end: "/kv/slots". "/" is the root. */
export type MetadataPath = string

/** In the order of their numbers on the wire: add at the end only. */
export const METADATA_ERROR_CODES = [
  /** The node (or the parent of a node to be created) is not there. */
  'no-node',
  'node-exists',
  /** The expected version is another. */
  'bad-version',
  /** Only a node without children can be deleted. */
  'not-empty',
  /** Ephemeral nodes have no children. */
  'no-children-for-ephemerals',
  /** Over the limit of one node's data, of one multi, or of the tree. */
  'too-large',
  /** Not absolute, an empty name, "." or "..", a character that ZooKeeper refuses too, or over the limit; or the root, to be deleted. */
  'bad-path',
  /** Not done, and it will not be: no server took it within the time, or the tree is busy. Nothing changed. */
  'unavailable',
  /** The answer was lost: it may have been done, or may be done yet. */
  'unknown',
  /** The session is over. Nothing was done by this call. */
  'session-expired',
  /** `close` was called before. */
  'closed',
] as const

export type MetadataErrorCode = (typeof METADATA_ERROR_CODES)[number]

export interface MetadataError {
  readonly code: MetadataErrorCode
  /** For people: names the path and the operation. */
  readonly message: string
  /** Of a multi: which of its operations failed; else -1. */
  readonly operation: number
}

/** Ids rise with every write of the whole tree; only nodes that one multi created share a creation id. */
export interface NodeStat {
  readonly creationId: number
  /** The id of the write that last changed the data. */
  readonly modificationId: number
  /** 0 at creation, then one more with each `set`. */
  readonly version: number
  /** One more with each child created or deleted. */
  readonly childVersion: number
  /** The session whose end removes the node; null: it stays. */
  readonly ephemeralOwner: string | null
  readonly dataBytes: number
  readonly childCount: number
}

export interface MetadataNode {
  readonly data: Uint8Array
  readonly stat: NodeStat
}

/** `ephemeral`: gone with the session. `sequential`: ten digits are appended to the name, rising among the children of one parent. */
export interface CreateOptions {
  readonly ephemeral: boolean
  readonly sequential: boolean
}

export const PERSISTENT: CreateOptions = { ephemeral: false, sequential: false }
export const EPHEMERAL: CreateOptions = { ephemeral: true, sequential: false }
export const PERSISTENT_SEQUENTIAL: CreateOptions = { ephemeral: false, sequential: true }
export const EPHEMERAL_SEQUENTIAL: CreateOptions = { ephemeral: true, sequential: true }

/** In place of an expected version. */
export const ANY_VERSION = -1

export type MetadataOperation =
  | { readonly kind: 'create'; readonly path: MetadataPath; readonly data: Uint8Array; readonly options: CreateOptions }
  | { readonly kind: 'set'; readonly path: MetadataPath; readonly data: Uint8Array; readonly version: number }
  | { readonly kind: 'delete'; readonly path: MetadataPath; readonly version: number }
  /** Fails the multi unless the node is there with this version. */
  | { readonly kind: 'check'; readonly path: MetadataPath; readonly version: number }

/** What one operation of a multi, or a single one, answers. */
export type MetadataResult =
  | { readonly kind: 'created'; readonly path: MetadataPath; readonly stat: NodeStat }
  | { readonly kind: 'set'; readonly stat: NodeStat }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'checked' }

/**
 * Bounds that both implementations hold to. Bytes. A multi counts for the bytes of its operations' paths and data, and `operationBytes`
 * more for each: then the largest one, in ZooKeeper's own format too, stays below ZooKeeper's packet limit of 1 MiB - 1.
 */
export const METADATA_LIMITS = {
  maxDataBytes: 1024 * 1024 - 8192,
  maxMultiOperations: 4096,
  maxMultiBytes: 1024 * 1024 - 4096,
  operationBytes: 64,
  maxPathBytes: 1024,
  maxChildren: 100_000,
} as const
