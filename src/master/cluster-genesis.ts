/**
 * The tree of a new cluster, in one write: whoever comes second finds it there. Groups that exist from the start get their slots at once, in runs by
 * weight, because they own them by their own genesis; everything later is a reconfig.
 */
import { assert } from '../base/assert.ts'
import type { GroupId, NodeId } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { MetadataOperation, MetadataPath } from '../protocol/metadata-operation.ts'
import { PERSISTENT } from '../protocol/metadata-operation.ts'
import { allocate, NOBODY, type SlotRange } from './allocation.ts'
import { nodeIdOf, reconfigIdOf, replicaIdOf } from './cluster-epoch.ts'
import { encodeMigrations } from './cluster-snapshot.ts'
import {
  encodeConfig,
  encodeCounter,
  encodeGenesis,
  encodeGroup,
  encodeJournal,
  encodeNode,
  encodeWorkers,
  type GroupMember,
  type NodeRegistration,
} from './registrations.ts'
import { encodeSlotTable, tableRanges } from './slot-table.ts'
import {
  bucketOf,
  ELECTION,
  genesisPath,
  groupPath,
  KV,
  MASTERS,
  MASTERS_GROUP,
  MIGRATIONS,
  NODES,
  nodePath,
  SLOTS,
  VERSION,
  WORKER_ID,
  WORKERS,
} from './tree-layout.ts'

export interface Genesis {
  readonly clusterEpoch: number
  readonly slotCount: number
  /** Ids 1, 2, 3...; at least one with a weight. */
  readonly groups: readonly GenesisGroup[]
  /** Of the masters' own group. */
  readonly masters: readonly GroupMember[]
  /** Ids 1, 2, 3... of the epoch. */
  readonly nodes: readonly NodeRegistration[]
}

export interface GenesisGroup {
  readonly groupId: GroupId
  readonly weight: number
  /** Rising by node; replica ids 1, 2, 3... of the epoch, as `genesisMembers` gives them. */
  readonly members: readonly GroupMember[]
}

/** The first replicas of a group on these nodes. */
export function genesisMembers(clusterEpoch: number, nodes: readonly NodeId[]): readonly GroupMember[] {
  const rising = [...new Set(nodes)].sort((a, b) => a - b)
  return rising.map((nodeId, i) => ({ nodeId, replicaId: replicaIdOf(clusterEpoch, i + 1) }))
}

/** The owner of each slot: what the groups' own genesis must say too. */
export function genesisOwners(
  slotCount: number,
  groups: readonly Pick<GenesisGroup, 'groupId' | 'weight'>[],
): readonly GroupId[] {
  const weighted = groups.map(({ groupId, weight }) => ({ groupId, weight, draining: false }))
  const allocation = allocate(new Array<GroupId>(slotCount).fill(NOBODY), weighted)
  assert(allocation.kind === 'allocated', 'genesis: no group may hold slots')
  return allocation.target
}

/** One multi. `node-exists` at the first operation: there is a cluster. */
export function genesisOperations({ clusterEpoch, slotCount, groups, masters, nodes }: Genesis): MetadataOperation[] {
  assert(
    groups.every(({ groupId }, i) => groupId === i + 1),
    'genesis: group ids',
  )
  const owners = genesisOwners(slotCount, groups)
  const ranges = tableRanges(owners)
  const slotsOf = (group: GroupId): SlotRange[] => ranges.filter((r) => r.group === group).map(({ range }) => range)
  const masterGroup = { groupId: MASTERS_GROUP, weight: 0, members: masters }
  const last = reconfigIdOf(clusterEpoch, 0)
  return [
    create(KV, encodeConfig({ clusterEpoch, slotCount })),
    create(MASTERS, encodeJournal({ fence: 0, episode: 0, write: 0 })),
    ...createGroup(masterGroup, []),
    create(WORKERS, encodeWorkers(false)),
    ...groups.flatMap((group) => createGroup(group, slotsOf(group.groupId))),
    create(SLOTS, encodeSlotTable({ version: 1, groups: owners, reconfigIds: owners.map(() => 0) })),
    create(VERSION, encodeCounter('version', 1)),
    create(MIGRATIONS, encodeMigrations({ last, first: bucketOf(last), open: [] })),
    create(WORKER_ID, encodeCounter('next', groups.length + 1)),
    create(NODES, encodeCounter('next', nodes.length + 1)),
    ...nodes.map((node, i) => create(nodePath(nodeIdOf(clusterEpoch, i + 1)), encodeNode({ ...node, leaving: false }))),
    create(ELECTION, EMPTY_BYTES),
  ]
}

/** A group and how it begins. */
export function createGroup(
  { groupId, weight, members }: GenesisGroup,
  slots: readonly SlotRange[],
): MetadataOperation[] {
  const replicas = members.map((member) => ({ ...member, made: false }))
  const nextReplica = members.length + 1
  return [
    create(groupPath(groupId), encodeGroup({ weight, draining: false, members, nextReplica })),
    create(genesisPath(groupId), encodeGenesis({ slots, replicas })),
  ]
}

function create(path: MetadataPath, data: Uint8Array): MetadataOperation {
  return { kind: 'create', path, data, options: PERSISTENT }
}
