/**
 * A majority of the masters is lost while slots move, or all of them, or they are only cut off; `recover-masters` is asked of a node that is left, which may crash at any of
 * its steps, or of two, until a new cluster epoch has begun; and the old masters come back with all they had, sooner or later. In the end everything is as the new masters want it, nothing of the old
 * ones is left, and no client has seen anything wrong.
 */
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import { epochOfFence } from '../master/cluster-epoch.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { AdminError } from '../ports/cluster-admin.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { ClusterWatch } from './cluster-watch.ts'
import { Nemesis } from './nemesis.ts'
import type { Scheduler } from './scheduler.ts'
import { SimCluster, type SimHost } from './sim-cluster.ts'
import { SimNetwork } from './sim-network.ts'
import { drawLimits, type RunParts, type SeedOptions, SimRun, SLICE_MS, SLOT_COUNT } from './sim-run.ts'
import { Workload } from './workload.ts'

const BEGIN_MS = 4_000
const LOAD_MS = 2_000
/** How long a move may have been under way when the masters go. */
const MOVING_MS_MAX = 3_000
/** A recovery takes about as long; its steps are where the crashes are to fall. */
const CRASH_MS_MAX = 9_000
const CRASHES_MAX = 2
const RECOVERED_MS = 120_000
const ASK_MS = 2_000
const LATE_MS = 30_000
const REST_MS = 90_000
/** Not for ever: epochs are few. */
const AIMED_MAX = 3
const AIMED_MS = [0, 1, 2, 3, 5, 8, 12, 20, 50, 300, 1_500]

interface Loss {
  readonly nodes: number
  readonly lost: readonly number[]
}

/** Every group has a replica on each node: what is left of it is a majority, so data go on. Of three masters, two or all are lost. */
const LOSSES: readonly Loss[] = [
  { nodes: 5, lost: [1, 2] },
  { nodes: 7, lost: [1, 2, 3] },
]

export class RecoveryRun extends SimRun {
  readonly #watch: ClusterWatch
  readonly #loss: Loss
  readonly #counts: Record<string, number> = {}
  #recoverer = 0
  #recovered = false
  /** The old masters came back before anything had begun. */
  #spared = false
  #fencedEpoch = 0

  constructor(seed: number, options: SeedOptions) {
    const loss = LOSSES[seed % LOSSES.length]
    super(seed, options, (scheduler, given) => makeParts(scheduler, given, loss))
    this.#loss = loss
    this.#watch = new ClusterWatch(this.parts.cluster, SLOT_COUNT, (step) => this.#count(`moves ${step}`))
  }

  protected safety(): void {
    const { cluster, workload } = this.parts
    const { random } = this.scheduler
    cluster.startAll()
    this.runFor(BEGIN_MS)
    workload.start()
    this.runFor(LOAD_MS)
    const moves = random.between(0, 3)
    for (let i = 0; i < moves; i++) this.#move()
    this.runFor(random.unit() * MOVING_MS_MAX)
    this.#lose()
    const left = cluster.hosts.filter(({ nodeId }) => !this.#loss.lost.includes(nodeId))
    this.#recoverer = random.pick(left).nodeId
    // Two operators who know nothing of each other.
    const other = random.chance(0.3) ? random.pick(left).nodeId : this.#recoverer
    if (random.chance(0.5)) this.runFor(random.unit() * 10_000)
    this.#faults()
    const returnsEarly = random.chance(0.3)
    if (returnsEarly) this.scheduler.after(random.unit() * 15_000, 'old masters return', () => this.#return())
    this.#recover(this.#recoverer)
    if (other !== this.#recoverer)
      this.scheduler.after(random.unit() * 5_000, 'the other recovers', () => this.#recover(other))
    const untilMs = this.scheduler.nowMs + RECOVERED_MS
    while (!this.#isOver && this.scheduler.nowMs < untilMs && !this.finished) this.runFor(SLICE_MS)
    if (!this.#recovered && !(returnsEarly && this.#spared))
      this.violations.push(`not recovered after ${RECOVERED_MS} ms`)
    this.runFor(random.pick([0, 1_000, LATE_MS]))
    this.#return()
    this.runFor(random.unit() * 5_000)
    this.#move()
  }

  protected override liveness(): void {
    const untilMs = this.scheduler.nowMs + REST_MS
    for (const host of this.parts.cluster.hosts) if (host.state === 'down') this.parts.cluster.start(host)
    let problems = this.#unsettled()
    while (problems.length > 0 && this.scheduler.nowMs < untilMs && !this.finished) {
      this.runFor(SLICE_MS)
      problems = this.#unsettled()
    }
    for (const problem of problems) this.violations.push(`not at rest after ${REST_MS} ms: ${problem}`)
    if (!this.finished) super.liveness()
  }

  get #isOver(): boolean {
    return this.#recovered || this.#spared
  }

  #unsettled(): string[] {
    const problems = this.#watch.unsettled()
    const epochs = new Set(this.parts.cluster.hosts.map(({ identity }) => identity.masters?.epoch ?? 0))
    if (epochs.size > 1) problems.push(`nodes are in cluster epochs ${[...epochs]}`)
    if (this.#recovered && epochs.has(0)) problems.push('a node is still in cluster epoch 0')
    return problems
  }

  protected override applied(host: SimHost, replica: RaftReplica): void {
    this.#watch.applied(host, replica)
    const { machine } = replica
    if (!(machine instanceof KvStateMachine)) return
    const epoch = epochOfFence(machine.masterFence)
    if (epoch <= this.#fencedEpoch) return
    this.#fencedEpoch = epoch
    this.#count('fences')
    const { random } = this.scheduler
    if (epoch > AIMED_MAX || !random.chance(0.6)) return
    // From the first fence to the last node that is told: the steps that change something follow each other within milliseconds.
    this.scheduler.after(random.pick(AIMED_MS) * (0.5 + random.unit()), 'crash at a step', () => {
      this.#crashFor(this.#recoverer, random.between(10, 1_000))
    })
  }

  protected override allViolations(): string[] {
    return [...super.allViolations(), ...this.#watch.violations]
  }

  protected override coverage(): Record<string, number> {
    return { ...super.coverage(), ...this.#counts, recovered: this.#recovered ? 1 : 0 }
  }

  /** Crashes of the node that recovers, and of others, while it does. */
  #faults(): void {
    const { random } = this.scheduler
    const { cluster } = this.parts
    for (let i = random.below(CRASHES_MAX + 1); i > 0; i--) {
      const node = random.chance(0.7) ? this.#recoverer : random.pick(cluster.hosts).nodeId
      this.scheduler.after(random.unit() * CRASH_MS_MAX, 'crash', () => {
        if (!this.#loss.lost.includes(node)) this.#crashFor(node, random.between(10, 2_000))
      })
    }
  }

  #crashFor(node: number, downMs: number): void {
    const { cluster } = this.parts
    const host = cluster.host(node)
    if (host.state === 'down') return
    const steps = `${host.identity.masters?.epoch ?? 0}/${host.node?.replica(MASTERS_GROUP)?.replicaId ?? 0}`
    this.#count(`crash at ${steps}`)
    this.#crash(host)
    this.#count('crashes while recovering')
    this.scheduler.after(downMs, 'start', () => {
      if (host.state === 'down') cluster.start(host)
    })
  }

  #crash(host: SimHost): void {
    if (host.state !== 'down') this.parts.cluster.crash(host)
  }

  /** Dead, or cut off from the others and alive, with a leader of their own where they are a majority of the masters. */
  #lose(): void {
    const { cluster, network } = this.parts
    const { lost } = this.#loss
    const cutOff = this.scheduler.random.chance(0.4)
    this.#count(cutOff ? 'cut off' : 'crashed')
    for (const node of lost) {
      if (!cutOff) this.#crash(cluster.host(node))
      else for (const { nodeId } of cluster.hosts) if (!lost.includes(nodeId)) network.partition(node, nodeId)
    }
  }

  #return(): void {
    const { cluster, network } = this.parts
    network.heal()
    for (const node of this.#loss.lost) if (cluster.host(node).state === 'down') cluster.start(cluster.host(node))
  }

  #move(): void {
    const { random } = this.scheduler
    const first = random.below(SLOT_COUNT)
    const last = Math.min(SLOT_COUNT - 1, first + random.below(SLOT_COUNT / 2))
    this.#ask(random.pick(this.parts.cluster.hosts), 'move', { ranges: [[first, last]], to: random.between(1, 2) })
  }

  /** Until it has been done, by the recoverer or, for what it knows, by anybody. */
  #recover(node: number): void {
    const again = (): void => {
      if (this.#isOver) return
      const host = this.parts.cluster.host(node)
      if (host.state !== 'up') return void this.scheduler.after(ASK_MS, 'recover again', again)
      let answered = false
      const next = (): void => {
        if (answered) return
        answered = true
        this.scheduler.after(ASK_MS, 'recover again', again)
      }
      host.node?.admin.call('recover-masters', { yes: true }, (error, answer) => {
        this.#count(`recover ${error?.code ?? 'ok'}`)
        const epoch = host.identity.masters?.epoch ?? 0
        // Done before: by a call whose answer was lost with the node.
        if ((error === null && (answer as { done: boolean }).done) || epoch > 0) this.#recovered = true
        this.#spared = error?.code === 'masters-live'
        next()
      })
      // A node that crashes answers nothing.
      const { server } = host
      const look = (): void => {
        if (host.server !== server) next()
        else if (!answered) this.scheduler.after(ASK_MS, 'recover looks', look)
      }
      look()
    }
    again()
  }

  #ask(host: SimHost, name: string, args: Readonly<Record<string, unknown>>): void {
    if (host.state !== 'up') return
    host.node?.admin.call(name, args, (error: AdminError | null) => this.#count(`${name} ${error?.code ?? 'ok'}`))
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1
  }
}

function makeParts(scheduler: Scheduler, options: SeedOptions, { nodes }: Loss): RunParts {
  const { random } = scheduler
  const network = new SimNetwork(scheduler, { latencyMaxMs: random.pick([1, 2, 10]) })
  const cluster = new SimCluster(scheduler, network, {
    nodes,
    masters: 3,
    masterRoles: nodes,
    replicas: nodes,
    groups: 2,
    slotCount: SLOT_COUNT,
    timings: { tickMs: 40 },
    limits: { ...drawLimits(scheduler), migrationBytesPerSecond: random.pick([0, 500, 4_000]) },
    mutations: options.mutation?.node,
    checkpointNotAtomic: options.mutation?.checkpointNotAtomic,
    clockSpreadMs: random.pick([0, 50]),
    clockDrift: 0.0002,
    logger: options.logger,
  })
  const workload = new Workload(scheduler, cluster, {
    clients: 5,
    keys: 6,
    pipelineMax: 3,
    thinkMs: 200,
    valueBytesMax: 2_000,
    maxOperations: 60_000,
    sessions: 1,
    slotCount: SLOT_COUNT,
    slotsMove: true,
  })
  return { network, cluster, workload, nemesis: new Nemesis(scheduler, cluster) }
}
