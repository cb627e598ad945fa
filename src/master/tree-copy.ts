/**
 * The registrations of a cluster as nodes tell them to each other when the masters are gone: the tree's own nodes in the tree's own encodings, so that what is
 * read back has passed the same checks as any reading of the tree. `/kv/masters` comes with its version, which counts the masters' writes: the higher, the newer.
 */
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import type { Done } from '../ports/metadata-store.ts'
import type { MetadataError, MetadataNode, MetadataPath } from '../protocol/metadata-operation.ts'
import { type ClusterSnapshot, encodeMigrations, readSnapshot } from './cluster-snapshot.ts'
import type { MasterError } from './master-error.ts'
import { encodeBucket } from './reconfig.ts'
import {
  encodeConfig,
  encodeCounter,
  encodeGenesis,
  encodeGroup,
  encodeJournal,
  encodeNode,
  encodeReport,
  encodeWorkers,
} from './registrations.ts'
import { encodeSlotTable } from './slot-table.ts'
import {
  bucketPath,
  genesisPath,
  groupPath,
  KV,
  MASTERS,
  MASTERS_GROUP,
  MIGRATIONS,
  NODES,
  nodePath,
  reportPath,
  SLOTS,
  VERSION,
  WORKER_ID,
  WORKERS,
} from './tree-layout.ts'
import type { ReadableTree, Versioned } from './tree-reads.ts'

/** A character that is no byte. */
const NO_BYTE = /[\u0100-\uffff]/

export interface CopiedNode {
  readonly path: MetadataPath
  readonly version: number
  /** Latin-1: one character a byte. */
  readonly data: string
}

export function copyOfTree(snapshot: ClusterSnapshot): CopiedNode[] {
  const copy: CopiedNode[] = []
  const add = <T>(path: MetadataPath, { value, version }: Versioned<T>, encode: (value: T) => Uint8Array): void => {
    copy.push({ path, version, data: latin1Text(encode(value)) })
  }
  add(KV, snapshot.config, encodeConfig)
  add(MASTERS, snapshot.journal, encodeJournal)
  add(WORKERS, snapshot.rebalance, encodeWorkers)
  add(SLOTS, snapshot.slots, encodeSlotTable)
  add(VERSION, snapshot.tableVersion, (version) => encodeCounter('version', version))
  add(WORKER_ID, snapshot.nextGroup, (next) => encodeCounter('next', next))
  add(NODES, snapshot.nextNode, (next) => encodeCounter('next', next))
  add(MIGRATIONS, snapshot.migrations, encodeMigrations)
  for (const [group, known] of [[MASTERS_GROUP, snapshot.masters] as const, ...snapshot.groups]) {
    add(groupPath(group), known, encodeGroup)
    if (known.genesis !== null) add(genesisPath(group), known.genesis, encodeGenesis)
    if (known.report !== null) add(reportPath(group), known.report, encodeReport)
  }
  for (const [node, registered] of snapshot.nodes) add(nodePath(node), registered, encodeNode)
  for (const [bucket, reconfigs] of snapshot.buckets) add(bucketPath(bucket), reconfigs, encodeBucket)
  return copy
}

/** Within the call. */
export function readTreeCopy(
  copy: readonly CopiedNode[],
  done: (error: MasterError | null, snapshot: ClusterSnapshot | null) => void,
): void {
  readSnapshot(new CopiedTree(copy), done)
}

/** What comes from another node may be anything. Null: it is no copy. */
export function parseTreeCopy(value: unknown): readonly CopiedNode[] | null {
  if (!Array.isArray(value)) return null
  const isNode = (node: unknown): boolean => {
    if (typeof node !== 'object' || node === null) return false
    const { path, version, data } = node as Readonly<Record<string, unknown>>
    return typeof path === 'string' && Number.isSafeInteger(version) && typeof data === 'string' && !NO_BYTE.test(data)
  }
  return value.every(isNode) ? (value as readonly CopiedNode[]) : null
}

class CopiedTree implements ReadableTree {
  readonly #nodes: ReadonlyMap<MetadataPath, CopiedNode>

  constructor(copy: readonly CopiedNode[]) {
    this.#nodes = new Map(copy.map((node) => [node.path, node]))
  }

  get(path: MetadataPath, done: Done<MetadataNode>): void {
    const node = this.#nodes.get(path)
    if (node === undefined) return done(absent(path), null)
    const { version } = node
    const data = latin1Bytes(node.data)
    const stat = { creationId: 0, modificationId: 0, childVersion: 0, ephemeralOwner: null, childCount: 0 }
    done(null, { data, stat: { ...stat, version, dataBytes: data.length } })
  }

  children(path: MetadataPath, done: Done<readonly string[]>): void {
    const prefix = `${path}/`
    const names = new Set<string>()
    for (const other of this.#nodes.keys()) {
      if (other.startsWith(prefix)) names.add(other.slice(prefix.length).split('/')[0])
    }
    done(null, [...names].sort())
  }

  sync(done: Done<true>): void {
    done(null, true)
  }
}

function absent(path: MetadataPath): MetadataError {
  return { code: 'no-node', message: `${path}: is not in the copy`, operation: -1 }
}
