// The Redis clients that people have, against a real cluster of three processes: set, get, pipeline, MULTI.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, eventually, finished, startCluster } from '../support/cluster.ts'

const DIRECTORY = mkdtempSync(join(tmpdir(), 'quorate-clients-'))
/** From the package redis-tools; the test script installs it where it can, and reports what is skipped for want of it. */
const HAS_REDIS_TOOLS = spawnSync('redis-cli', ['--version']).error === undefined

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster({ data: join(DIRECTORY, 'data') })
}, 60_000)

afterAll(async () => {
  try {
    expect(await cluster.stop()).toBe(0)
  } finally {
    await cluster.destroy()
    rmSync(DIRECTORY, { recursive: true, force: true })
  }
})

/** A node that leads no group, where there is one: its client's requests are all passed on. */
function followingNode(): number {
  const leaders = cluster.ready.groups.map(({ leader }) => leader)
  return cluster.nodeIds.find((id) => !leaders.includes(id)) ?? 1
}

describe('INFO keyspace', () => {
  test('counts the keys of all groups, on every node', async () => {
    const client = new Redis({ host: '127.0.0.1', port: cluster.port(1) })
    try {
      await client.flushall()
      for (let i = 0; i < 40; i++) await client.set(`counted-${i}`, 'v')
      for (const id of cluster.nodeIds) {
        const node = new Redis({ host: '127.0.0.1', port: cluster.port(id) })
        // A follower applies a moment later, and the count is a second old at most.
        await eventually('the count', 10_000, async () => (await node.info('keyspace')).includes('db0:keys=40\r\n'))
        node.disconnect()
      }
    } finally {
      client.disconnect()
    }
  })
})

describe('ioredis', () => {
  test.each([1, 2, 3])('set, get, pipeline and MULTI through node %i', async (nodeId) => {
    const client = new Redis({ host: '127.0.0.1', port: cluster.port(nodeId), maxRetriesPerRequest: 1 })
    try {
      const key = `{io-${nodeId}}`
      expect(await client.set(`${key}:a`, 'один')).toBe('OK')
      expect(await client.get(`${key}:a`)).toBe('один')
      expect(await client.get(`${key}:absent`)).toBeNull()

      const pipeline = client.pipeline()
      for (let i = 0; i < 500; i++) pipeline.set(`io-${nodeId}-${i}`, `v${i}`)
      for (let i = 0; i < 500; i++) pipeline.get(`io-${nodeId}-${i}`)
      const replies = await pipeline.exec()
      expect(replies?.slice(0, 500).every(([error, reply]) => error === null && reply === 'OK')).toBe(true)
      expect(replies?.slice(500).map(([, reply]) => reply)).toEqual(Array.from({ length: 500 }, (_, i) => `v${i}`))

      const transaction = await client.multi().set(`${key}:n`, '5').incr(`${key}:n`).get(`${key}:n`).exec()
      expect(transaction).toEqual([
        [null, 'OK'],
        [null, 6],
        [null, '6'],
      ])
      expect(await client.del(`${key}:a`, `${key}:n`)).toBe(2)
    } finally {
      client.disconnect()
    }
  })

  test('WATCH sees a change made through another node', async () => {
    const a = new Redis({ host: '127.0.0.1', port: cluster.port(1) })
    const b = new Redis({ host: '127.0.0.1', port: cluster.port(2) })
    try {
      await a.set('watched', '1')
      await a.watch('watched')
      await b.set('watched', '2')
      expect(await a.multi().set('watched', '3').exec()).toBeNull()
      expect(await b.get('watched')).toBe('2')
      await a.watch('watched')
      expect(await a.multi().set('watched', '3').exec()).toEqual([[null, 'OK']])
      expect(await b.get('watched')).toBe('3')
    } finally {
      a.disconnect()
      b.disconnect()
    }
  })

  test('bytes of every value come back, and a mebibyte too', async () => {
    const client = new Redis({ host: '127.0.0.1', port: cluster.port(followingNode()) })
    try {
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
      await client.set(every, every)
      expect(await client.getBuffer(every)).toEqual(every)
      const large = Buffer.alloc(1024 * 1024, 'x')
      await client.set('large', large)
      expect((await client.getBuffer('large'))?.equals(large)).toBe(true)
    } finally {
      client.disconnect()
    }
  })
})

describe('node-redis', () => {
  test.each([2, 3] as const)('set, get, pipeline and MULTI with RESP%i', async (RESP) => {
    const client = createClient({ RESP, socket: { host: '127.0.0.1', port: cluster.port(followingNode()) } })
    client.on('error', () => {})
    await client.connect()
    try {
      const key = `{nr-${RESP}}`
      expect(await client.set(`${key}:a`, 'b')).toBe('OK')
      expect(await client.get(`${key}:a`)).toBe('b')
      // Commands of one tick leave in one write: node-redis pipelines by itself.
      const keys = Array.from({ length: 300 }, (_, i) => `nr-${RESP}-${i}`)
      expect(new Set(await Promise.all(keys.map((name) => client.set(name, `v-${name}`))))).toEqual(new Set(['OK']))
      expect(await client.mGet(keys)).toEqual(keys.map((name) => `v-${name}`))
      expect(await client.multi().set(`${key}:n`, '1').incr(`${key}:n`).get(`${key}:n`).exec()).toEqual(['OK', 2, '2'])
      expect(await client.ttl(`${key}:a`)).toBe(-1)
    } finally {
      client.destroy()
    }
  })
})

describe.skipIf(!HAS_REDIS_TOOLS)('Redis tools', () => {
  const redisCli = (args: readonly string[], input = '') => {
    const child = spawn('redis-cli', ['-p', String(cluster.port(followingNode())), ...args], { stdio: 'pipe' })
    child.stdin.end(input)
    return finished(child, 20_000)
  }

  test('redis-cli: set, get, MULTI, errors', async () => {
    expect((await redisCli(['SET', 'cli', 'value'])).stdout).toBe('OK\n')
    expect((await redisCli(['GET', 'cli'])).stdout).toBe('value\n')
    const script = 'MULTI\nSET {cli}:n 1\nINCR {cli}:n\nEXEC\nGET {cli}:n\n'
    expect((await redisCli([], script)).stdout).toBe('OK\nQUEUED\nQUEUED\nOK\n2\n2\n')
    expect((await redisCli(['KV.CAS', 'cli', 'value', 'other'])).stdout).toBe('1\nother\n')
    expect((await redisCli(['NOSUCH'])).stdout).toMatch(/^ERR unknown command 'NOSUCH'/)
  })

  test('redis-cli --pipe: a mass of inserts, none lost', async () => {
    const count = 3_000
    const input = Array.from({ length: count }, (_, i) => `SET pipe-${i} ${i}\r\n`).join('')
    const { stdout, code } = await redisCli(['--pipe'], input)
    expect(stdout).toContain(`errors: 0, replies: ${count}`)
    expect(code).toBe(0)
    expect((await redisCli(['GET', `pipe-${count - 1}`])).stdout).toBe(`${count - 1}\n`)
  })

  test.each([1, 16])('redis-benchmark, pipelined by %i', async (pipeline) => {
    const args = ['-p', String(cluster.port(1)), '-t', 'set,get,incr', '-n', '3000', '-c', '20', '-r', '1000']
    const child = spawn('redis-benchmark', [...args, '-P', String(pipeline), '--csv'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { stdout, stderr, code } = await finished(child, 50_000)
    expect(stderr).not.toMatch(/error/i)
    const rates = stdout
      .split('\n')
      .filter((line) => /^"(SET|GET|INCR)"/.test(line))
      .map((line) => Number(line.split(',')[1].replaceAll('"', '')))
    expect(rates).toHaveLength(3)
    for (const rate of rates) expect(rate).toBeGreaterThan(0)
    expect(code).toBe(0)
  })
})
