/**
 * One move, and one fault at one of its steps: each step with each victim, once for each seed's luck (`--kind crash`). Nothing else goes wrong, so whatever does is
 * the move's. The seed's number says which step and which victim.
 */
import { asGroupId } from '../base/brand.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { strike, VICTIMS, type Victim } from './aimed-faults.ts'
import { ClusterWatch } from './cluster-watch.ts'
import type { MoveParties, MoveStep } from './move-steps.ts'
import { Nemesis } from './nemesis.ts'
import type { Scheduler } from './scheduler.ts'
import { SimCluster, type SimHost } from './sim-cluster.ts'
import { SimNetwork } from './sim-network.ts'
import { drawLimits, type RunParts, type SeedOptions, SimRun, SLICE_MS, SLOT_COUNT } from './sim-run.ts'
import { Workload } from './workload.ts'

/** The steps of a move that goes through, and of one that is called off at its first STAGE. */
const DONE_STEPS: readonly MoveStep[] = [
  'begunSource',
  'begunDestination',
  'firstStage',
  'streaming',
  'disabled',
  'enabled',
  'published',
  'forgotten',
]
const CANCELLED_STEPS: readonly MoveStep[] = ['begunSource', 'begunDestination', 'kept', 'dropped']

export interface MoveCrash {
  readonly step: MoveStep
  readonly victim: Victim
  readonly cancelled: boolean
}

export const MOVE_CRASHES: readonly MoveCrash[] = [
  ...DONE_STEPS.flatMap((step) => VICTIMS.map((victim) => ({ step, victim, cancelled: false }))),
  ...CANCELLED_STEPS.flatMap((step) => VICTIMS.map((victim) => ({ step, victim, cancelled: true }))),
]

const BEGIN_MS = 4_000
const LOAD_MS = 2_000
const REST_MS = 40_000
/** The first half of the slots is group 1's. */
const DESTINATION = asGroupId(2)

export class MoveCrashRun extends SimRun {
  readonly #watch: ClusterWatch
  readonly #crash: MoveCrash
  #struck = false
  #reconfigId = 0
  #answered = false

  constructor(seed: number, options: SeedOptions) {
    super(seed, options, makeParts)
    this.#crash = MOVE_CRASHES[seed % MOVE_CRASHES.length]
    this.#watch = new ClusterWatch(this.parts.cluster, SLOT_COUNT, (step, move) => this.#onStep(step, move))
  }

  protected safety(): void {
    const { cluster, workload } = this.parts
    cluster.startAll()
    this.runFor(BEGIN_MS)
    workload.start()
    this.runFor(LOAD_MS)
    this.#ask('move', { ranges: [[0, SLOT_COUNT / 2 - 1]], to: DESTINATION })
    const untilMs = this.scheduler.nowMs + REST_MS
    do this.runFor(SLICE_MS)
    while (this.scheduler.nowMs < untilMs && !this.finished && (!this.#struck || this.#watch.unsettled().length > 0))
    for (const problem of this.#watch.unsettled()) this.violations.push(`not at rest after ${REST_MS} ms: ${problem}`)
    // What is called off may have come through; and a step may not come at all then.
    if (!this.#struck && !this.#crash.cancelled)
      this.tooLittle = `no ${this.#crash.step} came, or nobody was its ${this.#crash.victim}`
  }

  /** Only one thing went wrong; but a client may wait for long for a machine that is off. */
  protected override get livenessMs(): readonly [number, number] {
    return [500, 10_000]
  }

  protected override verdict(): void {
    super.verdict()
    for (const problem of this.#watch.unsettled()) this.violations.push(`at the end: ${problem}`)
  }

  protected override applied(host: SimHost, replica: RaftReplica): void {
    this.#watch.applied(host, replica)
  }

  protected override allViolations(): string[] {
    const { step, victim, cancelled } = this.#crash
    const all = [...super.allViolations(), ...this.#watch.violations]
    return all.map((text) => `${victim} at ${step}${cancelled ? ' of a move called off' : ''}: ${text}`)
  }

  protected override faults(): Record<string, number> {
    const { step, victim } = this.#crash
    return { ...super.faults(), ...(this.#struck ? { [`aimed ${step}`]: 1, [`aimed ${victim}`]: 1 } : {}) }
  }

  #onStep(step: MoveStep, move: MoveParties): void {
    this.invariants.coverage[`moves ${step}`] = 1
    this.#reconfigId = move.reconfigId
    const { cluster, nemesis } = this.parts
    const { cancelled, victim } = this.#crash
    if (cancelled && step === 'begunSource') this.#ask('cancel', { reconfig: this.#reconfigId })
    if (this.#struck || step !== this.#crash.step) return
    this.#struck = true
    const random = this.scheduler.random.fork()
    // As an event of its own: the code that has come to this step is still on the stack.
    this.scheduler.after(random.pick([0, 0, 2, 10]), `aimed at ${step}`, () => {
      const actions = { crash: (host: SimHost) => nemesis.crash(host) }
      this.#struck = strike(victim, move, cluster, this.#watch, random, actions)
    })
  }

  /** Until somebody has answered: the masters may be without a leader for a moment. */
  #ask(name: string, args: Readonly<Record<string, unknown>>): void {
    this.#answered = false
    const again = (): void => {
      if (this.#answered) return
      const up = this.parts.cluster.hosts.filter(({ state }) => state === 'up')
      const node = up.length === 0 ? null : this.scheduler.random.pick(up).node
      node?.admin.call(name, args, (error) => {
        this.#answered ||= error === null || error.code === 'too-late'
      })
      this.scheduler.after(2_000, `${name} again`, again)
    }
    again()
  }
}

function makeParts(scheduler: Scheduler, options: SeedOptions): RunParts {
  const network = new SimNetwork(scheduler, { latencyMaxMs: 2 })
  const cluster = new SimCluster(scheduler, network, {
    nodes: 5,
    masters: 3,
    replicas: 3,
    groups: 2,
    slotCount: SLOT_COUNT,
    timings: { tickMs: 40 },
    limits: drawLimits(scheduler),
    mutations: options.mutation?.node,
    checkpointNotAtomic: options.mutation?.checkpointNotAtomic,
    clockSpreadMs: 50,
    clockDrift: 0.0002,
    logger: options.logger,
  })
  const workload = new Workload(scheduler, cluster, {
    clients: 5,
    keys: 6,
    pipelineMax: 3,
    thinkMs: 100,
    valueBytesMax: 2_000,
    maxOperations: 60_000,
    sessions: 1,
    slotCount: SLOT_COUNT,
    slotsMove: true,
  })
  return { network, cluster, workload, nemesis: new Nemesis(scheduler, cluster) }
}
