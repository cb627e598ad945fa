// The node that a client is connected to leads its key's group and is killed with SIGKILL, then started again: with its default retry settings
// every library goes on by itself, what was acknowledged is there, and clients of the other nodes see no error (but their own
// library's, where its time-out is shorter than an election).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, eventually, startCluster } from '../support/cluster.ts'
import { type Client, LIBRARIES } from './libraries.ts'

const DIRECTORY = mkdtempSync(join(tmpdir(), 'quorate-leader-kill-'))
const WRITES_BETWEEN = 100

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster({ data: join(DIRECTORY, 'data') })
}, 60_000)

afterAll(async () => {
  await cluster.destroy()
  rmSync(DIRECTORY, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
})

/** Writes 1, 2, 3 ... to one key, one after the other, until stopped. */
class Writer {
  acknowledged = 0
  failures = 0
  readonly #client: Client
  readonly #key: string
  #stopping = false
  #running: Promise<void> = Promise.resolve()

  constructor(client: Client, key: string) {
    this.#client = client
    this.#key = key
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
  }

  async #run(): Promise<void> {
    for (let next = 1; !this.#stopping; next++) {
      try {
        await this.#client.set(this.#key, String(next))
        this.acknowledged = next
      } catch {
        this.failures++
        // A library that fails at once while it has no connection must not spin.
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
}

describe.each(LIBRARIES)('$name', ({ name, impatient, connect }) => {
  test('goes on after its node, the leader, was killed and started again', async () => {
    await cluster.settled()
    const key = `{${name}}:own`
    const otherKey = `{${name}}:other`
    const leader = await cluster.leader(cluster.groupOf(key))
    const otherNode = (leader % 3) + 1
    const client = await connect(cluster.port(leader))
    const other = await connect(cluster.port(otherNode))
    const writer = new Writer(client, key)
    const bystander = new Writer(other, otherKey)
    try {
      writer.start()
      bystander.start()
      const progress = async (): Promise<void> => {
        const [mine, theirs] = [writer.acknowledged + WRITES_BETWEEN, bystander.acknowledged + WRITES_BETWEEN]
        await eventually('writes go on', 60_000, () => writer.acknowledged >= mine && bystander.acknowledged >= theirs)
      }
      await progress()
      await cluster.kill(leader)
      const before = bystander.acknowledged
      await eventually('the other node serves without the leader', 30_000, () => bystander.acknowledged > before + 10)
      await cluster.restart(leader)
      await progress()
    } finally {
      await Promise.all([writer.stop(), bystander.stop()])
      const [value, otherValue] = [Number(await other.get(key)), Number(await other.get(otherKey))]
      await Promise.all([client.close(), other.close()])
      // What came after the last acknowledged write failed, and may have been done all the same.
      expect(value).toBeGreaterThanOrEqual(writer.acknowledged)
      expect(otherValue).toBeGreaterThanOrEqual(bystander.acknowledged)
    }
    if (!impatient) expect(bystander.failures).toBe(0)
  }, 120_000)
})
