/**
 * Ids that rise over the cluster's whole life. `recover-masters` begins a new cluster epoch with a tree that knows nothing of ids given out since its
 * last copy, so the epoch is the high part of each: ids of the new epoch lie above all of the old one.
 *
 *   reconfig id   epoch * 2^24 + counter     below 2^29: it is part of a generation (ports/key-space.ts)
 *   node id       epoch * 2^16 + counter     below 2^21: it is part of a session (node/session-numbers.ts)
 *   replica id    epoch * 2^24 + counter     32 bits on the wire; each group counts its own
 *   fence         epoch * 2^48 + creation id of the master's election node
 *   version       epoch * 2^32 + counter     of the slot table
 */
import { assert } from '../base/assert.ts'
import { asNodeId, asReplicaId, type NodeId, type ReplicaId } from '../base/brand.ts'

export const MAX_CLUSTER_EPOCH = 31
const RECONFIG_LIMIT = 2 ** 24
const REPLICA_LIMIT = 2 ** 24
const NODE_LIMIT = 2 ** 16
const FENCE_LIMIT = 2 ** 48
const TABLE_VERSION_LIMIT = 2 ** 32

/** Counter 0 is nobody's id: what comes before the first. */
export function reconfigIdOf(clusterEpoch: number, counter: number): number {
  return idOf(clusterEpoch, counter, RECONFIG_LIMIT)
}

export function nodeIdOf(clusterEpoch: number, counter: number): NodeId {
  return asNodeId(idOf(clusterEpoch, counter, NODE_LIMIT))
}

export function replicaIdOf(clusterEpoch: number, counter: number): ReplicaId {
  return asReplicaId(idOf(clusterEpoch, counter, REPLICA_LIMIT))
}

export function fenceOf(clusterEpoch: number, creationId: number): number {
  assert(clusterEpoch <= MAX_CLUSTER_EPOCH && creationId < FENCE_LIMIT, 'fence: out of room')
  return clusterEpoch * FENCE_LIMIT + creationId
}

/** Of the masters who gave the replica its id. */
export function epochOfReplica(replicaId: ReplicaId): number {
  return Math.floor(replicaId / REPLICA_LIMIT)
}

export function epochOfFence(fence: number): number {
  return Math.floor(fence / FENCE_LIMIT)
}

/** Above every version that the slot table has had in an earlier epoch: whoever has seen one takes this for newer. */
export function firstTableVersion(clusterEpoch: number): number {
  return clusterEpoch * TABLE_VERSION_LIMIT + 1
}

function idOf(clusterEpoch: number, counter: number, limit: number): number {
  assert(clusterEpoch <= MAX_CLUSTER_EPOCH, `cluster epoch ${clusterEpoch}: out of room`)
  assert(counter < limit, 'id: out of room')
  return clusterEpoch * limit + counter
}
