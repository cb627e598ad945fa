import { expect, test } from 'vitest'
import { asGroupId, asNodeId, type GroupId, type NodeId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import { type LedGroupWeight, preferredLeaders } from './preferred-leaders.ts'

const nodesOf = (count: number): NodeId[] => Array.from({ length: count }, (_, i) => asNodeId(i + 1))

function shuffled<T>(random: Prng, items: readonly T[]): T[] {
  const all = [...items]
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[all[i], all[j]] = [all[j], all[i]]
  }
  return all
}

function randomGroups(random: Prng, nodes: readonly NodeId[], count: number, maxWeight: number): LedGroupWeight[] {
  return Array.from({ length: count }, (_, i) => ({
    group: asGroupId(i + 1),
    weight: random.between(0, maxWeight),
    members: shuffled(random, nodes).slice(0, Math.min(3, nodes.length)),
  }))
}

function loads(groups: readonly LedGroupWeight[], leaders: ReadonlyMap<GroupId, NodeId>): Map<NodeId, number> {
  const load = new Map<NodeId, number>()
  for (const { group, weight } of groups) {
    const leader = leaders.get(group)
    if (leader !== undefined) load.set(leader, (load.get(leader) ?? 0) + Math.max(1, weight))
  }
  return load
}

test('no group could be led elsewhere and leave the two nodes closer: 300 random clusters', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Prng(seed)
    const nodes = nodesOf(random.between(1, 9))
    const groups = randomGroups(random, nodes, random.between(1, 80), random.pick([0, 1, 50, 1024]))
    const live = new Set(nodes.filter(() => random.chance(0.85)))
    const leaders = preferredLeaders(groups, live)
    const load = loads(groups, leaders)
    for (const { group, weight, members } of groups) {
      const leader = leaders.get(group)
      const alive = members.filter((node) => live.has(node))
      if (leader === undefined) {
        expect(alive, `seed ${seed}, group ${group}`).toEqual([])
        continue
      }
      expect(alive).toContain(leader)
      for (const other of alive) {
        const difference = (load.get(leader) ?? 0) - (load.get(other) ?? 0)
        expect(difference, `seed ${seed}, group ${group}`).toBeLessThanOrEqual(Math.max(1, weight))
      }
    }
  }
})

test('equal groups on three nodes: each leads a third, to within one', () => {
  const nodes = nodesOf(3)
  for (const count of [1, 3, 4, 8, 9, 64]) {
    const groups = Array.from({ length: count }, (_, i) => ({ group: asGroupId(i), weight: 100, members: nodes }))
    const load = loads(groups, preferredLeaders(groups, new Set(nodes)))
    const each = nodes.map((node) => (load.get(node) ?? 0) / 100)
    expect(Math.max(...each) - Math.min(...each)).toBeLessThanOrEqual(1)
  }
})

test('the order of what is given changes nothing', () => {
  const random = new Prng(7)
  const nodes = nodesOf(6)
  const groups = randomGroups(random, nodes, 40, 64)
  const sorted = (map: ReadonlyMap<GroupId, NodeId>): [GroupId, NodeId][] => [...map].sort(([a], [b]) => a - b)
  const once = sorted(preferredLeaders(groups, new Set(nodes)))
  for (let i = 0; i < 20; i++) {
    const members = (all: readonly NodeId[]): NodeId[] => shuffled(random, all)
    const again = shuffled(random, groups).map((group) => ({ ...group, members: members(group.members) }))
    expect(sorted(preferredLeaders(again, new Set(shuffled(random, nodes))))).toEqual(once)
  }
})

test('a node that goes takes few others’ groups with it: over 200 clusters at most one in four of those that could stay', () => {
  let moved = 0
  let stayed = 0
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Prng(seed)
    const nodes = nodesOf(5)
    const groups = randomGroups(random, nodes, 60, 30)
    const before = preferredLeaders(groups, new Set(nodes))
    const gone = random.pick(nodes)
    const after = preferredLeaders(groups, new Set(nodes.filter((node) => node !== gone)))
    for (const [group, leader] of before) {
      if (leader === gone) continue
      if (after.get(group) === leader) stayed++
      else moved++
    }
  }
  expect(moved / (moved + stayed)).toBeLessThan(1 / 4)
})
