// From a door through the router to a real group and back: exactly once, in order, and never a false word about what happened.
import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asSlotId } from '../base/brand.ts'
import { latin1Bytes } from '../base/bytes.ts'
import { encodeCommand } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { type Call, RouterWorld } from './router-world.testkit.ts'

const SET_K_OLD = encodeCommand(present(COMMANDS_BY_NAME.get('set'), 'SET').opcode, [
  latin1Bytes('k'),
  latin1Bytes('old'),
])
const OK = '+OK\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

describe('requests', () => {
  it('are answered alike wherever they come in', () => {
    const world = new RouterWorld({ seed: 1, nodes: 3 })
    world.leader()
    for (const node of world.nodes) {
      expect(world.done(node.write('SET', 'k', `by ${node.node.nodeId}`))).toBe(OK)
      expect(world.done(node.read('linearizable', 'GET', 'k'))).toBe(bulk(`by ${node.node.nodeId}`))
    }
  })

  it('run once and in order through changes of leader and broken streams', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const world = new RouterWorld({ seed, nodes: 3 })
      world.leader()
      const { random } = world.replicas.scheduler
      const calls: Call[] = []
      const node = world.nodes[0]
      for (let i = 0; i < 150; i++) {
        calls.push(node.write('APPEND', 'k', `${i},`))
        world.replicas.runFor(random.unit() * 20)
        if (random.chance(0.05)) {
          const leader = world.leader()
          leader.node.replica.transferLeadership(world.replicas.followers()[0].replica.replicaId)
        }
        if (random.chance(0.1)) node.channel.breakStream(random.pick(world.nodes.slice(1)).node.nodeId)
      }
      for (const call of calls) expect(world.done(call), `seed ${seed}`).toMatch(/^:\d+\r\n$/)
      const expected = Array.from({ length: 150 }, (_, i) => `${i},`).join('')
      expect(world.done(node.read('linearizable', 'GET', 'k'))).toBe(bulk(expected))
      expect(calls.every(({ times }) => times === 1)).toBe(true)
    }
  })

  it('wait for room in the window of their slot and keep their order', () => {
    const world = new RouterWorld({ seed: 2, nodes: 3 })
    world.leader()
    const [node] = world.others()
    const calls = Array.from({ length: 600 }, (_, i) => node.write('APPEND', 'k', `${i},`))
    const read = node.read('linearizable', 'GET', 'k')
    for (const call of calls) expect(world.done(call)).toMatch(/^:/)
    expect(world.done(read)).toBe(bulk(Array.from({ length: 600 }, (_, i) => `${i},`).join('')))
    expect(node.router.outstandingRequests()).toBe(0)
  })

  it('are refused above the bounds of count and bytes, and where one is too large to be carried', () => {
    const world = new RouterWorld({ seed: 3, nodes: 1 }, { maxUnanswered: 3, maxUnansweredBytes: 10_000 })
    const node = world.leader()
    const many = Array.from({ length: 4 }, () => node.write('SET', 'k', 'v'))
    expect(many.map((call) => world.done(call).slice(0, 5))).toEqual([OK, OK, OK, '-BUSY'])
    const large = [node.write('SET', 'k', 'x'.repeat(6_000)), node.write('SET', 'k', 'x'.repeat(6_000))]
    expect(large.map((call) => world.done(call).slice(0, 5))).toEqual([OK, '-BUSY'])
    expect(world.done(node.write('SET', 'k', 'x'.repeat(40_000)))).toContain('-ERR the command takes 40')
    expect(world.done(node.write('SET', 'k', 'v'))).toBe(OK)
  })
})

describe('a deadline', () => {
  it('says -UNCERTAIN for a write that may have run, and -CLUSTERDOWN for what has not', () => {
    const world = new RouterWorld({ seed: 4, nodes: 3 })
    const leader = world.leader()
    world.replicas.runFor(200)
    const [outside] = world.others()
    for (const node of world.nodes) world.replicas.cut(node.node)
    const appended = leader.write('SET', 'k', '1')
    const read = leader.read('linearizable', 'GET', 'k')
    world.replicas.runFor(3_000)
    // By now nobody leads: this one never gets anywhere.
    const never = outside.write('SET', 'k', '2')
    expect(world.done(appended)).toMatch(/^-UNCERTAIN /)
    expect(world.done(read)).toMatch(/^-CLUSTERDOWN /)
    expect(world.done(never)).toMatch(/^-CLUSTERDOWN /)
  })

  it('says -UNCERTAIN where a full disk refuses the retry of a write that may have run', () => {
    const world = new RouterWorld({ seed: 5, nodes: 3 })
    const leader = world.leader()
    const [node] = world.others()
    // The first attempt reaches the leader and runs; its answer is lost with the stream.
    leader.channel.leave(node.node.nodeId)
    const write = node.write('APPEND', 'k', 'x')
    world.replicas.runFor(100)
    for (const one of world.nodes) one.node.acceptsGrowth = false
    leader.node.replica.transferLeadership(node.node.replica.replicaId)
    expect(world.done(write)).toMatch(/^-UNCERTAIN /)
    expect(world.done(node.write('APPEND', 'k', 'x'))).toMatch(/^-DISKFULL /)
  })
})

describe('a node without a replica', () => {
  it('finds the leader by asking, past nodes that are away and past itself', () => {
    const world = new RouterWorld({ seed: 6, nodes: 3 })
    const leader = world.leader()
    const [outside, away] = world.others()
    outside.withReplica = false
    outside.channel.leave(away.node.nodeId)
    expect(world.done(outside.write('SET', 'k', '1'))).toBe(OK)
    expect(world.done(outside.read('stale', 'GET', 'k'))).toBe(bulk('1'))
    expect(leader).not.toBe(outside)
  })

  it('serves a stale read that was asked for just before the replica gave way', () => {
    const world = new RouterWorld({ seed: 7, nodes: 3 })
    world.leader()
    const [node] = world.others()
    expect(world.done(node.write('SET', 'k', '1'))).toBe(OK)
    const read = node.read('stale', 'GET', 'k')
    node.withReplica = false
    node.node.replica.close(() => {})
    expect(world.done(read)).toBe(bulk('1'))
  })
})

describe('a closed replica', () => {
  it('does not swallow requests: they go on once somebody serves them', () => {
    const world = new RouterWorld({ seed: 8, nodes: 3 })
    const leader = world.leader()
    world.replicas.runFor(200)
    leader.node.replica.close(() => {})
    const write = leader.write('SET', 'k', '1')
    world.replicas.runFor(100)
    // It gives way; the others elect a leader, and this node asks them.
    leader.withReplica = false
    expect(world.done(write)).toBe(OK)
  })
})

describe('answers of a request that an earlier process passed on', () => {
  it('are not taken for those of a new one with the same number', () => {
    const world = new RouterWorld({ seed: 9, nodes: 3 })
    const leader = world.leader()
    const [node] = world.others()
    expect(world.done(leader.write('SET', 'k', 'true'))).toBe(OK)
    leader.channel.held = []
    const lost: string[] = []
    node.router.write(asSlotId(0), SET_K_OLD, (reply) => lost.push(String(reply)))
    world.replicas.runFor(100)
    node.restartRouter(world, 2)
    node.channel.stream++
    const read = node.read('linearizable', 'GET', 'k')
    world.replicas.runFor(100)
    // First the answer to the old process's write, then the one to the new process's read.
    leader.channel.release()
    expect(world.done(read)).toBe(bulk('old'))
    expect([read.times, lost.length]).toEqual([1, 0])
  })
})
