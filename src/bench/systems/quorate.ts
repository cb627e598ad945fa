/** Quorate as a user starts it: `quorate dev`, three nodes, everything durable; driven at the leader of its first group. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { askStatus, leadersOf } from '../../cli/cluster-status.ts'
import { splitAddress } from '../../cli/resp-client.ts'
import { setupError } from '../bench-error.ts'
import { freePorts } from '../free-ports.ts'
import type { LoadShape } from '../scenarios.ts'
import { loadAllKeys, runSetWait } from '../set-wait-program.ts'
import type { LoadResult, System } from '../system.ts'
import { waitUntil } from '../wait-until.ts'
import type { Workshop } from '../workshop.ts'
import { runRedisBenchmark } from './redis.ts'

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const NODES = 3
/** Node i takes the ports from P + 10 (i - 1) on. */
const PORTS = 10 * NODES
const START_TIMEOUT_MS = 30_000
const STATUS_TIMEOUT_MS = 2_000

/** The part of the ready line that the bench relies on. */
interface ReadyLine {
  readonly ready: true
  readonly nodes: ReadonlyArray<{ readonly id: number; readonly pid: number; readonly resp: string }>
  readonly groups: ReadonlyArray<{ readonly id: number }>
}

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
    if (!existsSync(MAIN)) throw setupError(`there is no ${MAIN}`, 'run: npm run build')
    const port = await freePorts(PORTS)
    const data = join(this.#workshop.makeDirectory(this.name), 'data')
    const lines: string[] = []
    this.#workshop.startServer(
      this.name,
      process.execPath,
      [
        ...[MAIN, 'dev', '--nodes', `${NODES}`, '--groups', `${this.#groups}`],
        ...['--data', data, '--port', `${port}`, '--json', '--no-repl'],
      ],
      (line) => lines.push(line),
    )
    const line = await waitUntil(
      this.#workshop,
      `${this.name} is ready`,
      START_TIMEOUT_MS,
      async () => lines[0] ?? null,
    )
    this.#ready = parseReadyLine(line)
    this.#workshop.watchOver(this.serverPids())
    await loadAllKeys(this.#workshop, await this.leaderPort())
  }

  serverPids(): readonly number[] {
    return this.#ready?.nodes.map((node) => node.pid) ?? []
  }

  async run(shape: LoadShape, operations: number): Promise<LoadResult> {
    return runRedisBenchmark(this.#workshop, await this.leaderPort(), shape, operations)
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

export function parseReadyLine(line: string): ReadyLine {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    value = null
  }
  const ready = value as Partial<ReadyLine> | null
  const sound =
    ready?.ready === true &&
    Array.isArray(ready.nodes) &&
    Array.isArray(ready.groups) &&
    ready.groups.length > 0 &&
    ready.nodes.every((node) => typeof node.pid === 'number' && typeof node.resp === 'string')
  if (!sound) throw setupError(`quorate dev said no ready line, but: ${line.slice(0, 500)}`, 'run: npm run build')
  return ready as ReadyLine
}
