import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { COMMAND_SPECS } from '../../protocol/command-table.ts'
import { DoorWorld } from './door.testkit.ts'
import { splitReplies } from './reply-splitter.testkit.ts'
import { encodeRequest } from './tcp-door.testkit.ts'

const lines = (...text: string[]): string => text.map((line) => `${line}\r\n`).join('')

describe('limits', () => {
  it('refuses clients above maxClients, and takes others when one has left', () => {
    const world = new DoorWorld({ server: { maxClients: 2 } })
    const [one, two, three] = [world.connect(), world.connect(), world.connect()]
    world.run(100)
    expect(three.received).toBe('-ERR max number of clients reached\r\n')
    expect(three.closed).not.toBeNull()
    expect([one.exchange('PING\r\n'), two.exchange('PING\r\n')]).toEqual(['+PONG\r\n', '+PONG\r\n'])
    one.connection.destroy()
    world.run(100)
    expect(world.connect().exchange('PING\r\n')).toBe('+PONG\r\n')
    expect(world.server.stats.connectionsRejected).toBe(1)
  })

  it('refuses keys and values that are too long, and goes on', () => {
    const client = new DoorWorld({ server: { maxKeyBytes: 8, maxValueBytes: 16, maxRequestBytes: 1000 } }).connect()
    const key = 'ERR key is 9 bytes, the limit is 8 (--max-key-bytes)'
    const value = 'ERR value is 17 bytes, the limit is 16 (--max-value-bytes)'
    const [nine, seventeen] = ['k'.repeat(9), 'v'.repeat(17)]
    const requests = [
      `GET ${nine}`,
      `SET k ${seventeen}`,
      `MSET a 1 ${nine} 1`,
      `MSET a ${seventeen}`,
      `WATCH a ${nine}`,
      'PING',
    ]
    expect(client.exchange(lines(...requests))).toBe(
      lines(`-${key}`, `-${value}`, `-${key}`, `-${value}`, `-${key}`, '+PONG'),
    )
    const inMulti = lines('MULTI', `SET ${nine} 1`, 'EXEC')
    expect(client.exchange(inMulti)).toBe(
      lines('+OK', `-${key}`, '-EXECABORT Transaction discarded because of previous errors.'),
    )
    expect(client.exchange(`*2\r\n$4\r\nECHO\r\n$1001\r\n`)).toBe('-ERR Protocol error: invalid bulk length\r\n')
  })

  it('answers what came before a malformed request, then closes; others are not harmed', () => {
    const world = new DoorWorld({ router: { delayMs: () => 20 } })
    const [bad, good] = [world.connect(), world.connect()]
    good.send('SET g 1\r\n')
    bad.send('SET a 1\r\nGET a\r\n*1\r\n%3\r\nfoo\r\nSET a 2\r\n')
    world.run(500)
    expect(bad.received).toBe("+OK\r\n$1\r\n1\r\n-ERR Protocol error: expected '$', got '%'\r\n")
    expect(bad.closed).not.toBeNull()
    expect(good.exchange('MGET a g\r\n')).toBe('+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n')
    expect(world.server.stats.protocolErrors).toBe(1)
  })

  it('never has more than maxPipelined requests of a connection on the router, and answers all', () => {
    let most = 0
    const world: DoorWorld = new DoorWorld({
      server: { maxPipelined: 16 },
      router: (s) => ({
        delayMs: () => s.random.unit() * 2,
        onCall: () => {
          most = Math.max(most, world.router.outstandingRequests())
        },
      }),
    })
    const client = world.connect()
    const requests = Array.from({ length: 3000 }, (_, i) =>
      i % 3 === 0 ? `MGET x${i} y${i} z${i}` : `INCR c${i % 100}`,
    )
    const { replies, rest } = splitReplies(client.exchange(lines(...requests), 30_000))
    expect(rest).toBe('')
    expect(replies.length).toBe(3000)
    expect(most).toBeGreaterThan(10)
    expect(most).toBeLessThanOrEqual(16 + 2)
  })

  it('reads no connection while the router holds too much, and goes on by itself afterwards', () => {
    const world = new DoorWorld({ server: { maxOutstanding: 10 } })
    const client = world.connect()
    world.router.foreignRequests = 11
    expect(client.exchange('PING\r\nSET a 1\r\n', 1000)).toBe('')
    world.router.foreignRequests = 0
    world.run(100)
    expect(client.take()).toBe('+PONG\r\n+OK\r\n')
  })
})

describe('a slow reader', () => {
  const VALUE = 'v'.repeat(50_000)
  const options = { softOutputBytes: 200_000, hardOutputBytes: 2_000_000 }

  it('is not read while its replies wait, and gets all of them', () => {
    let calls = 0
    const world = new DoorWorld({ server: options, router: { onCall: () => calls++ } })
    const client = world.connect()
    client.exchange(`SET big ${VALUE}\r\n`)
    client.connection.pause()
    calls = 0
    client.send('GET big\r\nPING\r\n'.repeat(10))
    for (let i = 0; i < 19; i++) {
      client.send('GET big\r\nPING\r\n'.repeat(10))
      world.run(50)
    }
    expect(calls).toBeLessThan(20)
    expect(world.server.connectionCount).toBe(1)
    client.connection.resume()
    world.run(10_000)
    const { replies, rest } = splitReplies(client.take())
    expect(rest).toBe('')
    expect(replies.length).toBe(400)
    expect(replies.filter((reply) => reply === '+PONG\r\n').length).toBe(200)
    expect(world.server.stats.outputLimitDisconnections).toBe(0)
  })

  it('is closed above the hard limit, and nobody else is', () => {
    const world = new DoorWorld({ server: options, router: { delayMs: () => 5 } })
    const [slow, other] = [world.connect(), world.connect()]
    slow.exchange(`SET big ${VALUE}\r\n`)
    slow.connection.pause()
    // Small replies, then large ones, all asked for before the first of them has come: nothing told how large they would be.
    slow.send(`${'GET none\r\n'.repeat(600)}${'GET big\r\n'.repeat(100)}`)
    world.run(5000)
    slow.connection.resume()
    world.run(1000)
    expect(slow.closed).not.toBeNull()
    expect(world.server.stats.outputLimitDisconnections).toBe(1)
    expect(world.server.connectionCount).toBe(1)
    expect(other.exchange('PING\r\n')).toBe('+PONG\r\n')
    expect(world.router.outstandingRequests()).toBe(0)
  })
})

describe('replies', () => {
  it('leave in one write a connection and turn', () => {
    const world = new DoorWorld({ network: { splitProbability: 0 } })
    const client = world.connect()
    // A new connection may not have a hundred requests unanswered yet.
    client.exchange(lines(...Array.from({ length: 600 }, () => 'PING')), 1000)
    client.send(lines(...Array.from({ length: 100 }, (_, i) => `SET k${i} v`)))
    while (client.received.length === 0) world.scheduler.step()
    expect(client.received).toBe(lines(...Array<string>(100).fill('+OK')))
  })

  it('of a new connection come in few at once, until their sizes are known', () => {
    let most = 0
    let mostAtFirst = 0
    const world: DoorWorld = new DoorWorld({
      router: {
        onCall: () => {
          most = Math.max(most, world.router.outstandingRequests())
        },
        onAnswer: () => {
          mostAtFirst ||= most
        },
      },
    })
    const client = world.connect()
    client.send(lines(...Array.from({ length: 2000 }, (_, i) => `GET k${i}`)))
    world.run(5000)
    expect(mostAtFirst).toBe(16)
    expect(client.received.length).toBe(2000 * 5)
    expect(most).toBeGreaterThan(500)
  })

  it('change their form exactly at HELLO, whatever is pipelined around it', () => {
    const client = new DoorWorld({ router: (s) => ({ delayMs: () => s.random.unit() * 10 }) }).connect()
    const requests = lines(
      'GET none',
      'MGET none x',
      'HELLO 3 SETNAME joe',
      'GET none',
      'CLIENT GETNAME',
      'HELLO 2',
      'GET none',
    )
    const replies = client.exchange(requests, 1000)
    const { replies: each } = splitReplies(replies)
    expect(each.map((reply) => reply.slice(0, reply.startsWith('$-1') ? 3 : 2))).toEqual([
      '$-1',
      '*2',
      '%7',
      '_\r',
      '$3',
      '*1',
      '$-1',
    ])
  })

  it('to INFO is verbatim in RESP3 and names versions and sections', () => {
    const client = new DoorWorld().connect()
    const info = client.exchange('INFO\r\n')
    expect(info).toMatch(/^\$\d+\r\n# Server\r\nredis_version:7\.0\.15\r\nquorate_version:0\.1\.0-test\r\n/)
    for (const text of [
      '# Replication\r\nrole:master\r\n',
      'used_memory:1234\r\n',
      'connected_clients:1\r\n',
      'cluster_enabled:0',
    ]) {
      expect(info).toContain(text)
    }
    expect(client.exchange('INFO replication clients\r\n').match(/# \w+/g)).toEqual(['# Clients', '# Replication'])
    expect(client.exchange('INFO nothing\r\n')).toBe('$0\r\n\r\n')
    client.exchange('HELLO 3\r\n')
    expect(client.exchange('INFO cluster\r\n')).toBe('=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n')
  })

  it.each([
    ['CLIENT ID', ':1'],
    ['CLIENT SETINFO lib-name ioredis', '+OK'],
    ['CLIENT SETINFO LIB-VER 1.2.3', '+OK'],
    ['CLIENT SETINFO lib-name "a b"', '-ERR lib-name cannot contain spaces, newlines or special characters.'],
    ['CLIENT SETINFO other x', "-ERR Unrecognized option 'other'"],
    ['CLIENT SETINFO lib-name', "-ERR wrong number of arguments for 'client|setinfo' command"],
    [
      'CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type auto',
      "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.",
    ],
    ['CLIENT GETNAME', '$-1'],
    ['MSETNX a 1 b 2', "-CROSSSLOT Keys in request don't hash to the same slot"],
    ['MSETNX {a}1 1 {a}2 2', ':1'],
    ['COMMAND COUNT', `:${COMMAND_SPECS.length}`],
    ['COMMAND DOCS nothing', '*0'],
    ['CONFIG GET maxcl*', '*2\r\n$10\r\nmaxclients\r\n$5\r\n10000'],
    ['CONFIG GET save', '*2\r\n$4\r\nsave\r\n$0\r\n'],
    ['CONFIG GET APPENDONLY quorate-*', '*4\r\n$10\r\nAPPENDONLY\r\n$3\r\nyes\r\n$12\r\nquorate-test\r\n$3\r\nyes'],
    ['CONFIG SET maxclients 1', '+OK'],
    [
      'CONFIG SET quorate-test no',
      "-ERR CONFIG SET failed (possibly related to argument 'quorate-test') - can't set immutable config",
    ],
    ['CONFIG RESETSTAT', '+OK'],
    ['KV.READ LEASE', '+OK'],
    ['KV.READ strong', "-ERR unknown read level 'strong': linearizable, lease or stale"],
    ['KV.STATUS', '$22\r\n{"id":7,"groups":[]}'],
    ['KV.CAS k NX v', '*2\r\n:1\r\n$1\r\nv'],
    ['KV.CAS k x v', '*2\r\n:0\r\n$-1'],
    ['SELECT 0', '+OK'],
    ['SELECT 1', '-ERR DB index is out of range'],
  ])('%s', (request, reply) => {
    expect(new DoorWorld().connect().exchange(`${request}\r\n`)).toBe(`${reply.replace('$22', '$20')}\r\n`)
  })

  it('WAIT says at once what holds, however many are asked for, behind what was asked before', () => {
    const world = new DoorWorld({ router: { delayMs: () => 30 } })
    const client = world.connect()
    expect(client.exchange('WAIT 0 0\r\nSET a 1\r\nWAIT 2 0\r\nWAIT 1 100000\r\n')).toBe(':1\r\n+OK\r\n:1\r\n:1\r\n')
    expect(client.exchange('WAIT x 0\r\nWAIT 1 x\r\nWAIT 1 -1\r\n')).toBe(
      '-ERR value is not an integer or out of range\r\n-ERR timeout is not an integer or out of range\r\n-ERR timeout is negative\r\n',
    )
  })

  it('RESTORE takes what DUMP gives of the longest value, and nothing longer', () => {
    const client = new DoorWorld({ server: { maxValueBytes: 1000 } }).connect()
    const value = 'x'.repeat(1000)
    client.exchange(`SET {a}1 ${value}\r\n`)
    const dump = client.exchange('DUMP {a}1\r\n').slice('$1013\r\n'.length, -2)
    client.send(encodeRequest(['RESTORE', '{a}2', '0', dump]))
    expect(client.exchange('GET {a}2\r\n')).toBe(`+OK\r\n$1000\r\n${value}\r\n`)
    client.send(encodeRequest(['RESTORE', '{a}3', '0', 'x'.repeat(1033)]))
    expect(client.exchange('PING\r\n')).toContain('the limit is 1000')
  })

  it("COMMAND DOCS has a command's words and its arguments", () => {
    const client = new DoorWorld().connect()
    const docs = client.exchange('COMMAND DOCS set client nothing\r\n')
    expect(docs.startsWith('*4\r\n$3\r\nset\r\n*10\r\n$7\r\nsummary\r\n')).toBe(true)
    expect(docs).toContain('+optional\r\n')
    expect(docs).toContain('$5\r\ntoken\r\n$4\r\nIFEQ\r\n')
    expect(docs).toContain('$9\r\nclient|id\r\n')
  })

  it('KV.READ sets the level of all later reads, of parts too', () => {
    const levels: string[] = []
    const client = new DoorWorld({
      router: { onCall: (call) => levels.push(call.write ? 'write' : call.level) },
    }).connect()
    client.exchange(lines('GET a', 'KV.READ stale', 'GET a', 'MGET a b', 'SET a 1', 'KV.READ lease', 'EXISTS a'))
    expect(levels).toEqual(['linearizable', 'stale', 'stale', 'stale', 'write', 'lease'])
  })
})

describe('garbage', () => {
  it('harms nobody but its sender, and is always answered with a protocol error or like any request', () => {
    const world = new DoorWorld({ server: { maxRequestBytes: 10_000 } })
    const random = new Prng(5)
    const witness = world.connect()
    const pieces = [
      '*',
      '$',
      '\r\n',
      '1',
      '3',
      '-1',
      'GET',
      'SET',
      'a',
      '"',
      "'",
      'MULTI',
      'EXEC',
      'WATCH',
      'HELLO',
      ' ',
      '\0',
      '\xff',
      '99999',
      'MGET',
      'b',
    ]
    let errors = 0
    for (let round = 0; round < 150; round++) {
      const client = world.connect()
      const text = Array.from({ length: 1 + random.below(40) }, () => random.pick(pieces)).join('')
      const received = client.exchange(`${text}\r\n`, 100)
      const { replies, rest } = splitReplies(received)
      expect(rest, JSON.stringify(text)).toBe('')
      const at = replies.findIndex((reply) => reply.startsWith('-ERR Protocol error'))
      if (at >= 0) {
        errors++
        expect(at).toBe(replies.length - 1)
        expect(client.closed).not.toBeNull()
      } else {
        client.connection.destroy()
      }
      expect(witness.exchange('PING\r\n', 30)).toBe('+PONG\r\n')
    }
    expect(errors).toBeGreaterThan(20)
    world.run(5000)
    expect(world.server.connectionCount).toBe(1)
  })
})

describe('stop', () => {
  it('answers what was taken, takes no more, and closes', () => {
    const world = new DoorWorld({ router: { delayMs: () => 30 } })
    const [busy, idle] = [world.connect(), world.connect()]
    busy.send('SET a 1\r\nGET a\r\n')
    world.run(5)
    let stopped = false
    world.server.stop(() => {
      stopped = true
    })
    world.run(1)
    idle.send('PING\r\n')
    world.run(4000)
    expect(busy.received).toBe('+OK\r\n$1\r\n1\r\n')
    expect([busy.closed, idle.closed].includes(null)).toBe(false)
    expect(idle.received).toBe('')
    expect(stopped).toBe(true)
  })

  it('does not wait for ever', () => {
    const world = new DoorWorld({ router: { delayMs: () => 60_000 }, server: { stopGraceMs: 500 } })
    const client = world.connect()
    client.send('SET a 1\r\n')
    world.run(5)
    let stopped = false
    world.server.stop(() => {
      stopped = true
    })
    world.run(1000)
    expect(stopped).toBe(true)
    expect(client.closed).not.toBeNull()
  })
})
