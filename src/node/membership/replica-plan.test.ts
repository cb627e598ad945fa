import { describe, expect, test } from 'vitest'
import { asGroupId, asLogIndex, asNodeId, asReplicaId } from '../../base/brand.ts'
import type { ClusterSnapshot, SnapshotGroup } from '../../master/cluster-snapshot.ts'
import type { GroupMember } from '../../master/registrations.ts'
import { type HeldReplica, planReplicas, type ReplicaPlan } from './replica-plan.ts'

type Tree = Pick<ClusterSnapshot, 'masters' | 'groups' | 'nextGroup'>
const NODE = asNodeId(3)

/** "3/7 4/8": replica 7 on node 3, replica 8 on node 4; "3" is "3/3". */
function members(text: string): GroupMember[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const [node, replica] = word.split('/')
      return { nodeId: asNodeId(Number(node)), replicaId: asReplicaId(Number(replica ?? node)) }
    })
}

interface GroupText {
  readonly desired: string
  readonly genesis?: string
  /** Node ids. */
  readonly made?: readonly number[]
  readonly report?: { readonly index: number; readonly voters: string; readonly learners?: string }
}

function group({ desired, genesis = '1 2', made = [], report }: GroupText): SnapshotGroup {
  const version = 0
  const replicas = members(genesis).map((member) => ({ ...member, made: made.includes(member.nodeId) }))
  const sides = { members: members(report?.voters ?? ''), learners: members(report?.learners ?? '') }
  return {
    ...{ version, value: { weight: 1, draining: false, members: members(desired), nextReplica: 50 } },
    genesis: { version, value: { slots: [], replicas } },
    report: report === undefined ? null : { version, value: { index: report.index, ...sides, leader: asNodeId(1) } },
  }
}

/** Group 1 is as said, or gone; group 2 was never made. */
function plan(
  one: GroupText | null,
  held: readonly HeldReplica[],
  masters: GroupText = { desired: '1 2' },
): ReplicaPlan {
  const groups = new Map(one === null ? [] : [[asGroupId(1), group(one)]])
  const tree: Tree = { masters: group(masters), groups, nextGroup: { version: 0, value: 2 } }
  return planReplicas(NODE, held, tree)
}

function held(replica: number, { isMember = true, index = 10, of = 1 } = {}): HeldReplica {
  const membershipIndex = asLogIndex(index)
  return { group: asGroupId(of), replicaId: asReplicaId(replica), isMember, membershipIndex }
}

const opened = ({ open }: ReplicaPlan): string[] =>
  open.map((opening) => `${opening.group}: ${opening.kind} ${opening.replicaId}`)

describe('a replica is opened', () => {
  test('where the node is desired: as the group begins, or as a joiner', () => {
    expect(opened(plan({ desired: '1 2 3/5' }, []))).toEqual(['1: joiner 5'])
    expect(opened(plan({ desired: '1 2 3', genesis: '1 2 3' }, []))).toEqual(['1: voter 3'])
    expect(opened(plan({ desired: '1 2' }, [], { desired: '1 3/9' }))).toEqual(['0: joiner 9'])
    expect(opened(plan({ desired: '1 2' }, []))).toEqual([])
  })

  test('with the members that the group begins with', () => {
    const [opening] = plan({ desired: '1 2 3/5' }, []).open
    expect(opening.genesis.replicas.map(({ nodeId }) => nodeId)).toEqual([1, 2])
  })

  test('also where it is desired no more, while the group may not begin or remove it without it', () => {
    expect(opened(plan({ desired: '1 2', genesis: '1 2 3' }, []))).toEqual(['1: voter 3'])
    const named = { index: 4, voters: '1 2 3' }
    expect(opened(plan({ desired: '1 2', genesis: '1 2 3', report: named }, []))).toEqual(['1: voter 3'])
    const removed = { index: 9, voters: '1 2' }
    expect(opened(plan({ desired: '1 2', genesis: '1 2 3', report: removed }, []))).toEqual([])
  })

  test('not under another id while the old one is here', () => {
    const report = { index: 9, voters: '1 2 3' }
    expect(plan({ desired: '1 2 3/7', report }, [held(3)])).toEqual({ open: [], forget: [], lost: [] })
  })

  test('never again where its data must have been here: it is lost', () => {
    const lost = [{ group: 1, replicaId: 3 }]
    expect(plan({ desired: '1 2 3', genesis: '1 2 3', made: [3] }, []).lost).toEqual(lost)
    expect(plan({ desired: '1 2 3', report: { index: 9, voters: '1 2 3' } }, []).lost).toEqual(lost)
    const learns = { index: 9, voters: '1 2', learners: '3' }
    expect(opened(plan({ desired: '1 2 3', report: learns }, []))).toEqual(['1: joiner 3'])
  })
})

describe('a replica is forgotten', () => {
  const forgets = (one: GroupText | null, replica: HeldReplica): boolean => plan(one, [replica]).forget.length === 1

  test('when neither wish nor report names it, and the report is no older than what it knows', () => {
    const report = { index: 10, voters: '1 2' }
    expect(forgets({ desired: '1 2', report }, held(3))).toBe(true)
    expect(forgets({ desired: '1 2', report }, held(3, { index: 11 }))).toBe(false)
    expect(forgets({ desired: '1 2', report }, held(3, { index: 11, isMember: false }))).toBe(true)
  })

  test('not while it is desired, votes, or learns', () => {
    expect(forgets({ desired: '1 2 3', report: { index: 90, voters: '1 2' } }, held(3))).toBe(false)
    expect(forgets({ desired: '1 2', report: { index: 90, voters: '1 2 3' } }, held(3))).toBe(false)
    expect(forgets({ desired: '1 2', report: { index: 90, voters: '1 2', learners: '3' } }, held(3))).toBe(false)
  })

  test('not by a wish alone: a group that has not reported may still count it', () => {
    expect(forgets({ desired: '1 2', genesis: '1 2 3' }, held(3, { index: 0 }))).toBe(false)
    // A joiner that no leader ever added.
    expect(forgets({ desired: '1 2' }, held(5, { index: 0, isMember: false }))).toBe(true)
  })

  test('with its group, where the tree knows that the group was there', () => {
    expect(forgets(null, held(3))).toBe(true)
    // An id that this tree has not given out yet: it is older than the group.
    expect(forgets(null, held(3, { of: 2 }))).toBe(false)
  })

  test('of the masters, by the cluster epoch alone: the logs of two epochs have nothing in common', () => {
    const epoch = 2 ** 24
    const masters = (report?: GroupText['report']): GroupText => ({
      desired: `1/${epoch + 1}`,
      genesis: `1/${epoch + 1}`,
      report,
    })
    const forgetsMaster = (one: HeldReplica, by: GroupText): boolean => plan(null, [one], by).forget.length > 0
    expect(forgetsMaster(held(3, { of: 0, index: 900 }), masters())).toBe(true)
    expect(forgetsMaster(held(3, { of: 0, index: 900 }), masters({ index: 5, voters: `1/${epoch + 1}` }))).toBe(true)
    // A tree of old masters says nothing about new ones, however far its log had come.
    expect(
      forgetsMaster(held(epoch + 1, { of: 0, index: 0 }), { desired: '1 2', report: { index: 900, voters: '1 2' } }),
    ).toBe(false)
  })

  test('and makes room for the next id', () => {
    const one = { desired: '1 2 3/7', report: { index: 90, voters: '1 2' } }
    expect(plan(one, [held(3)])).toMatchObject({ open: [], forget: [{ group: 1, replicaId: 3 }] })
    expect(opened(plan(one, []))).toEqual(['1: joiner 7'])
  })
})
