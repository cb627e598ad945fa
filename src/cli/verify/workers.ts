/** The clients of `quorate verify`: each works alone, one call after the other, until it is told to stop, and checks every answer at once. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Prng } from '../../base/prng.ts'
import type { QuorateClient } from '../../client/index.ts'
import type { CasChain } from './cas-chain.ts'
import { CounterModel } from './counter-model.ts'
import { type Findings, type Outcome, PauseMeter } from './findings.ts'
import { KeyModel } from './key-model.ts'

export interface WorkerParts {
  readonly id: number
  readonly client: QuorateClient
  readonly findings: Findings
  readonly random: Prng
  /** Of all keys of the run. */
  readonly prefix: string
  readonly isOver: () => boolean
  /** Pause between two calls, on average. */
  readonly thinkMs: number
}

const KEYS_EACH = 8
const LAST_LOOK_TRIES = 20

abstract class Worker {
  readonly pause: PauseMeter
  protected readonly parts: WorkerParts

  constructor(parts: WorkerParts) {
    this.parts = parts
    this.pause = new PauseMeter(parts.findings.nowMs)
  }

  /** What it writes. */
  abstract readonly keys: readonly string[]

  async run(): Promise<void> {
    const { isOver, random, thinkMs, findings } = this.parts
    while (!isOver()) {
      await this.step()
      if (thinkMs > 0) await delay(random.unit() * 2 * thinkMs)
    }
    this.pause.finish(findings.nowMs)
  }

  /** When all have stopped: what stands there. */
  abstract lastLook(): Promise<void>

  protected abstract step(): Promise<void>

  /** A write, and the session that it went under; null where that changed meanwhile. */
  protected async write<T>(operation: () => Promise<T>): Promise<{ outcome: Outcome<T>; session: number | null }> {
    const { client, findings } = this.parts
    const before = client.session
    const outcome = await findings.measure(this.pause, operation)
    return { outcome, session: before === client.session ? before : null }
  }

  protected report(problem: string | null): void {
    if (problem !== null) this.parts.findings.violation(`client ${this.parts.id}: ${problem}`)
  }

  /** A key as it stands when the faults are over; undefined: it could not be read, which proves nothing. */
  protected async readAtLast(key: string): Promise<string | null | undefined> {
    for (let tries = 0; tries < LAST_LOOK_TRIES; tries++) {
      const outcome = await this.parts.findings.measure(this.pause, () => this.parts.client.get(key))
      if (outcome.kind === 'ok') return outcome.value
      await delay(100)
    }
    return undefined
  }
}

/** Set, get, compare-and-set and delete on keys of its own, with values that are used once; and a counter. */
export class OwnKeysWorker extends Worker {
  readonly keys: readonly string[]
  readonly #models: readonly KeyModel[]
  readonly #counterKey: string
  readonly #counter: CounterModel
  #values = 0

  constructor(parts: WorkerParts) {
    super(parts)
    const { prefix, id } = parts
    const own = Array.from({ length: KEYS_EACH }, (_, i) => `${prefix}client-${id}:${i}`)
    this.#models = own.map((key) => new KeyModel(key))
    this.#counterKey = `${prefix}client-${id}:counter`
    this.#counter = new CounterModel(this.#counterKey)
    this.keys = [...own, this.#counterKey]
  }

  protected async step(): Promise<void> {
    const { random } = this.parts
    const at = random.below(KEYS_EACH)
    const kind = random.unit()
    if (kind < 0.35) await this.#get(at)
    else if (kind < 0.6) await this.#set(at)
    else if (kind < 0.8) await this.#compareAndSet(at)
    else if (kind < 0.85) await this.#delete(at)
    else await this.#count()
  }

  async lastLook(): Promise<void> {
    for (const [at, model] of this.#models.entries()) {
      const value = await this.readAtLast(this.keys[at])
      if (value !== undefined) this.report(model.read(value, this.parts.findings.nowMs))
    }
    const count = await this.readAtLast(this.#counterKey)
    if (count !== undefined) this.report(this.#counter.read(count))
  }

  async #get(at: number): Promise<void> {
    const { findings, client } = this.parts
    const outcome = await findings.measure(this.pause, () => client.get(this.keys[at]))
    if (outcome.kind === 'ok') this.report(this.#models[at].read(outcome.value, findings.nowMs))
  }

  async #set(at: number): Promise<void> {
    const { findings, client } = this.parts
    const value = this.#nextValue()
    const { outcome, session } = await this.write(() => client.set(this.keys[at], value))
    if (outcome.kind === 'ok') this.#models[at].wrote(value, session, findings.nowMs)
    if (outcome.kind === 'unknown') this.#models[at].writeUnknown(value, session, findings.nowMs)
  }

  async #delete(at: number): Promise<void> {
    const { findings, client } = this.parts
    const { outcome, session } = await this.write(() => client.del(this.keys[at]))
    if (outcome.kind === 'ok') this.#models[at].wrote(null, session, findings.nowMs)
    if (outcome.kind === 'unknown') this.#models[at].writeUnknown(null, session, findings.nowMs)
  }

  async #compareAndSet(at: number): Promise<void> {
    const { findings, client, random } = this.parts
    const model = this.#models[at]
    // Now and then with a value that is not there.
    const expected = random.chance(0.1) ? `never-${this.#values}` : model.guess
    const value = this.#nextValue()
    const { outcome, session } = await this.write(() => client.cas(this.keys[at], expected, value))
    if (outcome.kind === 'ok') {
      this.report(model.compared(expected, value, outcome.value, session, findings.nowMs))
    } else if (outcome.kind === 'unknown') model.writeUnknown(value, session, findings.nowMs)
  }

  async #count(): Promise<void> {
    const { findings, client } = this.parts
    const { outcome, session } = await this.write(() => client.incr(this.#counterKey))
    if (outcome.kind === 'ok') this.report(this.#counter.counted(outcome.value, session, findings.nowMs))
    if (outcome.kind === 'unknown') this.#counter.unknown(session, findings.nowMs)
  }

  #nextValue(): string {
    return `${this.parts.id}-${++this.#values}`
  }
}

/** One of several that change one register by compare-and-set. */
export class ContendedCasWorker extends Worker {
  readonly keys: readonly string[]
  readonly #chain: CasChain
  #known: string | null = null
  #values = 0

  constructor(parts: WorkerParts, chain: CasChain) {
    super(parts)
    this.keys = [`${parts.prefix}contended`]
    this.#chain = chain
  }

  protected async step(): Promise<void> {
    const { findings, client, id } = this.parts
    const expected = this.#known
    const value = `${id}-${++this.#values}`
    const outcome = await findings.measure(this.pause, () => client.cas(this.keys[0], expected, value))
    if (outcome.kind === 'unknown') {
      this.#chain.unknown(expected, value)
      const look = await findings.measure(this.pause, () => client.get(this.keys[0]))
      if (look.kind === 'ok') this.#known = look.value
    } else if (outcome.kind === 'ok') {
      const { value: result } = outcome
      if (result.ok) this.#chain.succeeded(expected, value)
      else if (result.current === expected) {
        this.report(`compare-and-set of ${expected} was refused although the register holds it`)
      }
      this.#known = result.ok ? value : result.current
    }
  }

  /** Called for one of them. */
  async lastLook(): Promise<void> {
    const last = await this.readAtLast(this.keys[0])
    if (last === undefined) return
    this.#chain.finish(last)
    for (const problem of this.#chain.problems) this.report(`contended register: ${problem}`)
  }
}

/** What the writer of a register has had acknowledged: nobody may read less from then on. */
export class Freshness {
  acknowledged = 0
  /** Until then an old write of unknown outcome, under a session that is no more, could still come. */
  graceUntilMs = 0
}

const GRACE_MS = 60_000

/** Counts a register up, blindly. */
export class FreshnessWriter extends Worker {
  readonly keys: readonly string[]
  readonly #freshness: Freshness
  #next = 0
  /** Of writes whose outcome is unknown, and that have had no answered one behind them. */
  #unknownSessions: (number | null)[] = []

  constructor(parts: WorkerParts, freshness: Freshness) {
    super(parts)
    this.keys = [`${parts.prefix}fresh`]
    this.#freshness = freshness
  }

  protected async step(): Promise<void> {
    const { findings, client } = this.parts
    const value = ++this.#next
    const { outcome, session } = await this.write(() => client.set(this.keys[0], value))
    if (outcome.kind === 'unknown') this.#unknownSessions.push(session)
    if (outcome.kind !== 'ok') return
    // Under the same session the group refuses them from now on.
    const mayStillCome = this.#unknownSessions.some((unknown) => unknown === null || unknown !== session)
    if (mayStillCome) this.#freshness.graceUntilMs = findings.nowMs + GRACE_MS
    this.#unknownSessions = []
    this.#freshness.acknowledged = value
  }

  async lastLook(): Promise<void> {
    const value = await this.readAtLast(this.keys[0])
    if (value !== undefined)
      this.report(
        staleness(Number(value ?? 0), this.#freshness.acknowledged, this.#freshness, this.parts.findings.nowMs),
      )
  }
}

export class FreshnessReader extends Worker {
  readonly keys: readonly string[]
  readonly #freshness: Freshness
  #last = 0

  constructor(parts: WorkerParts, freshness: Freshness) {
    super(parts)
    this.keys = [`${parts.prefix}fresh`]
    this.#freshness = freshness
  }

  protected async step(): Promise<void> {
    const { findings, client } = this.parts
    // Acknowledged before the read begins; and what this client has read itself.
    const atLeast = Math.max(this.#freshness.acknowledged, this.#last)
    const outcome = await findings.measure(this.pause, () => client.get(this.keys[0]))
    if (outcome.kind !== 'ok') return
    const value = Number(outcome.value ?? 0)
    this.report(staleness(value, atLeast, this.#freshness, findings.nowMs))
    this.#last = value
  }

  lastLook(): Promise<void> {
    return Promise.resolve()
  }
}

function staleness(value: number, atLeast: number, { graceUntilMs }: Freshness, nowMs: number): string | null {
  if (value >= atLeast || nowMs < graceUntilMs) return null
  return `a linearizable read gave ${value} when ${atLeast} had been acknowledged or read before it began`
}

export type AnyWorker = OwnKeysWorker | ContendedCasWorker | FreshnessWriter | FreshnessReader
