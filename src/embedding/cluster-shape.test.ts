// The plan of a local cluster: every slot has one group, groups spread over nodes, ports as documented.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeIdentity, encodeIdentity } from '../platform/identity.ts'
import { allPorts, type ClusterShape, completeShape, planIdentities } from './cluster-shape.ts'

const CLUSTER_ID = '00112233445566778899aabbccddeeff'
const HASH_KEY = '0123456789abcdef'

function shapeOf(given: Partial<ClusterShape>): ClusterShape {
  const outcome = completeShape(given)
  if (!outcome.ok) throw new Error(outcome.failure.message)
  return outcome.value
}

test('the default is three nodes, two groups of three replicas, 1024 slots', () => {
  const identities = planIdentities(shapeOf({}), CLUSTER_ID, HASH_KEY)
  expect(identities.map(({ nodeId, port }) => [nodeId, port])).toEqual([
    [1, 7379],
    [2, 7389],
    [3, 7399],
  ])
  expect(identities[1].peers).toEqual([
    { nodeId: 1, peerAddress: '127.0.0.1:7383' },
    { nodeId: 3, peerAddress: '127.0.0.1:7403' },
  ])
  expect(identities[0].groups.map(({ slots }) => slots)).toEqual([[[0, 511]], [[512, 1023]]])
  expect(identities[0].groups[1].replicas).toEqual([
    { replicaId: 1, nodeId: 2 },
    { replicaId: 2, nodeId: 3 },
    { replicaId: 3, nodeId: 1 },
  ])
})

test('fewer nodes than three take as many replicas as there are nodes', () => {
  expect(shapeOf({ nodes: 1 }).replicas).toBe(1)
  expect(shapeOf({ nodes: 5 }).replicas).toBe(3)
})

test('each node owns five ports, ten apart', () => {
  expect(allPorts(shapeOf({ nodes: 2, port: 7000 }))).toEqual([
    7000, 7001, 7002, 7003, 7004, 7010, 7011, 7012, 7013, 7014,
  ])
})

test('any shape that is accepted gives identities that are valid, with all slots owned evenly', () => {
  const shapes = fc.record({
    nodes: fc.integer({ min: 1, max: 9 }),
    groups: fc.integer({ min: 1, max: 40 }),
    replicas: fc.integer({ min: 1, max: 9 }),
    slotCount: fc.constantFrom(1, 16, 1024, 16384),
  })
  fc.assert(
    fc.property(shapes, (given) => {
      const outcome = completeShape(given)
      expect(outcome.ok).toBe(given.replicas <= given.nodes && given.groups <= given.slotCount)
      if (!outcome.ok) return
      for (const identity of planIdentities(outcome.value, CLUSTER_ID, HASH_KEY)) {
        expect(decodeIdentity(encodeIdentity(identity), 'x')).toEqual({ ok: true, value: identity })
        const sizes = identity.groups.map(({ slots: [[first, last]] }) => last - first + 1)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }
    }),
    { numRuns: 60 },
  )
})

test('what cannot be built is refused with the flag named', () => {
  const refused: [Partial<ClusterShape>, string][] = [
    [{ nodes: 0 }, '--nodes 0 is out of range'],
    [{ groups: 0 }, '--groups 0 is out of range'],
    [{ slotCount: 1000 }, '--slots 1000 is no power of two up to 16384'],
    [{ replicas: 4 }, '--replicas 4 does not fit 3 node(s)'],
    [{ port: 65530 }, '--port 65530 is out of range'],
  ]
  for (const [given, message] of refused) expect(completeShape(given)).toMatchObject({ failure: { message } })
})
