// Administrative commands: the same bytes to the door and to a real Redis 7, and the same bytes back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawClient, type RealRedis, startRealRedis, startTcpDoor, type TcpDoor } from './tcp-door.testkit.ts'

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

async function bothUntilClosed(requests: readonly string[]): Promise<[expected: string, actual: string]> {
  const text = [...requests, 'QUIT'].map((request) => `${request}\r\n`).join('')
  const clients = await Promise.all([RawClient.connect(redis.port), RawClient.connect(door.port)])
  const [expected, actual] = await Promise.all(clients.map((client) => client.untilClosed(text)))
  return [masked(expected), masked(actual)]
}

/** Connections are numbered by each server in its own order. Which shards to ask is no question here: any node answers for all. */
function masked(replies: string): string {
  return replies
    .replaceAll(/id\r\n:\d+/g, 'id\r\n:some')
    .replaceAll(/\*\d+\r\n(\$\d+\r\n(request|response)_policy:\w+\r\n)+/g, '*0\r\n')
}

describe('the same replies as Redis 7', () => {
  it.each([
    ['FUNCTION', ['FUNCTION FLUSH', 'FUNCTION FLUSH x', 'FUNCTION FLUSH Sync', 'FUNCTION FLUSH SYNC x', 'FUNCTION']],
    ['FUNCTION LIST', ['FUNCTION LIST', 'FUNCTION LIST x', 'FUNCTION LIST LIBRARYNAME', 'FUNCTION LIST LIBRARYNAME x']],
    ['FUNCTION LIST twice', ['FUNCTION LIST WITHCODE WITHCODE', 'FUNCTION LIST withcode libraryname *']],
    ['TIME', ['TIME x']],
    ['AUTH', ['AUTH', 'AUTH x', 'AUTH default', 'AUTH default x', 'AUTH default ""', 'AUTH joe x', 'AUTH a b c']],
    ['SELECT', ['SELECT 0', 'SELECT 1', 'SELECT -1', 'SELECT x', 'SELECT 00', 'SELECT -0', 'SELECT ""', 'SELECT 1.0']],
    ['SELECT beyond', ['SELECT 2147483648', 'SELECT -2147483649', 'SELECT 9223372036854775808', 'SELECT 99999999999']],
    ['RESET', ['RESET', 'RESET x', 'CLIENT SETNAME a', 'HELLO 3', 'GET none', 'RESET', 'CLIENT GETNAME', 'GET none']],
    ['RESET in MULTI', ['WATCH a', 'MULTI', 'SET a 1', 'RESET', 'EXEC', 'GET a']],
    [
      'CONFIG SET maxmemory',
      ['bla', '-1', '10x', '5%', '1KB', '10k', '3gb', '0'].flatMap((value) => [
        `CONFIG SET maxmemory ${value}`,
        'CONFIG GET maxmemory',
      ]),
    ],
    [
      'CONFIG SET timeout',
      ['-1', '99999999999', '""', '1k', '007', '3600', '0'].flatMap((value) => [
        `CONFIG SET timeout ${value}`,
        'CONFIG GET timeout',
      ]),
    ],
    [
      'CONFIG SET of bad values',
      [
        'maxclients 0',
        'maxclients x',
        'latency-tracking maybe',
        'maxmemory-policy foo',
        'slowlog-max-len x',
        'latency-monitor-threshold x',
        'latency-tracking-info-percentiles "50 101"',
        'latency-tracking-info-percentiles x',
        'client-query-buffer-limit 1x',
        'tcp-keepalive -1',
        'maxmemory-clients 200%',
        'maxmemory-clients x%',
        'maxmemory-samples 0',
        'port 80000',
        'port x',
        'appendfsync x',
      ].map((words) => `CONFIG SET ${words}`),
    ],
    [
      'CONFIG SET client-output-buffer-limit',
      [
        '"normal 100mb 1mb 10"',
        '"normal 1"',
        '"foo 1 1 1"',
        '"normal x 1 1"',
        '"normal 1mb 1 -1"',
        '"normal 100mb 1mb 10 pubsub 50MB 1kb 7"',
        '"replica 1mb 0 0 replica 2mb 1 1"',
        '""',
      ].flatMap((value) => [`CONFIG SET client-output-buffer-limit ${value}`, 'CONFIG GET client-output-buffer-limit']),
    ],
    [
      'CONFIG SET notify-keyspace-events',
      ['KEA', 'mnKEgxe', 'Q', 'An', 'x$E', 'tdhE', '""'].flatMap((value) => [
        `CONFIG SET notify-keyspace-events ${value}`,
        'CONFIG GET notify-keyspace-events',
      ]),
    ],
    [
      'CONFIG SET latency-tracking-info-percentiles',
      ['"50 99.9 0.001"', '""', '"100 0"', '"50 99 99.9"'].flatMap((value) => [
        `CONFIG SET latency-tracking-info-percentiles ${value}`,
        'CONFIG GET latency-tracking-info-*',
      ]),
    ],
    [
      'CONFIG SET save',
      ['1', '"a b"', '"-1 2"', '"3000 5 10 1"', '"0 1"', '"1 0"', '""'].flatMap((value) => [
        `CONFIG SET save ${value}`,
        'CONFIG GET save',
      ]),
    ],
    [
      'CONFIG SET of several',
      [
        'CONFIG SET maxmemory 3mb timeout x',
        'CONFIG GET maxmemory',
        'CONFIG SET maxmemory 2gb repl-backlog-size 20000 save "3000 5"',
        'CONFIG GET repl-backlog-size',
        'CONFIG GET save',
        'CONFIG GET maxmemory',
        'CONFIG SET maxmemory 0 save "" repl-backlog-size 1',
      ],
    ],
    [
      'CONFIG SET of what cannot be',
      [
        'CONFIG SET',
        'CONFIG SET a',
        'CONFIG SET a b',
        'CONFIG SET a b c',
        'CONFIG SET timeout 1 a b databases 2',
        'CONFIG SET databases 2 a b',
        'CONFIG SET daemonize yes',
        'CONFIG SET timeout 1 TimeOut 2',
        'CONFIG SET timeout 1 TimeOut 2 a b',
        'CONFIG GET timeout',
      ],
    ],
    [
      'CONFIG GET',
      [
        'CONFIG GET',
        'CONFIG GET nothing',
        'CONFIG GET key-load-delay',
        'CONFIG GET key-load-dela?',
        'CONFIG GET SLAVEof',
        'CONFIG GET maxmemory MAXMEMORY m?xmemory',
        'CONFIG GET databases',
        'CONFIG REWRITE',
        'CONFIG REWRITE x',
        'CONFIG RESETSTAT x',
      ],
    ],
    [
      'CLIENT KILL',
      [
        '',
        ' 1.2.3.4:1',
        ' id 10 x',
        ' id x',
        ' id 0',
        ' id -1',
        ' type foo',
        ' user foo',
        ' skipme maybe',
        ' addr',
        ' addr 1:1',
        ' laddr 1:1',
        ' id 987654321 addr 1:1 type SLAVE skipme NO',
        ' foo bar',
        ' user default id 987654321',
        ' id 99999999999999999999',
      ].map((words) => `CLIENT KILL${words}`),
    ],
    [
      'CLIENT LIST',
      [
        'foo',
        'type',
        'type foo',
        'id',
        'id x',
        'id 0',
        'id 987654321 -5',
        'type normal id 1',
        'type pubsub',
        'TYPE replica',
        'type slave',
        'type master',
        'type normal x',
      ].map((words) => `CLIENT LIST ${words}`),
    ],
    [
      'CLIENT NO-EVICT',
      ['CLIENT NO-EVICT', 'CLIENT NO-EVICT x', 'CLIENT NO-EVICT on', 'CLIENT NO-EVICT OFF', 'CLIENT NO-EVICT OFF x'],
    ],
    [
      'CLIENT TRACKING OFF',
      [
        '',
        ' x',
        ' off',
        ' OFF foo',
        ' off redirect',
        ' off redirect 999999999',
        ' off redirect x',
        ' off bcast prefix a prefix b',
        ' off optin noloop',
        ' off prefix',
      ].map((words) => `CLIENT TRACKING${words}`),
    ],
    [
      'CLIENT TRACKINGINFO',
      ['CLIENT TRACKINGINFO', 'HELLO 3', 'CLIENT TRACKINGINFO', 'CLIENT GETREDIR', 'CLIENT TRACKINGINFO x'],
    ],
    [
      'CLIENT UNBLOCK',
      [
        'CLIENT UNBLOCK',
        'CLIENT UNBLOCK x',
        'CLIENT UNBLOCK 987654321',
        'CLIENT UNBLOCK 1 foo',
        'CLIENT UNBLOCK 987654321 error',
        'CLIENT UNBLOCK 1 error x',
      ],
    ],
    [
      'CLIENT PAUSE',
      ['', ' x', ' -1', ' 1 foo', ' 1 write x', ' 99999999999999999999', ' 1.5', ' 0', ' 0 write'].map(
        (words) => `CLIENT PAUSE${words}`,
      ),
    ],
    [
      'CLIENT UNPAUSE',
      [
        'CLIENT UNPAUSE',
        'CLIENT UNPAUSE x',
        'CLIENT PAUSE 100000 write',
        'GET a',
        'CLIENT UNPAUSE',
        'SET a 1',
        'GET a',
        'DEL a',
      ],
    ],
    [
      'CLIENT REPLY',
      [
        'CLIENT REPLY',
        'CLIENT REPLY x',
        'CLIENT REPLY on',
        'CLIENT REPLY off',
        'PING',
        'CLIENT REPLY x',
        'NONSENSE',
        'CLIENT REPLY ON',
        'PING 1',
      ],
    ],
    [
      'CLIENT REPLY SKIP',
      [
        'CLIENT REPLY SKIP',
        'PING 1',
        'PING 2',
        'CLIENT REPLY skip',
        'CLIENT REPLY on',
        'PING 3',
        'CLIENT REPLY SKIP',
        'CLIENT REPLY SKIP',
        'PING 4',
        'PING 5',
      ],
    ],
    ['CLIENT REPLY and RESET', ['CLIENT REPLY OFF', 'CLIENT REPLY SKIP', 'PING 1', 'PING 2', 'RESET', 'PING 3']],
    [
      'CLIENT ID and the like',
      [
        'CLIENT',
        'CLIENT ID x',
        'CLIENT INFO x',
        'CLIENT GETNAME x',
        'CLIENT SETNAME',
        'CLIENT SETNAME "a b"',
        'CLIENT SETNAME ""',
        'CLIENT GETNAME',
        'CLIENT SETNAME a',
        'CLIENT GETNAME',
      ],
    ],
    [
      'SLOWLOG',
      [
        'SLOWLOG',
        'SLOWLOG RESET',
        'SLOWLOG RESET x',
        'SLOWLOG LEN',
        'SLOWLOG LEN x',
        'SLOWLOG GET',
        'SLOWLOG GET 0',
        'SLOWLOG GET -1',
        'SLOWLOG GET -2',
        'SLOWLOG GET x',
        'SLOWLOG GET 1 2',
      ],
    ],
    [
      'LATENCY',
      [
        'LATENCY',
        'LATENCY RESET',
        'LATENCY RESET a b',
        'LATENCY LATEST',
        'LATENCY LATEST x',
        'LATENCY HISTORY',
        'LATENCY HISTORY command',
        'LATENCY HISTORY a b',
        'LATENCY GRAPH',
        'LATENCY GRAPH nothing',
        'LATENCY HISTOGRAM nothing blpop',
        'LATENCY DOCTOR x',
      ],
    ],
    ['MEMORY', ['MEMORY', 'MEMORY USAGE', 'MEMORY PURGE', 'MEMORY PURGE x', 'MEMORY STATS x', 'MEMORY DOCTOR x']],
    ['INFO', ['INFO nothing', 'INFO cluster', 'INFO CLUSTER cluster', 'INFO nothing CLUSTER']],
    [
      'COMMAND GETKEYS',
      ['GETKEYS', 'GETKEYSANDFLAGS'].flatMap((name) => [
        `COMMAND ${name}`,
        `COMMAND ${name} get`,
        ...[
          'get a',
          'GET a b',
          'foo a',
          'set a',
          'set a b',
          'set a b get',
          'set a get',
          'mset a 1 b 2',
          'mset a',
          'del a b c',
          'msetnx a 1',
          'lcs a b len',
          'rename a b',
          'renamenx a b',
          'copy a b replace',
          'bitop and a b c',
          'bitop and a',
          'bitfield a get u8 0',
          'bitfield a get u8 0 incrby u8 0 1',
          'object encoding a',
          'object foo a',
          'object help',
          'memory usage k samples 3',
          'watch a b',
          'config get x',
          'client id',
          'client|id x',
          'ping x',
          'scan 0',
        ].map((line) => `COMMAND ${name} ${line}`),
      ]),
    ],
    [
      'COMMAND of a few',
      [
        'COMMAND INFO nothing',
        'COMMAND INFO GET nothing rename lcs mget client|id publish command|count',
        'COMMAND DOCS nothing',
        'COMMAND LIST x',
        'COMMAND LIST FILTERBY x y',
        'COMMAND LIST FILTERBY PATTERN',
        'COMMAND LIST FILTERBY MODULE none',
        'COMMAND LIST FILTERBY aclcat none',
        'COMMAND LIST FILTERBY PATTERN rEnamen?',
        'COMMAND COUNT x',
        'HELLO 3',
        'COMMAND INFO bitop nothing',
        'COMMAND LIST FILTERBY PATTERN bitop',
      ],
    ],
    ['unknown subcommands', ['CLIENT MAINT_NOTIFICATIONS ON', 'CONFIG x', 'COMMAND x y', 'OBJECT x', 'SLOWLOG x']],
  ])('to %s', async (_name, requests) => {
    const [expected, actual] = await bothUntilClosed(requests)
    expect(actual).toBe(expected)
  })

  it('to CLIENT INFO in the names of its fields and all that does not hang on the machine', async () => {
    const [expected, actual] = await bothUntilClosed(['CLIENT SETNAME joe', 'MULTI', 'PING', 'DISCARD', 'CLIENT INFO'])
    const fields = (reply: string): string[] => (/id=.*/.exec(reply)?.[0] ?? '').split(' ')
    const names = fields(actual).map((field) => field.split('=')[0])
    const shared = fields(expected)
    expect(names.slice(0, shared.length)).toEqual(shared.map((field) => field.split('=')[0]))
    const foreign = /^(id|addr|laddr|fd|qbuf-free|qbuf|rbs|rbp|tot-mem)=/
    expect(
      fields(actual)
        .slice(0, shared.length)
        .filter((field) => !foreign.test(field)),
    ).toEqual(shared.filter((field) => !foreign.test(field)))
  })

  it.each(['', ' all', ' everything', ' default', ' Commandstats', ' server clients stats'])(
    'to the sections of INFO%s, in their order',
    async (words) => {
      const replies = await bothUntilClosed(['CONFIG RESETSTAT', 'GET a', 'NONSENSE', `INFO${words}`])
      const [expected, actual] = replies.map((reply) =>
        reply.split('\r\n').filter((line) => line.startsWith('# ') && line !== '# Modules'),
      )
      expect(actual).toEqual(expected)
    },
  )

  it('to INFO errorstats, and in the names of the commands counted', async () => {
    const replies = await bothUntilClosed([
      'CONFIG RESETSTAT',
      'SET a',
      'INCR a b',
      'EXEC',
      'CLIENT ID',
      'INFO everything',
    ])
    const [expected, actual] = replies.map((reply) =>
      reply
        .split('\r\n')
        .filter((line) => /^(errorstat|cmdstat|latency_percentiles)_/.test(line))
        .map((line) => line.replaceAll(/(?<!rejected_)(usec|usec_per_call|p50|p99|p99\.9)=[0-9.]+/g, '$1=some'))
        .sort(),
    )
    expect(actual).toEqual(expected)
  })

  it.each(['CLIENT', 'CONFIG', 'COMMAND', 'FUNCTION', 'LATENCY', 'MEMORY', 'SLOWLOG'])(
    'to the first line and the last two of %s HELP',
    async (name) => {
      const [expected, actual] = await bothUntilClosed([`${name} HELP`])
      const lines = [expected, actual].map((reply) => reply.split('\r\n').slice(1, -2))
      expect(lines[1][0]).toBe(lines[0][0])
      expect(lines[1].at(-2)).toBe('+HELP')
      expect(lines[1].length).toBeGreaterThan(4)
    },
  )
})
