import { expect, test } from 'vitest'
import { asGroupId, asNodeId, asReplicaId } from '../base/brand.ts'
import { genesisMembers } from './cluster-genesis.ts'
import { writeReport } from './group-report.ts'
import { MasterWorld, NODE, nodeAt } from './master-world.testkit.ts'
import { groupPath, MASTERS_GROUP } from './tree-layout.ts'

const G = asGroupId
const N = asNodeId

/** Nodes 1 to 3 are masters, group 1 is on node 1. */
function worldOf(seed: number, nodes: number): MasterWorld {
  const world = new MasterWorld(seed)
  for (let node = 4; node <= nodes; node++) world.done('registerNode', nodeAt(node))
  return world
}

function members(world: MasterWorld, group: number): number[][] {
  const { masters, groups } = world.snapshot()
  const known = group === 0 ? masters : groups.get(G(group))
  return (known?.value.members ?? []).map(({ nodeId, replicaId }) => [nodeId, replicaId])
}

/** The group's own word: its voters, by node and replica. */
function reports(
  world: MasterWorld,
  group: number,
  voters: readonly [node: number, replica: number][],
  index = 100,
): void {
  const store = world.metadata.open()
  world.clock.run(10)
  const named = voters.map(([node, replica]) => ({ nodeId: N(node), replicaId: asReplicaId(replica) }))
  const report = { index, members: named, learners: [], leader: named[0].nodeId }
  let wrote = ''
  writeReport(store, G(group), report, (result) => {
    wrote = result
  })
  world.clock.run(20)
  expect(wrote).toBe('written')
}

test('genesis writes each group with how it begins, the masters’ own too', () => {
  const { masters, groups } = worldOf(1, 3).snapshot()
  expect(masters.value).toEqual({
    ...{ weight: 0, draining: false, nextReplica: 4 },
    members: genesisMembers(0, [1, 2, 3].map(N)),
  })
  expect(masters.genesis?.value.slots).toEqual([])
  expect(masters.genesis?.value.replicas.map(({ made }) => made)).toEqual([false, false, false])
  expect(groups.get(G(1))?.genesis?.value).toEqual({
    slots: [[0, 7]],
    replicas: [{ nodeId: 1, replicaId: 1, made: false }],
  })
  expect(groups.get(G(2))?.genesis?.value.slots).toEqual([[8, 15]])
})

test('a member keeps its replica id however often it joins; one that comes back gets another', () => {
  const world = worldOf(2, 5)
  expect(world.done('join', G(1), N(4))).toEqual({ group: 1, replica: 2 })
  expect(world.done('join', G(1), N(4))).toEqual({ group: 1, replica: 2 })
  world.done('leave', G(1), N(4))
  world.done('leave', G(1), N(4))
  expect(members(world, 1)).toEqual([[1, 1]])
  expect(world.done('join', G(1), N(4))).toEqual({ group: 1, replica: 3 })
  expect(members(world, 1)).toEqual([
    [1, 1],
    [4, 3],
  ])
})

test('the masters are joined and left by the same calls; only by nodes of that role, and never by the last', () => {
  const world = worldOf(3, 4)
  const { node } = world.done('registerNode', { ...nodeAt(51), roles: ['worker'] })
  expect(world.refused('join', MASTERS_GROUP, node)).toBe('malformed-argument')
  expect(world.done('join', MASTERS_GROUP, N(4))).toEqual({ group: 0, replica: 4 })
  for (const gone of [1, 2, 3]) world.done('leave', MASTERS_GROUP, N(gone))
  expect(members(world, 0)).toEqual([[4, 4]])
  expect(world.refused('leave', MASTERS_GROUP, N(4))).toBe('group-in-use')
  expect(world.refused('setWeight', MASTERS_GROUP, 1)).toBe('unknown-group')
  expect(world.refused('removeGroup', MASTERS_GROUP)).toBe('unknown-group')
  const { node: master } = world.done('registerNode', { ...nodeAt(52), roles: ['master'] })
  expect(world.refused('join', G(1), master)).toBe('malformed-argument')
  expect(world.refused('createGroup', 1, [master])).toBe('malformed-argument')
})

test('replace: the new node takes the place in every group at once, and asking again changes nothing', () => {
  const world = worldOf(4, 5)
  world.done('join', G(2), N(2))
  const before = world.snapshot()
  const { groups } = world.done('replace', N(1), N(5))
  expect(groups).toEqual([
    { group: 0, replica: 4 },
    { group: 1, replica: 2 },
    { group: 2, replica: 3 },
  ])
  expect([members(world, 0), members(world, 1), members(world, 2)]).toEqual([
    [
      [2, 2],
      [3, 3],
      [5, 4],
    ],
    [[5, 2]],
    [
      [2, 2],
      [5, 3],
    ],
  ])
  const after = world.snapshot()
  expect(after.nodes.get(N(1))?.value.leaving).toBe(true)
  for (const group of [1, 2].map(G)) {
    expect(after.groups.get(group)?.version).toBe((before.groups.get(group)?.version ?? 0) + 1)
  }
  expect(world.done('replace', N(1), N(5))).toEqual({ groups: [] })
  expect(world.snapshot().masters.version).toBe(after.masters.version)
  // A change of its addresses does not make it stay.
  world.done('updateNode', N(1), NODE)
  expect(world.snapshot().nodes.get(N(1))?.value.leaving).toBe(true)
  expect(world.refused('join', G(1), N(1))).toBe('busy')
  reports(world, 1, [[5, 2]])
  world.done('join', G(1), N(1))
  expect(world.snapshot().nodes.get(N(1))?.value.leaving).toBe(false)
})

test('a node comes back only after its group has let it go', () => {
  const world = worldOf(10, 4)
  world.done('join', G(1), N(4))
  reports(world, 1, [
    [1, 1],
    [4, 2],
  ])
  world.done('leave', G(1), N(1))
  // Else the group could end as node 1 alone, under an id that it can never take.
  expect(world.refused('join', G(1), N(1))).toBe('busy')
  expect(world.refused('replace', N(4), N(1))).toBe('busy')
  expect(members(world, 1)).toEqual([[4, 2]])
})

test('replace is refused as a whole where it cannot be done in one group', () => {
  const world = worldOf(5, 4)
  world.done('join', G(2), N(4))
  expect(world.refused('replace', N(1), N(4))).toBe('malformed-argument')
  expect(world.refused('replace', N(1), N(1))).toBe('malformed-argument')
  expect(world.refused('replace', N(1), N(9))).toBe('unknown-node')
  expect(world.refused('replace', N(9), N(1))).toBe('unknown-node')
  const { node } = world.done('registerNode', { ...nodeAt(53), roles: ['worker'] })
  expect(world.refused('replace', N(1), node)).toBe('malformed-argument')
  expect(members(world, 1)).toEqual([[1, 1]])
  expect(world.snapshot().nodes.get(N(1))?.value.leaving).toBe(false)
})

test('a lost replica is renewed once, whoever asks how often', () => {
  const world = worldOf(6, 4)
  const renew = (replica: number) => world.done('renewReplica', G(1), N(1), asReplicaId(replica))
  expect(renew(1)).toEqual({ group: 1, replica: 2 })
  expect(renew(1)).toEqual({ group: 1, replica: 2 })
  expect(members(world, 1)).toEqual([[1, 2]])
  expect(world.refused('renewReplica', G(1), N(4), asReplicaId(1))).toBe('unknown-node')
})

test('a new group without names goes to the least loaded workers that stay', () => {
  const world = worldOf(7, 5)
  world.done('registerNode', { ...nodeAt(54), roles: ['master'] })
  const { group } = world.done('createGroup', 0, [])
  expect(members(world, group)).toEqual([
    [2, 1],
    [3, 2],
    [4, 3],
  ])
  expect(world.snapshot().groups.get(group)?.genesis?.value).toEqual({
    slots: [],
    replicas: [2, 3, 4].map((nodeId, i) => ({ nodeId, replicaId: i + 1, made: false })),
  })
  world.done('replace', N(3), N(5))
  const next = world.done('createGroup', 0, [])
  // Node 1 has two replicas, 2 and 4 have one, 5 has one by now, and 3 is leaving.
  expect(members(world, next.group).map(([node]) => node)).toEqual([2, 4, 5])
})

test('a group goes with everything below it', () => {
  const world = worldOf(8, 3)
  const { group } = world.done('createGroup', 0, [N(2)])
  const store = world.metadata.open()
  const learners = genesisMembers(0, [])
  let wrote = ''
  writeReport(store, group, { index: 3, members: genesisMembers(0, [N(2)]), learners, leader: N(2) }, (result) => {
    wrote = result
  })
  world.clock.run(20)
  expect(wrote).toBe('written')
  world.settle()
  world.done('removeGroup', group)
  const reply = world.metadata.read({ kind: 'exists', session: 0, path: groupPath(group) })
  expect(reply).toMatchObject({ kind: 'stat', stat: null })
})

test('a node is removed once no group names it, by wish or by its own word', () => {
  const world = worldOf(9, 5)
  const store = world.metadata.open()
  world.clock.run(10)
  const report = (index: number, nodes: number[], learners: number[]): void => {
    const leader = N(nodes[0])
    const all = genesisMembers(0, [...nodes, ...learners].map(N))
    const isLearner = ({ nodeId }: { nodeId: number }): boolean => learners.includes(nodeId)
    const sides = { members: all.filter((m) => !isLearner(m)), learners: all.filter(isLearner) }
    writeReport(store, G(1), { index, ...sides, leader }, () => {})
    world.clock.run(20)
  }
  world.done('join', G(1), N(4))
  expect(world.refused('removeNode', N(4))).toBe('node-in-use')
  report(5, [1], [4])
  world.done('leave', G(1), N(4))
  expect(world.refused('removeNode', N(4))).toBe('node-in-use')
  report(9, [1], [])
  expect(world.done('removeNode', N(4))).toEqual({ node: 4 })
  expect(world.refused('removeNode', N(4))).toBe('unknown-node')
  expect(world.done('registerNode', nodeAt(6))).toEqual({ node: 6 })
  // A group of which nobody has heard yet may still begin there.
  const { group } = world.done('createGroup', 0, [N(5), N(6)])
  world.done('leave', group, N(6))
  expect(world.refused('removeNode', N(6))).toBe('node-in-use')
})

test('one of those that stay must vote by the word of the group', () => {
  const world = worldOf(11, 5)
  reports(world, 1, [[1, 1]])
  world.done('join', G(1), N(4))
  const early = world.refusal('leave', G(1), N(1))
  expect(early).toMatchObject({ code: 'group-in-use', mend: expect.stringContaining('--wait') })
  const both: [number, number][] = [
    [1, 1],
    [4, 2],
  ]
  reports(world, 1, both, 200)
  world.done('leave', G(1), N(1))
  const { code, mend } = world.refusal('join', G(1), N(1))
  expect([code, mend]).toEqual(['busy', expect.stringContaining('let another node join')])
})

test('a node that nobody knows cannot leave; one that is no member has left', () => {
  const world = worldOf(12, 4)
  expect(world.refused('leave', G(1), N(9))).toBe('unknown-node')
  expect(world.done('leave', G(1), N(4))).toEqual({ group: 1 })
})

test('a node that is named twice for a new group is refused by its id', () => {
  const world = worldOf(13, 4)
  const { code, message } = world.refusal('createGroup', 1, [N(1), N(4), N(1)])
  expect([code, message]).toEqual(['malformed-argument', 'node 1 is named more than once'])
})
