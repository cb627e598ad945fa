/**
 * One chaos run: a cluster, rounds of load on it, faults all the while. Each round has keys and a history of its own, checked before the next
 * one starts, so that a run may be of any length; journals of all rounds are read once more at the end.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Prng } from '../base/prng.ts'
import type { DevCluster } from './dev-cluster.ts'
import { type FaultName, makeFault } from './faults.ts'
import { Load } from './load.ts'
import type { ChaosOptions } from './options.ts'
import { WriteWatch } from './write-watch.ts'

export interface Unavailability {
  readonly median: number
  readonly max: number
}

/** What `--json` prints. */
export interface ChaosReport {
  /** Commands sent. */
  readonly operations: number
  readonly acknowledged: number
  readonly unknown: number
  readonly seed: number
  readonly rounds: number
  readonly violations: readonly string[]
  /** Rounds whose history could be neither proved nor refuted within the checker's bound. */
  readonly undecided: readonly string[]
  readonly faults: Readonly<Partial<Record<FaultName, number>>>
  /**
   * From the fault to the next acknowledged write that was sent after it, of the slowest group that lost its leader. Of `restart-all`
   * it holds the start of the processes.
   */
  readonly unavailableMs: Readonly<Partial<Record<FaultName, Unavailability>>>
}

const WRITERS = 64
const READERS = 16
const KEYS = 100
const THINK_MS = 20
const ROUND_MS = 60_000
/** Bounds the history, and with it the checker's memory and time. */
const MAX_OPERATIONS_PER_ROUND = 250_000

export class ChaosRun {
  readonly #options: ChaosOptions
  readonly #cluster: DevCluster
  readonly #say: (text: string) => void
  readonly #random: Prng
  readonly #watch = new WriteWatch()
  readonly #loads: Load[] = []
  readonly #violations: string[] = []
  readonly #undecided: string[] = []
  readonly #unavailableMs = new Map<FaultName, number[]>()
  /** Every kind comes up before any comes again. */
  #deck: FaultName[] = []

  constructor(options: ChaosOptions, cluster: DevCluster, say: (text: string) => void) {
    this.#options = options
    this.#cluster = cluster
    this.#say = say
    this.#random = new Prng(options.seed)
    for (const fault of options.faults) this.#unavailableMs.set(fault, [])
  }

  /** Ends early at the first violation: what comes after it proves nothing more, and the data shows it best now. */
  async run(): Promise<ChaosReport> {
    const deadlineMs = performance.now() + this.#options.minutes * 60_000
    do {
      await this.#round(deadlineMs)
    } while (this.#violations.length === 0 && performance.now() < deadlineMs)
    // Rounds before the last: has anything been lost since?
    if (this.#violations.length === 0) {
      for (const load of this.#loads.slice(0, -1)) this.#violations.push(...(await load.checkJournals()))
    }
    return this.#report()
  }

  async #round(deadlineMs: number): Promise<void> {
    const round = this.#loads.length + 1
    const { addresses } = this.#cluster
    const load = new Load(
      {
        addresses,
        groupOf: (key) => this.#cluster.groupOf(key),
        watch: this.#watch,
        prefix: `${round}-`,
        writers: WRITERS,
        readers: READERS,
        keys: KEYS,
        thinkMs: THINK_MS,
        maxOperations: MAX_OPERATIONS_PER_ROUND,
      },
      this.#random.fork(),
    )
    this.#loads.push(load)
    load.start()
    try {
      await this.#faults(load, Math.min(deadlineMs, performance.now() + ROUND_MS))
    } catch (error) {
      this.#violations.push(error instanceof Error ? error.message : String(error))
    }
    await load.stop()
    this.#violations.push(...this.#cluster.crashes())
    if (this.#violations.length > 0) return
    await this.#check(round, load)
  }

  async #faults(load: Load, untilMs: number): Promise<void> {
    const scene = { cluster: this.#cluster, watch: this.#watch, random: this.#random }
    do {
      await delay(this.#random.between(200, 2_000))
      const fault = this.#nextFault()
      const unavailableMs = await makeFault(fault, scene)
      this.#unavailableMs.get(fault)?.push(unavailableMs)
      this.#say(`${fault}: ${Math.round(unavailableMs)} ms without writes`)
    } while (performance.now() < untilMs && !load.full && this.#cluster.crashes().length === 0)
    await this.#cluster.settled()
  }

  #nextFault(): FaultName {
    if (this.#deck.length === 0) this.#deck = [...this.#options.faults]
    const [fault] = this.#deck.splice(this.#random.below(this.#deck.length), 1)
    return fault
  }

  async #check(round: number, load: Load): Promise<void> {
    const startedMs = performance.now()
    const { violations, undecided } = await load.check()
    this.#violations.push(...violations)
    if (undecided !== null) this.#undecided.push(undecided)
    const took = ((performance.now() - startedMs) / 1000).toFixed(1)
    this.#say(
      `round ${round}: ${load.operations} operations, ${load.acknowledged} acknowledged, ${load.unknown} unknown; checked in ${took} s: ` +
        `${violations.length} violations`,
    )
  }

  #report(): ChaosReport {
    const sum = (of: (load: Load) => number): number => this.#loads.reduce((total, load) => total + of(load), 0)
    const measured = [...this.#unavailableMs]
    return {
      operations: sum((load) => load.operations),
      acknowledged: sum((load) => load.acknowledged),
      unknown: sum((load) => load.unknown),
      seed: this.#options.seed,
      rounds: this.#loads.length,
      violations: this.#violations,
      undecided: this.#undecided,
      faults: Object.fromEntries(measured.map(([fault, times]) => [fault, times.length])),
      unavailableMs: Object.fromEntries(
        measured.filter(([, times]) => times.length > 0).map(([fault, times]) => [fault, unavailability(times)]),
      ),
    }
  }
}

export function unavailability(times: readonly number[]): Unavailability {
  const sorted = times.map(Math.round).sort((a, b) => a - b)
  return { median: sorted[Math.floor(sorted.length / 2)], max: sorted[sorted.length - 1] }
}
