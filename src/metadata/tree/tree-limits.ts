/**
 * The bounds of one metadata tree. Apply depends on them, so they are replicated state: a replica that is restarted with others goes on
 * with the group's.
 *
 *   limits := (u32 each, in the order of LIMIT_NAMES)*
 */
import { assert } from '../../base/assert.ts'
import { type BytesReader, type BytesWriter, DecodeError } from '../../base/bytes.ts'
import { METADATA_LIMITS } from '../../protocol/metadata-operation.ts'

export interface TreeLimits {
  readonly maxDataBytes: number
  readonly maxMultiOperations: number
  readonly maxMultiBytes: number
  /** What each operation of a multi counts for beside its path and data. */
  readonly operationBytes: number
  readonly maxPathBytes: number
  /** Of one node. */
  readonly maxChildren: number
  /** The root is one. */
  readonly maxNodes: number
  /** Paths and data of all nodes. */
  readonly maxTreeBytes: number
  readonly maxSessions: number
  /** Results kept for one session: as many writes may be unanswered. */
  readonly maxResults: number
  /** A larger reply is remembered as done, and not kept. */
  readonly maxResultBytes: number
  /** All kept results of all sessions. */
  readonly maxResultBytesTotal: number
}

export const DEFAULT_TREE_LIMITS: TreeLimits = {
  ...METADATA_LIMITS,
  // Each checkpoint and digest writes them all in one go: about 2 us a node on Node 20, so half a second at this bound.
  maxNodes: 250_000,
  maxTreeBytes: 64 * 1024 * 1024,
  maxSessions: 100_000,
  maxResults: 64,
  maxResultBytes: 64 * 1024,
  maxResultBytesTotal: 32 * 1024 * 1024,
}

const LIMIT_NAMES: readonly (keyof TreeLimits)[] = [
  'maxDataBytes',
  'maxMultiOperations',
  'maxMultiBytes',
  'operationBytes',
  'maxPathBytes',
  'maxChildren',
  'maxNodes',
  'maxTreeBytes',
  'maxSessions',
  'maxResults',
  'maxResultBytes',
  'maxResultBytesTotal',
]
/** Paths are built name by name, so that their length bounds the depth, and with it the work. */
const LONGEST_PATH_BYTES = 4096

export function checkTreeLimits(limits: TreeLimits): void {
  assert(soundLimits(limits), 'metadata tree: limits are positive 32-bit numbers, and paths of at most 4096 bytes')
}

function soundLimits(limits: TreeLimits): boolean {
  const isSound = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 0xffffffff
  return LIMIT_NAMES.every((name) => isSound(limits[name])) && limits.maxPathBytes <= LONGEST_PATH_BYTES
}

export function encodeTreeLimits(writer: BytesWriter, limits: TreeLimits): void {
  for (const name of LIMIT_NAMES) writer.u32(limits[name])
}

/** Throws DecodeError. */
export function decodeTreeLimits(reader: BytesReader): TreeLimits {
  const limits: Record<keyof TreeLimits, number> = { ...DEFAULT_TREE_LIMITS }
  for (const name of LIMIT_NAMES) limits[name] = reader.u32()
  if (!soundLimits(limits)) throw new DecodeError('metadata tree: limits out of bounds')
  return limits
}
