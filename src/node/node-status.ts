/** What KV.STATUS shows of a node: plain data for people and for `quorate dev`. */
import type { GroupId } from '../base/brand.ts'
import { VERSION } from '../base/version.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { GroupGenesisConfig, NodeConfig } from './node-config.ts'

export interface GroupStatus {
  readonly id: number
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
  readonly weight: number
  /** How many slots the group owns. */
  readonly slots: number
}

export interface NodeStatus {
  readonly nodeId: number
  readonly version: string
  readonly clusterId: string
  readonly slotCount: number
  readonly groups: readonly GroupStatus[]
}

export function statusOf(
  config: NodeConfig,
  replicas: ReadonlyMap<GroupId, RaftReplica>,
  genesisOf: (group: GroupId) => GroupGenesisConfig | undefined,
): NodeStatus {
  const groups: GroupStatus[] = []
  for (const [group, replica] of replicas) {
    const { core } = replica
    const genesis = genesisOf(group)
    groups.push({
      id: group,
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
      weight: genesis?.weight ?? 0,
      slots: (genesis?.slots ?? []).reduce((sum, [first, last]) => sum + last - first + 1, 0),
    })
  }
  const { nodeId, clusterId, slotCount } = config
  return { nodeId, version: VERSION, clusterId, slotCount, groups: groups.sort((a, b) => a.id - b.id) }
}
