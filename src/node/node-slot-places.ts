/** ports/slot-places.ts from this node's replicas and routes. */
import type { GroupId, NodeId, SlotId } from '../base/brand.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import type { SlotPlaces } from '../ports/slot-places.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { SlotRoutes } from './slot-routes.ts'

export interface PlacedReplicas {
  get(group: GroupId): RaftReplica | undefined
  values(): Iterable<RaftReplica>
}

export class NodeSlotPlaces implements SlotPlaces {
  readonly #replicas: PlacedReplicas
  readonly #routes: SlotRoutes
  readonly #reaches: (node: NodeId) => boolean

  constructor(replicas: PlacedReplicas, routes: SlotRoutes, reaches: (node: NodeId) => boolean) {
    this.#replicas = replicas
    this.#routes = routes
    this.#reaches = reaches
  }

  reaches(node: NodeId): boolean {
    return this.#reaches(node)
  }

  leads(slot: SlotId): boolean {
    const expected = this.#replicas.get(this.#routes.groupOf(slot))
    if (expected !== undefined && leadsSlot(expected, slot)) return true
    // A group that took the slot over knows it before anybody has told.
    for (const replica of this.#replicas.values()) if (replica !== expected && leadsSlot(replica, slot)) return true
    return false
  }

  holds(slot: SlotId): boolean {
    const replica = this.#replicas.get(this.#routes.groupOf(slot))
    return replica !== undefined && ownsSlot(replica, slot)
  }

  isUnderWay(slot: SlotId): boolean {
    return this.#routes.isUnderWay(slot)
  }
}

function leadsSlot(replica: RaftReplica, slot: SlotId): boolean {
  return replica.isLeader && ownsSlot(replica, slot)
}

function ownsSlot({ machine }: RaftReplica, slot: SlotId): boolean {
  return machine instanceof KvStateMachine && machine.slots.owns(slot)
}
