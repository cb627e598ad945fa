// KV.TABLE, KV.SESSION and KV.CALL at a door: who writes, once; where the slot table is too old; and what is wrong with a call.
import { describe, expect, it } from 'vitest'
import { asGroupId, asNodeId, type SlotId } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import { slotOf } from '../../base/slot.ts'
import type { ClusterView } from '../../ports/cluster-view.ts'
import { CLIENT_SESSION_FROM, MAX_RETRY_AHEAD_MS } from '../../protocol/client-session.ts'
import { DoorWorld, type TestClient } from './door.testkit.ts'
import type { RouterCall } from './memory-router.testkit.ts'

const SLOTS = 16

/** Group 2 has the upper half; a slot's last change can be set. */
function viewOf(changes: ReadonlyMap<number, number> = new Map()): ClusterView {
  const node = (id: number) => ({
    nodeId: asNodeId(id),
    peer: `host-${id}:7383`,
    resp: `host-${id}:7379`,
    cluster: `host-${id}:7380`,
    roles: ['master', 'worker'] as const,
  })
  const group = (id: number) => ({
    group: asGroupId(id),
    weight: 10,
    draining: false,
    members: [asNodeId(1), asNodeId(2)],
  })
  return {
    self: asNodeId(1),
    clusterId: '00'.repeat(16),
    slotCount: SLOTS,
    tableVersion: 9,
    groupOf: (slot: SlotId) => asGroupId(slot < SLOTS / 2 ? 1 : 2),
    changedAt: (slot) => changes.get(slot) ?? 3,
    leaderOf: (id) => (id === 1 ? asNodeId(2) : null),
    groups: () => [group(1), group(2)],
    group: (id) => group(id),
    nodes: () => [node(1), node(2)],
    node: (id) => node(id),
    onChange: () => () => {},
  }
}

function makeWorld(calls: RouterCall[] = [], changes?: ReadonlyMap<number, number>): DoorWorld {
  return new DoorWorld({
    router: { slotCount: SLOTS, onCall: (call) => void calls.push(call) },
    server: { view: viewOf(changes) },
  })
}

function sessionOf(client: TestClient): { session: number; timeMs: number } {
  const [session, , timeMs] = [...client.exchange('KV.SESSION\r\n').matchAll(/:(\d+)/g)].map((found) =>
    Number(found[1]),
  )
  return { session, timeMs }
}

const slotOfKey = (key: string): number => slotOf(latin1Bytes(key), SLOTS)

describe('KV.TABLE', () => {
  it('tells ranges, leaders and addresses as the node knows them', () => {
    const reply = makeWorld().connect().exchange('KV.TABLE\r\n')
    expect(JSON.parse(reply.slice(reply.indexOf('\n') + 1))).toEqual({
      version: 9,
      slotCount: SLOTS,
      ranges: [
        [0, 7, 1],
        [8, 15, 2],
      ],
      groups: [
        { id: 1, leader: 2, members: [1, 2] },
        { id: 2, leader: null, members: [1, 2] },
      ],
      nodes: [
        { id: 1, resp: 'host-1:7379' },
        { id: 2, resp: 'host-2:7379' },
      ],
    })
  })

  it('is an error where there is no cluster', () => {
    expect(new DoorWorld().connect().exchange('KV.TABLE\r\n')).toMatch(/^-ERR this node has no slot table/)
  })
})

describe('KV.SESSION', () => {
  it('lends numbers that are the nodes no more, with the time, until there are none', () => {
    const world = makeWorld()
    const client = world.connect()
    const first = sessionOf(client)
    expect(first.session).toBeGreaterThanOrEqual(CLIENT_SESSION_FROM)
    expect(Math.abs(first.timeMs - world.clock.wallMs())).toBeLessThan(1000)
    expect(sessionOf(client).session).not.toBe(first.session)
    world.router.sessionsLeft = 0
    expect(client.exchange('KV.SESSION\r\n')).toMatch(/^-BUSY this node has lent/)
  })
})

describe('KV.CALL', () => {
  it('runs a write under the identity that it brings: sent again it is answered and does not run', () => {
    const calls: RouterCall[] = []
    const world = makeWorld(calls)
    const client = world.connect()
    const { session, timeMs } = sessionOf(client)
    const call = (sequence: number, lowest: number, words: string): string =>
      client.exchange(`KV.CALL 9 ${session} ${sequence} ${lowest} ${timeMs + 10_000} ${words}\r\n`)
    expect(call(1, 1, 'INCR n')).toBe(':1\r\n')
    expect(call(1, 1, 'INCR n')).toBe(':1\r\n')
    expect(call(2, 1, 'INCR n')).toBe(':2\r\n')
    // By another connection, as after a loss; a third one that answers the first is too old for it.
    const again = `KV.CALL 9 ${session} 2 2 ${timeMs + 10_000} INCR n\r\n`
    expect(world.connect().exchange(again)).toBe(':2\r\n')
    expect(call(1, 1, 'INCR n')).toMatch(/^-SEQUENCETOOOLD/)
    expect(client.exchange('GET n\r\n')).toBe('$1\r\n2\r\n')
    const first = calls[0]
    expect(first.identity).toEqual({ session, sequence: 1, lowestUnanswered: 1, retryUntilMs: timeMs + 10_000 })
    expect(first.slot).toBe(slotOfKey('n'))
    // Counted as what it carries.
    expect(client.exchange('INFO commandstats\r\n')).toContain('cmdstat_incr:calls=5')
  })

  it("keeps the order of one slot with the connection's other requests", () => {
    const world = new DoorWorld({
      router: (scheduler) => ({ slotCount: SLOTS, delayMs: () => scheduler.random.unit() * 5 }),
      server: { view: viewOf() },
    })
    const client = world.connect()
    const { session, timeMs } = sessionOf(client)
    let sent = ''
    let expected = ''
    for (let i = 1; i <= 20; i++) {
      const words = `APPEND k ${i},`
      sent += i % 2 === 0 ? `${words}\r\n` : `KV.CALL 0 ${session} ${i} ${i} ${timeMs + 10_000} ${words}\r\n`
      sent += 'KV.CALL 0 linearizable 0 0 0 GET k\r\n'
      expected += `${i},`
    }
    const replies = client.exchange(sent, 2_000)
    expect(replies.endsWith(`$${expected.length}\r\n${expected}\r\n`)).toBe(true)
    for (let i = 1, soFar = ''; i <= 20; i++) {
      soFar += `${i},`
      expect(replies).toContain(`:${soFar.length}\r\n$${soFar.length}\r\n${soFar}\r\n`)
    }
  })

  it("reads at the level that it names, else at the connection's", () => {
    const calls: RouterCall[] = []
    const client = makeWorld(calls).connect()
    client.exchange(
      'KV.CALL 9 0 0 0 0 GET k\r\nKV.CALL 9 lease 0 0 0 GET k\r\nKV.READ stale\r\nKV.CALL 9 0 0 0 0 GET k\r\n',
    )
    client.exchange('KV.CALL 9 Linearizable 0 0 0 OBJECT ENCODING k\r\n')
    expect(calls.map(({ level, write }) => [level, write])).toEqual([
      ['linearizable', false],
      ['lease', false],
      ['stale', false],
      ['linearizable', false],
    ])
  })

  it('refuses where the slot has changed since the version, and only there', () => {
    const calls: RouterCall[] = []
    const client = makeWorld(calls, new Map([[slotOfKey('moved'), 8]])).connect()
    expect(client.exchange('KV.CALL 7 0 0 0 0 GET moved\r\n')).toMatch(/^-STALESLOTTABLE 9 slot \d+ has changed/)
    expect(calls).toEqual([])
    expect(client.exchange('KV.CALL 8 0 0 0 0 GET moved\r\n')).toBe('$-1\r\n')
    expect(client.exchange('KV.CALL 0 0 0 0 0 GET moved\r\n')).toBe('$-1\r\n')
    expect(client.exchange('KV.CALL 7 0 0 0 0 GET k\r\n')).toBe('$-1\r\n')
  })

  it.each([
    ['x 0 0 0 0 GET k', /^-ERR KV.CALL: slotTableVersion 'x' is not an integer from 0 to/],
    ['-1 0 0 0 0 GET k', /slotTableVersion '-1' is not/],
    ['1 9 1 1 1 SET k v', /^-ERR KV.CALL: session 9 is no client's: a write needs one from KV.SESSION/],
    ['1 stale 1 1 1 SET k v', /session 'stale' is not an integer/],
    ['1 S 0 1 1 SET k v', /sequence 0: the writes of a session in a slot count from 1/],
    ['1 S 99999999999999999 1 1 SET k v', /sequence '99999999999999999' is not/],
    ['1 S 2 0 1 SET k v', /lowestUnanswered 0 is not from 1 to sequence 2/],
    ['1 S 2 3 1 SET k v', /lowestUnanswered 3 is not from 1 to sequence 2/],
    [
      '1 S 2 2 9007199254740991 SET k v',
      new RegExp(`retryUntilMs 9007199254740991 lies .* the limit is ${MAX_RETRY_AHEAD_MS}`),
    ],
    ['1 0 1 0 0 GET k', /a read takes sequence 0/],
    ['1 fast 0 0 0 GET k', /session 'fast' of a read: 0 \(the connection's level\), linearizable, lease or stale/],
    ['1 0 0 0 0 NOPE k', /^-ERR unknown command 'NOPE'/],
    ['1 0 0 0 0 OBJECT NOPE k', /^-ERR unknown subcommand 'NOPE'/],
    ['1 0 0 0 0 GET', /^-ERR wrong number of arguments for 'get' command/],
    ['1 0 0 0 0 MGET a b c d e f', /^-CROSSSLOT/],
    ['1 0 0 0 0 EXEC', /takes commands on keys of one slot; send 'exec' by itself/],
    ['1 0 0 0 0 WATCH k', /send 'watch' by itself/],
    ['1 0 0 0 0 FLUSHALL', /send 'flushall' by itself/],
    ['1 0 0 0 0 KV.CALL 1 0 0 0 0 GET k', /send 'kv.call' by itself/],
    ['1 0 0 0 0 PING', /send 'ping' by itself/],
    ['1 S 1 1 1 SET k v NX XX', /^-ERR syntax error/],
  ])('names what is wrong: %s', (fields, expected) => {
    const calls: RouterCall[] = []
    const client = makeWorld(calls).connect()
    expect(client.exchange(`KV.CALL ${fields.replace('S ', `${CLIENT_SESSION_FROM} `)}\r\n`)).toMatch(expected)
    expect(calls).toEqual([])
  })

  it('stands in no transaction', () => {
    const client = makeWorld().connect()
    const replies = client.exchange('MULTI\r\nKV.CALL 0 0 0 0 0 GET k\r\nEXEC\r\n')
    expect(replies).toMatch(/^\+OK\r\n-ERR Command not allowed inside a transaction\r\n-EXECABORT/)
  })

  it('waits and is refused as the command that it carries', () => {
    const world = makeWorld()
    const client = world.connect()
    const { session, timeMs } = sessionOf(client)
    client.exchange('CLIENT PAUSE 300 WRITE\r\n', 10)
    expect(client.exchange('KV.CALL 0 0 0 0 0 GET k\r\n', 50)).toBe('$-1\r\n')
    expect(client.exchange(`KV.CALL 0 ${session} 1 1 ${timeMs + 10_000} SET k v\r\n`, 50)).toBe('')
    world.run(500)
    expect(client.take()).toBe('+OK\r\n')
  })
})
