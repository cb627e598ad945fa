// What the README promises about `kill -9`, on real processes: leaders killed and paused under load, all nodes killed at once, races.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Prng } from '../src/base/prng.ts'
import { eventually } from '../src/chaos/eventually.ts'
import { type FaultScene, killLeader, pauseLeader, restartAll } from '../src/chaos/faults.ts'
import { Load } from '../src/chaos/load.ts'
import { kindOfReply, RovingClient, textOf } from '../src/chaos/roving-client.ts'
import { WriteWatch } from '../src/chaos/write-watch.ts'
import type { RespClient } from '../src/cli/resp-client.ts'
import { type Cluster, destroyClusters, startCluster } from './support/cluster.ts'

const TIMEOUT_MS = 180_000
const RESUME_WITHIN_MS = 2_000
const WRITERS = 64
const KEYS = 100
const WORK_BETWEEN_FAULTS = 500

let directory: string
let cluster: Cluster

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-kill-'))
  cluster = await startCluster({ data: join(directory, 'data') })
})

afterEach(async () => {
  try {
    await destroyClusters()
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
})

function newLoad(watch: WriteWatch, random: Prng): Load {
  const options = {
    addresses: cluster.addresses,
    groupOf: (key: string) => cluster.groupOf(key),
    watch,
    prefix: '',
    writers: WRITERS,
    readers: 16,
    keys: KEYS,
    thinkMs: 20,
    maxOperations: 250_000,
  }
  return new Load(options, random.fork())
}

/**
 * Makes a fault `times` times while 64 writers and 16 readers work, each on a settled cluster that has done some work since the last; then
 * everything acknowledged is there and the history is linearizable. Gives back what the faults said.
 */
async function underLoad(
  seed: number,
  times: number,
  fault: (scene: FaultScene) => Promise<number>,
): Promise<number[]> {
  const random = new Prng(seed)
  const watch = new WriteWatch()
  const load = newLoad(watch, random)
  const someWork = async (): Promise<void> => {
    const enough = load.acknowledged + WORK_BETWEEN_FAULTS
    await eventually(`${WORK_BETWEEN_FAULTS} acknowledged commands`, 30_000, () => load.acknowledged >= enough)
    await cluster.settled()
  }
  const unavailableMs: number[] = []
  load.start()
  try {
    for (let i = 0; i < times; i++) {
      await someWork()
      unavailableMs.push(await fault({ cluster, watch, random }))
    }
    await someWork()
  } finally {
    await load.stop()
  }
  expect(load.full, 'the load was to last as long as the faults').toBe(false)
  expect(cluster.crashes()).toEqual([])
  expect(await load.check()).toEqual({ violations: [], undecided: null })
  return unavailableMs
}

/** Every time is shown, so that a machine that was busy with something else can be told from a slow fail-over. */
function expectResumption(times: readonly number[]): void {
  const measured = `writes resumed after ${times.map(Math.round).join(', ')} ms`
  expect(Math.max(...times), measured).toBeLessThan(RESUME_WITHIN_MS)
}

test('a lost write would be seen', async () => {
  const load = newLoad(new WriteWatch(), new Prng(4))
  load.start()
  try {
    await eventually('some work', 30_000, () => load.acknowledged >= 10 * KEYS)
  } finally {
    await load.stop()
  }
  expect(await load.check()).toEqual({ violations: [], undecided: null })
  const client = await cluster.connect()
  await client.call('DEL', 'journal-7', ...Array.from({ length: KEYS }, (_, i) => `key-${i}`))
  client.close()
  const { violations } = await load.check()
  expect(violations).toContainEqual(expect.stringMatching(/^journal-7 lost the acknowledged entry 0$/))
  expect(violations).toContainEqual(expect.stringMatching(/^not linearizable: /))
})

test(
  'kill -9 of a leader, ten times under load: nothing acknowledged is lost, and writes resume within 2 s',
  async () => expectResumption(await underLoad(1, 10, (scene) => killLeader(scene, 0))),
  TIMEOUT_MS,
)

test(
  'a leader that is stopped for 5 s and comes back believing that it leads',
  async () => expectResumption(await underLoad(2, 3, (scene) => pauseLeader(scene, 5_000))),
  TIMEOUT_MS,
)

test(
  'all three nodes killed at once, under load: nothing acknowledged is lost',
  async () => expect(await underLoad(3, 3, restartAll)).toHaveLength(3),
  TIMEOUT_MS,
)

test(
  '100 clients race for one compare-and-set: exactly one wins, round after round',
  async () => {
    const racers = await Promise.all(Array.from({ length: 100 }, (_, i) => cluster.connect(1 + (i % 3))))
    try {
      let current: string | null = null
      for (let round = 0; round < 100; round++) current = await race(racers, round, current)
      for (const nodeId of cluster.nodeIds) {
        const client = await cluster.connect(nodeId)
        expect(textOf(await client.call('GET', 'prize'))).toBe(current)
        client.close()
      }
    } finally {
      for (const racer of racers) racer.close()
    }
  },
  TIMEOUT_MS,
)

/** All at once from `current` to a value of their own; every loser is shown the winner's. */
async function race(racers: readonly RespClient[], round: number, current: string | null): Promise<string> {
  const expected = current ?? 'NX'
  const own = racers.map((_, i) => `round-${round}-racer-${i}`)
  const replies = await Promise.all(racers.map((racer, i) => racer.call('KV.CAS', 'prize', expected, own[i])))
  const winners = replies.flatMap((reply, i) => (Array.isArray(reply) && reply[0] === 1 ? [own[i]] : []))
  expect(winners, `winners of round ${round}`).toHaveLength(1)
  const [winner] = winners
  for (const [i, reply] of replies.entries()) {
    expect(reply).toEqual([own[i] === winner ? 1 : 0, Buffer.from(winner)])
  }
  return winner
}

interface Count {
  acknowledged: number
  unknown: number
}

test(
  'INCR counts exactly while leaders are killed: a retried increment runs once',
  async () => {
    const random = new Prng(5)
    const watch = new WriteWatch()
    const counts = new Map<string, Count>()
    for (let i = 0; i < 8; i++) counts.set(`counter-${i}`, { acknowledged: 0, unknown: 0 })
    const work = { going: true, wrong: [] as string[] }
    const clients = Array.from({ length: WRITERS }, () => increment(counts, work, watch, random.fork()))
    try {
      for (let kills = 0; kills < 5; kills++) {
        await cluster.settled()
        await killLeader({ cluster, watch, random }, 0)
      }
      await cluster.settled()
    } finally {
      work.going = false
      await Promise.all(clients)
    }
    expect(work.wrong).toEqual([])
    for (const nodeId of cluster.nodeIds) {
      const client = await cluster.connect(nodeId)
      for (const [key, { acknowledged, unknown }] of counts) {
        const value = Number(textOf(await client.call('GET', key)))
        expect(acknowledged, key).toBeGreaterThan(100)
        expect(value, `${key}: ${acknowledged} acknowledged, ${unknown} unknown`).toBeGreaterThanOrEqual(acknowledged)
        expect(value, `${key}: ${acknowledged} acknowledged, ${unknown} unknown`).toBeLessThanOrEqual(
          acknowledged + unknown,
        )
      }
      client.close()
    }
  },
  TIMEOUT_MS,
)

/** One client, one increment at a time, until the work ends. */
async function increment(
  counts: ReadonlyMap<string, Count>,
  work: { readonly going: boolean; readonly wrong: string[] },
  watch: WriteWatch,
  random: Prng,
): Promise<void> {
  const client = new RovingClient(cluster.addresses, random)
  const keys = [...counts.keys()]
  while (work.going) {
    if (!(await client.connected())) {
      // A node that is not there refuses at once: let it come back, and the others work.
      await new Promise((resolve) => setTimeout(resolve, 20))
      continue
    }
    const key = random.pick(keys)
    const count = counts.get(key)
    if (count === undefined) throw new Error(`no counter ${key}`)
    const calledAtMs = performance.now()
    const reply = await client.call('INCR', key)
    const kind = kindOfReply(reply)
    if (kind === 'done') {
      count.acknowledged++
      watch.acknowledged(cluster.groupOf(key), calledAtMs, performance.now())
    } else if (kind !== 'refused') count.unknown++
    if (kind === 'wrong') work.wrong.push(`INCR answered ${textOf(reply)}`)
  }
  client.close()
}
