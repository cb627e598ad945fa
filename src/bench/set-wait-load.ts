/**
 * A small load generator, run as a process of its own: SET with WAIT behind it, which redis-benchmark cannot interleave.
 * As redis-benchmark does, each connection sends a batch, waits for all its replies, and sends the next. Prints one line
 * of JSON; exits with 1 if any operation failed.
 *
 *   node dist/bench/set-wait-load.js --port P [--connections 50] [--pipeline 1] [--operations 100000] [--sets-per-wait 1]
 *       [--replicas 1] [--keys 100000] [--value-bytes 100] [--sequential]
 *
 * `--sets-per-wait 0` sends no WAIT at all; `--sequential` writes every key once, in order: how data is loaded.
 */
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import { assert } from '../base/assert.ts'
import { Prng } from '../base/prng.ts'
import { HOST } from './free-ports.ts'
import { SetWaitBatch } from './set-wait-batch.ts'
import { SetWaitReplies } from './set-wait-replies.ts'
import { percentile } from './statistics.ts'
import type { LoadResult } from './system.ts'

interface SetWaitLoadOptions {
  readonly port: number
  readonly connections: number
  readonly pipeline: number
  readonly operations: number
  readonly setsPerWait: number
  readonly replicas: number
  readonly keys: number
  readonly valueBytes: number
  readonly sequential: boolean
}

function optionsFrom(words: readonly string[]): SetWaitLoadOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      port: { type: 'string' },
      connections: { type: 'string', default: '50' },
      pipeline: { type: 'string', default: '1' },
      operations: { type: 'string', default: '100000' },
      'sets-per-wait': { type: 'string', default: '1' },
      replicas: { type: 'string', default: '1' },
      keys: { type: 'string', default: '100000' },
      'value-bytes': { type: 'string', default: '100' },
      sequential: { type: 'boolean', default: false },
    },
  })
  const count = (
    name: 'port' | 'connections' | 'pipeline' | 'operations' | 'sets-per-wait' | 'replicas' | 'keys' | 'value-bytes',
  ): number => {
    const value = Number(values[name])
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: not a number: ${values[name]}`)
    return value
  }
  return {
    port: count('port'),
    connections: count('connections'),
    pipeline: count('pipeline'),
    operations: count('operations'),
    setsPerWait: count('sets-per-wait'),
    replicas: count('replicas'),
    keys: count('keys'),
    valueBytes: count('value-bytes'),
    sequential: values.sequential,
  }
}

/** Resolves with the figures; rejects with the first failure. */
function run(options: SetWaitLoadOptions): Promise<LoadResult> {
  assert(
    options.operations >= 1 && options.keys >= 1 && options.connections >= 1,
    'set-wait-load: counts of at least 1',
  )
  return new Promise((resolve, reject) => {
    const random = new Prng(1)
    const latenciesMs = new Float64Array(Math.ceil(options.operations / options.pipeline) + options.connections)
    let batches = 0
    let started = 0
    let done = 0
    let startedAtMs = 0
    let connected = 0
    let idle = 0

    const connection = (): (() => void) => {
      const batch = new SetWaitBatch(options)
      const replies = new SetWaitReplies(options.replicas)
      const socket = connect({ host: HOST, port: options.port, noDelay: true })
      let sentAtMs = 0
      let finished = false
      const send = (): void => {
        if (started >= options.operations) {
          idle++
          finished = true
          socket.end()
          if (idle === options.connections) finish()
          return
        }
        for (let i = 0; i < batch.sets; i++) {
          batch.setKey(i, options.sequential ? (started + i) % options.keys : random.below(options.keys))
        }
        started += batch.sets
        replies.count = 0
        sentAtMs = performance.now()
        // The buffer is patched again only after every reply to it, so the socket has long let go of it.
        socket.write(batch.bytes)
      }
      socket.on('connect', () => {
        connected++
        if (connected === options.connections) begin()
      })
      socket.on('data', (chunk) => {
        replies.push(chunk)
        if (replies.failure !== null) reject(new Error(replies.failure))
        else if (replies.count === batch.replies) {
          latenciesMs[batches++] = performance.now() - sentAtMs
          done += batch.sets
          send()
        }
      })
      socket.on('error', reject)
      socket.on('close', () => {
        if (!finished) reject(new Error('the server closed a connection'))
      })
      return send
    }
    const begin = (): void => {
      startedAtMs = performance.now()
      for (const send of senders) send()
    }
    const finish = (): void => {
      const seconds = (performance.now() - startedAtMs) / 1000
      const sorted = latenciesMs.subarray(0, batches).sort()
      resolve({ operations: done, seconds, p50Ms: percentile(sorted, 50), p99Ms: percentile(sorted, 99) })
    }
    const senders = Array.from({ length: options.connections }, connection)
  })
}

run(optionsFrom(process.argv.slice(2))).then(
  (result) => process.stdout.write(`${JSON.stringify(result)}\n`),
  (error: Error) => {
    process.stderr.write(`set-wait-load: ${error.message}\n`)
    process.exit(1)
  },
)
