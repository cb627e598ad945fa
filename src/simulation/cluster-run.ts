/**
 * A run with masters: three to five nodes and more that join, two or three groups, an operator who moves everything about (operator.ts), the faults of every run
 * and such as are aimed at the steps of moves. At the end everything must have come to rest as the tree wants it, with nothing left behind.
 */
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { AimedFaults } from './aimed-faults.ts'
import { ClusterWatch } from './cluster-watch.ts'
import type { MoveParties, MoveStep } from './move-steps.ts'
import { CLUSTER_FAULTS, Nemesis } from './nemesis.ts'
import { type Newcomer, Operator } from './operator.ts'
import type { Scheduler } from './scheduler.ts'
import { SimCluster, type SimHost } from './sim-cluster.ts'
import { SimNetwork } from './sim-network.ts'
import { drawLimits, type RunParts, type SeedOptions, SimRun, SLICE_MS, SLOT_COUNT } from './sim-run.ts'
import { SlotProbe } from './slot-probe.ts'
import { Workload } from './workload.ts'

const MASTERS = 3
const SAFETY_MS_MIN = 62_000
const OPERATIONS_WANTED = 1_000
const FAULTS_WANTED = 20
const MOVES_WANTED = 3
const SAFETY_MS_MAX = 600_000
const LOG_MATCHING_EVERY = 8
const EASE_EVERY = 120
/** Everything that was begun comes to its end by then. */
const REST_MS = 60_000
const JOIN_MS = 500
const PROBE_MS = 15_000

export class ClusterRun extends SimRun {
  readonly #watch: ClusterWatch
  readonly #operator: Operator
  readonly #aimed: AimedFaults

  constructor(seed: number, options: SeedOptions) {
    super(seed, options, makeParts)
    const { scheduler } = this
    const { cluster, nemesis } = this.parts
    const random = scheduler.random.fork()
    this.#watch = new ClusterWatch(cluster, SLOT_COUNT, (step, move) => this.#onStep(step, move))
    this.#operator = new Operator(scheduler, cluster, this.#watch, random, {
      meanGapMs: random.between(700, 4_000),
      slotCount: SLOT_COUNT,
      movesOnly: random.chance(0.3),
      newNode: (newcomer) => this.#newNode(newcomer),
      violated: (message) => this.violations.push(message),
    })
    const actions = { crash: (host: SimHost) => nemesis.crash(host) }
    const chance = random.pick([0, 0.05, 0.15, 0.4])
    this.#aimed = new AimedFaults(scheduler, cluster, this.#watch, random, actions, chance)
  }

  protected safety(): void {
    const { cluster, workload, nemesis } = this.parts
    cluster.startAll()
    this.runFor(4_000)
    workload.start()
    nemesis.start()
    this.#operator.start()
    this.#aimed.start()
    const startedMs = this.scheduler.nowMs
    for (let slice = 1; ; slice++) {
      this.runFor(SLICE_MS)
      if (slice % LOG_MATCHING_EVERY === 0) this.invariants.checkLogMatching()
      if (this.finished) return
      const ranMs = this.scheduler.nowMs - startedMs
      if (ranMs >= SAFETY_MS_MAX || (ranMs >= SAFETY_MS_MIN && this.#lacking() === null)) break
      if (ranMs >= SAFETY_MS_MIN && slice % EASE_EVERY === 0) nemesis.ease()
    }
    this.tooLittle = this.#lacking()
  }

  protected override liveness(): void {
    this.#operator.stop()
    this.#aimed.stop()
    this.parts.nemesis.stop()
    const untilMs = this.scheduler.nowMs + REST_MS
    let problems = this.#watch.unsettled()
    while (problems.length > 0 && this.scheduler.nowMs < untilMs && !this.finished) {
      this.runFor(SLICE_MS)
      problems = this.#watch.unsettled()
    }
    for (const problem of problems) this.violations.push(`not at rest after ${REST_MS} ms: ${problem}`)
    if (this.finished) return
    this.#probe()
    super.liveness()
  }

  #probe(): void {
    const probe = new SlotProbe(this.scheduler, this.parts.cluster, SLOT_COUNT)
    probe.start()
    const untilMs = this.scheduler.nowMs + PROBE_MS
    while (probe.silent.size > 0 && this.scheduler.nowMs < untilMs) this.runFor(SLICE_MS)
    probe.stop()
    if (probe.silent.size > 0) this.violations.push(`liveness: slots ${[...probe.silent]} are not served`)
  }

  protected override verdict(): void {
    super.verdict()
    // What clients did since has changed nothing of it, but for dead lives of slots that were flushed.
    for (const problem of this.#watch.unsettled()) this.violations.push(`at the end: ${problem}`)
  }

  protected override applied(host: SimHost, replica: RaftReplica): void {
    this.#watch.applied(host, replica)
  }

  protected override allViolations(): string[] {
    return [...super.allViolations(), ...this.#watch.violations]
  }

  protected override coverage(): Record<string, number> {
    return { ...super.coverage(), ...this.#operator.counts }
  }

  protected override faults(): Record<string, number> {
    return { ...super.faults(), ...this.#aimed.counts }
  }

  #lacking(): string | null {
    const { workload, nemesis } = this.parts
    const moves = this.invariants.coverage['moves enabled'] ?? 0
    if (workload.operationsOk < OPERATIONS_WANTED) return `${workload.operationsOk} operations`
    if (nemesis.total < FAULTS_WANTED) return `${nemesis.total} faults`
    return moves < MOVES_WANTED ? `${moves} moves` : null
  }

  #onStep(step: MoveStep, move: MoveParties): void {
    const name = `moves ${step}`
    this.invariants.coverage[name] = (this.invariants.coverage[name] ?? 0) + 1
    this.#aimed.onStep(step, move)
  }

  #newNode({ nodeId, nodes, groups }: Newcomer): void {
    const { cluster } = this.parts
    if (cluster.hosts.some((host) => host.nodeId === nodeId)) return
    const host = cluster.addHost(nodeId, { nodes, groups })
    this.scheduler.after(JOIN_MS, `n${nodeId} joins`, () => {
      if (host.state === 'down') cluster.start(host)
    })
  }
}

function makeParts(scheduler: Scheduler, options: SeedOptions): RunParts {
  const { random } = scheduler
  const network = new SimNetwork(scheduler, { latencyMaxMs: random.pick([1, 2, 10]) })
  const nodes = random.pick([3, 3, 4, 5])
  const cluster = new SimCluster(scheduler, network, {
    nodes,
    masters: MASTERS,
    replicas: 3,
    groups: random.between(2, 3),
    slotCount: SLOT_COUNT,
    timings: { tickMs: 40 },
    // Slow moves are there to be interrupted: leaders change between two STAGEs, and much changes behind the copy.
    limits: { ...drawLimits(scheduler), migrationBytesPerSecond: random.pick([0, 8_000, 30_000]) },
    mutations: options.mutation?.node,
    checkpointNotAtomic: options.mutation?.checkpointNotAtomic,
    clockSpreadMs: random.pick([0, 50, 3_000]),
    clockDrift: 0.0002,
    logger: options.logger,
  })
  const workload = new Workload(scheduler, cluster, {
    clients: random.between(4, 8),
    keys: random.between(2, 8),
    pipelineMax: random.between(1, 4),
    thinkMs: random.pick([150, 300, 600]),
    valueBytesMax: random.pick([100, 2_000, 8_000]),
    maxOperations: 60_000,
    sessions: random.pick([0, 1, 2]),
    slotCount: SLOT_COUNT,
    slotsMove: true,
    ballastKeys: random.pick([0, 60, 200]),
  })
  return { network, cluster, workload, nemesis: new Nemesis(scheduler, cluster, CLUSTER_FAULTS) }
}
