// The plan of a local cluster: every slot has one group, groups spread over nodes, ports as documented.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asGroupId } from '../base/brand.ts'
import { genesisOwners } from '../master/cluster-genesis.ts'
import { decodeIdentity, encodeIdentity } from '../platform/identity.ts'
import { allPorts, type ClusterShape, completeShape, planIdentities } from './cluster-shape.ts'

const SECRETS = {
  clusterId: '00112233445566778899aabbccddeeff',
  hashKey: '0123456789abcdef',
  secret: 'ffeeddccbbaa99887766554433221100',
}

function shapeOf(given: Partial<ClusterShape>): ClusterShape {
  const outcome = completeShape(given)
  if (!outcome.ok) throw new Error(outcome.failure.message)
  return outcome.value
}

test('the default is three nodes, two groups of three replicas, 1024 slots', () => {
  const identities = planIdentities(shapeOf({}), SECRETS)
  expect(identities.map(({ nodeId, port }) => [nodeId, port])).toEqual([
    [1, 7379],
    [2, 7389],
    [3, 7399],
  ])
  expect(identities[1].nodes[2]).toEqual({
    nodeId: 3,
    peer: '127.0.0.1:7403',
    resp: '127.0.0.1:7399',
    cluster: '127.0.0.1:7400',
    roles: ['master', 'worker'],
  })
  const [masters, ...groups] = identities[0].groups
  expect(groups.map(({ groupId, slots }) => [groupId, slots])).toEqual([
    [1, [[0, 511]]],
    [2, [[512, 1023]]],
  ])
  const replicas = [1, 2, 3].map((id) => ({ replicaId: id, nodeId: id }))
  expect(groups[1].replicas).toEqual(replicas)
  expect(masters).toEqual({ groupId: 0, replicas, slots: [], weight: 0, made: false })
})

test('fewer nodes than three take as many replicas as there are nodes', () => {
  expect(shapeOf({ nodes: 1 }).replicas).toBe(1)
  expect(shapeOf({ nodes: 5 }).replicas).toBe(3)
})

test('an odd number of masters, five at most; every node may become one', () => {
  const masters = [1, 2, 3, 4, 5, 6, 9].map((nodes) => {
    const [{ groups, nodes: known }] = planIdentities(shapeOf({ nodes }), SECRETS)
    expect(known.every(({ roles }) => roles.includes('master') && roles.includes('worker'))).toBe(true)
    return groups[0].replicas.length
  })
  expect(masters).toEqual([1, 1, 3, 3, 5, 5, 5])
})

test('the groups own what the tree of a new cluster says', () => {
  for (const given of [{ groups: 1 }, { groups: 3, slotCount: 64 }, { groups: 7, slotCount: 1024 }]) {
    const { slotCount } = shapeOf(given)
    const [{ groups }] = planIdentities(shapeOf(given), SECRETS)
    const data = groups.filter(({ groupId }) => groupId !== 0)
    const owners = genesisOwners(
      slotCount,
      data.map(({ groupId, weight }) => ({ groupId: asGroupId(groupId), weight })),
    )
    for (const { groupId, slots } of data) {
      const own = slots.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
      expect(own).toEqual([...owners.keys()].filter((slot) => owners[slot] === groupId))
    }
  }
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
      for (const identity of planIdentities(outcome.value, SECRETS)) {
        expect(decodeIdentity(encodeIdentity(identity), 'x')).toEqual({ ok: true, value: identity })
        const data = identity.groups.filter(({ groupId }) => groupId !== 0)
        const sizes = data.map(({ slots }) => slots.reduce((sum, [first, last]) => sum + last - first + 1, 0))
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(outcome.value.slotCount)
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
