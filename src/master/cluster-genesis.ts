/**
 * The tree of a new cluster, in one write: whoever comes second finds it there. Groups that exist from the start get their slots at once, in runs by
 * weight, because they own them by their own genesis; everything later is a reconfig.
 */
import { assert } from '../base/assert.ts'
import type { GroupId } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { MetadataOperation, MetadataPath } from '../protocol/metadata-operation.ts'
import { PERSISTENT } from '../protocol/metadata-operation.ts'
import { allocate, NOBODY } from './allocation.ts'
import { nodeIdOf, reconfigIdOf } from './cluster-epoch.ts'
import { encodeMigrations } from './cluster-snapshot.ts'
import {
  encodeConfig,
  encodeCounter,
  encodeGroup,
  encodeJournal,
  encodeNode,
  encodeWorkers,
  type GroupRegistration,
  type NodeRegistration,
} from './registrations.ts'
import { encodeSlotTable } from './slot-table.ts'
import {
  bucketOf,
  ELECTION,
  groupPath,
  KV,
  MASTERS,
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
  readonly groups: readonly (GroupRegistration & { readonly groupId: GroupId })[]
  /** Ids 1, 2, 3... of the epoch. */
  readonly nodes: readonly NodeRegistration[]
}

/** The owner of each slot: what the groups' own genesis must say too. */
export function genesisOwners(slotCount: number, groups: Genesis['groups']): readonly GroupId[] {
  const allocation = allocate(new Array<GroupId>(slotCount).fill(NOBODY), groups)
  assert(allocation.kind === 'allocated', 'genesis: no group may hold slots')
  return allocation.target
}

/** One multi. `node-exists` at the first operation: there is a cluster. */
export function genesisOperations({ clusterEpoch, slotCount, groups, nodes }: Genesis): MetadataOperation[] {
  assert(
    groups.every(({ groupId }, i) => groupId === i + 1),
    'genesis: group ids',
  )
  const create = (path: MetadataPath, data: Uint8Array): MetadataOperation => {
    return { kind: 'create', path, data, options: PERSISTENT }
  }
  const owners = genesisOwners(slotCount, groups)
  const last = reconfigIdOf(clusterEpoch, 0)
  return [
    create(KV, encodeConfig({ clusterEpoch, slotCount })),
    create(MASTERS, encodeJournal({ fence: 0, episode: 0, write: 0 })),
    create(WORKERS, encodeWorkers(false)),
    ...groups.map((group) => create(groupPath(group.groupId), encodeGroup(group))),
    create(SLOTS, encodeSlotTable({ version: 1, groups: owners, reconfigIds: owners.map(() => 0) })),
    create(VERSION, encodeCounter('version', 1)),
    create(MIGRATIONS, encodeMigrations({ last, first: bucketOf(last), open: [] })),
    create(WORKER_ID, encodeCounter('next', groups.length + 1)),
    create(NODES, encodeCounter('next', nodes.length + 1)),
    ...nodes.map((node, i) => create(nodePath(nodeIdOf(clusterEpoch, i + 1)), encodeNode(node))),
    create(ELECTION, EMPTY_BYTES),
  ]
}
