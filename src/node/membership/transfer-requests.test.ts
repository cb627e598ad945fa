// What clients see of a hand-over: a pause of milliseconds, and no request that fails.
import { expect, test } from 'vitest'
import { type Call, RouterWorld } from '../router-world.testkit.ts'

interface Timed {
  readonly call: Call
  readonly sentMs: number
  tookMs: number
}

test('requests through every node during hand-overs are all answered, once, within a tenth of a second', () => {
  let slowestMs = 0
  for (let seed = 1; seed <= 5; seed++) {
    const world = new RouterWorld({ seed, nodes: 3 })
    world.leader()
    const { replicas } = world
    const { scheduler } = replicas
    const calls: Timed[] = []
    let handOvers = 0
    for (let i = 0; i < 600; i++) {
      const node = world.nodes[i % 3]
      const call = i % 4 === 3 ? node.read('linearizable', 'GET', 'k') : node.write('INCR', 'k')
      calls.push({ call, sentMs: scheduler.nowMs, tookMs: -1 })
      if (i % 100 === 50) {
        const leader = world.leader().node
        const [heir] = replicas.followers()
        expect(leader.replica.transferLeadership(heir.replica.replicaId)).toBe(true)
        handOvers++
      }
      replicas.runFor(1)
      for (const timed of calls) {
        if (timed.tookMs < 0 && timed.call.reply !== null) timed.tookMs = scheduler.nowMs - timed.sentMs
      }
    }
    for (const { call } of calls) expect(world.done(call), `seed ${seed}`).toMatch(/^(:\d+|\$\d+\r\n\d+|\$-1)\r\n$/)
    expect(calls.every(({ call }) => call.times === 1)).toBe(true)
    expect(world.done(world.nodes[0].read('linearizable', 'GET', 'k'))).toBe('$3\r\n450\r\n')
    expect(handOvers).toBe(6)
    slowestMs = Math.max(slowestMs, ...calls.map(({ tookMs }) => tookMs))
  }
  expect(slowestMs).toBeLessThan(100)
})
