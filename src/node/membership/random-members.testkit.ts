/** What tests of members do to a world of them: wishes, load, and a random run of everything. */
import { asNodeId, type NodeId } from '../../base/brand.ts'
import type { Prng } from '../../base/prng.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import { joinPlan, leavePlan, replacePlan } from '../../master/member-changes.ts'
import { WORLD_GROUP, type WorldNode } from '../../replication/raft/replica-world.testkit.ts'
import { MembershipWorld } from './membership-world.testkit.ts'

const N = asNodeId
type Wish = Parameters<MembershipWorld['wish']>[0]

export const join =
  (node: number): Wish =>
  (snapshot) =>
    joinPlan(snapshot, WORLD_GROUP, N(node))
export const leave =
  (node: number): Wish =>
  (snapshot) =>
    leavePlan(snapshot, WORLD_GROUP, N(node))
export const replace =
  (old: number, next: number): Wish =>
  (snapshot) =>
    replacePlan(withoutMasters(snapshot), N(old), N(next))

/** Of this world only the group lives. */
function withoutMasters(snapshot: ClusterSnapshot): ClusterSnapshot {
  return { ...snapshot, masters: { ...snapshot.masters, value: { ...snapshot.masters.value, members: [] } } }
}

/** A write each 10 ms. */
export function busy(world: MembershipWorld, ms: number): void {
  for (let i = 0; i < ms / 10; i++) {
    world.write()
    world.group.runFor(10)
  }
}

/** One seed decides everything: six rounds of wishes, crashes, cuts and lost masters, then calm. Throws where an invariant breaks, or where it does not come right. */
export function randomMembersRun(seed: number): { readonly changes: number; readonly acknowledged: number } {
  const world = new MembershipWorld({ seed, nodes: 6, voters: 3 })
  const { random } = world.group.scheduler
  const down = new Set<WorldNode>()
  world.group.leader()
  const heal = (): void => {
    for (const node of world.group.nodes) world.group.mend(node)
    for (const node of down) world.restart(node)
    down.clear()
  }
  for (let round = 0; round < 6; round++) {
    const wanted = new Set<NodeId>(randomDesired(random, 6))
    // A node that is still leaving is refused, and so is the leave of the last.
    for (const node of wanted) world.tryWish(join(node))
    for (const { nodeId } of world.group.nodes) if (!wanted.has(nodeId)) world.tryWish(leave(nodeId))
    for (let i = 0; i < 4; i++) {
      const node = random.pick(world.group.nodes)
      if (random.chance(0.3) && node.engine !== null && down.size < 2) {
        world.crash(node)
        down.add(node)
      } else if (random.chance(0.3)) world.group.cut(node)
      else if (random.chance(0.5)) heal()
      world.hasTree = random.chance(0.85)
      busy(world, random.between(50, 800))
    }
  }
  world.hasTree = true
  heal()
  world.settle(120_000)
  busy(world, 200)
  world.checkWrites()
  return { changes: world.changes, acknowledged: world.acknowledged }
}

function randomDesired(random: Prng, nodes: number): NodeId[] {
  const all = Array.from({ length: nodes }, (_, i) => asNodeId(i + 1))
  const wanted = all.filter(() => random.chance(0.5))
  return wanted.length === 0 ? [random.pick(all)] : wanted
}
