/**
 * `redis`: one Redis without any persistence, the fastest that it can be, and what a crash takes everything from.
 * `redis-wait`: a primary with two replicas, each with `appendfsync always`, and WAIT 1 behind the writes: the nearest that
 * Redis comes to "on disk on a quorum" (it is still no quorum: a failover may lose acknowledged writes).
 */
import { RespClient } from '../../cli/resp-client.ts'
import { failedOperation, setupError } from '../bench-error.ts'
import { freePorts, HOST } from '../free-ports.ts'
import { parseRedisBenchmark, redisBenchmarkArguments } from '../redis-benchmark.ts'
import type { LoadShape } from '../scenarios.ts'
import { loadAllKeys, runSetWait } from '../set-wait-program.ts'
import type { LoadResult, System } from '../system.ts'
import { waitUntil } from '../wait-until.ts'
import type { Workshop } from '../workshop.ts'

const START_TIMEOUT_MS = 20_000
const REPLICAS = 2

/** Anything that speaks RESP at this port. */
export async function runRedisBenchmark(
  workshop: Workshop,
  port: number,
  shape: LoadShape,
  operations: number,
): Promise<LoadResult> {
  const output = await workshop.runProgram('redis-benchmark', redisBenchmarkArguments(HOST, port, shape, operations))
  if (output.code !== 0) {
    throw failedOperation(output.stderr.trim() || `redis-benchmark ended with ${output.code}`, 'see the server’s log')
  }
  return parseRedisBenchmark(output.stdout, operations)
}

export class RedisSystem implements System {
  readonly name = 'redis'
  readonly generator = 'redis-benchmark'
  readonly #workshop: Workshop
  #port = 0
  #pids: number[] = []

  constructor(workshop: Workshop) {
    this.#workshop = workshop
  }

  supports(): boolean {
    return true
  }

  async start(): Promise<void> {
    this.#port = await freePorts(1)
    this.#pids.push(startRedis(this.#workshop, 'redis', this.#port, ['--appendonly', 'no']))
    await waitUntil(this.#workshop, 'Redis answers', START_TIMEOUT_MS, () => infoLine(this.#port, 'redis_version'))
    await loadAllKeys(this.#workshop, this.#port)
  }

  serverPids(): readonly number[] {
    return this.#pids
  }

  run(shape: LoadShape, operations: number): Promise<LoadResult> {
    return runRedisBenchmark(this.#workshop, this.#port, shape, operations)
  }
}

export class RedisWaitSystem implements System {
  readonly name = 'redis-wait'
  readonly generator = 'set-wait-load'
  readonly #workshop: Workshop
  #port = 0
  #pids: number[] = []

  constructor(workshop: Workshop) {
    this.#workshop = workshop
  }

  supports(shape: LoadShape): boolean {
    return shape.operation === 'set'
  }

  async start(): Promise<void> {
    this.#port = await freePorts(1 + REPLICAS)
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
    this.#pids.push(startRedis(this.#workshop, 'redis-primary', this.#port, durable))
    for (let replica = 1; replica <= REPLICAS; replica++) {
      const follow = ['--replicaof', HOST, `${this.#port}`]
      this.#pids.push(
        startRedis(this.#workshop, `redis-replica-${replica}`, this.#port + replica, [...durable, ...follow]),
      )
    }
    await waitUntil(this.#workshop, 'the replicas follow', START_TIMEOUT_MS, async () => {
      for (let replica = 1; replica <= REPLICAS; replica++) {
        const link = await infoLine(this.#port + replica, 'master_link_status')
        if (link !== 'up') return null
      }
      return true
    })
    await loadAllKeys(this.#workshop, this.#port)
  }

  serverPids(): readonly number[] {
    return this.#pids
  }

  /** One WAIT acknowledges all the writes before it, so a pipelined batch ends with one: the kindest way to drive it. */
  run(shape: LoadShape, operations: number): Promise<LoadResult> {
    const { connections, pipeline } = shape
    return runSetWait(this.#workshop, { port: this.#port, connections, pipeline, operations, setsPerWait: pipeline })
  }
}

function startRedis(workshop: Workshop, name: string, port: number, args: readonly string[]): number {
  const directory = workshop.makeDirectory(name)
  const common = ['--port', `${port}`, '--bind', HOST, '--dir', directory, '--save', '', '--daemonize', 'no']
  const { pid } = workshop.startServer(name, 'redis-server', [...common, ...args])
  if (pid === undefined) throw setupError('redis-server did not start', 'is it installed?')
  return pid
}

/** A value of INFO; null where there is none. */
async function infoLine(port: number, name: string): Promise<string | null> {
  const client = await RespClient.connect(`${HOST}:${port}`, 1_000)
  try {
    const reply = await client.call('INFO')
    if (!Buffer.isBuffer(reply)) return null
    return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(reply.toString('utf8'))?.[1] ?? null
  } finally {
    client.close()
  }
}
