// The order contract of ports/request-router.ts, held against a router that uses all its freedom: random pipelines over random slots, random
// delays, random refusals.
import { describe, expect, it } from 'vitest'
import { latin1Text } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import { decodeCommand } from '../../protocol/command.ts'
import { errorReply } from '../../protocol/resp-reply.ts'
import { DoorWorld, type TestClient } from './door.testkit.ts'
import type { RouterCall } from './memory-router.testkit.ts'
import { splitReplies } from './reply-splitter.testkit.ts'
import { encodeRequest } from './tcp-door.testkit.ts'

const CLIENTS = 3
const KEYS = 6

/** Watches the router's calls: keys are `c<client>-<key>`, so each call tells whose it is. */
class ContractChecker {
  readonly unanswered = new Map<string, { reads: number; writes: number }>()
  readonly calls = new Map<string, string[]>()

  onCall(call: RouterCall): void {
    const lane = this.#lane(call)
    const state = this.unanswered.get(lane) ?? { reads: 0, writes: 0 }
    this.unanswered.set(lane, state)
    if (call.write) {
      expect(state.reads, `${lane}: a write was called while a read was unanswered`).toBe(0)
      state.writes++
    } else {
      expect(call.afterWrites, `${lane}: afterWrites`).toBe(state.writes > 0)
      state.reads++
    }
  }

  answered(call: RouterCall): void {
    const state = this.unanswered.get(this.#lane(call))
    if (state === undefined) throw new Error('an answer without a call')
    if (call.write) state.writes--
    else state.reads--
  }

  #lane(call: RouterCall): string {
    const { args } = decodeCommand(call.command)
    const key = latin1Text(args[0] ?? new Uint8Array(0))
    return `${key.split('-')[0]} slot ${call.slot}`
  }
}

interface Script {
  readonly client: TestClient
  readonly prefix: string
  text: string
  readonly expected: RegExp[]
  readonly values: Map<string, number>
}

/** Counters by INCR and reads of them: any reordering within a key shows in the numbers. */
function addRequest(script: Script, random: Prng): void {
  const key = (): string => `${script.prefix}-${random.below(KEYS)}`
  const value = (name: string): string => {
    const count = script.values.get(name)
    return count === undefined ? '\\$-1\r\n' : `\\$${String(count).length}\r\n${count}\r\n`
  }
  const bump = (name: string): number => {
    const count = (script.values.get(name) ?? 0) + 1
    script.values.set(name, count)
    return count
  }
  const kind = random.below(10)
  const name = key()
  if (kind < 4) add(script, ['INCR', name], `:${bump(name)}\r\n`)
  else if (kind < 7) add(script, ['GET', name], value(name))
  else if (kind === 7) {
    const names = Array.from({ length: 1 + random.below(4) }, key)
    add(script, ['MGET', ...names], `\\*${names.length}\r\n${names.map(value).join('')}`)
  } else if (kind === 8) {
    const names = [...new Set(Array.from({ length: 1 + random.below(4) }, key))]
    const words = names.flatMap((each) => [each, String(random.below(1000))])
    for (let i = 0; i < words.length; i += 2) script.values.set(words[i], Number(words[i + 1]))
    add(script, ['MSET', ...words], '\\+OK\r\n')
  } else {
    add(script, ['ECHO', name], `\\$${name.length}\r\n${name}\r\n`)
  }
}

function add(script: Script, words: readonly string[], reply: string): void {
  script.text += encodeRequest(words)
  script.expected.push(new RegExp(`^${reply}$`))
}

function runSeed(seed: number, refusing: boolean): number {
  const random = new Prng(seed)
  const checker = new ContractChecker()
  let refused = 0
  const world = new DoorWorld({
    seed,
    server: { maxPipelined: random.pick([4, 32, 1024]) },
    router: (scheduler) => ({
      slotCount: random.pick([1, 16, 1024]),
      delayMs: () => scheduler.random.unit() * 8,
      onCall: (call) => checker.onCall(call),
      onAnswer: (call) => checker.answered(call),
      refuse: (call) => {
        // Reads only: a refused write would change what all later reads must show.
        if (!refusing || call.write || !scheduler.random.chance(0.1)) return null
        refused++
        return errorReply('CLUSTERDOWN no leader')
      },
    }),
  })
  const scripts = Array.from({ length: CLIENTS }, (_, i): Script => {
    return { client: world.connect(), prefix: `c${i}`, text: '', expected: [], values: new Map() }
  })
  for (let round = 0; round < 4; round++) {
    for (const script of scripts) {
      script.text = ''
      for (let i = random.below(60); i > 0; i--) addRequest(script, random)
      for (let at = 0; at < script.text.length; ) {
        const to = at + 1 + random.below(400)
        script.client.send(script.text.slice(at, to))
        at = to
      }
    }
    world.run(random.below(50))
  }
  world.run(60_000)
  for (const { client, expected } of scripts) {
    const { replies, rest } = splitReplies(client.received)
    expect(rest).toBe('')
    expect(replies.length, `seed ${seed}: replies`).toBe(expected.length)
    replies.forEach((reply, i) => {
      if (refusing && reply.startsWith('-CLUSTERDOWN')) return
      expect(reply, `seed ${seed}, reply ${i}`).toMatch(expected[i])
    })
  }
  for (const [lane, state] of checker.unanswered) expect(state, lane).toEqual({ reads: 0, writes: 0 })
  return refused
}

describe('order', () => {
  it('keeps each slot first in, first out, and replies in request order', () => {
    for (let seed = 1; seed <= 40; seed++) runSeed(seed, false)
  })

  it('does so when reads are refused', () => {
    let refused = 0
    for (let seed = 1; seed <= 20; seed++) refused += runSeed(1000 + seed, true)
    expect(refused).toBeGreaterThan(50)
  })

  it('runs slots side by side: a slow slot holds back replies, not work', () => {
    const calls: string[] = []
    const world = new DoorWorld({
      router: { delayMs: () => 10, onCall: (call) => calls.push(latin1Text(decodeCommand(call.command).args[0])) },
    })
    const client = world.connect()
    client.send(['SET a 1', 'GET a', 'SET a 2', 'SET b 1', 'GET c'].map((line) => `${line}\r\n`).join(''))
    world.run(5)
    // a's second SET waits for the GET before it; b and c wait for nobody.
    expect(calls).toEqual(['a', 'a', 'b', 'c'])
    world.run(200)
    expect(calls).toEqual(['a', 'a', 'b', 'c', 'a'])
    expect(client.received).toBe('+OK\r\n$1\r\n1\r\n+OK\r\n+OK\r\n$-1\r\n')
  })
})
