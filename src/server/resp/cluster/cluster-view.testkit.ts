/** A cluster that a test makes and changes: the view and the places of one of its nodes. Groups own runs of slots; leaders and members are what the test says. */
import { asGroupId, asNodeId, asSlotId, type GroupId, type NodeId, type SlotId } from '../../../base/brand.ts'
import type { ClusterView, GroupView, NodeView } from '../../../ports/cluster-view.ts'
import type { SlotPlaces } from '../../../ports/slot-places.ts'

export class TestClusterView implements ClusterView, SlotPlaces {
  readonly self: NodeId
  readonly clusterId = '0123456789abcdef0123456789abcdef'
  readonly slotCount = 1024
  tableVersion = 7
  /** By group. */
  readonly leaders = new Map<number, number | null>()
  readonly members = new Map<number, readonly number[]>()
  readonly owners: number[]
  readonly underWay = new Set<number>()
  /** Slots that this node's replicas own whatever the table says, or do not own. */
  readonly ownedHere = new Map<number, boolean>()
  readonly away = new Set<number>()
  readonly #nodes: readonly NodeView[]
  readonly #listeners = new Set<() => void>()

  constructor(self: number, nodes: number, groups: number) {
    this.self = asNodeId(self)
    this.#nodes = Array.from({ length: nodes }, (_, i) => ({
      nodeId: asNodeId(i + 1),
      peer: `host-${i + 1}:9000`,
      resp: `host-${i + 1}:7379`,
      cluster: `host-${i + 1}:8379`,
      roles: ['worker'],
    }))
    for (let group = 1; group <= groups; group++) {
      this.members.set(
        group,
        this.#nodes.map(({ nodeId }) => nodeId),
      )
      this.leaders.set(group, ((group - 1) % nodes) + 1)
    }
    this.owners = Array.from({ length: this.slotCount }, (_, slot) => Math.floor((slot * groups) / this.slotCount) + 1)
  }

  groupOf(slot: SlotId): GroupId {
    return asGroupId(this.owners[slot])
  }

  changedAt(): number {
    return this.tableVersion
  }

  leaderOf(group: GroupId): NodeId | null {
    const leader = this.leaders.get(group) ?? null
    return leader === null ? null : asNodeId(leader)
  }

  groups(): readonly GroupView[] {
    return [...this.members].map(([group, members]) => ({
      group: asGroupId(group),
      weight: 1,
      draining: false,
      members: members.map(asNodeId),
    }))
  }

  group(group: GroupId): GroupView | undefined {
    return this.groups().find((view) => view.group === group)
  }

  nodes(): readonly NodeView[] {
    return this.#nodes
  }

  node(nodeId: NodeId): NodeView | undefined {
    return this.#nodes.find((node) => node.nodeId === nodeId)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  leads(slot: SlotId): boolean {
    const owned = this.ownedHere.get(slot)
    if (owned !== undefined) return owned
    return !this.underWay.has(slot) && this.leaderOf(this.groupOf(slot)) === this.self
  }

  holds(slot: SlotId): boolean {
    return this.members.get(this.groupOf(slot))?.includes(this.self) === true && !this.underWay.has(slot)
  }

  isUnderWay(slot: SlotId): boolean {
    return this.underWay.has(slot)
  }

  reaches(node: NodeId): boolean {
    return !this.away.has(node)
  }

  /** Slot from first to last (of 1024) go to the group. */
  give(first: number, last: number, group: number): void {
    for (let slot = first; slot <= last; slot++) this.owners[asSlotId(slot)] = group
    this.tableVersion++
    for (const listener of this.#listeners) listener()
  }
}
