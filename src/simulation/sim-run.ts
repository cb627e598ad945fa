/**
 * What every run has: a cluster under load on one scheduler, invariants after every event, and at the end, with all faults off, progress for every client, equal
 * replicas and a linearizable history.
 */
import { latin1Bytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import { MastersMachine } from '../metadata/embedded/masters-machine.ts'
import type { Logger } from '../ports/logger.ts'
import type { CompactionLimits } from '../replication/raft/compaction-policy.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { Invariants } from './invariants.ts'
import { checkHistory } from './linearizability.ts'
import type { SimMutation } from './mutations.ts'
import type { Nemesis } from './nemesis.ts'
import { registerModel } from './register-model.ts'
import { Scheduler } from './scheduler.ts'
import type { SimCluster, SimHost } from './sim-cluster.ts'
import type { SimNetwork } from './sim-network.ts'
import type { Workload } from './workload.ts'

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

export interface RunParts {
  readonly network: SimNetwork
  readonly cluster: SimCluster
  readonly workload: Workload
  readonly nemesis: Nemesis
}

export const SLOT_COUNT = 16
export const SLICE_MS = 500
const DRAIN_MS = 10_000

export abstract class SimRun {
  protected readonly scheduler: Scheduler
  protected readonly parts: RunParts
  protected readonly invariants: Invariants
  protected readonly violations: string[] = []
  protected tooLittle: string | null = null
  readonly #seed: number
  readonly #options: SeedOptions
  #endsSeen = 0

  constructor(seed: number, options: SeedOptions, makeParts: (scheduler: Scheduler, options: SeedOptions) => RunParts) {
    this.#seed = seed
    this.#options = options
    this.scheduler = new Scheduler(seed)
    this.parts = makeParts(this.scheduler, options)
    const { cluster, nemesis } = this.parts
    this.invariants = new Invariants(cluster, nemesis, (host, replica) => this.applied(host, replica))
  }

  /** All of it. Whatever a node's code throws is what would end its process: a broken invariant, so a finding. */
  run(): SeedResult {
    try {
      this.safety()
      if (!this.finished) this.liveness()
      if (!this.finished) this.verdict()
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.violations.push(`exception at ${this.scheduler.nowMs.toFixed(1)} ms: ${text}`)
    }
    return this.result()
  }

  /** Load and faults, and enough of both. */
  protected abstract safety(): void

  /** A replica has applied more. */
  protected applied(_host: SimHost, _replica: RaftReplica): void {}

  /** With the faults off the cluster owes everybody progress, and the replicas must become equal. */
  protected liveness(): void {
    const { nemesis, workload } = this.parts
    const [restMs, livenessMs] = this.livenessMs
    nemesis.stop()
    this.runFor(restMs)
    const before = workload.progress()
    this.runFor(livenessMs)
    workload.progress().forEach((acknowledged, client) => {
      if (acknowledged === before[client])
        this.violations.push(`liveness: client ${client} got nothing done in ${livenessMs} ms without faults`)
    })
    workload.drain()
    this.#settle()
    // Only now: what differs between replicas, a flush takes away.
    if (workload.sessions === 0) return
    if (!workload.flushEverything()) this.violations.push('liveness: no session has a connection')
    this.#settle()
  }

  /** What the cluster is given to recover, and in what time then every client must have got something done. */
  protected get livenessMs(): readonly [restMs: number, livenessMs: number] {
    return [12_000, 12_000]
  }

  protected verdict(): void {
    const history = this.parts.workload.recorder.history()
    const verdict = checkHistory(registerModel, history)
    if (verdict.kind === 'violation')
      this.violations.push(`not linearizable: key ${verdict.key}: ${verdict.explanation}`)
    else if (verdict.kind === 'undecided') this.tooLittle = `linearizability of key ${verdict.key} is undecided`
    this.scheduler.trace(String(crc32c(latin1Bytes(JSON.stringify(history).replace(/[^\x20-\x7e]/g, '?')))))
  }

  protected get finished(): boolean {
    return this.#options.stopEarly === true && this.allViolations().length > 0
  }

  protected allViolations(): string[] {
    return [...this.violations, ...this.invariants.violations, ...this.parts.workload.findings]
  }

  protected coverage(): Record<string, number> {
    const { workload, cluster } = this.parts
    return { ...this.invariants.coverage, ...workload.coverage, selfEnds: cluster.ends.length }
  }

  protected faults(): Record<string, number> {
    return { ...this.parts.network.faults, ...this.parts.nemesis.counts }
  }

  protected runFor(ms: number): void {
    const untilMs = this.scheduler.nowMs + ms
    const { cluster } = this.parts
    while (this.scheduler.nextAtMs <= untilMs) {
      this.scheduler.step()
      this.invariants.check()
      if (cluster.ends.length > this.#endsSeen) this.#nodeEnded()
    }
    this.scheduler.runUntil(untilMs)
  }

  /** Nothing new comes: everything must be answered, and all replicas become equal. */
  #settle(): void {
    const { workload } = this.parts
    const untilMs = this.scheduler.nowMs + DRAIN_MS
    while (workload.unanswered > 0 && this.scheduler.nowMs < untilMs) this.runFor(SLICE_MS)
    // The commit index and the last entries have yet to reach the followers.
    this.runFor(3_000)
    this.invariants.checkLogMatching()
    if (workload.unanswered > 0) this.violations.push(`liveness: ${workload.unanswered} commands have no answer`)
    this.#compareReplicas()
  }

  #nodeEnded(): void {
    const end = this.parts.cluster.ends[this.#endsSeen++]
    if (this.parts.nemesis.onNodeEnd(end.nodeId, end.message)) return
    this.violations.push(`node ${end.nodeId} ended itself at ${end.atMs.toFixed(0)} ms: ${end.message}`)
  }

  #compareReplicas(): void {
    const digests = new Map<number, { readonly nodeId: number; readonly applied: number; readonly digest: string }>()
    for (const { host, group, replica } of this.parts.cluster.replicas()) {
      const digest = digestOf(replica)
      if (digest === null) continue
      const mine = { nodeId: host.nodeId, applied: Number(replica.applied), digest }
      const other = digests.get(group)
      if (other === undefined) digests.set(group, mine)
      // Sessions with the masters never fall silent: only what stands at the same index can be compared.
      else if (group === 0 && other.applied !== mine.applied) continue
      else if (other.applied !== mine.applied || other.digest !== mine.digest) {
        const text = (one: typeof mine): string => `node ${one.nodeId} at ${one.applied} has ${one.digest}`
        this.violations.push(`replicas differ: group ${group}: ${text(other)}, ${text(mine)}`)
      }
      const behind = this.invariants.appliedMax(replica) - replica.applied
      if (behind > (group === 0 ? BEHIND_MAX : 0))
        this.violations.push(`liveness: node ${host.nodeId} is ${behind} entries behind in group ${group}`)
    }
  }

  protected result(): SeedResult {
    const { workload } = this.parts
    return {
      seed: this.#seed,
      violations: this.allViolations(),
      tooLittle: this.tooLittle,
      virtualSeconds: Math.round(this.scheduler.nowMs / 1_000),
      operationsOk: workload.operationsOk,
      operationsUnknown: workload.operationsUnknown,
      operationsFailed: workload.operationsFailed,
      faults: this.faults(),
      coverage: this.coverage(),
      commands: workload.commands,
      traceHash: this.scheduler.traceHash,
    }
  }
}

/** Of the masters' group, which may have something under way at any time. */
const BEHIND_MAX = 20

function digestOf({ machine }: RaftReplica): string | null {
  if (machine instanceof KvStateMachine) return machine.digest()
  return machine instanceof MastersMachine ? machine.tree.digest() : null
}

export function drawCompaction(scheduler: Scheduler): CompactionLimits {
  const { random } = scheduler
  return {
    checkpointBytes: random.pick([4, 16, 1024]) * 1024 * 64,
    checkpointEntries: random.pick([20, 60, 200, 100_000]),
    trailingEntries: random.pick([0, 5, 40]),
    retainedBytesMax: random.pick([8, 64, 1024]) * 1024,
  }
}

/** Small segments, small checkpoints, small messages: rolling, compaction and images happen all the time. */
export function drawLimits(scheduler: Scheduler) {
  const { random } = scheduler
  return {
    compaction: drawCompaction(scheduler),
    segmentBytes: random.pick([256, 512, 1024]) * 1024,
    logBatchBytes: random.pick([2, 16, 64]) * 1024,
    maxMessageBytes: random.pick([1, 4096, 16384]),
    maxInflightBytes: random.pick([16, 64]) * 1024,
  }
}
