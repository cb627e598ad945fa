// Every client library runs the same stories against a real cluster of three processes, its own defaults untouched.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, eventually, startCluster } from '../support/cluster.ts'
import { type Client, LIBRARIES } from './libraries.ts'

const DIRECTORY = mkdtempSync(join(tmpdir(), 'quorate-libraries-'))

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster({ data: join(DIRECTORY, 'data') })
}, 60_000)

afterAll(async () => {
  await cluster.destroy()
  rmSync(DIRECTORY, { recursive: true, force: true })
})

describe.each(LIBRARIES)('$name', ({ name, connect }) => {
  const prefix = `{${name}}`

  async function withClient(nodeId: number, work: (client: Client) => Promise<void>): Promise<void> {
    const client = await connect(cluster.port(nodeId))
    try {
      await work(client)
    } finally {
      await client.close()
    }
  }

  test('connects, reads INFO, sets and gets text and bytes', () =>
    withClient(1, async (client) => {
      expect(await client.info()).toContain('redis_version:7.0.15')
      expect(await client.set(`${prefix}a`, 'жук')).toBe('OK')
      expect(await client.get(`${prefix}a`)).toBe('жук')
      expect(await client.get(`${prefix}none`)).toBeNull()
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
      expect(await client.echoBytes(`${prefix}bytes`, every)).toEqual(every)
    }))

  test('pipelines over many slots and groups', () =>
    withClient(2, async (client) => {
      const pairs = Array.from({ length: 500 }, (_, i) => [`${name}-${i}`, `value ${i}`] as const)
      expect(await client.pipeline(pairs)).toEqual(pairs.map(([, value]) => value))
    }))

  test('runs transactions, and WATCH sees a change made through another node', () =>
    withClient(1, (client) =>
      withClient(3, async (other) => {
        expect(await client.transaction(`${prefix}n`)).toEqual(['OK', 6, '6'])
        const key = `${prefix}watched`
        expect(await client.guardedSet(key, 'mine', () => other.set(key, 'theirs'))).toBe(false)
        expect(await other.get(key)).toBe('theirs')
        expect(await client.guardedSet(key, 'mine', async () => {})).toBe(true)
        expect(await other.get(key)).toBe('mine')
      }),
    ))

  test('scans: each key once, none missing', () =>
    withClient(2, async (client) => {
      const keys = Array.from({ length: 700 }, (_, i) => `scan-${name}-${i}`)
      await client.pipeline(keys.map((key) => [key, 'x']))
      const found = await client.scan(`scan-${name}-*`)
      expect(new Set(found)).toEqual(new Set(keys))
      expect(found).toHaveLength(keys.length)
    }))

  test('hears on one node what is published on another', () =>
    withClient(1, async (client) => {
      const heard: string[] = []
      const subscriber = await connect(cluster.port(2))
      const stop = await subscriber.subscribe(`news-${name}`, `${name}:*`, (channel, message) =>
        heard.push(`${channel} ${message}`),
      )
      try {
        expect(await client.publish(`news-${name}`, 'one')).toBe(1)
        expect(await client.publish(`${name}:sports`, 'two')).toBe(1)
        expect(await client.publish(`elsewhere-${name}`, 'three')).toBe(0)
        await client.publish(`news-${name}`, 'four')
        await eventually('three messages', 10_000, () => heard.length >= 3)
        expect(heard).toEqual([`news-${name} one`, `${name}:sports two`, `news-${name} four`])
      } finally {
        await stop()
        await subscriber.close()
      }
    }))
})
