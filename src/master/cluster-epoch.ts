/**
 * Ids that rise over the cluster's whole life. `recover-masters` begins a new cluster epoch with a tree that knows nothing of ids given out since its
 * last copy, so the epoch is the high part of each: ids of the new epoch lie above all of the old one.
 *
 *   reconfig id   epoch * 2^24 + counter     below 2^29: it is part of a generation (ports/key-space.ts)
 *   node id       epoch * 2^24 + counter     32 bits on the wire
 *   fence         epoch * 2^48 + creation id of the master's election node
 */
import { assert } from '../base/assert.ts'
import { asNodeId, type NodeId } from '../base/brand.ts'

export const MAX_CLUSTER_EPOCH = 31
const COUNTER_LIMIT = 2 ** 24
const FENCE_LIMIT = 2 ** 48

/** Counter 0 is nobody's id: what comes before the first. */
export function reconfigIdOf(clusterEpoch: number, counter: number): number {
  return idOf(clusterEpoch, counter)
}

export function nodeIdOf(clusterEpoch: number, counter: number): NodeId {
  return asNodeId(idOf(clusterEpoch, counter))
}

export function fenceOf(clusterEpoch: number, creationId: number): number {
  assert(clusterEpoch <= MAX_CLUSTER_EPOCH && creationId < FENCE_LIMIT, 'fence: out of room')
  return clusterEpoch * FENCE_LIMIT + creationId
}

function idOf(clusterEpoch: number, counter: number): number {
  assert(clusterEpoch <= MAX_CLUSTER_EPOCH, `cluster epoch ${clusterEpoch}: out of room`)
  assert(counter < COUNTER_LIMIT, 'id: out of room')
  return clusterEpoch * COUNTER_LIMIT + counter
}
