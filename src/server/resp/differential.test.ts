// The same bytes to the door and to a real Redis 7: the same bytes must come back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
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

const VALUES = [
  '1',
  '0',
  '-5',
  '10',
  'abc',
  '',
  '9223372036854775807',
  '-9223372036854775808',
  '1.5',
  ' 1',
  '007',
  'a\r\nb',
  '\0\xff',
]
/** Far enough away that nothing expires meanwhile: when it is removed is each server's own affair, and DBSIZE would tell. */
const TIMES: Readonly<Record<string, string>> = {
  EX: '1000',
  PX: '1000000',
  EXAT: '4102444800',
  PXAT: '4102444800000',
  expire: '1000',
  pexpire: '1000000',
  expireat: '4102444800',
  pexpireat: '4102444800000',
}
const BAD_TIMES = ['0', '-1', 'x', '']
const OPTIONS = ['NX', 'XX', 'GET', 'KEEPTTL', 'EX', 'PX', 'EXAT', 'PXAT', 'nx', 'Get', 'FOO']
const MAY_BREAK: ReadonlySet<string> = new Set(
  'foo gett client set incrby append del exists mget mset expire get incr ttl dbsize flushall ping echo select'.split(
    ' ',
  ),
)
const KEYED = 'incr decr strlen get ttl persist pttl getdel getex type expiretime pexpiretime bitcount'.split(' ')
const FLOATS = '1.5 0.1 -0.3 3.0e3 1e-10 -1e18 12345678901234567890 1e4940 1e-5000 inf nan x . 1. .5 +2 1e 5e-1x'.split(
  ' ',
)
const POSITIONS = ['0', '1', '-1', '3', '-3', '8', '100', '-100', 'x', '9223372036854775807', '-9223372036854775808']

class Generator {
  readonly #random: Prng
  #inMulti = false
  #following: string[][] = []

  constructor(random: Prng) {
    this.#random = random
  }

  /** One hash tag, so that transactions stay in one slot; outside of them, keys of other slots too. */
  #key(): string {
    const name = `k${this.#random.below(6)}`
    return this.#inMulti || this.#random.chance(0.6) ? `{t}${name}` : name
  }

  #keys(): string[] {
    return Array.from({ length: 1 + this.#random.below(4) }, () => this.#key())
  }

  next(): string[] {
    const words = this.#following.shift() ?? (this.#random.chance(0.07) ? this.#broken() : this.#sound())
    // Any case is good for names.
    if (this.#random.chance(0.2)) words[0] = words[0].toUpperCase()
    return words
  }

  #broken(): string[] {
    const random = this.#random
    let words = random.pick([
      ['foo'],
      ['gett', 'a'],
      ['x\r\ny'],
      [''],
      ['client'],
      ['config'],
      ['x'.repeat(200)],
      ['exec', 'x'],
    ])
    if (words[0] === 'exec') {
      this.#inMulti = false
      return words
    }
    if (random.chance(0.7)) words = this.#sound()
    if (!MAY_BREAK.has(words[0])) return words
    // What is too much may be taken for a key: in a transaction it lies in the same slot.
    const tag = this.#inMulti ? '{t}' : ''
    const junk = (): string => tag + random.pick(['1', 'ab', 'a\r\nb', '']) + 'y'.repeat(random.below(40))
    if (random.chance(0.5) && words.length > 1) words.pop()
    else words.push(...Array.from({ length: 1 + random.below(8) }, junk))
    if (words[0] === 'exec') this.#inMulti = false
    return words
  }

  #sound(): string[] {
    const random = this.#random
    const kind = random.below(36)
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3:
        return ['set', this.#key(), random.pick(VALUES), ...this.#setOptions()]
      case 4:
        return [random.pick(['incrby', 'decrby']), this.#key(), random.pick(VALUES)]
      case 5:
        return ['append', this.#key(), random.pick(VALUES)]
      case 6:
        return [random.pick(['del', 'exists', 'mget']), ...(this.#inMulti ? [this.#key()] : this.#keys())]
      case 7:
        return ['mset', ...this.#keys().flatMap((key) => [key, random.pick(VALUES)])]
      case 8:
        return this.#expire(random.pick(['expire', 'pexpire']))
      case 9:
      case 10:
        return this.#transaction()
      case 11:
        if (this.#inMulti) return ['get', this.#key()]
        // Watched keys exist: an absent one's version is its slot's last delete, so that more aborts than in Redis.
        this.#following = [
          ['set', '{t}k1', '1'],
          ['set', '{t}k2', '2'],
          ['watch', '{t}k1', '{t}k2'],
        ]
        return random.pick([['unwatch'], ['ping']])
      case 12:
        return random.pick([
          ['ping'],
          ['ping', 'x'],
          ['ping', 'a', 'b'],
          ['echo', 'h\r\ni'],
          ['select', '0'],
          ['select', '1'],
          ['select', 'x'],
        ])
      case 13:
        return random.pick([
          ['client', 'setname', 'joe'],
          ['client', 'SETNAME', 'j oe'],
          ['client', 'getname'],
          ['client', 'setname', ''],
          ['client', 'maint_notifications', 'on'],
          ['config', 'get', 'save'],
          ['config', 'get', 'nothing*'],
          ['config', 'set', 'nothing', '1'],
          ['config', 'bla'],
          ['command', 'info', 'nothing'],
          ['command', 'bla'],
          ['info', 'nothing'],
        ])
      case 14:
        if (this.#inMulti || random.chance(0.7)) return ['get', this.#key()]
        return random.pick([['dbsize'], ['flushall'], ['flushall', 'async'], ['flushall', 'SYNC'], ['flushall', 'x']])
      case 15:
        return [random.pick(['getset', 'setnx']), this.#key(), random.pick(VALUES)]
      case 16:
        return ['getex', this.#key(), ...this.#getexOptions()]
      case 17:
        return [random.pick(['setex', 'psetex']), this.#key(), this.#time('PX'), random.pick(VALUES)]
      case 18:
        return [random.pick(['getrange', 'substr']), this.#key(), random.pick(POSITIONS), random.pick(POSITIONS)]
      case 19:
        return ['setrange', this.#key(), random.pick(['0', '1', '7', '40', '-1', 'x']), random.pick(VALUES)]
      case 20:
        return ['setbit', this.#key(), random.pick(['0', '7', '9', '70', '-1', 'x']), random.pick(['0', '1', '1', '2'])]
      case 21:
        return ['getbit', this.#key(), random.pick(['0', '1', '7', '70', '4294967295', '4294967296', 'x'])]
      case 22:
        return random.chance(0.5)
          ? ['bitcount', this.#key(), ...this.#bitRange()]
          : ['bitpos', this.#key(), random.pick(['0', '1', '1', '2', 'x']), ...this.#bitRange()]
      case 23:
        return this.#expire(random.pick(['expireat', 'pexpireat']))
      case 24:
        return [random.pick(['touch', 'unlink']), ...(this.#inMulti ? [this.#key()] : this.#keys())]
      case 25:
        return ['msetnx', ...['{t}k1', '{t}k7'].slice(random.below(2)).flatMap((key) => [key, random.pick(VALUES)])]
      case 26:
        return ['incrbyfloat', this.#key(), random.pick(FLOATS)]
      default:
        return [random.pick(KEYED), this.#key()]
    }
  }

  #getexOptions(): string[] {
    const option = this.#random.pick(['EX', 'px', 'EXAT', 'PXAT', 'PERSIST', 'FOO'])
    if (option === 'PERSIST' || option === 'FOO') return [option]
    return [option, ...(this.#random.chance(0.9) ? [this.#time(option.toUpperCase())] : [])]
  }

  #bitRange(): string[] {
    const words = [this.#random.pick(POSITIONS), this.#random.pick(POSITIONS), this.#random.pick(['BIT', 'byte', 'x'])]
    return words.slice(0, this.#random.below(4))
  }

  #setOptions(): string[] {
    const random = this.#random
    const options: string[] = []
    while (random.chance(0.35)) {
      const option = random.pick(OPTIONS)
      options.push(option)
      if (['EX', 'PX', 'EXAT', 'PXAT'].includes(option) && random.chance(0.9)) options.push(this.#time(option))
    }
    return options
  }

  #time(unit: string): string {
    return this.#random.chance(0.2) ? this.#random.pick(BAD_TIMES) : TIMES[unit]
  }

  #expire(word: string): string[] {
    const options = this.#random.chance(0.3) ? [this.#random.pick(['NX', 'XX', 'GT', 'LT', 'gt', 'BAR'])] : []
    return [word, this.#key(), this.#time(word), ...options]
  }

  #transaction(): string[] {
    const word = this.#inMulti
      ? this.#random.pick(['exec', 'exec', 'exec', 'discard', 'multi', 'watch'])
      : this.#random.pick(['multi', 'multi', 'multi', 'exec', 'discard'])
    this.#inMulti = this.#inMulti ? word === 'multi' || word === 'watch' : word === 'multi'
    return word === 'watch' ? ['watch', '{t}k1'] : [word]
  }
}

/** Remaining times differ by the milliseconds between the two servers. */
function masked(words: readonly string[], reply: string): string {
  const word = words[0].toLowerCase()
  // Whether 1000 s from now is later than 1000 s from a moment ago hangs on the millisecond, too.
  if (word === 'expire' || word === 'pexpire') return reply.replace(/^:[01]\r\n/, ':0 or 1\r\n')
  return ['pttl', 'expiretime', 'pexpiretime', 'exec'].includes(word)
    ? reply.replaceAll(/:\d{2,}\r\n/g, ':some\r\n')
    : reply
}

async function compare(seed: number, commands: number, hello: string): Promise<Map<string, number>> {
  const random = new Prng(seed)
  const generator = new Generator(random)
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

describe('the same replies as Redis 7', () => {
  it.each([11, 12, 13])('to random commands in RESP2, seed %i', async (seed) => {
    const seen = await compare(seed, 700, 'PING\r\n')
    for (const kind of ['+', ':', '$', '*', '-ERR unknown command', '-ERR value is not an integer']) {
      expect(
        [...seen.keys()].some((first) => first.startsWith(kind)),
        kind,
      ).toBe(true)
    }
  })

  it.each([21, 22])('to random commands in RESP3, seed %i', async (seed) => {
    const seen = await compare(seed, 500, 'HELLO 3\r\n')
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
