// The TypeScript client against real processes: leaders killed under load, stopped processes, deadlines, and servers that are not there.
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  Aborted,
  connect,
  OutcomeUnknown,
  type QuorateClient,
  QuorateClientError,
  Timeout,
  Unreachable,
} from '../src/client/index.ts'
import { destroyClusters, eventually, freePort, withCluster } from './support/cluster.ts'

const clients: QuorateClient[] = []

async function open(options: Parameters<typeof connect>[0]): Promise<QuorateClient> {
  const client = await connect(options)
  clients.push(client)
  return client
}

function closeAll(): void {
  for (const client of clients.splice(0)) client.close()
}

beforeAll(closeAll)
afterAll(async () => {
  closeAll()
  await destroyClusters()
})

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    return error
  }
}

test('INCR under kills of leaders counts exactly, at whichever nodes it was tried', async () => {
  await withCluster([], async (cluster) => {
    const client = await open({ servers: cluster.addresses, timeoutMs: 30_000 })
    const counters = Array.from({ length: 8 }, (_, i) => `counter:${i}`)
    const counts = new Map(counters.map((key) => [key, 0]))
    let isRunning = true
    const workers = Array.from({ length: 32 }, async (_, worker) => {
      while (isRunning) {
        const key = counters[worker % counters.length]
        await client.incr(key)
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    })
    const total = (): number => [...counts.values()].reduce((sum, count) => sum + count, 0)
    for (let round = 0; round < 3; round++) {
      const before = total()
      await eventually('work to be done', 20_000, async () => total() > before + 500 || null)
      const victim = await cluster.leader(1 + (round % 2))
      await cluster.kill(victim)
      const afterKill = total()
      await eventually('work to go on without it', 20_000, async () => total() > afterKill + 500 || null)
      await cluster.restart(victim)
      await cluster.settled()
    }
    isRunning = false
    await Promise.all(workers)
    for (const [key, count] of counts) expect(await client.get(key), key).toBe(String(count))
    await eventually('the client to know the leader', 10_000, async () => {
      await client.get('counter:0')
      const leader = await cluster.leader(cluster.groupOf('counter:0'))
      return client.leaderOf('counter:0') === cluster.address(leader) || null
    })
    client.close()
  })
}, 120_000)

test('a stopped leader, a deadline, a signal, and a server that is not there', async () => {
  await withCluster([], async (cluster) => {
    const nowhere = `127.0.0.1:${await freePort()}`
    const client = await open({ servers: [nowhere, ...cluster.addresses] })
    expect(await client.set('k', '1')).toBe(true)
    expect(await client.get('k', { level: 'stale' })).not.toBeUndefined()

    // One leader stands still: the others elect a new one, and calls go on there.
    const leader = await cluster.leader(cluster.groupOf('k'))
    cluster.pause(leader)
    expect(await client.set('k', '2')).toBe(true)
    expect(await client.get('k')).toBe('2')
    cluster.resume(leader)

    // Nobody answers.
    for (const { id } of cluster.ready.nodes) cluster.pause(id)
    const startedMs = performance.now()
    const [read, write] = await Promise.all([
      errorOf(client.get('k', { timeoutMs: 700 })),
      errorOf(client.set('k', '3', { timeoutMs: 700 })),
    ])
    expect(performance.now() - startedMs).toBeLessThan(1_500)
    expect(read).toBeInstanceOf(Timeout)
    expect(write).toBeInstanceOf(OutcomeUnknown)
    const aborted = await errorOf(client.set('k', '4', { signal: AbortSignal.timeout(100) }))
    expect(aborted).toBeInstanceOf(Aborted)
    for (const { id } of cluster.ready.nodes) cluster.resume(id)

    const value = await client.get('k')
    expect(['2', '3', '4']).toContain(value)
    expect(await client.cas('k', value, '5')).toEqual({ ok: true })
    const closed = client.incr('n')
    client.close()
    expect(await errorOf(closed)).toMatchObject({ code: 'Closed' })
    expect(await errorOf(connect({ servers: [nowhere], timeoutMs: 500 }))).toBeInstanceOf(Unreachable)
    expect(new QuorateClientError('Usage', 'x').mayHaveRun).toBe(false)
  })
}, 120_000)
