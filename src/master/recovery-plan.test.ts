// The tree of a new cluster epoch: what the groups say of their slots and moves, read one after the other while moves go on.
import { describe, expect, test } from 'vitest'
import { asGroupId, asNodeId, asReplicaId, asSlotId, type GroupId } from '../base/brand.ts'
import { latin1Text } from '../base/bytes.ts'
import { genesisMembers, genesisOperations } from './cluster-genesis.ts'
import type { ClusterSnapshot } from './cluster-snapshot.ts'
import type { Reconfig } from './reconfig.ts'
import {
  type GroupStanding,
  type OpenMove,
  planRecovery,
  type RecoveredTree,
  type RecoveryFacts,
  type SlotStanding,
} from './recovery-plan.ts'
import { type CopiedNode, copyOfTree, parseTreeCopy, readTreeCopy } from './tree-copy.ts'

const SLOTS = 8
const EPOCH = 1
const [A, B, C] = [1, 2, 3].map(asGroupId)
const NODE = { peer: 'h:1', resp: 'h:2', cluster: 'h:3', roles: ['master', 'worker'] as const }

/** "0-3+ 4-7-5": slots 0 to 3 are owned, of no reconfig; 4 to 7 are not, last touched by reconfig 5. */
function slots(text: string): SlotStanding[] {
  return text.split(' ').map((word) => {
    const [, first, last, sign, id] = /^(\d)-(\d)([+-])(\d*)$/.exec(word) ?? []
    return { first: Number(first), last: Number(last), owned: sign === '+', lastReconfig: Number(id) }
  })
}

function move(
  reconfigId: number,
  role: OpenMove['role'],
  peer: GroupId,
  first: number,
  last: number,
  after = 0,
): OpenMove {
  return { reconfigId, role, peer, slots: [{ first: asSlotId(first), last: asSlotId(last), predecessor: after }] }
}

function standing(group: GroupId, text: string, moves: readonly OpenMove[] = []): GroupStanding {
  const member = { nodeId: asNodeId(group + 3), replicaId: asReplicaId(1) }
  const common = { index: 10, fence: 0, leader: member.nodeId, members: [member], learners: [] }
  return { group, ...common, slots: slots(text), moves }
}

function copyOf(operations: RecoveredTree['operations']): ClusterSnapshot {
  const copy = operations.map((operation): CopiedNode => {
    return { path: operation.path, version: 0, data: 'data' in operation ? latin1Text(operation.data) : '' }
  })
  return read(copy)
}

function read(copy: readonly CopiedNode[]): ClusterSnapshot {
  let found: ClusterSnapshot | null = null
  readTreeCopy(copy, (error, snapshot) => {
    expect(error).toBeNull()
    found = snapshot
  })
  if (found === null) throw new Error('it reads within the call')
  return found
}

/** As the old masters left it: A and B with half of the slots each. */
const OLD = copyOf(
  genesisOperations({
    clusterEpoch: 0,
    slotCount: SLOTS,
    masters: genesisMembers(0, [1, 2, 3].map(asNodeId)),
    groups: [A, B].map((groupId) => ({ groupId, weight: 10, members: genesisMembers(0, [asNodeId(groupId + 3)]) })),
    nodes: [1, 2, 3, 4, 5, 6].map(() => NODE),
  }),
)

function facts(last: readonly GroupStanding[], more: Partial<RecoveryFacts> = {}): RecoveryFacts {
  const standings = new Map(last.map((each) => [each.group, each]))
  const nodes = new Map([1, 2, 3, 4, 5, 6].map((id) => [asNodeId(id), NODE]))
  const common = { clusterEpoch: EPOCH, self: asNodeId(4), slotCount: SLOTS, copy: OLD, groups: new Map(), nodes }
  return { ...common, first: standings, last: standings, lost: new Set<GroupId>(), ...more }
}

function recovered(given: RecoveryFacts): { tree: ClusterSnapshot; open: readonly Reconfig[] } {
  const plan = planRecovery(given)
  if ('error' in plan) throw new Error(plan.error.message)
  return { tree: copyOf(plan.operations), open: plan.open }
}

const ownersOf = (tree: ClusterSnapshot): string => tree.slots.value.groups.join('')
const idsOf = (tree: ClusterSnapshot): string => tree.slots.value.reconfigIds.join('')

describe('the new tree', () => {
  test('has one master of the new epoch, the groups as their logs have them, and ids above all old ones', () => {
    const { tree } = recovered(facts([standing(A, '0-3+ 4-7-'), standing(B, '0-3- 4-7+')]))
    expect(tree.config.value).toEqual({ clusterEpoch: EPOCH, slotCount: SLOTS })
    expect(tree.masters.value.members).toEqual([{ nodeId: 4, replicaId: 2 ** 24 + 1 }])
    expect(tree.masters.genesis?.value.replicas).toEqual([{ nodeId: 4, replicaId: 2 ** 24 + 1, made: true }])
    expect(tree.masters.report).toBeNull()
    expect(tree.groups.get(A)?.value).toMatchObject({ weight: 10, members: [{ nodeId: 4, replicaId: 1 }] })
    expect(tree.groups.get(A)?.report?.value).toMatchObject({ index: 10, members: [{ nodeId: 4, replicaId: 1 }] })
    expect(tree.slots.value.version).toBe(2 ** 32 + 1)
    expect(tree.migrations.value.last).toBe(2 ** 24)
    expect(tree.nodes.size).toBe(6)
    expect(ownersOf(tree)).toBe('11112222')
  })

  test('goes from one node to another and is the same', () => {
    const { tree } = recovered(facts([standing(A, '0-3+ 4-7-'), standing(B, '0-3- 4-7+')]))
    const wire = parseTreeCopy(JSON.parse(JSON.stringify(copyOfTree(tree))))
    expect(read(wire ?? [])).toEqual(tree)
    for (const bad of [null, {}, [1], [{ path: '/kv', version: 0, data: '\u0100' }]])
      expect(parseTreeCopy(bad)).toBeNull()
  })

  test('needs no copy of the old one where the nodes know how the groups began', () => {
    const genesis = {
      slots: [[0, 7] as const],
      replicas: [{ nodeId: asNodeId(4), replicaId: asReplicaId(1), made: false }],
    }
    const known = new Map([[A, { genesis, weight: 7 }]])
    const { tree } = recovered(facts([standing(A, '0-7+')], { copy: null, groups: known }))
    expect(tree.groups.get(A)?.value.weight).toBe(7)
    // It may have been made since: it may not begin a second time.
    expect(tree.groups.get(A)?.genesis?.value.replicas[0].made).toBe(true)
    expect(tree.nextGroup.value).toBe(2)
  })
})

describe('moves that are open', () => {
  const began = [move(5, 'source', B, 2, 3)]

  test('are begun, and the slots the source has handed over stay its own in the table until the outcome is published', () => {
    const a = standing(A, '0-1+ 2-3-5 4-7-', began)
    const { tree, open } = recovered(facts([a, standing(B, '0-3- 4-7+', [move(5, 'destination', A, 2, 3)])]))
    expect(open).toMatchObject([{ reconfigId: 5, source: A, destination: B, status: 'begun', isClean: false }])
    expect([ownersOf(tree), idsOf(tree)]).toEqual(['11112222', '00000000'])
    expect([...tree.buckets.values()].flatMap(({ value }) => value)).toMatchObject([{ reconfigId: 5, status: 'begun' }])
  })

  test('of which only the destination knows follow what the source was touched by last', () => {
    const b = standing(B, '0-3- 4-7+', [move(9, 'destination', A, 0, 3)])
    const { open } = recovered(facts([standing(A, '0-1+ 2-3+4 4-7-'), b]))
    expect(open).toMatchObject([{ reconfigId: 9, source: A, status: 'begun' }])
    expect(open[0].slots).toEqual([
      { first: 0, last: 1, predecessor: 0 },
      { first: 2, last: 3, predecessor: 4 },
    ])
  })

  test('are done where the destination has enabled: a later one may rest on it', () => {
    const a = standing(A, '0-1+ 2-3-5 4-7-', began)
    const b = standing(B, '0-1- 2-3+5 4-7+', [move(6, 'source', C, 2, 2, 5)])
    const { tree, open } = recovered(facts([a, b, standing(C, '0-7-', [move(6, 'destination', B, 2, 2)])]))
    expect(open).toMatchObject([
      { reconfigId: 5, status: 'done', isClean: false },
      { reconfigId: 6, status: 'begun' },
    ])
    expect([ownersOf(tree), idsOf(tree)]).toEqual(['11222222', '00550000'])
  })

  test('have failed where the source was over with it by the fence: the slots may be on their way elsewhere', () => {
    // Reconfig 5 was cancelled at A; 6 moves the slots from A to C; B has not yet dropped what it had staged for 5.
    const first = standing(A, '0-1+ 2-3+5 4-7-', [move(6, 'source', C, 2, 3, 5)])
    const last = standing(A, '0-1+ 2-3-6 4-7-', [move(6, 'source', C, 2, 3, 5)])
    const b = standing(B, '0-3- 4-7+', [move(5, 'destination', A, 2, 3)])
    const c = standing(C, '0-1- 2-3+6 4-7-')
    const given = facts([last, b, c], { first: new Map([[A, first]]) })
    const { tree, open } = recovered(given)
    expect(open).toMatchObject([
      { reconfigId: 5, status: 'failed', isClean: false },
      { reconfigId: 6, status: 'done', isClean: false },
    ])
    expect([ownersOf(tree), idsOf(tree)]).toEqual(['11332222', '00660000'])
  })

  test('that ended between the two readings are the master’s to ask for', () => {
    const first = standing(A, '0-1+ 2-3+ 4-7-', began)
    const b = standing(B, '0-3- 4-7+', [move(5, 'destination', A, 2, 3)])
    const given = facts([standing(A, '0-1+ 2-3+5 4-7-'), b], { first: new Map([[A, first]]) })
    expect(recovered(given).open).toMatchObject([{ reconfigId: 5, status: 'begun' }])
  })
})

describe('slots', () => {
  test('of an owner that was read too early go to the later one', () => {
    const b = standing(B, '0-1- 2-3+5 4-7+')
    const { tree } = recovered(facts([standing(A, '0-3+ 4-7-', [move(5, 'source', B, 2, 3)]), b]))
    expect([ownersOf(tree), idsOf(tree)]).toEqual(['11222222', '00550000'])
  })

  test('that nobody owns: a refusal, unless their group is said to be lost', () => {
    const alone = facts([standing(A, '0-3+ 4-7-')])
    expect(planRecovery(alone)).toMatchObject({
      error: { code: 'unowned-slots', message: expect.stringMatching(/^4 slots/) },
    })
    const plan = planRecovery({ ...alone, lost: new Set([B]) })
    expect(plan).toMatchObject({ slotsOfLost: 4 })
    const { tree } = recovered({ ...alone, lost: new Set([B]) })
    expect(ownersOf(tree)).toBe('11112222')
    expect(tree.groups.get(B)?.value.weight).toBe(0)
    expect(tree.rebalance.value).toBe(false)
  })
})
