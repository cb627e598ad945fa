/**
 * The cluster in Redis Cluster's words: nodes with 40-digit ids, 16384 slots, shards of one master and its replicas.
 *
 * A group is a shard: its leader the master; of its other members those that lead nothing are shown as replicas. A node has one id however many groups it is
 * in, and one role: clients know nodes by address, and Valkey GLIDE, told that one is the master of some slots and a replica for others, asks it for both (220 of 300
 * commands went astray). CLUSTER NODES has a node that leads none as a replica of the leader of the first group that it is in.
 */
import { asSlotId, type GroupId, type NodeId } from '../../../base/brand.ts'
import { REDIS_SLOT_COUNT } from '../../../base/slot.ts'
import type { ClusterView, GroupView, NodeView } from '../../../ports/cluster-view.ts'

const ID_DIGITS = 40
const CLUSTER_DIGITS = 24

/** Of 16384; first and last. */
export type SlotRange = readonly [first: number, last: number]

export interface Shard {
  readonly group: GroupId
  readonly ranges: readonly SlotRange[]
  /** Null: no member's address is known. */
  readonly master: NodeView | null
  readonly replicas: readonly NodeView[]
}

export interface ShownNode {
  readonly node: NodeView
  /** Null: it is a master itself. */
  readonly master: NodeView | null
  readonly ranges: readonly SlotRange[]
}

export class ClusterShape {
  readonly view: ClusterView
  readonly #lastLeaders = new Map<GroupId, NodeId>()

  constructor(view: ClusterView) {
    this.view = view
  }

  /** The same after restarts and on every node: the cluster's first 24 digits, then the node's number. */
  idOf(node: NodeId): string {
    const cluster = this.view.clusterId.slice(0, CLUSTER_DIGITS).padStart(CLUSTER_DIGITS, '0')
    return cluster + node.toString(16).padStart(ID_DIGITS - CLUSTER_DIGITS, '0')
  }

  /** Null: nobody has that id. */
  nodeOf(id: string): NodeView | null {
    return this.view.nodes().find(({ nodeId }) => this.idOf(nodeId) === id.toLowerCase()) ?? null
  }

  shards(): readonly Shard[] {
    const ranges = this.#ranges()
    const masters = this.view.groups().map((group) => {
      const members = group.members.map((member) => this.view.node(member)).filter((node) => node !== undefined)
      const leader = this.#leaderOf(group)
      return { group, members, master: (leader === null ? undefined : this.view.node(leader)) ?? members[0] ?? null }
    })
    const leading = new Set(masters.map(({ master }) => master?.nodeId))
    return masters.map(({ group: { group }, members, master }) => {
      const replicas = members.filter(({ nodeId }) => !leading.has(nodeId))
      return { group, ranges: ranges.get(group) ?? [], master, replicas }
    })
  }

  nodes(): readonly ShownNode[] {
    const shards = this.shards()
    return this.view.nodes().map((node) => {
      const led = shards.filter(({ master }) => master?.nodeId === node.nodeId)
      const followed = shards.find(({ replicas }) => replicas.some(({ nodeId }) => nodeId === node.nodeId))
      const master = led.length > 0 ? null : (followed?.master ?? null)
      return { node, master, ranges: joined(led.flatMap(({ ranges }) => ranges)) }
    })
  }

  /** Of 16384: how many have a leader that is known. */
  slotsServed(): number {
    const { slotCount } = this.view
    let served = 0
    for (let slot = 0; slot < slotCount; slot++) {
      if (this.view.leaderOf(this.view.groupOf(asSlotId(slot))) !== null) served++
    }
    return (served * REDIS_SLOT_COUNT) / slotCount
  }

  /** While a group elects: the last leader that was heard of, or a member. A shard without a master would make clients forget its slots. */
  #leaderOf({ group, members }: GroupView): NodeId | null {
    const leader = this.view.leaderOf(group)
    if (leader === null) return this.#lastLeaders.get(group) ?? members[0] ?? null
    this.#lastLeaders.set(group, leader)
    return leader
  }

  #ranges(): Map<GroupId, SlotRange[]> {
    const { slotCount } = this.view
    const width = REDIS_SLOT_COUNT / slotCount
    const ranges = new Map<GroupId, SlotRange[]>()
    let first = 0
    for (let slot = 1; slot <= slotCount; slot++) {
      const group = this.view.groupOf(asSlotId(first))
      if (slot < slotCount && this.view.groupOf(asSlotId(slot)) === group) continue
      const own = ranges.get(group) ?? []
      own.push([first * width, slot * width - 1])
      ranges.set(group, own)
      first = slot
    }
    return ranges
  }
}

/** Rising, neighbours as one. */
function joined(ranges: readonly SlotRange[]): SlotRange[] {
  const found: SlotRange[] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = found.at(-1)
    if (before !== undefined && before[1] + 1 === first) found[found.length - 1] = [before[0], last]
    else found.push([first, last])
  }
  return found
}

export interface HostAndPort {
  readonly host: string
  readonly port: number
}

export function splitAddress(address: string): HostAndPort {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) }
}
