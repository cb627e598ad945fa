// Real replicas on the simulated scheduler: whatever is desired comes about, one change after the other, while writes go on and leaders die.
import { describe, expect, test } from 'vitest'
import { assert } from '../../base/assert.ts'
import { asNodeId } from '../../base/brand.ts'
import { renewReplicaPlan } from '../../master/member-changes.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY } from '../../protocol/request-message.ts'
import { type Outcome, WORLD_GROUP, type WorldNode } from '../../replication/raft/replica-world.testkit.ts'
import type { TransferError } from './leadership-transfer.ts'
import { MembershipWorld } from './membership-world.testkit.ts'
import { busy, join, leave, randomMembersRun, replace } from './random-members.testkit.ts'

const N = asNodeId
function leads(world: MembershipWorld, node: WorldNode): void {
  const leader = world.group.leader()
  busy(world, 300)
  if (leader === node) return
  leader.replica.transferLeadership(node.replica.replicaId)
  world.group.runUntil(() => world.leader === node, `node ${node.nodeId} leads`)
}

describe('the members of a group', () => {
  test('a joiner learns, votes, and is reported; one that leaves forgets, and comes back under another id', () => {
    const world = new MembershipWorld({ seed: 1, nodes: 4, voters: 3 })
    world.group.leader()
    busy(world, 500)
    world.wish(join(4))
    busy(world, 1_000)
    world.settle()
    expect(world.voters()).toEqual(['1:1', '2:2', '3:3', '4:4'])
    world.wish(leave(4))
    busy(world, 1_000)
    world.settle()
    expect(world.node(4).held).toBe(null)
    world.wish(join(4))
    world.settle()
    expect(world.voters()).toEqual(['1:1', '2:2', '3:3', '4:5'])
    world.checkWrites()
  })

  test('a leader that is to leave hands over first, and the next one removes it', () => {
    const world = new MembershipWorld({ seed: 2, nodes: 3, voters: 3 })
    world.group.leader()
    const old = world.group.leader()
    world.wish(leave(old.nodeId))
    busy(world, 2_000)
    world.settle()
    expect(world.voters()).toHaveLength(2)
    expect(old.held).toBe(null)
    world.checkWrites()
  })

  test('another node takes the place of a dead one', () => {
    const world = new MembershipWorld({ seed: 3, nodes: 4, voters: 3 })
    leads(world, world.node(1))
    world.crash(world.node(3))
    busy(world, 1_000)
    world.wish(replace(3, 4))
    busy(world, 2_000)
    world.settle()
    expect(world.voters()).toEqual(['1:1', '2:2', '4:4'])
    // Back: it is told nothing by its group, and forgets by what the tree says.
    world.restart(world.node(3))
    world.settle()
    world.group.runUntil(() => world.node(3).held === null, 'the replaced one forgets')
    world.checkWrites()
  })

  test('all of them at once', () => {
    const world = new MembershipWorld({ seed: 4, nodes: 6, voters: 3 })
    world.group.leader()
    for (const node of [4, 5, 6]) world.wish(join(node))
    for (const node of [1, 2, 3]) world.wish(leave(node))
    busy(world, 4_000)
    world.settle()
    expect(world.voters()).toEqual(['4:4', '5:5', '6:6'])
    expect(world.acknowledged).toBeGreaterThan(300)
    world.checkWrites()
  })

  test('a replica whose data was lost makes room for a new one on the same node', () => {
    const world = new MembershipWorld({ seed: 5, nodes: 3, voters: 3 })
    leads(world, world.node(1))
    const lost = { nodeId: N(3), replicaId: world.node(3).replica.replicaId }
    world.wish((snapshot) => renewReplicaPlan(snapshot, WORLD_GROUP, lost))
    busy(world, 3_000)
    world.settle()
    expect(world.voters()).toEqual(['1:1', '2:2', '3:4'])
    world.checkWrites()
  })

  test('without the tree nothing is changed, and writes go on', () => {
    const world = new MembershipWorld({ seed: 6, nodes: 4, voters: 3 })
    world.group.leader()
    world.hasTree = false
    world.wish(join(4))
    busy(world, 3_000)
    expect(world.changes).toBe(0)
    expect(world.acknowledged).toBeGreaterThan(250)
    world.hasTree = true
    world.settle()
  })

  test('a joiner that never comes holds up neither the group nor another', () => {
    const world = new MembershipWorld({ seed: 7, nodes: 5, voters: 3 })
    world.group.leader()
    world.crash(world.node(5))
    world.wish(join(5))
    world.group.runUntil(() => world.learners().length === 1, 'it is added all the same')
    world.wish(join(4))
    world.group.runUntil(() => world.voters().includes('4:5'), 'the other joins')
    expect(world.learners()).toEqual(['5:4'])
    world.wish(leave(5))
    world.settle()
  })
})

describe('a leader that dies', () => {
  /** Over a replacement of two of three, the leader among them. Returns whether the step was ever reached. */
  function run(step: number, afterMs: number): boolean {
    const world = new MembershipWorld({ seed: 100 + step, nodes: 5, voters: 3 })
    leads(world, world.node(1))
    let died: WorldNode | null = null
    world.onAppended = (leader) => {
      if (world.changes !== step || died !== null) return
      died = leader
      world.group.scheduler.after(afterMs, 'death', () => world.crash(leader))
    }
    for (const node of [4, 5]) world.wish(join(node))
    for (const node of [1, 2]) world.wish(leave(node))
    busy(world, 4_000)
    const victim = died as WorldNode | null
    if (victim !== null) {
      world.group.runUntil(() => victim.engine === null, 'it dies')
      world.restart(victim)
    }
    world.settle()
    expect(world.voters()).toEqual(['3:3', '4:4', '5:5'])
    world.checkWrites()
    return victim !== null
  }

  // Appended and nowhere else; under way; on other disks; committed; about to be reported.
  test.each([0, 0.2, 3, 8, 101])('%d ms after it has appended a change: at every change', (afterMs) => {
    let step = 1
    while (run(step, afterMs)) {
      step++
      assert(step < 20, 'it never ends')
    }
    // Two learners, two votes, two removals.
    expect(step - 1).toBeGreaterThanOrEqual(6)
  })
})

describe('whatever is desired', () => {
  test('8 seeds of crashes, cuts and wishes end at what is desired, with every acknowledged write', () => {
    let changes = 0
    for (let seed = 1; seed <= 8; seed++) {
      const result = randomMembersRun(seed)
      changes += result.changes
      expect(result.acknowledged, `seed ${seed}`).toBeGreaterThan(50)
    }
    expect(changes).toBeGreaterThan(8 * 6)
  })
})

describe('a machine that hangs', () => {
  // At once: it was heard a moment ago. At rest: nobody counts its silence.
  test.each([
    ['while the group is busy', 0],
    ['and the group rests', 25],
  ])('keeps the vote that it must replace from going, %s', (_when, restAfterTicks) => {
    const world = new MembershipWorld({ seed: 12, nodes: 3, voters: 3, config: { restAfterTicks } })
    leads(world, world.node(1))
    busy(world, 500)
    if (restAfterTicks > 0) world.group.runUntil(() => world.node(1).replica.resting, 'the group rests')
    world.hang(world.node(2))
    world.group.runFor(restAfterTicks > 0 ? 2_000 : 0)
    world.wish(leave(3))
    world.group.runFor(10_000)
    expect(world.leader).toBe(world.node(1))
    expect(world.voters()).toEqual(['1:1', '2:2', '3:3'])
    const { keepers } = world.lives[0]
    expect(keepers.problemOf(WORLD_GROUP)).toBe('without node 3 (replica 3) only 1 of 2 voters would be up')
    // The other two still commit.
    expect(world.group.done(world.group.write(world.node(1), 'SET', 'k', 'v'))).toBe('+OK\r\n')
    world.goOn(world.node(2))
    world.settle()
    expect(world.voters()).toEqual(['1:1', '2:2'])
    world.checkWrites()
  })

  test('gets no vote that its group would wait for', () => {
    const world = new MembershipWorld({ seed: 13, nodes: 2, voters: 1 })
    world.group.leader()
    world.wish(join(2))
    const { core } = world.node(1).replica
    world.group.runUntil(() => core.progress()[0]?.state === 'replicate', 'the learner has caught up')
    expect(core.progress()[0].matchIndex).toBe(core.commitIndex)
    world.hang(world.node(2))
    world.group.runFor(10_000)
    expect([world.voters(), world.learners()]).toEqual([['1:1'], ['2:2']])
    expect(world.group.done(world.group.write(world.node(1), 'SET', 'k', 'v'))).toBe('+OK\r\n')
    world.goOn(world.node(2))
    world.settle()
    expect(world.voters()).toEqual(['1:1', '2:2'])
  })
})

describe('one that was removed', () => {
  test('comes back with its old log and disturbs nobody', () => {
    const world = new MembershipWorld({ seed: 8, nodes: 4, voters: 4 })
    leads(world, world.node(1))
    world.group.cut(world.node(4))
    world.wish(leave(4))
    world.group.runUntil(() => world.voters().length === 3, 'it is removed')
    const { term } = world.node(1).replica.core
    const oldTerm = world.node(4).replica.core.term
    // It still believes that it votes, and hears nobody but those that do not know it any more; it cannot read the tree either.
    world.hasTree = false
    world.group.mend(world.node(4))
    const before = world.acknowledged
    busy(world, 10_000)
    expect(world.leader).toBe(world.node(1))
    expect(world.node(1).replica.core.term).toBe(term)
    expect(world.node(4).replica.core.term).toBe(oldTerm)
    expect(world.acknowledged - before).toBeGreaterThan(980)
    world.hasTree = true
    world.group.runUntil(() => world.node(4).held === null, 'it forgets once it reads the tree')
  })
})

describe('leadership', () => {
  function transfer(world: MembershipWorld, from: number, to: number): { error: TransferError | null; times: number } {
    const answer: { error: TransferError | null; times: number } = { error: null, times: 0 }
    world.lives[from - 1].keepers.transfer(WORLD_GROUP, N(to), (error) => {
      answer.error = error
      answer.times++
    })
    return answer
  }

  test('goes where an operator says, and stays there for a minute whatever the balance says', () => {
    const world = new MembershipWorld({ seed: 9, nodes: 3, voters: 3 }, true)
    world.group.leader()
    // Where balance wants it.
    world.group.runFor(10_000)
    const home = world.group.leader()
    world.group.runFor(10_000)
    expect(world.leader).toBe(home)
    const [other] = world.group.followers()
    const answer = transfer(world, home.nodeId, other.nodeId)
    world.group.runUntil(() => answer.times > 0, 'an answer')
    expect(answer.error).toBe(null)
    expect(world.leader).toBe(other)
    world.group.runFor(55_000)
    expect(world.leader).toBe(other)
    world.group.runUntil(() => world.leader === home, 'home again', 15_000)
    expect(answer.times).toBe(1)
  })

  test('goes back to where it should be once that node is back and has caught up', () => {
    const world = new MembershipWorld({ seed: 10, nodes: 3, voters: 3 }, true)
    world.group.leader()
    world.group.runFor(10_000)
    const home = world.group.leader()
    world.crash(home)
    busy(world, 3_000)
    expect(world.leader).not.toBe(null)
    expect(world.leader).not.toBe(home)
    world.restart(home)
    world.group.runUntil(() => world.leader === home, 'home again', 15_000)
    world.checkWrites()
  })

  test('a transfer that cannot be is refused, and says why', () => {
    const world = new MembershipWorld({ seed: 11, nodes: 4, voters: 3 })
    leads(world, world.node(1))
    const code = (from: number, to: number): string | null => {
      const answer = transfer(world, from, to)
      world.group.runUntil(() => answer.times > 0, 'an answer')
      return answer.error?.code ?? null
    }
    expect(code(1, 1)).toBe(null)
    expect(code(1, 4)).toBe('malformed-argument')
    expect(code(2, 1)).toBe('not-leader')
    world.group.cut(world.node(3))
    expect(code(1, 3)).toBe('unavailable')
    expect(world.leader).toBe(world.node(1))
    world.group.mend(world.node(3))
    const first = transfer(world, 1, 2)
    const second = transfer(world, 1, 3)
    world.group.runUntil(() => first.times > 0 && second.times > 0, 'answers')
    expect([first.error, second.error?.code]).toEqual([null, 'busy'])
  })

  test('writes during a transfer are answered or certainly not done', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new MembershipWorld({ seed, nodes: 3, voters: 3 })
      leads(world, world.node(1))
      const outcomes: Outcome[] = []
      for (let i = 0; i < 40; i++) {
        if (i === 10) world.node(1).replica.transferLeadership(world.node(2).replica.replicaId)
        outcomes.push(world.group.write(world.node(1), 'APPEND', 'log', `${i},`))
        world.group.runFor(0.05)
      }
      world.group.runUntil(() => outcomes.every(({ outcome }) => outcome !== null), 'every write has an outcome')
      expect(world.leader).toBe(world.node(2))
      const read = world.group.done(world.group.read(world.node(2), false, 'GET', 'log'))
      const there = read.split('\r\n')[1].split(',').slice(0, -1).map(Number)
      expect(there).toEqual([...there].sort((a, b) => a - b))
      for (const [i, { outcome, reply, times }] of outcomes.entries()) {
        expect(times).toBe(1)
        if (outcome === OUTCOME_REPLY && reply.startsWith(':')) expect(there, `seed ${seed}`).toContain(i)
        if (outcome === OUTCOME_REFUSED) expect(there, `seed ${seed}`).not.toContain(i)
      }
      // What waited goes on with the new leader.
      const refused = outcomes.filter(({ outcome }) => outcome === OUTCOME_REFUSED).length
      expect(refused).toBeGreaterThan(0)
      expect(there.length).toBeGreaterThan(0)
    }
  })
})
