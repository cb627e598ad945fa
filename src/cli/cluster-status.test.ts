// From the nodes' own words to the cluster's leaders.
import { expect, test } from 'vitest'
import { leadersOf, type NodeView, parseNodeStatus } from './cluster-status.ts'

const GROUP = { id: 1, replicaId: 1, role: 'leader', leader: 1, term: 3, commit: 10, applied: 10 }
const STATUS = { nodeId: 1, version: '0.1.0', clusterId: 'c', slotCount: 1024, groups: [GROUP] }

function status(nodeId: number, groups: [id: number, role: string, term: number][]): NodeView {
  const list = groups.map(([id, role, term]) => ({ id, role, term, leader: null, commit: 0, applied: 0 }))
  return { nodeId, version: '0.1.0', clusterId: 'c', groups: list }
}

test('a status is believed only whole', () => {
  expect(parseNodeStatus(JSON.stringify(STATUS))).toEqual(STATUS)
  expect(parseNodeStatus('{')).toBeNull()
  expect(parseNodeStatus('null')).toBeNull()
  expect(parseNodeStatus('7')).toBeNull()
  for (const field of ['nodeId', 'version', 'clusterId', 'groups']) {
    expect(parseNodeStatus(JSON.stringify({ ...STATUS, [field]: undefined }))).toBeNull()
  }
  for (const field of ['id', 'role', 'leader', 'term', 'commit', 'applied']) {
    expect(parseNodeStatus(JSON.stringify({ ...STATUS, groups: [{ ...GROUP, [field]: undefined }] }))).toBeNull()
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
