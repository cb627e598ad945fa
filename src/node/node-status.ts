/** What KV.STATUS shows of a node: plain data for people and for `quorate dev`. */
import { asSlotId, type GroupId } from '../base/brand.ts'
import { VERSION } from '../base/version.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { ClusterView } from '../ports/cluster-view.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { NodeConfig } from './node-config.ts'

/** Of the masters' own group: it has neither weight nor slots. */
export interface MastersStatus {
  readonly replicaId: number
  readonly role: string
  /** Node id; null: unknown. */
  readonly leader: number | null
  readonly term: number
  readonly commit: number
  readonly applied: number
  readonly lastIndex: number
  readonly firstIndex: number
  readonly checkpointing: boolean
  /** Node ids of the members. */
  readonly replicas: readonly number[]
}

export interface GroupStatus extends MastersStatus {
  readonly id: number
  readonly weight: number
  /** How many slots the group owns, as far as known here. */
  readonly slots: number
}

export interface NodeStatus {
  readonly nodeId: number
  readonly version: string
  readonly clusterId: string
  readonly slotCount: number
  /** Data groups of which this node has a replica, by id. */
  readonly groups: readonly GroupStatus[]
  /** Null: this node has no replica of the masters' group. */
  readonly masters: MastersStatus | null
}

export interface ReportedReplicas {
  entries(): IterableIterator<[GroupId, RaftReplica]>
}

export function statusOf(config: NodeConfig, replicas: ReportedReplicas, view: ClusterView | null): NodeStatus {
  const { nodeId, clusterId, slotCount } = config
  const owned = view === null ? new Map<GroupId, number>() : ownedSlots(view)
  const groups: GroupStatus[] = []
  let masters: MastersStatus | null = null
  for (const [group, replica] of replicas.entries()) {
    const status = replicaStatus(replica)
    if (group === MASTERS_GROUP) masters = status
    else groups.push({ id: group, ...status, weight: view?.group(group)?.weight ?? 0, slots: owned.get(group) ?? 0 })
  }
  groups.sort((a, b) => a.id - b.id)
  return { nodeId, version: VERSION, clusterId, slotCount, groups, masters }
}

function replicaStatus(replica: RaftReplica): MastersStatus {
  const { core } = replica
  return {
    replicaId: replica.replicaId,
    role: core.role,
    leader: replica.leaderNode,
    term: core.term,
    commit: core.commitIndex,
    applied: replica.applied,
    lastIndex: core.lastIndex,
    firstIndex: core.firstIndex,
    checkpointing: replica.store.checkpointing,
    replicas: core.membership.members.map((member) => member.nodeId),
  }
}

function ownedSlots(view: ClusterView): Map<GroupId, number> {
  const owned = new Map<GroupId, number>()
  for (let slot = 0; slot < view.slotCount; slot++) {
    const group = view.groupOf(asSlotId(slot))
    owned.set(group, (owned.get(group) ?? 0) + 1)
  }
  return owned
}
