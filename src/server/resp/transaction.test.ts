// MULTI, EXEC, DISCARD, WATCH, UNWATCH: what Redis does is in differential.test.ts; here is what is our own: slots, refusals, races.
import { describe, expect, it } from 'vitest'
import { asSlotId } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import { slotOf } from '../../base/slot.ts'
import { encodeCommand } from '../../protocol/command.ts'
import { COMMANDS_BY_NAME, OPCODE_KEY_VERSION } from '../../protocol/command-table.ts'
import { errorReply } from '../../protocol/resp-reply.ts'
import { DoorWorld } from './door.testkit.ts'
import type { RouterCall } from './memory-router.testkit.ts'

const CROSS_SLOT = "-CROSSSLOT Keys in request don't hash to the same slot"
const lines = (...text: string[]): string => text.map((line) => `${line}\r\n`).join('')

function opcodeOf(call: RouterCall): number {
  return call.command[0] | (call.command[1] << 8)
}

const opcode = (name: string): number => COMMANDS_BY_NAME.get(name)?.opcode ?? -1

describe('a transaction', () => {
  it.each([
    ['is empty', ['MULTI', 'EXEC'], ['+OK', '*0']],
    [
      'has door commands only',
      ['MULTI', 'PING', 'ECHO x', 'EXEC'],
      ['+OK', '+QUEUED', '+QUEUED', '*2', '+PONG', '$1', 'x'],
    ],
    [
      'mixes door and slot commands',
      ['MULTI', 'PING', 'SET a 1', 'ECHO x', 'INCR a', 'CLIENT GETNAME', 'EXEC'],
      ['+OK', ...Array<string>(5).fill('+QUEUED'), '*5', '+PONG', '+OK', '$1', 'x', ':2', '$-1'],
    ],
    [
      'has an error inside',
      ['MULTI', 'SET a x', 'INCR a', 'SET a 1 FOO', 'GET a', 'EXEC'],
      [
        '+OK',
        ...Array<string>(4).fill('+QUEUED'),
        '*4',
        '+OK',
        '-ERR value is not an integer or out of range',
        '-ERR syntax error',
        '$1',
        'x',
      ],
    ],
    [
      'uses keys of two slots',
      ['MULTI', 'SET a 1', 'SET b 1', 'EXEC', 'EXISTS a b'],
      ['+OK', '+QUEUED', '+QUEUED', CROSS_SLOT, ':0'],
    ],
    [
      'queues a command with keys of two slots',
      ['MULTI', 'DEL a b', 'PING', 'EXEC', 'EXEC'],
      [
        '+OK',
        CROSS_SLOT,
        '+QUEUED',
        '-EXECABORT Transaction discarded because of previous errors.',
        '-ERR EXEC without MULTI',
      ],
    ],
    [
      'queues what is about all slots',
      ['MULTI', 'FLUSHALL', 'EXEC'],
      [
        '+OK',
        '-ERR Command not allowed inside a transaction',
        '-EXECABORT Transaction discarded because of previous errors.',
      ],
    ],
    [
      'uses another slot than its watched keys',
      ['WATCH a', 'MULTI', 'SET b 1', 'EXEC', 'GET b'],
      ['+OK', '+OK', '+QUEUED', CROSS_SLOT, '$-1'],
    ],
    ['watches two slots', ['WATCH a', 'WATCH b', 'WATCH {x}1 {y}1'], ['+OK', CROSS_SLOT, CROSS_SLOT]],
    [
      'watches, and nothing changes',
      ['SET {a}1 1', 'WATCH {a}1 {a}2', 'MULTI', 'SET {a}2 1', 'EXEC'],
      ['+OK', '+OK', '+OK', '+QUEUED', '*1', '+OK'],
    ],
    [
      'watches, and changes the key itself before MULTI',
      ['WATCH a', 'SET a 1', 'MULTI', 'PING', 'EXEC', 'GET a', 'MULTI', 'PING', 'EXEC'],
      ['+OK', '+OK', '+OK', '+QUEUED', '*-1', '$1', '1', '+OK', '+QUEUED', '*1', '+PONG'],
    ],
    [
      'watches again what it watches',
      ['WATCH a', 'SET a 1', 'WATCH a', 'MULTI', 'EXEC'],
      ['+OK', '+OK', '+OK', '+OK', '*-1'],
    ],
    [
      'unwatches',
      ['WATCH a', 'SET a 1', 'UNWATCH', 'MULTI', 'GET a', 'EXEC'],
      ['+OK', '+OK', '+OK', '+OK', '+QUEUED', '*1', '$1', '1'],
    ],
    [
      'discards its watches',
      ['WATCH a', 'SET a 1', 'MULTI', 'DISCARD', 'MULTI', 'GET a', 'EXEC'],
      ['+OK', '+OK', '+OK', '+OK', '+OK', '+QUEUED', '*1', '$1', '1'],
    ],
  ])('%s', (_what, requests, replies) => {
    for (const delayMs of [null, () => 3]) {
      const client = new DoorWorld({ router: { delayMs } }).connect()
      expect(client.exchange(lines(...requests), 2000)).toBe(lines(...replies))
    }
  })

  it('that was aborted is null: `*-1` in RESP2, `_` in RESP3', () => {
    const client = new DoorWorld().connect()
    const aborted = lines('WATCH a', 'SET a 1', 'MULTI', 'GET a', 'EXEC')
    expect(client.exchange(aborted)).toMatch(/\*-1\r\n$/)
    client.exchange('HELLO 3\r\n')
    expect(client.exchange(aborted)).toMatch(/QUEUED\r\n_\r\n$/)
    expect(client.exchange(lines('MULTI', 'GET none', 'EXEC'))).toMatch(/\*1\r\n_\r\n$/)
  })

  it('reads watched versions linearizably, and is one write', () => {
    const calls: string[] = []
    const onCall = (call: RouterCall): void => {
      calls.push(`${opcodeOf(call)} ${call.write ? 'write' : call.level}`)
    }
    const client = new DoorWorld({ router: { onCall } }).connect()
    client.exchange(lines('KV.READ stale', 'WATCH a', 'GET a', 'MULTI', 'SET a 1', 'PING', 'INCR a', 'EXEC'))
    expect(calls).toEqual([`${OPCODE_KEY_VERSION} linearizable`, `${opcode('get')} stale`, `${opcode('exec')} write`])
  })

  it('aborts where another client came between, whenever that was', () => {
    for (let at = 0; at < 30; at++) {
      const world = new DoorWorld({
        seed: at + 1,
        router: (scheduler) => ({ delayMs: () => scheduler.random.unit() * 4 }),
      })
      const client = world.connect()
      client.exchange(lines('SET a 1'), 100)
      client.take()
      client.send(lines('WATCH a', 'GET a', 'MULTI', 'INCR a', 'EXEC'))
      world.run(at * 0.5)
      const slot = slotOf(latin1Bytes('a'), world.router.slotCount)
      world.router.writeNow(slot, encodeCommand(opcode('set'), [latin1Bytes('a'), latin1Bytes('100')]))
      world.run(500)
      const seen = /\$\d+\r\n(\d+)\r\n/.exec(client.received)?.[1]
      const executed = !client.received.endsWith('*-1\r\n')
      client.take()
      const final = client.exchange('GET a\r\n').split('\r\n')[1]
      // Executed before the foreign write, after it (having seen it), or not at all; never over a value that it had not seen.
      const sound = executed ? (seen === '100' ? final === '101' : final === '100') : final === '100'
      expect(sound, `at ${at}: saw ${seen}, executed ${executed}, ended with ${final}`).toBe(true)
    }
  })

  it('aborts where WATCH could not be answered', () => {
    let down = true
    const refuse = (call: RouterCall): Uint8Array | null => {
      return down && opcodeOf(call) === OPCODE_KEY_VERSION ? errorReply('CLUSTERDOWN no leader') : null
    }
    const client = new DoorWorld({ router: { refuse } }).connect()
    expect(client.exchange(lines('WATCH a', 'MULTI', 'SET a 1', 'EXEC', 'GET a'))).toBe(
      lines('-CLUSTERDOWN no leader', '+OK', '+QUEUED', '*-1', '$-1'),
    )
    down = false
    expect(client.exchange(lines('WATCH a', 'MULTI', 'SET a 1', 'EXEC'))).toBe(
      lines('+OK', '+OK', '+QUEUED', '*1', '+OK'),
    )
  })

  it('that was answered with an error runs none of its door commands', () => {
    const refuse = (call: RouterCall): Uint8Array | null =>
      call.write ? errorReply('UNCERTAIN no answer in time') : null
    const client = new DoorWorld({ router: { refuse } }).connect()
    const requests = lines('MULTI', 'SET a 1', 'CLIENT SETNAME joe', 'EXEC', 'CLIENT GETNAME')
    expect(client.exchange(requests)).toBe(lines('+OK', '+QUEUED', '+QUEUED', '-UNCERTAIN no answer in time', '$-1'))
  })

  it('is bounded', () => {
    const client = new DoorWorld({ server: { maxRequestBytes: 4096 } }).connect()
    const requests = ['MULTI', ...Array.from({ length: 10 }, () => `APPEND a ${'x'.repeat(500)}`), 'EXEC']
    const replies = client.exchange(lines(...requests))
    expect(replies).toContain('-ERR transaction is too large\r\n')
    expect(replies).toMatch(/-EXECABORT Transaction discarded because of previous errors\.\r\n$/)
  })

  it('watches a bounded number of keys', () => {
    const client = new DoorWorld().connect()
    const watch = `WATCH ${Array.from({ length: 600 }, (_, i) => `{t}${i}`).join(' ')}`
    expect(client.exchange(lines(watch, watch, 'UNWATCH', watch), 500)).toBe(
      lines('+OK', '-ERR too many watched keys', '+OK', '+OK'),
    )
  })

  it('ends with its connection', () => {
    const world = new DoorWorld({ router: { delayMs: () => 50 } })
    const [one, two] = [world.connect(), world.connect()]
    one.send(lines('WATCH a', 'MULTI', 'SET a 1'))
    world.run(10)
    one.connection.destroy()
    expect(two.exchange(lines('GET a'), 500)).toBe(lines('$-1'))
    expect(world.server.connectionCount).toBe(1)
    expect(world.router.outstandingRequests()).toBe(0)
  })
})

describe('fan-out', () => {
  const KEYS = ['a', 'b', 'c']
  const refusing = (text: string, key: string): DoorWorld => {
    const slot = slotOf(latin1Bytes(key), 1024)
    return new DoorWorld({ router: { refuse: (call) => (call.slot === slot ? errorReply(text) : null) } })
  }

  it('joins in the order of the request', () => {
    const client = new DoorWorld({ router: (s) => ({ delayMs: () => s.random.unit() * 20 }) }).connect()
    const requests = lines(
      'MSET a 1 b 2 c 3 a 4',
      'MGET c a none b a',
      'EXISTS a a b none',
      'DEL c a none c',
      'MGET a b c',
    )
    expect(client.exchange(requests, 1000)).toBe(
      lines('+OK', '*5', '$1', '3', '$1', '4', '$-1', '$1', '2', '$1', '4', ':3', ':2', '*3', '$-1', '$1', '2', '$-1'),
    )
  })

  it.each(KEYS)('gives the error of its part, for key %s', (key) => {
    const client = refusing('CLUSTERDOWN no leader', key).connect()
    for (const request of ['MGET a b c', 'MSET a 1 b 1 c 1', 'DEL a b c', 'EXISTS a b c', 'DBSIZE', 'FLUSHALL']) {
      expect(client.exchange(`${request}\r\n`)).toBe('-CLUSTERDOWN no leader\r\n')
    }
  })

  it('is uncertain when a part is, whatever else failed', () => {
    const slots = new Map(KEYS.map((key) => [slotOf(latin1Bytes(key), 1024), key]))
    const refuse = (call: RouterCall): Uint8Array | null => {
      const key = slots.get(call.slot)
      return key === 'c' ? errorReply('UNCERTAIN no answer in time') : key === 'a' ? errorReply('BUSY later') : null
    }
    const client = new DoorWorld({ router: { refuse } }).connect()
    expect(client.exchange('MSET a 1 b 1 c 1\r\n')).toBe('-UNCERTAIN no answer in time\r\n')
  })

  it('asks all slots, a bounded number at a time, and alone on its connection', () => {
    let most = 0
    const calls: number[] = []
    const world: DoorWorld = new DoorWorld({
      router: (scheduler) => ({
        delayMs: () => scheduler.random.unit() * 3,
        onCall: (call) => {
          calls.push(opcodeOf(call))
          most = Math.max(most, world.router.outstandingRequests())
        },
      }),
    })
    const client = world.connect()
    const requests = lines('MSET a 1 b 2 c 3', 'DBSIZE', 'SET d 4', 'FLUSHALL', 'SET e 5', 'DBSIZE', 'MGET a e')
    expect(client.exchange(requests, 2000)).toBe(lines('+OK', ':3', '+OK', '+OK', '+OK', ':1', '*2', '$-1', '$1', '5'))
    expect(most).toBeLessThanOrEqual(128)
    expect(calls.filter((each) => each === opcode('flushall')).length).toBe(1024)
    // Nothing of later requests was called before the last part of FLUSHALL.
    const last = calls.lastIndexOf(opcode('flushall'))
    expect(calls.slice(calls.indexOf(opcode('flushall')), last + 1).every((each) => each === opcode('flushall'))).toBe(
      true,
    )
  })

  it('stops asking where a part failed', () => {
    const calls: number[] = []
    const refuse = (call: RouterCall): Uint8Array | null =>
      call.slot === asSlotId(3) ? errorReply('CLUSTERDOWN') : null
    const client = new DoorWorld({ router: { refuse, onCall: (call) => calls.push(call.slot) } }).connect()
    expect(client.exchange('DBSIZE\r\n')).toBe('-CLUSTERDOWN\r\n')
    expect(calls.length).toBeLessThan(300)
  })
})
