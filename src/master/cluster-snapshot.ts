/**
 * The tree as the active master plans over it, with the versions that its writes name: so a plan over what has changed meanwhile is refused, and
 * made afresh. Read anew for each write: the tree is the truth, nothing of it is remembered.
 */
import { asNodeId, type GroupId, type NodeId } from '../base/brand.ts'
import { DecodeError } from '../base/bytes.ts'
import type { MasterError } from './master-error.ts'
import { decodeBucket, type Reconfig } from './reconfig.ts'
import {
  type ClusterConfig,
  decodeConfig,
  decodeCounter,
  decodeGenesis,
  decodeGroup,
  decodeJournal,
  decodeNode,
  decodeReport,
  decodeWorkers,
  type GroupGenesis,
  type GroupRegistration,
  type GroupReport,
  groupOfName,
  idOfName,
  type MasterJournal,
  type RegisteredNode,
} from './registrations.ts'
import { decodeSlotTable, type SlotTable } from './slot-table.ts'
import {
  bucketOf,
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
import { type ReadableTree, TreeReads, type Versioned } from './tree-reads.ts'
import { decodeValue, encodeValue } from './tree-value.ts'

export interface MigrationIndex {
  /** The last id given out. */
  readonly last: number
  /** The first bucket that is kept. */
  readonly first: number
  /** Buckets with reconfigs that are not over, rising. */
  readonly open: readonly number[]
}

export const encodeMigrations = ({ last, first, open }: MigrationIndex): Uint8Array =>
  encodeValue({ last, first, open })

export function decodeMigrations(data: Uint8Array): MigrationIndex {
  const value = decodeValue(MIGRATIONS, data)
  return { last: value.whole('last'), first: value.whole('first'), open: value.wholes('open') }
}

export interface SnapshotGroup extends Versioned<GroupRegistration> {
  readonly genesis: Versioned<GroupGenesis> | null
  readonly report: Versioned<GroupReport> | null
}

export interface ClusterSnapshot {
  config: Versioned<ClusterConfig>
  /** Its version counts the masters' writes: of two copies of the tree it tells the newer one. */
  journal: Versioned<MasterJournal>
  /** The slots are to be planned afresh by weight. */
  rebalance: Versioned<boolean>
  slots: Versioned<SlotTable>
  tableVersion: Versioned<number>
  migrations: Versioned<MigrationIndex>
  nextGroup: Versioned<number>
  nextNode: Versioned<number>
  /** The masters' own group. */
  masters: SnapshotGroup
  /** Data groups. */
  readonly groups: Map<GroupId, SnapshotGroup>
  readonly nodes: Map<NodeId, Versioned<RegisteredNode>>
  /** Those in use, and the last. */
  readonly buckets: Map<number, Versioned<readonly Reconfig[]>>
}

export type SnapshotDone = (error: MasterError | null, snapshot: ClusterSnapshot | null) => void

/** Through everything that was committed before the call. */
export function readSnapshot(store: ReadableTree, done: SnapshotDone): void {
  const reads = new TreeReads(store)
  const parts: Partial<ClusterSnapshot> = {}
  const maps = { groups: new Map(), nodes: new Map(), buckets: new Map() }
  reads.end((error) => {
    // Whatever was not read is an error.
    if (error !== null) done(error, null)
    else done(null, { ...(parts as ClusterSnapshot), ...maps })
  })
  reads.sync(() => {
    reads.get(KV, decodeConfig, (node) => {
      parts.config = node
    })
    reads.get(MASTERS, decodeJournal, (node) => {
      parts.journal = node
    })
    reads.get(WORKERS, decodeWorkers, (node) => {
      parts.rebalance = node
    })
    reads.get(SLOTS, decodeSlotTable, (node) => {
      parts.slots = node
    })
    reads.get(VERSION, counter(VERSION, 'version'), (node) => {
      parts.tableVersion = node
    })
    reads.get(WORKER_ID, counter(WORKER_ID, 'next'), (node) => {
      parts.nextGroup = node
    })
    reads.get(NODES, counter(NODES, 'next'), (node) => {
      parts.nextNode = node
    })
    readMasters(reads, (masters) => {
      parts.masters = masters
    })
    readGroups(reads, maps.groups)
    readNodes(reads, maps.nodes)
    reads.get(MIGRATIONS, decodeMigrations, (node) => {
      parts.migrations = node
      readBuckets(reads, node.value, maps.buckets)
    })
  })
}

function counter(path: string, name: 'version' | 'next'): (data: Uint8Array) => number {
  return (data) => decodeCounter(path, name, data)
}

function readMasters(reads: TreeReads, found: (masters: SnapshotGroup) => void): void {
  readGroup(reads, MASTERS_GROUP, (masters) => {
    if (masters === null) throw new DecodeError(`${groupPath(MASTERS_GROUP)} is not there`)
    found(masters)
  })
}

function readGroups(reads: TreeReads, groups: Map<GroupId, SnapshotGroup>): void {
  reads.children(WORKERS, (names) => {
    for (const name of names) {
      const group = groupOfName(name)
      if (group === null) continue
      readGroup(reads, group, (found) => {
        if (found !== null) groups.set(group, found)
      })
    }
  })
}

/** Null: a group that went since its name was read. */
function readGroup(reads: TreeReads, group: GroupId, found: (group: SnapshotGroup | null) => void): void {
  let genesis: Versioned<GroupGenesis> | null = null
  let report: Versioned<GroupReport> | null = null
  const readGenesis = (data: Uint8Array): GroupGenesis => decodeGenesis(group, data)
  reads.find(genesisPath(group), readGenesis, (node) => {
    genesis = node
  })
  const readReport = (data: Uint8Array): GroupReport => decodeReport(group, data)
  reads.find(reportPath(group), readReport, (node) => {
    report = node
  })
  const readRegistration = (data: Uint8Array): GroupRegistration => decodeGroup(group, data)
  // Answers come in the order of the calls: genesis and report are there.
  reads.find(groupPath(group), readRegistration, (node) => {
    found(node === null ? null : { ...node, genesis, report })
  })
}

function readNodes(reads: TreeReads, nodes: Map<NodeId, Versioned<RegisteredNode>>): void {
  reads.children(NODES, (names) => {
    for (const name of names) {
      const id = idOfName(name)
      if (id === null) continue
      const node = asNodeId(id)
      const decode = (data: Uint8Array): RegisteredNode => decodeNode(node, data)
      reads.find(nodePath(node), decode, (found) => {
        if (found !== null) nodes.set(node, found)
      })
    }
  })
}

function readBuckets(
  reads: TreeReads,
  { open, last }: MigrationIndex,
  buckets: Map<number, Versioned<readonly Reconfig[]>>,
): void {
  for (const bucket of new Set([...open, bucketOf(last)])) {
    const decode = (data: Uint8Array): Reconfig[] => decodeBucket(bucket, data)
    reads.find(bucketPath(bucket), decode, (node) => {
      if (node !== null) buckets.set(bucket, node)
      else if (open.includes(bucket)) throw new DecodeError(`${bucketPath(bucket)} is not there`)
    })
  }
}

/** Planned, begun, or not yet clean; rising by id. */
export function openReconfigs({ buckets }: Pick<ClusterSnapshot, 'buckets'>): Reconfig[] {
  const all = [...buckets.values()].flatMap(({ value }) => value)
  return all.filter((reconfig) => !reconfig.isClean).sort((a, b) => a.reconfigId - b.reconfigId)
}
