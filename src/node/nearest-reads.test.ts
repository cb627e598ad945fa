import { describe, expect, it } from 'vitest'
import { asSlotId } from '../base/brand.ts'
import { latin1Text } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY } from '../protocol/request-message.ts'
import type { Outcome } from '../replication/raft/replica-world.testkit.ts'
import { commandOf, type RouterNode, RouterWorld } from './router-world.testkit.ts'

const OK = '+OK\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

interface Answer {
  reply: string | null
}

function nearest(node: RouterNode, ...words: string[]): Answer {
  const answer: Answer = { reply: null }
  node.router.read(asSlotId(0), commandOf(words), 'nearest', false, (reply) => {
    expect(answer.reply).toBeNull()
    answer.reply = latin1Text(reply)
  })
  return answer
}

function here(node: RouterNode, ...words: string[]): Outcome {
  const outcome: Outcome = { outcome: null, reply: '', times: 0 }
  const taken = node.node.replica.readHere(asSlotId(0), 0, commandOf(words), {
    settle: (kind, reply) => {
      outcome.outcome = kind
      outcome.reply = latin1Text(reply)
      outcome.times++
    },
  })
  expect(taken).toBe(true)
  return outcome
}

describe('reads by the nearest replica', () => {
  it.each([1, 2, 3, 4, 5])('see all that was acknowledged before, on every node, seed %i', (seed) => {
    const random = new Prng(seed)
    const world = new RouterWorld({ seed, nodes: 3, delivery: () => [random.between(0, 30)] })
    world.leader()
    for (let round = 0; round < 40; round++) {
      const writer = random.pick(world.nodes)
      expect(world.done(writer.write('SET', 'k', String(round)))).toBe(OK)
      const answers = world.nodes.map((node) => nearest(node, 'GET', 'k'))
      world.replicas.runUntil(() => answers.every(({ reply }) => reply !== null), 'the answers')
      for (const { reply } of answers) expect(reply).toBe(bulk(String(round)))
    }
  })

  it('are answered by the follower itself, with one question for all that wait', () => {
    const world = new RouterWorld({ seed: 6, nodes: 3 })
    world.leader()
    const [follower] = world.others()
    expect(world.done(follower.write('SET', 'k', '1'))).toBe(OK)
    const before = world.replicas.sent.length
    const reads = Array.from({ length: 50 }, () => here(follower, 'GET', 'k'))
    world.replicas.runUntil(() => reads.every(({ outcome }) => outcome !== null), 'the answers')
    for (const read of reads) expect([read.outcome, read.reply, read.times]).toEqual([OUTCOME_REPLY, bulk('1'), 1])
    const asked = world.replicas.sent.slice(before).filter(({ message }) => message.type === 'readIndexRequest')
    expect(asked).toHaveLength(1)
    expect(asked[0].from).toBe(follower.node.nodeId)
  })

  it('are not answered by a follower that is cut off, from what it has, but elsewhere or not at all', () => {
    const world = new RouterWorld({ seed: 7, nodes: 3 })
    world.leader()
    const [cut] = world.others()
    expect(world.done(cut.write('SET', 'k', '1'))).toBe(OK)
    world.replicas.runFor(500)
    world.replicas.cut(cut.node)
    expect(world.done(world.leader().write('SET', 'k', '2'))).toBe(OK)
    const refused = here(cut, 'GET', 'k')
    // The other nodes' routers are still reached: there the read is answered.
    const answered = nearest(cut, 'GET', 'k')
    world.replicas.runUntil(() => answered.reply !== null && refused.outcome !== null, 'both ends')
    expect(answered.reply).not.toBe(bulk('1'))
    expect([refused.outcome, refused.times]).toEqual([OUTCOME_REFUSED, 1])
    world.replicas.mend(cut.node)
    world.replicas.runFor(1_200)
    const again = nearest(cut, 'GET', 'k')
    world.replicas.runUntil(() => again.reply !== null, 'the answer after the mend')
    expect(again.reply).toBe(bulk('2'))
  })

  it('are refused above the bounds of count and bytes, like any other request, and leave room behind', () => {
    const world = new RouterWorld({ seed: 9, nodes: 3 }, { maxUnanswered: 3, maxUnansweredBytes: 10_000 })
    world.leader()
    const [node] = world.others()
    expect(world.done(node.write('SET', 'k', 'v'))).toBe(OK)
    const answers = (...words: string[][]): (string | undefined)[] => {
      const all = words.map((command) => nearest(node, ...command))
      world.replicas.runUntil(() => all.every(({ reply }) => reply !== null), 'the answers')
      return all.map(({ reply }) => reply?.slice(0, 5))
    }
    const get = ['GET', 'k']
    const large = ['MGET', ...new Array<string>(1_200).fill('k')]
    for (let round = 0; round < 3; round++) {
      expect(answers(get, get, get, get)).toEqual(['$1\r\nv', '$1\r\nv', '$1\r\nv', '-BUSY'])
      expect(answers(large, large)).toEqual(['*1200', '-BUSY'])
    }
    const huge = nearest(node, 'GET', 'x'.repeat(40_000))
    world.replicas.runUntil(() => huge.reply !== null, 'an answer')
    expect(huge.reply).toContain('-ERR the command takes 40')
    // With one that ends elsewhere.
    const read = nearest(node, 'GET', 'k')
    expect(node.router.outstandingRequests()).toBe(1)
    world.replicas.cut(node.node)
    world.replicas.runUntil(() => read.reply !== null, 'the answer by another node')
    expect(node.router.outstandingRequests()).toBe(0)
  })

  it('are settled once, when the replica closes', () => {
    const world = new RouterWorld({ seed: 8, nodes: 3 })
    world.leader()
    const [node] = world.others()
    const read = here(node, 'GET', 'k')
    node.node.replica.close(() => {})
    world.replicas.runFor(1_000)
    expect([read.outcome, read.times]).toEqual([OUTCOME_REFUSED, 1])
    expect(node.router.outstandingRequests()).toBe(0)
  })
})
