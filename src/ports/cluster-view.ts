/**
 * The cluster as this node knows it: the slot table, the groups, the nodes. A mirror of the metadata tree, with what this node's own replicas know on top; it
 * may lag behind, and it decides nothing: groups do (NotResponsible), and what is read here only says whom to ask first. node/cluster/ implements it.
 */
import type { GroupId, NodeId, SlotId } from '../base/brand.ts'

export type NodeRole = 'master' | 'worker'

export interface NodeView {
  readonly nodeId: NodeId
  /** host:port, of the other nodes' connections. */
  readonly peer: string
  /** host:port, of the first RESP port. */
  readonly resp: string
  /** host:port, of the RESP port with Redis Cluster's semantics. */
  readonly cluster: string
  readonly roles: readonly NodeRole[]
}

export interface GroupView {
  readonly group: GroupId
  readonly weight: number
  readonly draining: boolean
  /** Node ids, rising: by the group's own word, else as desired. */
  readonly members: readonly NodeId[]
}

export interface ClusterView {
  readonly self: NodeId
  /** 32 hex digits. */
  readonly clusterId: string
  readonly slotCount: number
  /** Of the slot table; 0: none was read yet, and the slots are where they were when this node last ran. */
  readonly tableVersion: number
  /** As the table has it, or as a group has said since. */
  groupOf(slot: SlotId): GroupId
  /** The table's version that brought the slot's last change, or a later one where that is not known here. */
  changedAt(slot: SlotId): number
  /** The node that leads the group, as far as known here; null: unknown. */
  leaderOf(group: GroupId): NodeId | null
  /** Data groups, rising by id. */
  groups(): readonly GroupView[]
  group(group: GroupId): GroupView | undefined
  /** Rising by id, this one among them. */
  nodes(): readonly NodeView[]
  node(nodeId: NodeId): NodeView | undefined
  /** Called after changes of the table, the groups, the nodes; not of leaders. As an event of its own. Returns what stops it. */
  onChange(listener: () => void): () => void
}
