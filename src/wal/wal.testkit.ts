/**
 * A log on a simulated disk beside a model of what it must hold. The oracle: after any crash every group has exactly
 * what the log held after some number of steps, no fewer than flush confirmed, and never a mixture.
 */
import { assert } from '../base/assert.ts'
import { asGroupId, asLogIndex, asReplicaId, asTerm, type GroupId, type LogIndex } from '../base/brand.ts'
import { crc32c } from '../base/crc32c.ts'
import { Prng } from '../base/prng.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { CompactionPoint, GroupWrite, HardState, RecoveredGroup } from '../ports/log.ts'
import { SILENT_LOGGER } from '../ports/logger.ts'
import { ENTRY_COMMAND, type Entry } from '../protocol/entry.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { SimDisk } from '../simulation/sim-disk.ts'
import { openWriteAheadLog, type WalOpenResult, type WalOptions, type WriteAheadLog } from './write-ahead-log.ts'

export const TEST_OPTIONS: WalOptions = {
  directory: 'node/wal',
  segmentBytes: 64 * 1024,
  maxBatchBytes: 8 * 1024,
  maxPendingBytes: 256 * 1024,
  spareSegments: 2,
  copyForwardSegments: 4,
  markAfterIdleMs: 100,
  logId: 0x1234_5678_9abc,
}

/** A process's clock: its timers die with it. */
export class TestClock implements Clock {
  readonly #scheduler: Scheduler
  #dead = false

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs
  }

  wallMs(): number {
    return Math.floor(this.#scheduler.nowMs)
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const event = this.#scheduler.after(delayMs, 'timer', () => {
      if (!this.#dead) callback()
    })
    return { cancel: () => this.#scheduler.cancel(event) }
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback)
  }

  die(): void {
    this.#dead = true
  }
}

/** One group as the log must give it back. */
export interface ModelGroup {
  replicaId: number
  hardState: HardState
  compaction: CompactionPoint
  baseDirectory: number
  entries: Entry[]
}

type ModelStep = (groups: Map<GroupId, ModelGroup>) => void

export function lastOf(model: ModelGroup): CompactionPoint {
  return model.entries.at(-1) ?? model.compaction
}

function termAt(model: ModelGroup, index: number): number | null {
  if (index === model.compaction.index) return model.compaction.term
  return model.entries[index - model.compaction.index - 1]?.term ?? null
}

function compact(model: ModelGroup, point: CompactionPoint): void {
  model.entries = model.entries.filter((entry) => entry.index > point.index)
  model.compaction = point
}

/** A write as the steps between which a crash may cut: its state first, then entry by entry. */
function stepsOf(write: GroupWrite): ModelStep[] {
  const steps: ModelStep[] = [
    (groups) => {
      if (write.replicaId !== undefined) {
        groups.set(write.group, {
          replicaId: write.replicaId,
          hardState: { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) },
          compaction: { index: asLogIndex(0), term: asTerm(0) },
          baseDirectory: 0,
          entries: [],
        })
      }
      const model = groups.get(write.group)
      assert(model !== undefined, 'model: unknown group')
      const { hardState, truncateFrom, base, compaction } = write
      if (hardState !== undefined) model.hardState = hardState
      if (truncateFrom !== undefined) model.entries = model.entries.filter((entry) => entry.index < truncateFrom)
      if (base !== undefined) {
        if (termAt(model, base.point.index) !== base.point.term) model.entries = []
        model.baseDirectory = base.directory
        compact(model, base.point)
      }
      if (compaction !== undefined) compact(model, compaction)
    },
  ]
  for (const entry of write.entries ?? []) {
    steps.push((groups) => {
      const model = groups.get(write.group)
      assert(model !== undefined, 'model: unknown group')
      model.entries = model.entries.filter((other) => other.index < entry.index)
      model.entries.push(entry)
    })
  }
  return steps
}

export function describeGroups(groups: Iterable<readonly [GroupId, ModelGroup]>): string {
  const ordered = [...groups].sort((a, b) => a[0] - b[0])
  return ordered
    .map(([group, model]) => {
      const { replicaId, hardState, compaction, baseDirectory, entries } = model
      const list = entries
        .map((entry) => `${entry.index}:${entry.term}:${entry.kind}:${entry.payload.length}:${crc32c(entry.payload)}`)
        .join(' ')
      return `g${group} r${replicaId} t${hardState.term} v${hardState.votedFor} c${hardState.commit} k${compaction.index}:${compaction.term} b${baseDirectory} ${list}`
    })
    .join('\n')
}

export function modelOf(recovered: readonly RecoveredGroup[]): Map<GroupId, ModelGroup> {
  return new Map(recovered.map((group) => [group.group, { ...group, entries: [...group.entries] }]))
}

export class WalWorld {
  readonly scheduler: Scheduler
  readonly disk: SimDisk
  readonly random: Prng
  readonly options: WalOptions
  log: WriteAheadLog | null = null
  clock: TestClock
  fatal: string | null = null
  /** The model after the confirmed steps, and after all steps. */
  confirmed = new Map<GroupId, ModelGroup>()
  latest = new Map<GroupId, ModelGroup>()
  #steps: ModelStep[] = []
  /** How many of #steps flush has confirmed (applied to `confirmed` lazily). */
  #confirmedSteps = 0
  flushes = 0
  /** Answers to LiveEntries can be made to lag or lead. */
  liveEntries = (group: GroupId, from: LogIndex, to: LogIndex): Entry[] =>
    (this.latest.get(group)?.entries ?? []).filter((entry) => entry.index >= from && entry.index <= to)

  constructor(seed: number, options: Partial<WalOptions> = {}) {
    this.scheduler = new Scheduler(seed)
    this.random = new Prng(seed * 7 + 1)
    this.disk = new SimDisk(this.scheduler, this.random.fork())
    this.options = { ...TEST_OPTIONS, ...options }
    this.clock = new TestClock(this.scheduler)
    this.disk.makeDirectory('node', () => {})
    this.scheduler.runUntil(1)
  }

  /** Starts opening; the result is kept, and the log. `null` where a crash came first. */
  startOpen(onResult: (result: WalOpenResult) => void): void {
    this.clock = new TestClock(this.scheduler)
    this.fatal = null
    const { clock } = this
    openWriteAheadLog(
      this.disk,
      clock,
      SILENT_LOGGER,
      this.options,
      (group, from, to) => this.liveEntries(group, from, to),
      (message) => {
        assert(this.clock === clock && this.fatal === null, 'onFatal comes once, and not from an older life')
        this.fatal = message
        this.log = null
      },
      (result) => {
        assert(this.clock === clock, 'opened in an older life')
        if (result.kind === 'opened') this.log = result.log
        onResult(result)
      },
    )
  }

  open(): WalOpenResult {
    let result: WalOpenResult | null = null
    this.startOpen((given) => {
      result = given
    })
    for (let i = 0; i < 100_000 && result === null; i++) if (!this.scheduler.step()) break
    assert(result !== null, 'the log neither opened nor failed')
    return result
  }

  /** Opens and compares with the model; takes over what the log gave. */
  reopen(): WriteAheadLog {
    const result = this.open()
    assert(result.kind === 'opened', `the log did not open: ${JSON.stringify(result.kind === 'opened' ? '' : result)}`)
    this.check(result.groups)
    return result.log
  }

  check(groups: readonly RecoveredGroup[]): void {
    const got = describeGroups(modelOf(groups))
    const matched = this.matches(got)
    if (!matched) {
      throw new Error(
        `recovered what was never the log's state:\n${got}\nconfirmed:\n${describeGroups(this.confirmedGroups())}\nlatest:\n${describeGroups(this.latest)}`,
      )
    }
    this.confirmed = modelOf(groups)
    this.latest = modelOf(groups)
    this.#steps = []
    this.#confirmedSteps = 0
  }

  /** True where the description is the model's after some number of steps, no fewer than confirmed. */
  matches(got: string, least = this.#confirmedSteps): boolean {
    const state = clone(this.confirmed)
    for (let k = 0; k <= this.#steps.length; k++) {
      if (k >= least && describeGroups(state) === got) return true
      if (k < this.#steps.length) this.#steps[k](state)
    }
    return false
  }

  confirmedGroups(): Map<GroupId, ModelGroup> {
    const state = clone(this.confirmed)
    for (let k = 0; k < this.#confirmedSteps; k++) this.#steps[k](state)
    return state
  }

  append(write: GroupWrite): void {
    if (this.log === null) return
    this.log.append(write)
    this.#note(stepsOf(write))
  }

  forget(group: GroupId): void {
    if (this.log === null) return
    this.log.forget(group)
    this.#note([(groups) => groups.delete(group)])
  }

  flush(then: () => void = () => {}): void {
    const { log, clock } = this
    if (log === null) return
    const steps = this.#steps
    const upTo = steps.length
    let inside = true
    log.flush(() => {
      assert(!inside, 'flush called back inside the call')
      assert(this.clock === clock && this.fatal === null && steps === this.#steps, 'flush called back after the end')
      assert(upTo >= this.#confirmedSteps, 'flushes called back out of order')
      this.#confirmedSteps = upTo
      this.flushes++
      then()
    })
    inside = false
  }

  /** Flushes and waits. */
  flushNow(): void {
    let done = false
    this.flush(() => {
      done = true
    })
    for (let i = 0; i < 100_000 && !done && this.fatal === null; i++) this.scheduler.step()
    assert(done || this.fatal !== null, 'flush never called back')
  }

  /** The process ends: with the machine (power), or alone (the page cache stays). */
  end(how: 'crash' | 'kill'): void {
    this.clock.die()
    this.clock = new TestClock(this.scheduler)
    this.log = null
    if (how === 'crash') this.disk.crash()
    else this.disk.kill()
  }

  close(): void {
    let closed = false
    this.log?.close(() => {
      closed = true
    })
    for (let i = 0; i < 100_000 && !closed; i++) if (!this.scheduler.step()) break
    assert(closed || this.fatal !== null, 'the log did not close')
    this.end('kill')
  }

  run(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }

  #note(steps: ModelStep[]): void {
    for (const step of steps) {
      step(this.latest)
      this.#steps.push(step)
    }
  }

  /** One random write, as a Raft group would make it. */
  appendRandom(groupCount: number, maxPayload = 600): void {
    const { random } = this
    const group = asGroupId(random.below(groupCount))
    const model = this.latest.get(group)
    if (model === undefined) {
      this.append({ group, replicaId: asReplicaId(1 + random.below(1000)), hardState: this.#hardState(1) })
      return
    }
    const last = lastOf(model)
    const term = Math.max(model.hardState.term, last.term)
    const kind = random.below(100)
    if (kind < 60) this.append({ group, entries: this.entries(last.index + 1, term, 1 + random.below(12), maxPayload) })
    else if (kind < 72) this.append({ group, hardState: this.#hardState(term + random.below(2)) })
    else if (kind < 82 && model.entries.length > 0) {
      const from = random.pick(model.entries).index
      const fresh = term + 1
      const entries = random.chance(0.5) ? this.entries(from, fresh, 1 + random.below(4), maxPayload) : undefined
      this.append({
        group,
        hardState: this.#hardState(fresh),
        truncateFrom: random.chance(0.7) ? from : undefined,
        entries,
      })
    } else if (kind < 94 && model.entries.length > 0) {
      const point = random.pick(model.entries)
      this.append({ group, compaction: { index: point.index, term: point.term } })
    } else if (kind < 97) {
      const inside = model.entries.length > 0 && random.chance(0.5)
      const at = inside
        ? random.pick(model.entries)
        : { index: asLogIndex(last.index + random.below(20)), term: asTerm(term) }
      const point = { index: at.index, term: random.chance(0.2) ? asTerm(term + 1) : at.term }
      if (point.index === 0) return
      this.append({ group, base: { directory: model.baseDirectory + 1, point } })
    } else if (kind === 99) this.forget(group)
  }

  #hardState(term: number): HardState {
    return {
      term: asTerm(term),
      votedFor: asReplicaId(this.random.below(4)),
      commit: asLogIndex(this.random.below(50)),
    }
  }

  entries(from: number, term: number, count: number, maxPayload: number): Entry[] {
    const entries: Entry[] = []
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(this.random.below(maxPayload))
      for (let j = 0; j < payload.length; j++) payload[j] = this.random.below(256)
      entries.push({ term: asTerm(term), index: asLogIndex(from + i), kind: ENTRY_COMMAND, payload })
    }
    return entries
  }
}

function clone(groups: Map<GroupId, ModelGroup>): Map<GroupId, ModelGroup> {
  return new Map([...groups].map(([group, model]) => [group, { ...model, entries: [...model.entries] }]))
}

/** Opens copies of a log's files on a disk of their own. */
export function openCopy(files: ReadonlyMap<string, Uint8Array>, options: Partial<WalOptions> = {}): WalOpenResult {
  const world = new WalWorld(1, options)
  for (const [path, bytes] of files) world.disk.plant(path, bytes)
  return world.open()
}
