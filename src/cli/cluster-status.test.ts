// From the nodes' own words to the cluster's leaders.
import { expect, test } from 'vitest'
import {
  leadersOf,
  ledCluster,
  missingToLead,
  type NodeView,
  parseNodeStatus,
  type ReplicaView,
} from './cluster-status.ts'

const GROUP = {
  id: 1,
  replicaId: 1,
  role: 'leader',
  leader: 1,
  term: 3,
  commit: 10,
  applied: 10,
  replicas: [1],
  weight: 10,
  slots: 1024,
}
const STATUS = { nodeId: 1, version: '0.1.0', clusterId: 'c', slotCount: 1024, groups: [GROUP], masters: null }

function replica(role: string, term: number): ReplicaView {
  return { role, term, leader: null, commit: 0, applied: 0, replicas: [2, 1] }
}

function status(
  nodeId: number,
  groups: [id: number, role: string, term: number][],
  masters: ReplicaView | null = null,
): NodeView {
  const list = groups.map(([id, role, term]) => ({ id, ...replica(role, term), weight: 10, slots: 5 * nodeId }))
  return { nodeId, version: '0.1.0', clusterId: 'c', groups: list, masters }
}

test('a status is believed only whole', () => {
  expect(parseNodeStatus(JSON.stringify(STATUS))).toEqual(STATUS)
  expect(parseNodeStatus('{')).toBeNull()
  expect(parseNodeStatus('null')).toBeNull()
  expect(parseNodeStatus('7')).toBeNull()
  for (const field of ['nodeId', 'version', 'clusterId', 'groups']) {
    expect(parseNodeStatus(JSON.stringify({ ...STATUS, [field]: undefined }))).toBeNull()
  }
  for (const field of ['id', 'role', 'leader', 'term', 'commit', 'applied', 'replicas', 'weight', 'slots']) {
    expect(parseNodeStatus(JSON.stringify({ ...STATUS, groups: [{ ...GROUP, [field]: undefined }] }))).toBeNull()
    if (['id', 'weight', 'slots'].includes(field)) continue
    expect(parseNodeStatus(JSON.stringify({ ...STATUS, masters: { ...GROUP, [field]: undefined } }))).toBeNull()
  }
})

test('of two nodes that both say they lead, the one with the higher term does', () => {
  const old = status(1, [[1, 'leader', 3]])
  const current = status(2, [
    [1, 'leader', 4],
    [2, 'follower', 2],
  ])
  expect([...leadersOf([old, current, null])]).toEqual([[1, 2]])
  expect([...leadersOf([current, old])]).toEqual([[1, 2]])
})

test('a group without a leader is not in the map', () => {
  expect(leadersOf([status(1, [[1, 'candidate', 9]]), null]).size).toBe(0)
})

test('a cluster is led once every node answers and every group that exists, the masters too, has a leader', () => {
  const follows = status(2, [[1, 'follower', 3]], replica('follower', 5))
  const leads = status(1, [[1, 'leader', 3]], replica('leader', 5))
  const group = { id: 1, leader: 1, replicas: [1, 2], weight: 10, slots: 5 }
  expect(ledCluster([leads, follows])).toEqual({ groups: [group], masters: [1, 2] })
  expect(ledCluster([leads, null])).toBeNull()
  expect(ledCluster([status(1, [], null), status(2, [], null)])).toBeNull()
  expect(ledCluster([status(1, [[1, 'leader', 3]], replica('follower', 5)), follows])).toBeNull()
  expect(ledCluster([leads, status(2, [[4, 'candidate', 3]])])).toBeNull()
  expect(ledCluster([status(1, [[1, 'leader', 3]])])).toEqual({ groups: [{ ...group }], masters: [] })
})

test('what is missing until it is led is told by node and group', () => {
  const follows = status(2, [[1, 'follower', 3]], replica('follower', 5))
  const leads = status(1, [[1, 'leader', 3]], replica('leader', 5))
  expect(missingToLead([leads, follows], [1, 2])).toBe('')
  expect(missingToLead([leads, null], [1, 2])).toBe('node 2 does not answer yet')
  expect(missingToLead([null, follows], [1, 2])).toBe(
    'node 1 does not answer yet; group 1 has no leader yet; the masters have no leader yet',
  )
  expect(missingToLead([status(1, [], null)], [1])).toBe('no node has a group yet')
})
