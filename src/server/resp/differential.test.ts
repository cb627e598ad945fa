// The same bytes to the door and to a real Redis 7: the same bytes must come back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
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

beforeAll(async () => {
  redis = await startRealRedis()
  door = await startTcpDoor({}, { delayMs: null })
})

afterAll(async () => {
  await redis?.stop()
  await door?.stop()
})

/** Remaining times differ by the milliseconds between the two servers. */
function masked(words: readonly string[], reply: string): string {
  const word = words[0].toLowerCase()
  // Whether 1000 s from now is later than 1000 s from a moment ago hangs on the millisecond, too.
  if (word === 'expire' || word === 'pexpire') return reply.replace(/^:[01]\r\n/, ':0 or 1\r\n')
  // In whatever order the keys come.
  if (word === 'keys') return reply.split('\r\n').sort().join(' ')
  if (word === 'scan' && reply.startsWith('*2\r\n$1\r\n0')) return reply.split('\r\n').sort().join(' ')
  return ['pttl', 'expiretime', 'pexpiretime', 'exec'].includes(word)
    ? reply.replaceAll(/:\d{2,}\r\n/g, ':some\r\n')
    : reply
}

async function compare(seed: number, commands: number, hello: string): Promise<Map<string, number>> {
  const random = new Prng(seed)
  const generator = new CommandGenerator(random)
  const clients = await Promise.all([RawClient.connect(redis.port), RawClient.connect(door.port)])
  const seen = new Map<string, number>()
  for (const client of clients) {
    await client.replies(hello, 1)
    await client.replies(encodeRequest(['flushall']), 1)
  }
  for (let sent = 0; sent < commands; ) {
    const batch = Array.from({ length: 1 + random.below(12) }, () => generator.next())
    const text = batch.map(encodeRequest).join('')
    const [expected, actual] = await Promise.all(clients.map((client) => client.replies(text, batch.length)))
    for (let i = 0; i < batch.length; i++) {
      const what = `seed ${seed}, command ${sent + i}: ${JSON.stringify(batch[i])}`
      expect(masked(batch[i], actual[i]), what).toBe(masked(batch[i], expected[i]))
      const first = expected[i].slice(0, expected[i].startsWith('-') ? 30 : 1)
      seen.set(first, (seen.get(first) ?? 0) + 1)
    }
    expect(actual.length).toBe(expected.length)
    sent += batch.length
  }
  for (const client of clients) client.end()
  return seen
}

/** A hundred thousand commands by default; QUORATE_DIFFERENTIAL_SEEDS=1000 npx vitest run src/server/resp/differential.test.ts goes further, a thousand commands a seed. */
const SEEDS = Number(process.env.QUORATE_DIFFERENTIAL_SEEDS ?? 100)

function seeds(parity: 0 | 1): number[] {
  return Array.from({ length: SEEDS }, (_, i) => 11 + i).filter((seed) => seed % 2 === parity)
}

describe('the same replies as Redis 7', () => {
  it.each(seeds(0))('to random commands in RESP2, seed %i', async (seed) => {
    const seen = await compare(seed, 1000, 'PING\r\n')
    for (const kind of ['+', ':', '$', '*', '-ERR unknown command', '-ERR value is not an integer']) {
      expect(
        [...seen.keys()].some((first) => first.startsWith(kind)),
        kind,
      ).toBe(true)
    }
  })

  it.each(seeds(1))('to random commands in RESP3, seed %i', async (seed) => {
    const seen = await compare(seed, 1000, 'HELLO 3\r\n')
    expect(seen.get('_') ?? 0).toBeGreaterThan(0)
  })

  it('to HELLO, but for the identifier', async () => {
    const texts = [
      'HELLO',
      'HELLO 4',
      'HELLO a',
      'HELLO 3 FOO',
      'HELLO 3 AUTH a b',
      'HELLO 3 AUTH x',
      'HELLO 2 SETNAME "a b"',
    ]
    texts.push(
      'HELLO 3',
      'GET nothing',
      'CLIENT GETNAME',
      'CONFIG GET save',
      'HELLO 2 AUTH default x SETNAME me',
      'CLIENT GETNAME',
    )
    const clients = await Promise.all([RawClient.connect(redis.port), RawClient.connect(door.port)])
    for (const text of texts) {
      const [expected, actual] = await Promise.all(clients.map((client) => client.replies(`${text}\r\n`, 1)))
      expect(actual[0].replace(/id\r\n:\d+/, 'id'), text).toBe(expected[0].replace(/id\r\n:\d+/, 'id'))
    }
    for (const client of clients) client.end()
  })

  it.each([
    '*1\r\n$4\r\nPING\r\n*2\r\n!\r\n',
    '*1\r\n\n\r\n',
    '*1\r\n\r\n',
    '*x\r\n',
    '*\r\n',
    '*1\r\n$x\r\n',
    '*1\r\n$-1\r\n',
    '*1\r\n$99999999999\r\n',
    '*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n',
    'ECHO "a\r\n',
    "ECHO 'a'b\r\n",
    'PING\r\nECHO "\\x41\\n" \r\nQUIT\r\nPING\r\n',
    'SET q 1\r\nGET q\r\nMULTI\r\nINCR q\r\nQUIT\r\n',
    'POST / HTTP/1.1\r\nPING\r\n',
    'MULTI\r\nMULTI\r\nWATCH a\r\nEXEC x\r\nEXEC\r\nQUIT now\r\n',
    'MULTI\r\nHELLO 3\r\nGET none\r\nUNWATCH\r\nPING\r\nHELLO 9\r\nCLIENT GETNAME\r\nSET a 1 FOO\r\nDISCARD\r\nGET none\r\nQUIT\r\n',
    'MULTI\r\nPING\r\nECHO a\r\nSELECT 0\r\nEXEC\r\nMULTI\r\nEXEC\r\nQUIT\r\n',
    'MULTI\r\nCLIENT SETNAME joe\r\nGET none\r\nCLIENT GETNAME\r\nEXEC\r\nCLIENT GETNAME\r\nQUIT\r\n',
  ])('to %j, until it closes', async (text) => {
    const clients = await Promise.all([RawClient.connect(redis.port), RawClient.connect(door.port)])
    const [expected, actual] = await Promise.all(clients.map((client) => client.untilClosed(text)))
    expect(actual).toBe(expected)
  })
})
