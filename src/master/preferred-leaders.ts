/**
 * Which node should lead which group: leadership costs what the group's slots cost, so it is spread over the live nodes by weight. Pure.
 *
 *  - Rule: no group's leadership could go to another of its live members and leave the two nodes closer: load(leader) - load(other) <= the group's weight.
 *    So where all nodes have all groups, loads differ by at most the smallest weight on the fullest node.
 *  - Stable: each group has an order of its members of its own (rendezvous hashing, Thaler and Ravishankar 1998), and begins with the first that lives, so a
 *    node that goes or comes touches its own groups; only what balance asks for moves besides.
 *  - Deterministic: nothing hangs on the order of what is given.
 */
import type { GroupId, NodeId } from '../base/brand.ts'

export interface LedGroupWeight {
  readonly group: GroupId
  /** Its slots, or its weight: a whole number. Nothing at all counts as 1: a leader has heartbeats to send. */
  readonly weight: number
  /** Its voters. */
  readonly members: readonly NodeId[]
}

interface Choice {
  readonly group: GroupId
  readonly weight: number
  /** Those that live, in this group's own order. */
  readonly members: readonly NodeId[]
  leader: NodeId
}

/** Each pass moves something nearer to balance; more than these have never been needed, and an unfinished balance is still a valid choice. */
const MAX_PASSES = 64

/** Groups with no live member are left out. */
export function preferredLeaders(
  groups: readonly LedGroupWeight[],
  live: ReadonlySet<NodeId>,
): ReadonlyMap<GroupId, NodeId> {
  const load = new Map<NodeId, number>()
  const choices: Choice[] = []
  for (const { group, weight, members } of groups) {
    const alive = members.filter((node) => live.has(node))
    if (alive.length === 0) continue
    const order = [...alive].sort((a, b) => rank(group, b) - rank(group, a) || a - b)
    choices.push({ group, weight: Math.max(1, weight), members: order, leader: order[0] })
  }
  // Heavy ones first: the light ones fill what is left.
  choices.sort((a, b) => b.weight - a.weight || a.group - b.group)
  for (const { leader, weight } of choices) load.set(leader, (load.get(leader) ?? 0) + weight)
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    let hasMoved = false
    for (const choice of choices) hasMoved = improve(choice, load) || hasMoved
    if (!hasMoved) break
  }
  return new Map(choices.map(({ group, leader }) => [group, leader]))
}

/** To the least loaded member, where that brings the two closer. The sum of the squares of all loads falls, so it ends. */
function improve(choice: Choice, load: Map<NodeId, number>): boolean {
  const loadOf = (node: NodeId): number => load.get(node) ?? 0
  let best = choice.leader
  for (const node of choice.members) if (loadOf(node) < loadOf(best)) best = node
  if (loadOf(choice.leader) - loadOf(best) <= choice.weight) return false
  load.set(choice.leader, loadOf(choice.leader) - choice.weight)
  load.set(best, loadOf(best) + choice.weight)
  choice.leader = best
  return true
}

/** Uniform over 32 bits (MurmurHash3's finalizer). */
function rank(group: GroupId, node: NodeId): number {
  let hash = Math.imul(group, 0x9e3779b1) ^ Math.imul(node, 0x85ebca77)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
