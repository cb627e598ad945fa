/**
 * One seed: a cluster under load and faults for a minute and more of virtual time (safety), then all faults off (liveness): every client must get on,
 * the replicas must become equal, and the whole history must be linearizable. The same seed gives the same trace.
 */

import { latin1Bytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import type { Logger } from '../ports/logger.ts'
import type { CompactionLimits } from '../replication/raft/compaction-policy.ts'
import { Invariants } from './invariants.ts'
import { checkHistory } from './linearizability.ts'
import type { SimMutation } from './mutations.ts'
import { Nemesis } from './nemesis.ts'
import { registerModel } from './register-model.ts'
import { Scheduler } from './scheduler.ts'
import { SimCluster } from './sim-cluster.ts'
import { SimNetwork } from './sim-network.ts'
import { Workload } from './workload.ts'

export interface SeedResult {
  readonly seed: number
  readonly violations: readonly string[]
  /** Too little happened for the run to count. */
  readonly tooLittle: string | null
  readonly virtualSeconds: number
  readonly operationsOk: number
  readonly operationsUnknown: number
  readonly operationsFailed: number
  readonly faults: Readonly<Record<string, number>>
  readonly coverage: Readonly<Record<string, number>>
  /** Commands of the table by name: how often sessions had them answered without an error. */
  readonly commands: Readonly<Record<string, number>>
  readonly traceHash: string
}

export interface SeedOptions {
  readonly mutation?: SimMutation
  readonly logger?: Logger
  /** Stops at the first violation: for mutations, where one is enough. */
  readonly stopEarly?: boolean
}

const SLOT_COUNT = 16
const SAFETY_MS_MIN = 62_000
const OPERATIONS_WANTED = 1_000
const FAULTS_WANTED = 20
const SAFETY_MS_MAX = 900_000
const LIVENESS_MS = 12_000
const DRAIN_MS = 10_000
/** Whole logs are compared this often. */
const LOG_MATCHING_EVERY = 8
const SLICE_MS = 500
/** A minute in which too little got done: faults get rarer. */
const EASE_EVERY = 120

export function runSeed(seed: number, options: SeedOptions = {}): SeedResult {
  const run = new SeedRun(seed, options)
  try {
    run.safety()
    if (!run.finished) run.liveness()
    if (!run.finished) run.verdict()
  } catch (error) {
    run.crashed(error)
  }
  return run.result()
}

class SeedRun {
  readonly #seed: number
  readonly #options: SeedOptions
  readonly #scheduler: Scheduler
  readonly #network: SimNetwork
  readonly #cluster: SimCluster
  readonly #workload: Workload
  readonly #nemesis: Nemesis
  readonly #invariants: Invariants
  readonly #violations: string[] = []
  #endsSeen = 0
  #tooLittle: string | null = null

  constructor(seed: number, options: SeedOptions) {
    this.#seed = seed
    this.#options = options
    this.#scheduler = new Scheduler(seed)
    const { random } = this.#scheduler
    this.#network = new SimNetwork(this.#scheduler, { latencyMaxMs: random.pick([1, 2, 10]) })
    const nodes = random.chance(0.8) ? 3 : 5
    this.#cluster = new SimCluster(this.#scheduler, this.#network, {
      nodes,
      replicas: random.chance(0.9) ? nodes : 3,
      groups: random.between(1, 2),
      slotCount: SLOT_COUNT,
      timings: { tickMs: 40 },
      limits: {
        compaction: drawCompaction(this.#scheduler),
        segmentBytes: random.pick([256, 512, 1024]) * 1024,
        logBatchBytes: random.pick([2, 16, 64]) * 1024,
        maxMessageBytes: random.pick([1, 4096, 16384]),
        maxInflightBytes: random.pick([16, 64]) * 1024,
      },
      mutations: options.mutation?.node,
      checkpointNotAtomic: options.mutation?.checkpointNotAtomic,
      clockSpreadMs: random.pick([0, 50, 3_000]),
      clockDrift: 0.0002,
      logger: options.logger,
    })
    this.#workload = new Workload(this.#scheduler, this.#cluster, {
      clients: random.between(4, 8),
      keys: random.between(2, 6),
      pipelineMax: random.between(1, 4),
      thinkMs: random.pick([300, 600, 1_000]),
      valueBytesMax: random.pick([100, 2_000]),
      maxOperations: 60_000,
      // Not in every run: with more traffic, leaders seldom stand long without an entry of their own term.
      sessions: random.pick([0, 1, 2]),
      slotCount: SLOT_COUNT,
    })
    this.#nemesis = new Nemesis(this.#scheduler, this.#cluster)
    this.#invariants = new Invariants(this.#cluster, this.#nemesis)
  }

  get finished(): boolean {
    return this.#options.stopEarly === true && this.#allViolations().length > 0
  }

  safety(): void {
    this.#cluster.startAll()
    this.#runFor(3_000)
    this.#workload.start()
    this.#nemesis.start()
    const startedMs = this.#scheduler.nowMs
    for (let slice = 1; ; slice++) {
      this.#runFor(SLICE_MS)
      if (slice % LOG_MATCHING_EVERY === 0) this.#invariants.checkLogMatching()
      if (this.finished) return
      const ranMs = this.#scheduler.nowMs - startedMs
      const enough = this.#workload.operationsOk >= OPERATIONS_WANTED && this.#nemesis.total >= FAULTS_WANTED
      if (ranMs >= SAFETY_MS_MAX || (ranMs >= SAFETY_MS_MIN && enough)) break
      if (ranMs >= SAFETY_MS_MIN && slice % EASE_EVERY === 0) this.#nemesis.ease()
    }
    if (this.#workload.operationsOk < OPERATIONS_WANTED) this.#tooLittle = `${this.#workload.operationsOk} operations`
    if (this.#nemesis.total < FAULTS_WANTED) this.#tooLittle = `${this.#nemesis.total} faults`
  }

  /** With the faults off the cluster owes everybody progress, and the replicas must become equal. */
  liveness(): void {
    this.#nemesis.stop()
    this.#runFor(LIVENESS_MS)
    const before = this.#workload.progress()
    this.#runFor(LIVENESS_MS)
    this.#workload.progress().forEach((acknowledged, client) => {
      if (acknowledged === before[client])
        this.#violations.push(`liveness: client ${client} got nothing done in ${LIVENESS_MS} ms without faults`)
    })
    this.#workload.drain()
    this.#settle()
    // Only now: what differs between replicas, a flush takes away.
    if (this.#workload.sessions === 0) return
    if (!this.#workload.flushEverything()) this.#violations.push('liveness: no session has a connection')
    this.#settle()
  }

  /** Nothing new comes: everything must be answered, and all replicas become equal. */
  #settle(): void {
    const untilMs = this.#scheduler.nowMs + DRAIN_MS
    while (this.#workload.unanswered > 0 && this.#scheduler.nowMs < untilMs) this.#runFor(SLICE_MS)
    // The commit index and the last entries have yet to reach the followers.
    this.#runFor(3_000)
    this.#invariants.checkLogMatching()
    if (this.#workload.unanswered > 0)
      this.#violations.push(`liveness: ${this.#workload.unanswered} commands have no answer`)
    this.#compareReplicas()
  }

  verdict(): void {
    const history = this.#workload.recorder.history()
    const verdict = checkHistory(registerModel, history)
    if (verdict.kind === 'violation')
      this.#violations.push(`not linearizable: key ${verdict.key}: ${verdict.explanation}`)
    else if (verdict.kind === 'undecided') this.#tooLittle = `linearizability of key ${verdict.key} is undecided`
    this.#scheduler.trace(String(crc32c(latin1Bytes(JSON.stringify(history).replace(/[^\x20-\x7e]/g, '?')))))
  }

  /** An exception in a node's code is what would end its process: a broken invariant, so a finding. */
  crashed(error: unknown): void {
    this.#violations.push(
      `exception at ${this.#scheduler.nowMs.toFixed(1)} ms: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    )
  }

  result(): SeedResult {
    const coverage = { ...this.#invariants.coverage, ...this.#workload.coverage, selfEnds: this.#cluster.ends.length }
    return {
      seed: this.#seed,
      violations: this.#allViolations(),
      tooLittle: this.#tooLittle,
      virtualSeconds: Math.round(this.#scheduler.nowMs / 1_000),
      operationsOk: this.#workload.operationsOk,
      operationsUnknown: this.#workload.operationsUnknown,
      operationsFailed: this.#workload.operationsFailed,
      faults: { ...this.#network.faults, ...this.#nemesis.counts },
      coverage,
      commands: this.#workload.commands,
      traceHash: this.#scheduler.traceHash,
    }
  }

  #allViolations(): string[] {
    return [...this.#violations, ...this.#invariants.violations, ...this.#workload.findings]
  }

  #runFor(ms: number): void {
    const untilMs = this.#scheduler.nowMs + ms
    while (this.#scheduler.nextAtMs <= untilMs) {
      this.#scheduler.step()
      this.#invariants.check()
      if (this.#cluster.ends.length > this.#endsSeen) this.#nodeEnded()
    }
    this.#scheduler.runUntil(untilMs)
  }

  #nodeEnded(): void {
    const end = this.#cluster.ends[this.#endsSeen++]
    if (!this.#nemesis.onNodeEnd(end.nodeId, end.message)) {
      this.#violations.push(`node ${end.nodeId} ended itself at ${end.atMs.toFixed(0)} ms: ${end.message}`)
    }
  }

  #compareReplicas(): void {
    const digests = new Map<number, { readonly nodeId: number; readonly applied: number; readonly digest: string }>()
    for (const { host, group, replica } of this.#cluster.replicas()) {
      const { machine } = replica
      if (!(machine instanceof KvStateMachine)) continue
      const mine = { nodeId: host.nodeId, applied: Number(replica.applied), digest: machine.digest() }
      const other = digests.get(group)
      if (other === undefined) digests.set(group, mine)
      else if (other.applied !== mine.applied || other.digest !== mine.digest) {
        const text = (one: typeof mine): string => `node ${one.nodeId} at ${one.applied} has ${one.digest}`
        this.#violations.push(`replicas differ: group ${group}: ${text(other)}, ${text(mine)}`)
      }
      const behind = this.#invariants.appliedMax(group) - replica.applied
      if (behind > 0)
        this.#violations.push(`liveness: node ${host.nodeId} is ${behind} entries behind in group ${group}`)
    }
  }
}

function drawCompaction(scheduler: Scheduler): CompactionLimits {
  const { random } = scheduler
  return {
    checkpointBytes: random.pick([4, 16, 1024]) * 1024 * 64,
    checkpointEntries: random.pick([20, 60, 200, 100_000]),
    trailingEntries: random.pick([0, 5, 40]),
    retainedBytesMax: random.pick([8, 64, 1024]) * 1024,
  }
}
