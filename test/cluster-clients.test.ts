// Clients of Redis Cluster on the second port, with real processes: ioredis, node-redis, GLIDE, redis-cli -c, redis-benchmark --cluster. Leaders are
// killed under load: no wrong answer, and no error of the cluster's own comes through.
import { spawn } from 'node:child_process'
import { Decoder, GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Cluster as IoCluster } from 'ioredis'
import { createCluster } from 'redis'
import { afterAll, describe, expect, test } from 'vitest'
import { RespClient } from '../src/cli/resp-client.ts'
import { type Cluster, destroyClusters, eventually, finished, withCluster } from './support/cluster.ts'

interface ClusterClient {
  set(key: string, value: string): Promise<unknown>
  get(key: string): Promise<string | null>
  incr(key: string): Promise<number>
  close(): Promise<void> | void
}

interface ClusterLibrary {
  readonly name: string
  /** It sends a command again whose connection broke, without knowing whether it ran. */
  readonly retriesBlindly: boolean
  connect(addresses: readonly string[]): Promise<ClusterClient>
}

interface Address {
  readonly host: string
  readonly port: number
}

function split(address: string): Address {
  const [host, port] = address.split(':')
  return { host, port: Number(port) }
}

const LIBRARIES: readonly ClusterLibrary[] = [
  {
    name: 'ioredis',
    retriesBlindly: true,
    async connect(addresses) {
      const client = new IoCluster(addresses.map(split))
      client.on('error', () => {})
      await eventually('ioredis to be ready', 10_000, () => client.status === 'ready' || null)
      return {
        set: (key, value) => client.set(key, value),
        get: (key) => client.get(key),
        incr: (key) => client.incr(key),
        close: () => client.disconnect(),
      }
    },
  },
  {
    name: 'node-redis',
    retriesBlindly: false,
    async connect(addresses) {
      const client = createCluster({ rootNodes: addresses.map((address) => ({ url: `redis://${address}` })) })
      client.on('error', () => {})
      await client.connect()
      return {
        set: (key, value) => client.set(key, value),
        get: async (key) => (await client.get(key)) as string | null,
        incr: async (key) => Number(await client.incr(key)),
        close: () => client.destroy(),
      }
    },
  },
  {
    name: 'GLIDE',
    retriesBlindly: false,
    async connect(addresses) {
      const client = await GlideClusterClient.createClient({
        addresses: addresses.map(split),
        requestTimeout: 10_000,
        defaultDecoder: Decoder.String,
      })
      return {
        set: (key, value) => client.set(key, value),
        get: async (key) => (await client.get(key)) as string | null,
        incr: (key) => client.incr(key),
        close: () => client.close(),
      }
    },
  },
]

const clusterAddresses = (cluster: Cluster): string[] => cluster.ready.nodes.map((node) => node.cluster)

// It tells of every broken connection, and connections are what is broken here.
Logger.setLoggerConfig('off')

afterAll(destroyClusters)

async function run(program: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  // A program that ends before it has read its input is judged by its exit code.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const { code, stdout, stderr } = await finished(child, 60_000)
  expect(code, `${program} ${args.join(' ')}: ${stdout}${stderr}`).toBe(0)
  return stdout
}

test('every client finds the leaders from either port of any node', async () => {
  await withCluster(['--groups', '3'], async (cluster) => {
    const firstPorts = cluster.addresses
    for (const addresses of [[firstPorts[0]], [clusterAddresses(cluster)[1]]]) {
      for (const library of LIBRARIES) {
        const client = await library.connect(addresses)
        const keys = Array.from({ length: 100 }, (_, i) => `${library.name}:${i}`)
        await Promise.all(keys.map((key, i) => client.set(key, `v${i}`)))
        expect(await Promise.all(keys.map((key) => client.get(key))), library.name).toEqual(keys.map((_, i) => `v${i}`))
        await client.close()
      }
    }
    const [, port] = clusterAddresses(cluster)[2].split(':')
    const lines = Array.from({ length: 20 }, (_, i) => `SET c:${i} ${i}\nGET c:${i}\n`).join('')
    const answered = (await run('redis-cli', ['-c', '-p', port], lines))
      .split('\n')
      .filter((line) => /^\d+$/.test(line))
    expect(answered).toEqual(Array.from({ length: 20 }, (_, i) => String(i)))
    const checked = await run('redis-cli', ['--cluster', 'check', `127.0.0.1:${port}`])
    expect(checked).toContain('All nodes agree about slots configuration')
    expect(checked).toContain('All 16384 slots covered')
    await benchmark(cluster)
    await readsOnReplicas(cluster)
    await shardChannels(cluster)
  })
}, 120_000)

/** redis-benchmark knows the nodes that lead when it starts, and no others: it begins when all of them do. */
async function benchmark(cluster: Cluster): Promise<void> {
  const portOf = (address: string): string => String(split(address).port)
  const ports = [clusterAddresses(cluster)[0], cluster.addresses[1]].map(portOf)
  await eventually('all nodes to lead a group', 60_000, async () => {
    const nodes = await run('redis-cli', ['-p', ports[0], 'cluster', 'nodes'])
    return nodes.match(/master .* connected \d/g)?.length === 3
  })
  for (const port of ports) {
    const args = ['--cluster', '-p', port, '-t', 'set,get,incr', '-n', '3000', '-r', '1000', '-c', '10', '--csv']
    expect(await run('redis-benchmark', args)).toMatch(/"SET"[\s\S]*"GET"[\s\S]*"INCR"/)
  }
}

/** What was acknowledged before is seen on every node, whoever leads. */
async function readsOnReplicas(cluster: Cluster): Promise<void> {
  const writer = createCluster({
    rootNodes: clusterAddresses(cluster).map((address) => ({ url: `redis://${address}` })),
  })
  await writer.connect()
  const readers = await Promise.all(clusterAddresses(cluster).map((address) => RespClient.connect(address, 5_000)))
  for (const reader of readers) expect(await reader.call('READONLY')).toBe('OK')
  for (let i = 0; i < 300; i++) {
    const key = `read:${i % 7}`
    await writer.set(key, String(i))
    expect(String(await readers[i % readers.length].call('GET', key))).toBe(String(i))
  }
  for (const reader of readers) reader.close()
  writer.destroy()
}

/** Whoever listens at the slot's leader hears what is published by the other clients. */
async function shardChannels(cluster: Cluster): Promise<void> {
  const rootNodes = clusterAddresses(cluster).map((address) => ({ url: `redis://${address}` }))
  const listener = createCluster({ rootNodes })
  const speaker = createCluster({ rootNodes })
  await Promise.all([listener.connect(), speaker.connect()])
  const heard: string[] = []
  for (const channel of ['news:1', 'news:2', 'news:3']) {
    await listener.sSubscribe(channel, (message) => heard.push(`${channel} ${message}`))
    expect(await speaker.sPublish(channel, 'hello')).toBe(1)
  }
  await eventually('the messages', 5_000, () => heard.length === 3 || null)
  expect(heard).toEqual(['news:1 hello', 'news:2 hello', 'news:3 hello'])
  listener.destroy()
  speaker.destroy()
}

/** What a client may see when a connection breaks under a command; everything else would be an answer of the cluster. */
const SERVER_ERROR = /^(MOVED|ASK|CROSSSLOT|TRYAGAIN|CLUSTERDOWN|READONLY|ERR|BUSY)/

interface Tally {
  acknowledged: number
  failed: number
}

/** INCR on one key after the other until `isOver`; no number is given out twice, and each worker sees its key's rise. */
async function count(
  client: ClusterClient,
  key: string,
  tally: Tally,
  seen: Set<number>,
  isOver: () => boolean,
): Promise<void> {
  let last = 0
  while (!isOver()) {
    try {
      const value = await client.incr(key)
      expect(seen.has(value), `${key}: ${value} was given out twice`).toBe(false)
      expect(value).toBeGreaterThan(last)
      seen.add(value)
      last = value
      tally.acknowledged++
    } catch (error) {
      if (!(error instanceof Error) || error.name === 'AssertionError') throw error
      expect(error.message).not.toMatch(SERVER_ERROR)
      tally.failed++
      // A library that fails at once while it has no connection must not spin.
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

/** Runs INCRs while `disturb` does its work, and compares what the keys hold with what was acknowledged. */
async function countedThrough(
  library: ClusterLibrary,
  cluster: Cluster,
  disturb: (acknowledged: () => number) => Promise<void>,
): Promise<void> {
  const client = await library.connect(clusterAddresses(cluster))
  const keys = Array.from({ length: 6 }, (_, i) => `${library.name}:count:${i}`)
  const tallies = keys.map((): Tally => ({ acknowledged: 0, failed: 0 }))
  const seen = keys.map(() => new Set<number>())
  let isOver = false
  const workers = keys.flatMap((key, i) => [0, 1, 2].map(() => count(client, key, tallies[i], seen[i], () => isOver)))
  const everyone = Promise.all(workers)
  everyone.catch(() => {})
  const acknowledged = (): number => tallies.reduce((sum, tally) => sum + tally.acknowledged, 0)
  try {
    await Promise.race([disturb(acknowledged), everyone])
  } finally {
    isOver = true
  }
  await everyone
  for (const [i, key] of keys.entries()) {
    const value = Number(await client.get(key))
    expect(value, key).toBeGreaterThanOrEqual(tallies[i].acknowledged)
    if (!library.retriesBlindly) {
      expect(value, key).toBeLessThanOrEqual(tallies[i].acknowledged + tallies[i].failed)
    }
  }
  await client.close()
}

describe('a killed leader', () => {
  test.each(LIBRARIES)(
    'under the INCRs of $name gives no wrong answer and no error of the cluster',
    async (library) => {
      await withCluster([], async (cluster) => {
        await countedThrough(library, cluster, async (acknowledged) => {
          for (let round = 0; round < 2; round++) {
            const before = acknowledged()
            await eventually('work to be done', 20_000, () => acknowledged() > before + 200 || null)
            const victim = await cluster.leader(1 + round)
            await cluster.kill(victim)
            const afterKill = acknowledged()
            await eventually('work to go on without it', 30_000, () => acknowledged() > afterKill + 200 || null)
            await cluster.restart(victim)
            await cluster.settled()
          }
        })
      })
    },
    120_000,
  )
})

/** All slots go to the other group and back, some at a time, while work goes on. */
async function moveSlots(cluster: Cluster, acknowledged: () => number): Promise<void> {
  for (const [ranges, group] of [
    ['0-255', 2],
    ['256-511', 2],
    ['0-511', 1],
    ['512-1023', 1],
  ] as const) {
    const before = acknowledged()
    await run('redis-cli', ['-p', String(cluster.port(1)), 'KV.MASTER', 'RECONFIG', ranges, String(group)])
    const first = Number(ranges.split('-')[0]) * 16
    await eventually(`slots ${ranges} at group ${group}`, 30_000, async () => {
      const table = await run('redis-cli', ['-p', String(cluster.port(2)), 'KV.MASTER', 'SLOTS'])
      const { ranges: owned } = JSON.parse(table) as { readonly ranges: readonly (readonly number[])[] }
      return owned.some(([from, to, owner]) => from <= first / 16 && first / 16 <= to && owner === group)
    })
    await eventually('work to go on after the move', 20_000, () => acknowledged() > before + 100)
  }
}

describe('moves of slots', () => {
  test.each(LIBRARIES)(
    'under the INCRs of $name give no wrong answer and no error of the cluster',
    async (library) => {
      await withCluster([], async (cluster) => {
        await countedThrough(library, cluster, (acknowledged) => moveSlots(cluster, acknowledged))
      })
    },
    120_000,
  )
})
