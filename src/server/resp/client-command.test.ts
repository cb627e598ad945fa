import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door.testkit.ts'

function lineOf(reply: string): Record<string, string> {
  const line = /id=.*/.exec(reply)?.[0] ?? ''
  return Object.fromEntries(line.split(' ').map((field) => field.split('=') as [string, string]))
}

function idOf(client: TestClient): string {
  return client.exchange('CLIENT ID\r\n').slice(1).trim()
}

describe('CLIENT LIST', () => {
  it('shows what a connection has done', () => {
    const world = new DoorWorld()
    const [watcher, other] = [world.connect(), world.connect()]
    world.run(5000)
    watcher.exchange(
      'HELLO 3 SETNAME joe\r\nWATCH {a}1 {a}2\r\nMULTI\r\nSET {a}1 x\r\nGET {a}1\r\nCLIENT NO-TOUCH on\r\n',
    )
    world.run(3000)
    const { queryBytes: _none, ...line } = lineOf(other.exchange(`CLIENT LIST ID ${1}\r\n`))
    expect(line).toMatchObject({
      id: '1',
      name: 'joe',
      age: '8',
      idle: '3',
      flags: 'x',
      multi: '3',
      cmd: 'client|no-touch',
      resp: '3',
      watch: '2',
      qbuf: '0',
      omem: '0',
      user: 'default',
    })
    expect(line.laddr).toBe('host-1:7379')
    expect(Number(line['multi-mem'])).toBeGreaterThan(0)
    watcher.exchange('DISCARD\r\nCLIENT NO-TOUCH on\r\nCLIENT NO-EVICT on\r\n')
    expect(lineOf(other.exchange('CLIENT LIST ID 1\r\n'))).toMatchObject({ flags: 'eT', multi: '-1', watch: '0' })
  })

  it('counts the request at hand in qbuf, and what is in pieces', () => {
    const world = new DoorWorld()
    const [asking, half] = [world.connect(), world.connect()]
    half.exchange('*2\r\n$3\r\nGET\r\n$10\r\nabc')
    const request = '*2\r\n$6\r\nclient\r\n$4\r\nlist\r\n'
    const lines = asking
      .exchange(request)
      .split('\n')
      .filter((line) => line.startsWith('id='))
    expect(lines.map((line) => lineOf(line).qbuf)).toEqual([String(request.length), '21'])
    expect(lines.map((line) => lineOf(line)['argv-mem'])).toEqual(['10', '0'])
  })

  it('shows replies that wait for an earlier one', () => {
    const world = new DoorWorld({ router: { delayMs: () => 300 } })
    const [waiting, asking] = [world.connect(), world.connect()]
    waiting.send('GET a\r\nPING\r\nECHO 12345\r\n')
    world.run(50)
    const line = lineOf(asking.exchange(`CLIENT LIST ID 1\r\n`, 50))
    expect(line).toMatchObject({ oll: '0', obl: String('+PONG\r\n'.length + '$5\r\n12345\r\n'.length) })
    world.run(500)
    expect(waiting.received).toBe('$-1\r\n+PONG\r\n$5\r\n12345\r\n')
  })
})

describe('CLIENT KILL', () => {
  it('closes by id, by address, and all but the asking one', () => {
    const world = new DoorWorld()
    const [asking, byId, byAddress, rest] = [world.connect(), world.connect(), world.connect(), world.connect()]
    expect(asking.exchange(`CLIENT KILL ID ${idOf(byId)}\r\n`)).toBe(':1\r\n')
    const { addr } = lineOf(byAddress.exchange('CLIENT INFO\r\n'))
    expect(asking.exchange(`CLIENT KILL ${addr}\r\n`)).toBe('+OK\r\n')
    expect(asking.exchange(`CLIENT KILL ${addr}\r\n`)).toBe('-ERR No such client\r\n')
    expect([byId.closed, byAddress.closed, rest.closed].map((reason) => reason !== null)).toEqual([true, true, false])
    expect(asking.exchange('CLIENT KILL TYPE normal\r\nCLIENT KILL LADDR host-1:7379\r\n')).toBe(':1\r\n:0\r\n')
    expect(rest.closed).not.toBeNull()
    expect(world.server.connectionCount).toBe(1)
  })

  it('answers before it closes the asking one', () => {
    const world = new DoorWorld()
    const client = world.connect()
    expect(client.exchange('PING\r\nCLIENT KILL SKIPME no\r\nPING\r\n')).toBe('+PONG\r\n:1\r\n')
    expect(client.closed).not.toBeNull()
  })

  it('lets go of what the killed one had asked for', () => {
    const world = new DoorWorld({ router: { delayMs: () => 100 } })
    const [asking, busy] = [world.connect(), world.connect()]
    busy.send('SET a 1\r\nGET a\r\nSET a 2\r\nMULTI\r\n')
    world.run(50)
    expect(asking.exchange('CLIENT KILL ID 2\r\n', 20)).toBe(':1\r\n')
    expect(asking.exchange('CLIENT LIST ID 2\r\n', 20)).toBe('$0\r\n\r\n')
    world.run(1000)
    expect(busy.received).toBe('')
    expect(world.router.outstandingRequests()).toBe(0)
    expect(asking.exchange('PING\r\n')).toBe('+PONG\r\n')
  })
})

describe('CLIENT PAUSE', () => {
  it('holds writes, and lets reads through', () => {
    const world = new DoorWorld()
    const [writer, reader] = [world.connect(), world.connect()]
    writer.exchange('SET a 1\r\n')
    expect(reader.exchange('CLIENT PAUSE 1000 WRITE\r\n')).toBe('+OK\r\n')
    writer.send('GET a\r\nSET a 2\r\nGET a\r\n')
    world.run(300)
    expect(writer.take()).toBe('$1\r\n1\r\n')
    expect(reader.exchange('GET a\r\n')).toBe('$1\r\n1\r\n')
    expect(lineOf(reader.exchange('CLIENT LIST ID 1\r\n')).flags).toBe('b')
    world.run(1000)
    expect(writer.take()).toBe('+OK\r\n$1\r\n2\r\n')
  })

  it('holds everything, also what frees it, until the time is over', () => {
    const world = new DoorWorld()
    const [one, two] = [world.connect(), world.connect()]
    expect(one.exchange('CLIENT PAUSE 1000\r\nPING\r\n')).toBe('+OK\r\n')
    two.send('CLIENT UNPAUSE\r\n')
    world.run(500)
    expect([one.take(), two.take()]).toEqual(['', ''])
    world.run(500)
    expect([one.take(), two.take()]).toEqual(['+PONG\r\n', '+OK\r\n'])
  })

  it('can only become longer and stricter', () => {
    const world = new DoorWorld()
    const client = world.connect()
    client.exchange('CLIENT PAUSE 2000 WRITE\r\nCLIENT PAUSE 500 WRITE\r\n')
    client.send('SET a 1\r\n')
    world.run(1000)
    expect(client.take()).toBe('')
    world.run(1000)
    expect(client.take()).toBe('+OK\r\n')
  })

  it('holds an EXEC that writes, and UNPAUSE lets it go at once', () => {
    const world = new DoorWorld()
    const [client, other] = [world.connect(), world.connect()]
    client.exchange('MULTI\r\nSET a 1\r\n')
    other.exchange('CLIENT PAUSE 100000 WRITE\r\n')
    client.send('EXEC\r\nPING\r\n')
    world.run(500)
    expect(client.received).toBe('+OK\r\n+QUEUED\r\n'.slice(0, 0))
    expect(other.exchange('MULTI\r\nGET a\r\nEXEC\r\nCLIENT UNPAUSE\r\n')).toBe(
      '+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n+OK\r\n',
    )
    world.run(50)
    expect(client.take()).toBe('*1\r\n+OK\r\n+PONG\r\n')
  })
})

describe('timeout', () => {
  it('closes those who say nothing, and nobody who waits for a reply', () => {
    const world = new DoorWorld({ router: { delayMs: () => 6000 } })
    const [silent, waiting, busy] = [world.connect(), world.connect(), world.connect()]
    busy.exchange('CONFIG SET timeout 3\r\n')
    waiting.send('GET a\r\n')
    for (let i = 0; i < 5; i++) {
      world.run(1000)
      busy.send('PING\r\n')
    }
    expect([silent.closed !== null, waiting.closed, busy.closed]).toEqual([true, null, null])
    world.run(2000)
    expect(waiting.take()).toBe('$-1\r\n')
    busy.exchange('CONFIG SET timeout 0\r\n')
    world.run(20_000)
    expect(busy.closed).toBeNull()
  })
})

describe('client-query-buffer-limit', () => {
  it('closes whose unfinished request is longer', () => {
    const world = new DoorWorld()
    const [client, other] = [world.connect(), world.connect()]
    expect(other.exchange('CONFIG SET client-query-buffer-limit 1mb\r\n')).toBe('+OK\r\n')
    client.send(`*2\r\n$4\r\nECHO\r\n$2000000\r\n${'x'.repeat(1_000_000)}`)
    world.run(2000)
    expect(client.closed).toBeNull()
    client.send('x'.repeat(100_000))
    world.run(2000)
    expect(client.closed).not.toBeNull()
    expect(other.exchange('PING\r\n')).toBe('+PONG\r\n')
  })
})

describe('client-output-buffer-limit', () => {
  it('closes who leaves more than the soft limit unread for too long', () => {
    const world = new DoorWorld()
    const [reader, admin] = [world.connect(), world.connect()]
    admin.exchange('CONFIG SET client-output-buffer-limit "normal 100mb 100kb 2"\r\n')
    admin.exchange(`SET a ${'x'.repeat(60_000)}\r\n`)
    reader.connection.pause()
    for (let i = 0; i < 30; i++) {
      reader.send('GET a\r\n')
      world.run(100)
    }
    reader.connection.resume()
    world.run(1000)
    expect(reader.closed).not.toBeNull()
    expect(world.server.stats.outputLimitDisconnections).toBe(1)
  })
})
