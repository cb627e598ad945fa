/**
 * Where slots are served, as this node's own replicas know it: nearer to the truth than the slot table (cluster-view.ts), and only about this node. What a
 * door needs that sends its clients to the leaders.
 */
import type { NodeId, SlotId } from '../base/brand.ts'

export interface SlotPlaces {
  /** A replica here leads a group that owns the slot, by what it has applied. */
  leads(slot: SlotId): boolean
  /** A replica here, leading or not, belongs to the group that is believed to own the slot, and owns it by what it has applied. */
  holds(slot: SlotId): boolean
  /** Its group has let it go, and the one that takes it has not said yet that it serves it. */
  isUnderWay(slot: SlotId): boolean
  /** There is a connection to the node, from here. */
  reaches(node: NodeId): boolean
}
