// Clusters in this process, as a test suite would use them: real sockets, real disks.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../chaos/free-port.ts'
import type { LocalCluster, LocalNode, StartLocalClusterOptions } from './api.ts'
import { ClusterNode } from './cluster-node.ts'
import { QuorateError } from './quorate-error.ts'
import { call } from './redis-call.testkit.ts'
import { startLocalCluster } from './start-local-cluster.ts'
import { useTemporaryRoot } from './temporary-root.testkit.ts'

const root = useTemporaryRoot()
const open: LocalCluster[] = []
/** Nothing here needs large values; small segments spare the disk. */
const SMALL = { limits: { maxValueBytes: 64 * 1024 } } as const
/** No claim about speed (that is the bench's): only that no time-out of seconds hides in it. */
const GENEROUS_MS = 20_000

afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.close()
})

async function start(options: StartLocalClusterOptions = {}): Promise<LocalCluster> {
  const cluster = await startLocalCluster({ ...SMALL, ...options })
  open.push(cluster)
  return cluster
}

/** Until the node knows what the masters have on record. */
async function whenTreeRead(node: LocalNode): Promise<void> {
  if (!(node instanceof ClusterNode)) throw new Error('not a node of startLocalCluster')
  while ((node.host.node?.view.tableVersion ?? 0) === 0) await delay(10)
}

async function refusal(attempt: Promise<unknown>): Promise<QuorateError> {
  const error = await attempt.then(
    () => 'it did not fail',
    (reason: unknown) => reason,
  )
  if (!(error instanceof QuorateError)) throw new Error(`no QuorateError: ${String(error)}`)
  expect(error.message).not.toBe('')
  expect(error.mend).not.toBe('')
  return error
}

describe('a cluster starts', () => {
  test('with a leader for every group, on different nodes, and every node serves', async () => {
    const startedMs = performance.now()
    const cluster = await start()
    expect(performance.now() - startedMs).toBeLessThan(GENEROUS_MS)
    expect(cluster.nodes.map(({ id, state }) => [id, state])).toEqual([
      [1, 'running'],
      [2, 'running'],
      [3, 'running'],
    ])
    expect([cluster.leader(1)?.id, cluster.leader(2)?.id]).toEqual([1, 2])
    expect(cluster.leader(3)).toBeNull()
    expect(cluster.urls).toEqual(cluster.addresses.map((address) => `redis://${address}`))
    expect(cluster.url).toBe(cluster.nodes[0].url)
    for (const [position, address] of cluster.addresses.entries()) {
      expect(await call(address, 'SET', `key-${position}`, 'value')).toBe('OK')
      expect(await call(cluster.addresses[(position + 1) % 3], 'GET', `key-${position}`)).toBe('value')
    }
    const status = cluster.nodes[2].status()
    expect(status).toMatchObject({ nodeId: 3, slotCount: 1024, groups: [{ id: 1 }, { id: 2 }] })
    expect(status?.groups.map(({ slots }) => slots)).toEqual([512, 512])
  })

  test('several at once, of any shape; temporary data goes with them', async () => {
    const clusters = await Promise.all([
      start(),
      start({ nodes: 1, groups: 3, slots: 4 }),
      start({ nodes: 4, groups: 2, replicas: 2 }),
    ])
    expect(new Set(clusters.flatMap(({ addresses }) => addresses)).size).toBe(8)
    for (const [position, { addresses }] of clusters.entries()) {
      expect(await call(addresses[0], 'SET', 'whose', String(position))).toBe('OK')
    }
    for (const [position, { addresses }] of clusters.entries()) {
      expect(await call(addresses.at(-1) ?? '', 'GET', 'whose')).toBe(String(position))
    }
    for (const { data } of clusters) expect(existsSync(join(data, 'cluster.json'))).toBe(true)
    await Promise.all(clusters.flatMap((cluster) => [cluster.close(), cluster.close()]))
    await clusters[0].close()
    expect(readdirSync(root())).toEqual([])
    expect(clusters[1].nodes.map(({ state }) => state)).toEqual(['stopped'])
  })

  test('`await using` closes it', async () => {
    let data = ''
    {
      await using cluster = await startLocalCluster({ ...SMALL, nodes: 1 })
      data = cluster.data
      expect(existsSync(data)).toBe(true)
    }
    expect(existsSync(data)).toBe(false)
  })
})

describe('options from plain JavaScript', () => {
  test.each([
    [{ nodez: 3 }, "no option 'nodez'"],
    [null, 'null'],
    [{ signal: {} }, 'AbortSignal'],
  ])('%j is refused', async (options, words) => {
    const error = await refusal(startLocalCluster(options as StartLocalClusterOptions))
    expect(error.code).toBe('usage')
    expect(error.message).toContain(words)
  })
})

describe('nodes go and come back', () => {
  test('a leader is killed, the others go on; started again it knows what it missed', async () => {
    const cluster = await start()
    const [first, second] = cluster.nodes
    expect(await call(second.address, 'SET', 'before', '1')).toBe('OK')
    await first.kill()
    expect([first.state, first.status()]).toEqual(['stopped', null])
    await expect(call(first.address, 'PING')).rejects.toThrow()
    await cluster.ready()
    expect(cluster.leader(1)?.id).not.toBe(1)
    expect(await call(second.address, 'INCR', 'before')).toBe(2)
    const { address } = first
    await first.start()
    await first.start()
    expect([first.state, first.address]).toEqual(['running', address])
    expect(await call(address, 'GET', 'before')).toBe('2')
  })

  test('all are stopped, or killed, at once; nothing acknowledged is lost', async () => {
    const cluster = await start()
    expect(await call(cluster.addresses[0], 'SET', 'kept', 'one')).toBe('OK')
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    expect((await refusal(cluster.ready())).code).toBe('not-ready')
    await Promise.all(cluster.nodes.map((node) => node.start()))
    await cluster.ready()
    expect(await call(cluster.addresses[1], 'APPEND', 'kept', ' two')).toBe(7)
    await Promise.all(cluster.nodes.flatMap((node) => [node.stop(), node.start()]))
    await cluster.ready()
    expect(await call(cluster.addresses[2], 'GET', 'kept')).toBe('one two')
  })

  test('a node that missed more than the log keeps gets an image, and goes on from there', async () => {
    const cluster = await start({ groups: 1 })
    const [first, second, third] = cluster.nodes
    // Segments are small here, so 6 MB are dozens of checkpoints.
    const written = async (round: number): Promise<void> => {
      const client = new Redis(second.url)
      const value = String(round).repeat(2_000)
      await Promise.all(Array.from({ length: 3_000 }, (_, i) => client.set(`key-${i % 1_000}`, value)))
      client.disconnect()
    }
    await written(1)
    await first.kill()
    await written(2)
    await first.start()
    await cluster.ready()
    await written(3)
    // A majority needs the returned node from here on.
    await third.kill()
    await cluster.ready()
    expect(await call(first.address, 'GET', 'key-999')).toBe('3'.repeat(2_000))
    expect(cluster.nodes.map(({ failure }) => failure)).toEqual([null, null, null])
  })

  test('without a majority it is not ready, and says so in time', async () => {
    const cluster = await start({ timings: { requestDeadlineMs: 200 } })
    await Promise.all([cluster.nodes[0].stop(), cluster.nodes[1].kill()])
    expect((await refusal(cluster.ready(100))).code).toBe('not-ready')
    expect(await refusal(Promise.all([cluster.ready(), cluster.close()]))).toMatchObject({ code: 'closed' })
    expect((await refusal(cluster.nodes[0].start())).code).toBe('closed')
  })

  test('a start that is under way ends with the cluster', async () => {
    const cluster = await start()
    await cluster.nodes[1].kill()
    const again = cluster.nodes[1].start()
    const [closed, started] = await Promise.allSettled([cluster.close(), again])
    expect(closed.status).toBe('fulfilled')
    expect(started.status).toMatch(/^(fulfilled|rejected)$/)
    expect(cluster.nodes[1].state).toBe('stopped')
    expect(readdirSync(root())).toEqual([])
  })
})

describe('data of the caller', () => {
  test('survives the cluster; the next start may have other ports, not another shape', async () => {
    const data = join(root(), 'kept')
    const first = await start({ data, groups: 1 })
    expect(first.data).toBe(data)
    expect(await call(first.addresses[0], 'SET', 'a', 'b')).toBe('OK')
    const inUse = await refusal(start({ data }))
    expect(inUse).toMatchObject({ code: 'locked' })
    await first.close()
    const recorded = readFileSync(join(data, 'cluster.json'), 'utf8')
    const second = await start({ data })
    expect(await call(second.addresses[2], 'GET', 'a')).toBe('b')
    await second.close()
    expect(readFileSync(join(data, 'cluster.json'), 'utf8')).toBe(recorded)
    expect(JSON.parse(recorded)).toMatchObject({ nodes: 3, groups: 1, replicas: 3, slotCount: 1024, port: 7379 })
    const other = await refusal(start({ data, nodes: 5 }))
    expect(other).toMatchObject({
      code: 'other-shape',
      message: `the data in ${data} was made with 'nodes' 3, not 5`,
      mend: "leave out 'nodes', or give another 'data'",
    })
  })

  test('at other ports it goes on, though the masters remember the old ones', async () => {
    const data = join(root(), 'moved')
    const first = await start({ data })
    await Promise.all(first.nodes.map(whenTreeRead))
    await first.close()
    const second = await start({ data })
    await Promise.all(second.nodes.map(whenTreeRead))
    // Links to addresses of the last start would be tried, and fail, from here on.
    await second.nodes[0].kill()
    await second.ready()
    await second.nodes[0].start()
    await second.ready()
    for (const [position, address] of second.addresses.entries()) {
      expect(await call(address, 'SET', `moved-${position}`, 'value')).toBe('OK')
    }
  })

  test('what is not ours is left alone', async () => {
    const data = join(root(), 'foreign')
    mkdirSync(data)
    writeFileSync(join(data, 'thesis.txt'), 'do not lose')
    expect((await refusal(start({ data }))).code).toBe('foreign-directory')
    expect((await refusal(start({ data: join(data, 'thesis.txt') }))).code).toBe('not-a-directory')
    expect(readdirSync(data)).toEqual(['thesis.txt'])
  })

  test('a damaged identity and a lost node are named', async () => {
    const data = join(root(), 'damaged')
    await (await start({ data })).close()
    const identity = join(data, 'node-2', 'identity.json')
    const good = readFileSync(identity, 'utf8')
    writeFileSync(identity, good.replace('"nodeId": 2', '"nodeId": 7'))
    const error = await refusal(start({ data }))
    expect(error.code).toBe('corrupt-identity')
    expect(error.message).toContain(identity)
    writeFileSync(identity, good)
    await (await start({ data })).close()
  })
})

describe('ports of the caller', () => {
  test('are laid out as by `quorate dev`; a taken one is named and nothing is left', async () => {
    const port = await freePort()
    const squatter = createServer().listen(port + 14, '127.0.0.1')
    try {
      const error = await refusal(startLocalCluster({ ...SMALL, nodes: 2, port }))
      expect(error).toMatchObject({
        code: 'port-taken',
        message: `port ${port + 14} is taken (127.0.0.1:${port + 14})`,
      })
      expect(error.mend).toBe("stop what listens there, or give another 'port'")
    } finally {
      squatter.close()
    }
    expect(readdirSync(root()).filter((name) => name.startsWith('quorate-'))).toEqual([])
    const cluster = await start({ nodes: 2, port })
    expect(cluster.addresses).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${port + 10}`])
  })
})

describe('a start is given up', () => {
  test.each([0, 1, 5, 20, 50, 100])('after %i ms', async (delayMs) => {
    const controller = new AbortController()
    const left = readdirSync(root())
    const starting = startLocalCluster({ ...SMALL, signal: controller.signal })
    setTimeout(() => controller.abort(new Error('changed my mind')), delayMs)
    const cluster = await starting.catch((error: unknown) => error)
    if (cluster instanceof QuorateError) {
      expect(cluster).toMatchObject({ code: 'aborted', cause: new Error('changed my mind') })
    } else await (cluster as LocalCluster).close()
    expect(readdirSync(root())).toEqual(left)
  })

  test('before it begins', async () => {
    const error = await refusal(startLocalCluster({ signal: AbortSignal.abort('no') }))
    expect(error).toMatchObject({ code: 'aborted', cause: 'no' })
  })
})

test.each([
  [{ nodes: 0 }, 'usage', "'nodes' 0 is out of range"],
  [{ nodes: 2.5 }, 'usage', "'nodes' 2.5 is no whole number"],
  [{ nodes: '3' as unknown as number }, 'usage', "'nodes' 3 is no whole number"],
  [{ replicas: 4 }, 'usage', "'replicas' 4 does not fit 3 node(s)"],
  [{ slots: 1000 }, 'usage', "'slots' 1000 is no power of two up to 16384"],
  [{ port: 70_000 }, 'usage', "'port' 70000 is out of range"],
  [{ data: '' }, 'usage', "'data'  is no directory"],
  [{ logger: 'loud' as 'warn' }, 'usage', "logger is 'loud'"],
  [{ timings: { tickMs: 0 } }, 'usage', 'timings.tickMs is 0'],
  [{ timings: { heartbeatMs: 500 } }, 'usage', 'these timings do not fit together'],
  [{ readyTimeoutMs: Number.NaN }, 'usage', 'readyTimeoutMs is NaN'],
  [{ limits: { segmentBytes: 4096 } }, 'limits', 'these limits do not fit together: log segments of 4096 bytes'],
  [{ host: '203.0.113.7' }, 'host-unusable', 'cannot listen on 203.0.113.7:0: EADDRNOTAVAIL'],
] as const)('options %j are refused', async (options, code, message) => {
  const error = await refusal(startLocalCluster(options))
  expect({ code: error.code, message: error.message }).toEqual({ code, message })
  expect(readdirSync(root()).filter((name) => name.startsWith('quorate-'))).toEqual([])
})
