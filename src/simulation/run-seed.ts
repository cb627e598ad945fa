/**
 * One seed: a cluster under load and faults for a minute and more of virtual time (safety), then all faults off (liveness): every client must get on,
 * the replicas must become equal, and the whole history must be linearizable. The same seed gives the same trace. Two kinds of runs: `groups`, without
 * masters, where slots stay as they begin (here), and `cluster`, where an operator moves everything about (cluster-run.ts). A third, `crash`, is small: one move
 * and one fault at one of its steps (move-crash-run.ts); a fourth, `recovery`, loses its masters (recovery-run.ts).
 */
import { ClusterRun } from './cluster-run.ts'
import { MoveCrashRun } from './move-crash-run.ts'
import { Nemesis } from './nemesis.ts'
import { RecoveryRun } from './recovery-run.ts'
import type { Scheduler } from './scheduler.ts'
import { SimCluster } from './sim-cluster.ts'
import { SimNetwork } from './sim-network.ts'
import {
  drawLimits,
  type RunParts,
  type SeedOptions,
  type SeedResult,
  SimRun,
  SLICE_MS,
  SLOT_COUNT,
} from './sim-run.ts'
import { Workload } from './workload.ts'

export type { SeedOptions, SeedResult } from './sim-run.ts'

export const RUN_KINDS = ['groups', 'cluster', 'crash', 'recovery'] as const
export type RunKind = (typeof RUN_KINDS)[number]

const SAFETY_MS_MIN = 62_000
const OPERATIONS_WANTED = 1_000
const FAULTS_WANTED = 20
const SAFETY_MS_MAX = 900_000
/** Whole logs are compared this often. */
const LOG_MATCHING_EVERY = 8
/** A minute in which too little got done: faults get rarer. */
const EASE_EVERY = 120

/** Every second seed; a mutation has the kind of run that shows it. */
export function kindOf(seed: number, options: SeedOptions): RunKind {
  if (options.mutation !== undefined) return options.mutation.kind ?? 'groups'
  return seed % 2 === 0 ? 'cluster' : 'groups'
}

export function runSeed(seed: number, options: SeedOptions = {}, kind: RunKind = kindOf(seed, options)): SeedResult {
  return new RUNS[kind](seed, options).run()
}

class GroupRun extends SimRun {
  constructor(seed: number, options: SeedOptions) {
    super(seed, options, makeParts)
  }

  protected safety(): void {
    const { cluster, workload, nemesis } = this.parts
    cluster.startAll()
    this.runFor(3_000)
    workload.start()
    nemesis.start()
    const startedMs = this.scheduler.nowMs
    for (let slice = 1; ; slice++) {
      this.runFor(SLICE_MS)
      if (slice % LOG_MATCHING_EVERY === 0) this.invariants.checkLogMatching()
      if (this.finished) return
      const ranMs = this.scheduler.nowMs - startedMs
      const enough = workload.operationsOk >= OPERATIONS_WANTED && nemesis.total >= FAULTS_WANTED
      if (ranMs >= SAFETY_MS_MAX || (ranMs >= SAFETY_MS_MIN && enough)) break
      if (ranMs >= SAFETY_MS_MIN && slice % EASE_EVERY === 0) nemesis.ease()
    }
    if (workload.operationsOk < OPERATIONS_WANTED) this.tooLittle = `${workload.operationsOk} operations`
    if (nemesis.total < FAULTS_WANTED) this.tooLittle = `${nemesis.total} faults`
  }
}

const RUNS = { groups: GroupRun, cluster: ClusterRun, crash: MoveCrashRun, recovery: RecoveryRun }

function makeParts(scheduler: Scheduler, options: SeedOptions): RunParts {
  const { random } = scheduler
  const network = new SimNetwork(scheduler, { latencyMaxMs: random.pick([1, 2, 10]) })
  const nodes = random.chance(0.8) ? 3 : 5
  const cluster = new SimCluster(scheduler, network, {
    nodes,
    replicas: random.chance(0.9) ? nodes : 3,
    groups: random.between(1, 2),
    slotCount: SLOT_COUNT,
    timings: { tickMs: 40 },
    limits: drawLimits(scheduler),
    mutations: options.mutation?.node,
    checkpointNotAtomic: options.mutation?.checkpointNotAtomic,
    clockSpreadMs: random.pick([0, 50, 3_000]),
    clockDrift: 0.0002,
    logger: options.logger,
  })
  const workload = new Workload(scheduler, cluster, {
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
  return { network, cluster, workload, nemesis: new Nemesis(scheduler, cluster) }
}
