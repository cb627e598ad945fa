/** One run of `quorate verify`: makes the clients, lets them work, looks at everything once more, cleans up, and says what it found. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Prng } from '../../base/prng.ts'
import { connect, type QuorateClient } from '../../client/index.ts'
import { CasChain } from './cas-chain.ts'
import { Findings } from './findings.ts'
import {
  type AnyWorker,
  ContendedCasWorker,
  Freshness,
  FreshnessReader,
  FreshnessWriter,
  OwnKeysWorker,
  type WorkerParts,
} from './workers.ts'

export type VerifyMode = 'all' | 'own-keys' | 'contended-cas'

export interface VerifyOptions {
  readonly servers: readonly string[]
  readonly seconds: number
  readonly prefix: string
  readonly clients: number
  readonly mode: VerifyMode
  readonly thinkMs: number
  readonly keep: boolean
  /** Ends the run early; the verdict is about what was seen until then. */
  readonly signal: AbortSignal
}

export interface VerifyReport {
  readonly operations: number
  readonly violations: readonly string[]
  /** Writes that nobody knows the outcome of. */
  readonly uncertain: number
  /** Calls that did nothing: no server answered in time, the disk was full. */
  readonly failed: number
  readonly clients: number
  readonly seconds: number
  readonly opsPerSecond: number
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number }
  /** The longest time without an answer: of any client, and of each. */
  readonly longestPauseMs: number
  readonly pausesMs: readonly number[]
  /** Updates of the contended register, in one chain. */
  readonly casChain: number
  readonly errors: Readonly<Record<string, number>>
  readonly prefix: string
  readonly kept: boolean
}

const CONTENDERS = 4
const FRESH_READERS = 2
const CLEAN_UP_KEYS = 100

/** Rejects, with everything closed, where no server can be reached. */
export async function runVerify(options: VerifyOptions): Promise<VerifyReport> {
  const clients: QuorateClient[] = []
  try {
    return await verify(options, clients)
  } finally {
    for (const client of clients) client.close()
  }
}

async function verify(options: VerifyOptions, clients: QuorateClient[]): Promise<VerifyReport> {
  const findings = new Findings(() => performance.now())
  const chain = new CasChain()
  const startedMs = findings.nowMs
  const endMs = startedMs + options.seconds * 1000
  // Of this run alone: another one may work beside it, or have left its keys.
  const prefix = `${options.prefix}${randomBytes(4).toString('hex')}:`
  const isOver = (): boolean => options.signal.aborted || findings.nowMs >= endMs
  const workers = await makeWorkers(options, prefix, findings, chain, isOver, clients)
  await Promise.all(workers.map((worker) => worker.run()))
  const seconds = (findings.nowMs - startedMs) / 1000
  await Promise.all(lookersOf(workers).map((worker) => worker.lastLook()))
  if (!options.keep) await cleanUp(clients[0], workers)
  const pausesMs = workers.map(({ pause }) => Math.round(pause.longestMs))
  const { latency } = findings
  return {
    operations: findings.operations,
    violations: findings.violations,
    uncertain: findings.uncertain,
    failed: findings.failed,
    clients: workers.length,
    seconds: Math.round(seconds * 10) / 10,
    opsPerSecond: Math.round(findings.operations / seconds),
    latencyMs: {
      p50: rounded(latency.percentile(0.5)),
      p99: rounded(latency.percentile(0.99)),
      p999: rounded(latency.percentile(0.999)),
      max: rounded(latency.maxMs),
    },
    longestPauseMs: Math.max(...pausesMs),
    pausesMs,
    casChain: chain.length,
    errors: Object.fromEntries(findings.errors),
    prefix,
    kept: options.keep,
  }
}

/** Each with a client of its own, which begins at another server. */
async function makeWorkers(
  options: VerifyOptions,
  prefix: string,
  findings: Findings,
  chain: CasChain,
  isOver: () => boolean,
  clients: QuorateClient[],
): Promise<AnyWorker[]> {
  const { servers, mode, thinkMs } = options
  const random = new Prng(randomBytes(4).readUInt32LE())
  const freshness = new Freshness()
  const makers: ((parts: WorkerParts) => AnyWorker)[] = []
  if (mode !== 'contended-cas') {
    for (let i = 0; i < options.clients; i++) makers.push((parts) => new OwnKeysWorker(parts))
  }
  if (mode !== 'own-keys') {
    const contenders = mode === 'all' ? CONTENDERS : options.clients
    for (let i = 0; i < contenders; i++) makers.push((parts) => new ContendedCasWorker(parts, chain))
  }
  if (mode === 'all') {
    makers.push((parts) => new FreshnessWriter(parts, freshness))
    for (let i = 0; i < FRESH_READERS; i++) makers.push((parts) => new FreshnessReader(parts, freshness))
  }
  const workers: AnyWorker[] = []
  for (const [i, make] of makers.entries()) {
    const first = i % servers.length
    const rotated = [...servers.slice(first), ...servers.slice(0, first)]
    const client = await connect({ servers: rotated, connectionsPerServer: 1 })
    clients.push(client)
    workers.push(make({ id: i + 1, client, findings, random: random.fork(), prefix, isOver, thinkMs }))
  }
  return workers
}

/** The contenders have one register: one of them looks. */
function lookersOf(workers: readonly AnyWorker[]): AnyWorker[] {
  const firstContender = workers.find((worker) => worker instanceof ContendedCasWorker)
  return workers.filter((worker) => !(worker instanceof ContendedCasWorker) || worker === firstContender)
}

/** Tries: a key that is left harms nobody, and another run uses others. */
async function cleanUp(client: QuorateClient, workers: readonly AnyWorker[]): Promise<void> {
  const keys = [...new Set(workers.flatMap((worker) => worker.keys))]
  for (let at = 0; at < keys.length; at += CLEAN_UP_KEYS) {
    for (let tries = 0; tries < 3; tries++) {
      const isDone = await client.del(keys.slice(at, at + CLEAN_UP_KEYS)).then(
        () => true,
        () => false,
      )
      if (isDone) break
      await delay(100)
    }
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}
