// A small, valid identity for tests.
import type { NodeIdentity } from './identity.ts'

export function sampleIdentity(changes: Partial<NodeIdentity> = {}): NodeIdentity {
  return {
    clusterId: '00112233445566778899aabbccddeeff',
    nodeId: 1,
    slotCount: 16,
    hashKey: '0123456789abcdef',
    secret: 'ffeeddccbbaa99887766554433221100',
    host: '127.0.0.1',
    port: 7379,
    roles: ['master', 'worker'],
    nodes: [
      {
        nodeId: 1,
        peer: '127.0.0.1:7383',
        resp: '127.0.0.1:7379',
        cluster: '127.0.0.1:7380',
        roles: ['master', 'worker'],
      },
      {
        nodeId: 2,
        peer: '127.0.0.1:7393',
        resp: '127.0.0.1:7389',
        cluster: '127.0.0.1:7390',
        roles: ['master', 'worker'],
      },
    ],
    groups: [
      {
        groupId: 1,
        replicas: [
          { replicaId: 1, nodeId: 1 },
          { replicaId: 2, nodeId: 2 },
        ],
        slots: [[0, 15]],
        weight: 10,
        made: false,
      },
    ],
    incarnation: 0,
    ...changes,
  }
}
