/** Quorate as a user starts it: `quorate dev`, three nodes, everything durable; driven at the leader of its first group. */

import { askStatus, leadersOf } from '../../cli/cluster-status.ts'
import { splitAddress } from '../../cli/resp-client.ts'
import { setupError } from '../bench-error.ts'
import { type ReadyLine, startDevCluster } from '../dev-cluster.ts'
import type { LoadShape } from '../scenarios.ts'
import { loadAllKeys, runSetWait } from '../set-wait-program.ts'
import type { LoadResult, System } from '../system.ts'
import { waitUntil } from '../wait-until.ts'
import type { Workshop } from '../workshop.ts'
import { runRedisBenchmark } from './redis.ts'

const START_TIMEOUT_MS = 30_000
const STATUS_TIMEOUT_MS = 2_000

export class QuorateSystem implements System {
  readonly name: string
  readonly generator = 'redis-benchmark'
  readonly #workshop: Workshop
  readonly #groups: number
  #ready: ReadyLine | null = null

  constructor(workshop: Workshop, groups: number) {
    this.#workshop = workshop
    this.#groups = groups
    this.name = groups === 1 ? 'quorate' : `quorate-${groups}-groups`
  }

  supports(): boolean {
    return true
  }

  async start(): Promise<void> {
    this.#ready = await startDevCluster(this.#workshop, this.name, this.#groups)
    await loadAllKeys(this.#workshop, await this.leaderPort())
  }

  serverPids(): readonly number[] {
    return this.#ready?.nodes.map((node) => node.pid) ?? []
  }

  async run(shape: LoadShape, operations: number): Promise<LoadResult> {
    return runRedisBenchmark(this.#workshop, await this.leaderPort(), shape, operations)
  }

  /** The first RESP port of each node. */
  respPorts(): readonly number[] {
    return this.#ready?.nodes.map((node) => splitAddress(node.resp).port) ?? []
  }

  /** Asked before each run, as leadership may have moved since the ready line. */
  async leaderPort(): Promise<number> {
    const ready = this.#ready
    if (ready === null) throw setupError(`${this.name} is not started`, 'start it first')
    return waitUntil(this.#workshop, `${this.name} has a leader`, START_TIMEOUT_MS, async () => {
      const statuses = await Promise.all(ready.nodes.map((node) => askStatus(node.resp, STATUS_TIMEOUT_MS)))
      const leader = leadersOf(statuses).get(ready.groups[0].id)
      const node = ready.nodes.find(({ id }) => id === leader)
      return node === undefined ? null : splitAddress(node.resp).port
    })
  }
}

/**
 * The same cluster, driven by the generator that has to drive `redis-wait`. That one costs more than redis-benchmark, on
 * the cores that the servers run on too: a ratio to `redis-wait` is fair only from here.
 */
export class QuorateBySetWaitLoad implements System {
  readonly name = 'quorate-by-set-wait-load'
  readonly generator = 'set-wait-load'
  readonly #workshop: Workshop
  readonly #quorate: QuorateSystem

  constructor(workshop: Workshop, quorate: QuorateSystem) {
    this.#workshop = workshop
    this.#quorate = quorate
  }

  supports(shape: LoadShape): boolean {
    return shape.operation === 'set'
  }

  /** Nothing: the other one starts it. */
  start(): Promise<void> {
    return Promise.resolve()
  }

  serverPids(): readonly number[] {
    return this.#quorate.serverPids()
  }

  async run(shape: LoadShape, operations: number): Promise<LoadResult> {
    const { connections, pipeline } = shape
    const port = await this.#quorate.leaderPort()
    return runSetWait(this.#workshop, { port, connections, pipeline, operations, setsPerWait: 0 })
  }
}
