// A small, valid identity for tests.
import type { NodeIdentity } from './identity.ts'

export function sampleIdentity(changes: Partial<NodeIdentity> = {}): NodeIdentity {
  return {
    clusterId: '00112233445566778899aabbccddeeff',
    nodeId: 1,
    slotCount: 16,
    hashKey: '0123456789abcdef',
    host: '127.0.0.1',
    port: 7379,
    peers: [{ nodeId: 2, peerAddress: '127.0.0.1:7393' }],
    groups: [
      {
        groupId: 1,
        replicas: [
          { replicaId: 1, nodeId: 1 },
          { replicaId: 2, nodeId: 2 },
        ],
        slots: [[0, 15]],
        weight: 10,
      },
    ],
    genesis: 'new',
    incarnation: 0,
    ...changes,
  }
}
