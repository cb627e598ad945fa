// Real Redis clients against the door on a real port: they must connect, set, get, pipeline and run transactions.
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startTcpDoor, type TcpDoor } from './tcp-door.testkit.ts'

const run = promisify(execFile)

let door: TcpDoor

beforeEach(async () => {
  door = await startTcpDoor({}, { delayMs: () => Math.random() * 2 })
})

afterEach(async () => {
  await door.stop()
})

async function cli(...args: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(door.port), ...args])
  return stdout
}

/** What a client hears that sends everything, closes its half, and reads. */
function halfClosed(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let heard = ''
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1')
    })
    socket.on('end', () => resolve(heard))
    socket.on('error', reject)
    socket.end(text)
  })
}

describe('a client that closes its half after asking', () => {
  it('gets all of its replies', async () => {
    expect(await halfClosed(door.port, 'SET hc 1\r\n')).toBe('+OK\r\n')
    expect(await halfClosed(door.port, 'PING\r\nGET hc\r\nPING\r\n')).toBe('+PONG\r\n$1\r\n1\r\n+PONG\r\n')
    const many = await halfClosed(door.port, 'INCR n\r\n'.repeat(2000))
    expect(many).toBe(Array.from({ length: 2000 }, (_, i) => `:${i + 1}\r\n`).join(''))
  })

  it('is closed where it only listened, or asked half of something', async () => {
    expect(await halfClosed(door.port, 'SUBSCRIBE a\r\n')).toContain('subscribe')
    expect(await halfClosed(door.port, '*2\r\n$3\r\nGET\r\n$10\r\nabc')).toBe('')
    expect(await halfClosed(door.port, '')).toBe('')
  })
})

describe('redis-cli', () => {
  it('runs single commands', async () => {
    expect(await cli('SET', 'greeting', 'hello world')).toBe('OK\n')
    expect(await cli('GET', 'greeting')).toBe('hello world\n')
    expect(await cli('-3', 'GET', 'nothing')).toBe('\n')
    expect(await cli('MGET', 'greeting', 'nothing', 'x')).toBe('hello world\n\n\n')
    expect(await cli('INFO', 'server')).toMatch(/redis_version:7\.0\.15[\s\S]*quorate_version:0\.1\.0-test/)
    expect(await cli('KV.STATUS')).toBe('{"id":7,"groups":[]}\n')
    expect(await cli('DBSIZE')).toBe('1\n')
    expect(await cli('KV.CAS', 'greeting', 'hello world', 'bye')).toBe('1\nbye\n')
    expect(await cli('KV.READ', 'stale')).toBe('OK\n')
    expect(await cli('GARBAGE')).toMatch(/^ERR unknown command 'GARBAGE', with args beginning with: /)
  })

  it('runs a session from a pipe', async () => {
    const session = run('redis-cli', ['-p', String(door.port)])
    session.child.stdin?.end('MULTI\nSET a 1\nINCR a\nPING\nEXEC\nDISCARD\n')
    const { stdout } = await session
    expect(stdout.trim().split('\n')).toEqual([
      'OK',
      'QUEUED',
      'QUEUED',
      'QUEUED',
      'OK',
      '2',
      'PONG',
      'ERR DISCARD without MULTI',
    ])
  })

  it('loads a mass of requests with --pipe', async () => {
    const session = run('redis-cli', ['-p', String(door.port), '--pipe'])
    for (let i = 0; i < 5000; i++) session.child.stdin?.write(`SET key:${i} value:${i}\r\n`)
    session.child.stdin?.end()
    const { stdout } = await session
    expect(stdout).toContain('errors: 0, replies: 5000')
    expect(await cli('DBSIZE')).toBe('5000\n')
  })
})

describe('redis-benchmark', () => {
  it('runs its tests, pipelined', async () => {
    const args = [
      '-p',
      String(door.port),
      '-t',
      'ping,set,get,incr,mset',
      '-n',
      '4000',
      '-r',
      '500',
      '-P',
      '16',
      '-c',
      '20',
    ]
    const { stdout, stderr } = await run('redis-benchmark', [...args, '--csv'])
    expect(`${stdout}${stderr}`).not.toMatch(/error|WARNING/i)
    for (const test of ['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'MSET (10 keys)']) {
      expect(stdout).toContain(`"${test}"`)
    }
  })
})

describe('ioredis', () => {
  it.each([2, 3] as const)('sets, gets, pipelines and runs transactions in RESP%i', async (protocol) => {
    const client = new Redis({ port: door.port, lazyConnect: true, protocol })
    await client.connect()
    try {
      expect(await client.set('a', '1')).toBe('OK')
      expect(await client.set('a', '2', 'NX')).toBeNull()
      expect(await client.getBuffer('a')).toEqual(Buffer.from('1'))
      expect(await client.mset({ m1: 'x', m2: 'y', m3: 'z' })).toBe('OK')
      expect(await client.mget('m1', 'none', 'm3')).toEqual(['x', null, 'z'])
      expect(await client.exists('m1', 'm2', 'none', 'm1')).toBe(3)
      expect(await client.del('m1', 'm2', 'none')).toBe(2)
      const pipeline = client.pipeline()
      for (let i = 0; i < 500; i++) pipeline.incr(`n${i % 7}`)
      const results = (await pipeline.exec()) ?? []
      expect(results.map(([error]) => error).filter((error) => error !== null)).toEqual([])
      expect(
        results
          .slice(-7)
          .map(([, value]) => value)
          .sort(),
      ).toEqual([71, 71, 71, 71, 72, 72, 72])
      expect(await client.multi().set('{t}a', 'x').get('{t}a').ping().exec()).toEqual([
        [null, 'OK'],
        [null, 'x'],
        [null, 'PONG'],
      ])
      await expect(client.multi().set('a', 'x').set('b', 'y').exec()).rejects.toThrow(/CROSSSLOT/)
    } finally {
      client.disconnect()
    }
  })

  it('aborts a transaction whose watched key was changed', async () => {
    const [one, two] = [new Redis(door.port), new Redis(door.port)]
    try {
      await one.set('{w}a', '1')
      await one.watch('{w}a', '{w}b')
      await two.set('{w}b', 'other')
      expect(await one.multi().set('{w}a', '2').exec()).toBeNull()
      expect(await one.get('{w}a')).toBe('1')
      await one.watch('{w}a')
      expect(await one.multi().set('{w}a', '3').exec()).toEqual([[null, 'OK']])
    } finally {
      one.disconnect()
      two.disconnect()
    }
  })
})

describe('node-redis', () => {
  it.each([2, 3] as const)('sets, gets, pipelines and runs transactions in RESP%i', async (RESP) => {
    const client = createClient({ socket: { host: '127.0.0.1', port: door.port }, RESP, name: 'tester' })
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error))
    await client.connect()
    try {
      expect(await client.set('a', '1', { expiration: { type: 'EX', value: 100 } })).toBe('OK')
      expect(await client.get('a')).toBe('1')
      expect(await client.ttl('a')).toBe(100)
      expect(await client.get('none')).toBeNull()
      expect(await client.clientGetName()).toBe('tester')
      expect(await client.mGet(['a', 'none', 'b'])).toEqual(['1', null, null])
      const all = await Promise.all(Array.from({ length: 500 }, (_, i) => client.incr(`n${i % 7}`)))
      expect(all.length).toBe(500)
      expect(await client.multi().set('{t}a', 'x').get('{t}a').exec()).toEqual(['OK', 'x'])
      expect(await client.multi().exec()).toEqual([])
      const info = await client.info('server')
      expect(info).toContain('redis_version:7.0.15')
      expect(await client.configGet('maxclients')).toEqual({ maxclients: '10000' })
      expect(await client.flushAll()).toBe('OK')
      expect(await client.dbSize()).toBe(0)
      expect(errors).toEqual([])
    } finally {
      await client.close()
    }
  })
})
