// Writes that a client has numbered itself: once, whichever nodes it sends them to, and never in the way of the node's own.
import { describe, expect, it } from 'vitest'
import type { WriteIdentity } from '../protocol/client-session.ts'
import { type Call, type RouterNode, RouterWorld } from './router-world.testkit.ts'

const SESSIONS = 2 ** 52
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

/** One client's writes to the world's slot: keeps its window and sends what has no answer again, to whichever node it likes. */
class Client {
  readonly #session: number
  #next = 1
  readonly #open = new Map<
    number,
    { readonly words: string[]; readonly attempts: Call[]; readonly retryUntilMs: number }
  >()
  readonly replies: string[] = []

  constructor(session: number) {
    this.#session = session
  }

  get unanswered(): number {
    return this.#open.size
  }

  begin(node: RouterNode, ...words: string[]): void {
    const sequence = this.#next++
    this.#open.set(sequence, { words, attempts: [], retryUntilMs: node.node.clock.wallMs() + 50_000 })
    this.again(node, sequence)
  }

  again(node: RouterNode, sequence: number): void {
    const write = this.#open.get(sequence)
    if (write === undefined) return
    write.attempts.push(node.writeAs(this.#identity(sequence, write.retryUntilMs), ...write.words))
  }

  /** Takes answers, and sends some of what has none once more. */
  step(pickNode: () => RouterNode, again: (sequence: number) => boolean): void {
    for (const [sequence, { attempts }] of this.#open) {
      const answered = attempts.find(({ reply }) => reply !== null && !/^-(UNCERTAIN|CLUSTERDOWN|BUSY)/.test(reply))
      if (answered !== undefined) {
        this.#open.delete(sequence)
        this.replies[sequence] = answered.reply ?? ''
      } else if (again(sequence)) this.again(pickNode(), sequence)
    }
  }

  #identity(sequence: number, retryUntilMs: number): WriteIdentity {
    return { session: this.#session, sequence, lowestUnanswered: Math.min(...this.#open.keys()), retryUntilMs }
  }
}

describe("a client's own writes", () => {
  it('run once through changes of leader, broken streams and restarts, by whichever nodes they are sent', () => {
    for (let seed = 1; seed <= 8; seed++) {
      const world = new RouterWorld({ seed, nodes: 3 })
      world.leader()
      const { random } = world.replicas.scheduler
      const clients = [1, 2].map((session) => new Client(SESSIONS + session))
      const pickNode = (): RouterNode => random.pick(world.nodes)
      const own: Call[] = []
      let restarts = 1
      for (let i = 0; i < 120; i++) {
        for (const client of clients) client.begin(pickNode(), 'INCR', 'n')
        if (i % 4 === 0) own.push(world.nodes[0].write('INCR', 'own'))
        world.replicas.runFor(random.unit() * 15)
        for (const client of clients) client.step(pickNode, () => random.chance(0.2))
        if (random.chance(0.05)) {
          world.leader().node.replica.transferLeadership(world.replicas.followers()[0].replica.replicaId)
        }
        if (random.chance(0.1)) world.nodes[0].channel.breakStream(random.pick(world.nodes.slice(1)).node.nodeId)
        if (random.chance(0.03)) world.nodes[2].restartRouter(world, ++restarts)
      }
      for (let i = 0; i < 200 && clients.some(({ unanswered }) => unanswered > 0); i++) {
        world.replicas.runFor(100)
        for (const client of clients) client.step(pickNode, () => i % 5 === 4)
      }
      const replies = clients.flatMap((client) => client.replies.filter((reply) => reply !== undefined))
      expect(new Set(replies).size, `seed ${seed}`).toBe(240)
      expect(world.done(world.nodes[0].read('linearizable', 'GET', 'n'))).toBe(bulk('240'))
      for (const call of own) expect(world.done(call)).toMatch(/^:/)
    }
  })

  it('take none of the room that the node has for its own in the slot', () => {
    const world = new RouterWorld({ seed: 2, nodes: 3 })
    const node = world.leader()
    const retryUntilMs = node.node.clock.wallMs() + 50_000
    const identity = { session: SESSIONS, lowestUnanswered: 1, retryUntilMs }
    const calls = Array.from({ length: 256 }, (_, i) =>
      node.writeAs({ ...identity, sequence: i + 1 }, 'APPEND', 'k', 'x'),
    )
    calls.push(node.write('APPEND', 'k', 'y'))
    for (const call of calls) expect(world.done(call)).toMatch(/^:/)
    // The 257th that nobody has told is answered: refused, not evicted.
    expect(world.done(node.writeAs({ ...identity, sequence: 257 }, 'APPEND', 'k', 'z'))).toMatch(/^-BUSY/)
    const told = { ...identity, lowestUnanswered: 257, sequence: 257 }
    expect(world.done(node.writeAs(told, 'APPEND', 'k', 'z'))).toBe(':258\r\n')
  })

  it('hear from the group itself that they are too old or too late', () => {
    const world = new RouterWorld({ seed: 3, nodes: 3 })
    const node = world.leader()
    const retryUntilMs = node.node.clock.wallMs() + 50_000
    const identity = { session: SESSIONS, sequence: 2, lowestUnanswered: 2, retryUntilMs }
    expect(world.done(node.writeAs(identity, 'SET', 'k', 'v'))).toBe('+OK\r\n')
    expect(world.done(node.writeAs({ ...identity, sequence: 1, lowestUnanswered: 1 }, 'SET', 'k', 'old'))).toMatch(
      /^-SEQUENCETOOOLD/,
    )
    const late = { ...identity, sequence: 3, retryUntilMs: node.node.clock.wallMs() - 10_000 }
    expect(world.done(node.writeAs(late, 'SET', 'k', 'late'))).toMatch(/^-RETRYEXPIRED/)
    // What ran keeps its answer even then.
    expect(world.done(node.writeAs({ ...identity, retryUntilMs: 1 }, 'SET', 'k', 'v'))).toBe('+OK\r\n')
    expect(world.done(node.read('linearizable', 'GET', 'k'))).toBe(bulk('v'))
  })
})
