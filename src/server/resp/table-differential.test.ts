// What random single commands cannot compare (differential.test.ts): every wrong number of words, whole walks by SCAN, values that go from one server
// to the other, keys of commands, transactions that another connection disturbs. The same to the door and to a real Redis 7.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { COMMAND_SPECS, COMMANDS_BY_NAME } from '../../protocol/command-table.ts'
import { CommandGenerator } from '../../simulation/command-generator.ts'
import {
  encodeRequest,
  RawClient,
  type RealRedis,
  startRealRedis,
  startTcpDoor,
  type TcpDoor,
} from './tcp-door.testkit.ts'

let redis: RealRedis
let door: TcpDoor
let clients: [redis: RawClient, door: RawClient]

beforeAll(async () => {
  redis = await startRealRedis()
  door = await startTcpDoor({}, { delayMs: null })
})

afterAll(async () => {
  for (const client of clients) client.end()
  await redis?.stop()
  await door?.stop()
})

beforeEach(async () => {
  for (const client of clients ?? []) client.end()
  clients = [await RawClient.connect(redis.port), await RawClient.connect(door.port)]
  await both(['FLUSHALL'])
})

async function ask(client: RawClient, ...commands: readonly (readonly string[])[]): Promise<string[]> {
  return client.replies(commands.map(encodeRequest).join(''), commands.length)
}

/** Of one more connection to each, too. */
async function both(words: readonly string[], pair: readonly RawClient[] = clients): Promise<[string, string]> {
  const [[expected], [actual]] = await Promise.all(pair.map((client) => ask(client, words)))
  return [expected, actual]
}

async function same(words: readonly string[], pair: readonly RawClient[] = clients): Promise<string> {
  const [expected, actual] = await both(words, pair)
  expect(actual, JSON.stringify(words)).toBe(expected)
  return expected
}

/** Of a reply that is a bulk string. */
function content(reply: string): string {
  return reply.slice(reply.indexOf('\r\n') + 2, -2)
}

/** Of Redis 7.2. */
const NEWER = ['client|no-touch', 'client|setinfo']
const SPECS = [...COMMANDS_BY_NAME.values()].filter(({ name }) => !name.startsWith('kv.') && !NEWER.includes(name))

const heard: [redis: string[], door: string[]] = [[], []]

describe('the same replies as Redis 7', () => {
  it('to every command of the table with a wrong number of words, also in a transaction', async () => {
    let compared = 0
    for (const { name, arity } of SPECS) {
      const start = name.split('|')
      const counts = Array.from({ length: Math.abs(arity) - start.length }, (_, i) => start.length + i)
      if (arity > 0) counts.push(arity + 1, arity + 4)
      for (const count of counts) {
        const words = [...start, ...Array.from({ length: count - start.length }, (_, i) => `w${i}`)]
        // A container's own name is a command with words of its own: HELP and the like.
        if (COMMAND_SPECS.some((one) => one.name === name && one.subcommands.length > 0) && count > 1) continue
        expect(await same(words)).toMatch(/^-ERR wrong number of arguments|^-EXECABORT/)
        await same(['MULTI'])
        await same(words)
        await same(['EXEC'])
        compared++
      }
    }
    expect(compared).toBeGreaterThan(150)
  })

  it.each([1, 2, 3, 4, 5, 6])('to whole walks by SCAN, as sets of keys, seed %i', async (seed) => {
    const random = new Prng(seed)
    const names = Array.from(
      { length: random.between(1, 700) },
      (_, i) => `${random.pick(['a', 'b', '{t}', 'ab\r\n'])}${i}`,
    )
    for (let i = 0; i < names.length; i += 50)
      await same(['MSET', ...names.slice(i, i + 50).flatMap((name) => [name, 'x'])])
    for (let walks = 0; walks < 6; walks++) {
      const options = [
        ...(random.chance(0.6) ? ['MATCH', random.pick(['*', 'a*', '[ab]?', '{t}*', '*7*', 'ab\r\n*', 'none'])] : []),
        ...(random.chance(0.7) ? ['count', random.pick(['1', '7', '100', '5000'])] : []),
        ...(random.chance(0.5) ? ['TYPE', random.pick(['string', 'STRING', 'hash'])] : []),
      ]
      const walked = await Promise.all(clients.map((client) => walk(client, options)))
      expect(walked[1], options.join(' ')).toEqual(walked[0])
    }
    await same(['DBSIZE'])
    const keys = await both(['KEYS', '*[135]'])
    expect(keys[1].split('\r\n').sort()).toEqual(keys[0].split('\r\n').sort())
    for (let i = 0; i < 100; i++) expect(names).toContain(content((await ask(clients[1], ['RANDOMKEY']))[0]))
    await same(['FLUSHDB', 'ASYNC'])
    await same(['RANDOMKEY'])
  })

  it.each([1, 2])('to values that go from one server to the other by DUMP and RESTORE, seed %i', async (seed) => {
    const random = new Prng(seed)
    await ask(clients[0], ['CONFIG', 'SET', 'rdbcompression', seed === 1 ? 'no' : 'yes'])
    for (let round = 0; round < 150; round++) {
      const value = anyValue(random)
      for (const client of clients) await ask(client, ['SET', 'from', value])
      const [expected, actual] = (await both(['DUMP', 'from'])).map(content)
      if (seed === 1) expect(actual, JSON.stringify(value)).toBe(expected)
      await ask(clients[0], ['RESTORE', 'to', '0', actual, 'REPLACE'])
      await ask(clients[1], ['RESTORE', 'to', '0', expected, 'REPLACE'])
      expect(content(await same(['GET', 'to']))).toBe(value)
      await same(['OBJECT', 'ENCODING', 'from'])
    }
  })

  it.each([1, 2, 3])('to COMMAND GETKEYS and GETKEYSANDFLAGS of random commands, seed %i', async (seed) => {
    const generator = new CommandGenerator(new Prng(seed))
    for (let i = 0; i < 1500; i++) {
      const words = generator.next()
      await same(['COMMAND', seed === 2 ? 'GETKEYSANDFLAGS' : 'GETKEYS', ...words])
    }
  })

  it.each([2, 3])('to subscriptions, in RESP%i', async (protocol) => {
    for (const [i, client] of clients.entries()) {
      await ask(client, ['HELLO', String(protocol)])
      const publisher = await RawClient.connect(i === 0 ? redis.port : door.port)
      const replies: string[] = []
      const hear = async (words: readonly string[], count: number): Promise<void> => {
        replies.push(...(await client.replies(words.length === 0 ? '' : encodeRequest(words), count)))
      }
      await hear(['SUBSCRIBE', 'a', 'b', 'a'], 3)
      await hear(['PSUBSCRIBE', 'a*', '[bc]'], 2)
      for (const channel of ['a', 'b', 'c', 'ab', 'none']) {
        const [heardBy] = await ask(publisher, ['PUBLISH', channel, `m\r\n${channel}`])
        replies.push(heardBy)
        await hear([], Number(heardBy.slice(1)))
      }
      await hear(['PING'], 1)
      await hear(['PING', 'x'], 1)
      await hear(['GET', 'a'], 1)
      for (const words of ['CHANNELS', 'CHANNELS a*', 'NUMPAT', 'NUMSUB a none', 'NUMSUB', 'BLA', 'CHANNELS a b']) {
        replies.push(...(await ask(publisher, ['PUBSUB', ...words.split(' ')])))
      }
      await hear(['UNSUBSCRIBE', 'b', 'none'], 2)
      await hear(['PUNSUBSCRIBE', '[bc]'], 1)
      await hear(['UNSUBSCRIBE'], 1)
      await hear(['PUNSUBSCRIBE'], 1)
      await hear(['UNSUBSCRIBE'], 1)
      await hear(['GET', 'a'], 1)
      publisher.end()
      heard[i] = replies.map((reply) => (reply.startsWith('*2\r\n$1\r\n') ? reply.split('\r\n').sort().join() : reply))
    }
    expect(heard[1]).toEqual(heard[0])
  })

  it.each([1, 2, 3, 4])('to transactions that another connection may disturb, seed %i', async (seed) => {
    const random = new Prng(seed)
    const generator = new CommandGenerator(random)
    const others = [await RawClient.connect(redis.port), await RawClient.connect(door.port)]
    let aborted = 0
    for (let round = 0; round < 400; round++) {
      // An absent key's version is its slot's last delete, so that more aborts than in Redis: these exist.
      await same(['MSET', '{t}k1', '1', '{t}k2', '5', '{t}k3', 'abc'])
      if (random.chance(0.3)) await same(['EXPIRE', '{t}k1', '100000'])
      await same(['WATCH', '{t}k1', '{t}k2', '{t}k3'].slice(0, random.between(2, 4)))
      for (let i = random.between(0, 9); i > 0; i--) await both(anyCommand(generator), others)
      await same(['MULTI'])
      for (const words of [['INCR', '{t}k1'], ['LCS', '{t}k2'], ['INCR', '{t}k3'], ['NONSENSE'], ['GET', '{t}k2']]) {
        if (random.chance(words[0] === 'NONSENSE' ? 0.1 : 0.6)) await same(words)
      }
      const reply = await same(['EXEC'])
      if (reply === '*-1\r\n') aborted++
    }
    for (const client of others) client.end()
    expect(aborted).toBeGreaterThan(20)
    expect(aborted).toBeLessThan(360)
  })
})

async function walk(client: RawClient, options: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  let cursor = '0'
  do {
    const [reply] = await ask(client, ['SCAN', cursor, ...options])
    const [, next, rest] = /^\*2\r\n\$\d+\r\n(\d+)\r\n\*\d+\r\n(.*)$/s.exec(reply) ?? expect.fail(reply)
    cursor = next
    for (let at = 0; at < rest.length; ) {
      const start = rest.indexOf('\r\n', at) + 2
      const end = start + Number(rest.slice(at + 1, start - 2))
      found.add(rest.slice(start, end))
      at = end + 2
    }
  } while (cursor !== '0')
  return [...found].sort()
}

function anyValue(random: Prng): string {
  if (random.chance(0.3)) return String(random.pick([1, -1]) * random.below(2 ** random.between(1, 32)))
  const length = random.pick([0, 1, 11, 12, 43, 44, 45, 63, 64, 65, 300, 16_383, 16_384, 20_000])
  const letters = random.pick(['x', 'ab', '0123456789', '\0\xff\r\n'])
  return Array.from({ length }, () => letters[random.below(letters.length)]).join('')
}

/** On the watched keys, mostly; without what hangs on the connection or empties everything. */
function anyCommand(generator: CommandGenerator): string[] {
  for (;;) {
    const words = generator.next()
    if (generator.busy) {
      generator.restart()
      continue
    }
    const spec = COMMANDS_BY_NAME.get(words[0].toLowerCase())
    if (spec !== undefined && spec.firstKey > 0 && spec.scope !== 'door' && spec.name !== 'watch') return words
  }
}

describe('the random commands', () => {
  it('are all of the table that have keys', () => {
    const generator = new CommandGenerator(new Prng(1))
    const generated = new Set(Array.from({ length: 30_000 }, () => nameOf(generator.next())))
    const missing = SPECS.filter(
      (spec) => spec.firstKey > 0 && !spec.keyFlags.includes('not_key') && !generated.has(spec.name),
    )
    expect(missing.map((spec) => spec.name)).toEqual([])
  })
})

function nameOf(words: readonly string[]): string {
  const name = words[0].toLowerCase()
  const full = `${name}|${words[1]?.toLowerCase() ?? ''}`
  return COMMANDS_BY_NAME.has(full) ? full : name
}
