// The engine over a real log on a simulated disk: batches close, nothing is left lying, no turn spins, one write serves all groups.
import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { OUTCOME_REPLY } from '../protocol/request-message.ts'
import { type Outcome, ReplicaWorld } from '../replication/raft/replica-world.testkit.ts'

function answered(outcomes: readonly Outcome[]): boolean {
  return outcomes.every(({ outcome }) => outcome !== null)
}

describe('gathering', () => {
  it('lets no proposal lie, whatever came before it: each is answered within a few milliseconds', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new ReplicaWorld({ seed, nodes: 1 })
      const leader = world.leader()
      const random = new Prng(seed)
      for (let round = 0; round < 100; round++) {
        const outcomes: Outcome[] = []
        // Concurrency that rises and falls by turns: what was expected last is not what comes next.
        const count = random.pick([1, 1, 2, 50, 200])
        for (let i = 0; i < count; i++) {
          outcomes.push(world.write(leader, 'SET', 'k', `${i}`))
          if (random.chance(0.05)) world.runFor(random.unit())
        }
        world.runUntil(() => answered(outcomes), 'the round is answered', 60)
        expect(outcomes.every(({ outcome, times }) => outcome === OUTCOME_REPLY && times === 1)).toBe(true)
        if (random.chance(0.3)) world.runFor(random.between(0, 20))
      }
    }
  })

  it('puts what comes together into few writes of the log', () => {
    const world = new ReplicaWorld({ seed: 3, nodes: 1 })
    const leader = world.leader()
    let flushes = 0
    const flush = leader.log.flush.bind(leader.log)
    leader.log.flush = (done) => {
      flushes++
      flush(done)
    }
    const outcomes = Array.from({ length: 500 }, (_, i) => world.write(leader, 'SET', `k${i}`, 'v'))
    world.runUntil(() => answered(outcomes), 'all are answered')
    expect(flushes).toBeLessThanOrEqual(3)
  })

  it('does not spin while a slow disk has the batch before', () => {
    const world = new ReplicaWorld({ seed: 4, nodes: 1 })
    const leader = world.leader()
    world.done(world.write(leader, 'SET', 'k', '0'))
    let turns = 0
    const turn = leader.replica.turn.bind(leader.replica)
    leader.replica.turn = (mayPropose, unsynced) => {
      turns++
      turn(mayPropose, unsynced)
    }
    const { log } = leader
    const first = world.write(leader, 'SET', 'k', '1')
    world.runUntil(() => log.busy, 'the disk is at work')
    // The disk of a machine that stands still: its answers come later, the process's own timers do not.
    Object.defineProperty(log, 'busy', { get: () => true, configurable: true })
    const later = world.write(leader, 'SET', 'k', '2')
    turns = 0
    world.runFor(100)
    expect(turns).toBeLessThan(150)
    expect(answered([first, later])).toBe(true)
  })

  it('runs nothing any more once it is stopped', () => {
    const world = new ReplicaWorld({ seed: 5, nodes: 1 })
    const leader = world.leader()
    const write = world.write(leader, 'SET', 'k', '1')
    leader.engine?.stop()
    const log = world.sent.length
    world.runFor(1_000)
    expect(write.outcome).toBeNull()
    expect(world.sent.length).toBe(log)
  })
})
