/**
 * One episode of leadership: takes over, then makes its writes one after another. A job looks at a fresh snapshot of the tree and says what is to be written
 * and answered; where the tree has changed under it, it looks again. After the end of the episode nothing of it is written any more.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../ports/clock.ts'
import type { MetadataStore } from '../ports/metadata-store.ts'
import type { MetadataOperation } from '../protocol/metadata-operation.ts'
import { type ClusterSnapshot, readSnapshot } from './cluster-snapshot.ts'
import { FencedStore, type FencedStoreOptions, type WriteResult } from './fenced-store.ts'
import { type MasterDone, type MasterError, masterError } from './master-error.ts'
import { TreeDraft } from './tree-draft.ts'

export type JobPlan<T> =
  | { readonly kind: 'write'; readonly operations: readonly MetadataOperation[]; readonly answer: T }
  | { readonly kind: 'refuse'; readonly error: MasterError }

interface Job {
  /** What to write, and how to answer once that is done; or how to answer at once. */
  plan(snapshot: ClusterSnapshot): { readonly operations: readonly MetadataOperation[]; readonly answer: () => void }
  fail(error: MasterError): void
}

const MAX_JOBS = 256
/** Each time the tree has changed between the reading and the writing. */
const MAX_ATTEMPTS = 32
const RETRY_MS = 100

export const NO_LONGER_ACTIVE = masterError('not-active', 'this master is not active any more', 'ask the active master')

export class ActiveMaster {
  readonly fence: number
  readonly store: MetadataStore
  readonly #clock: Clock
  readonly #fenced: FencedStore
  readonly #jobs: Job[] = []
  readonly #tellDeposed: () => void
  #isRunning = true
  #isOver = false

  /** `ready`: it has taken over; not called where it could not. `deposed`: a write was refused; not called after `end`. */
  constructor(
    store: MetadataStore,
    clock: Clock,
    options: FencedStoreOptions,
    { ready, deposed }: { readonly ready: () => void; readonly deposed: () => void },
  ) {
    this.store = store
    this.fence = options.fence
    this.#clock = clock
    this.#tellDeposed = deposed
    this.#fenced = new FencedStore(store, clock, options)
    this.#fenced.takeOver((isActive) => {
      this.#isRunning = false
      if (!isActive) return this.#deposed()
      if (this.#isOver) return
      ready()
      this.#next()
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Answers once it is written. `plan` may be called several times, each time with the tree of then. */
  submit<T>(plan: (snapshot: ClusterSnapshot) => JobPlan<T>, done: MasterDone<T>): void {
    if (this.#isOver) return this.#clock.defer(() => done(NO_LONGER_ACTIVE, null))
    if (this.#jobs.length >= MAX_JOBS) {
      const error = masterError('busy', `${MAX_JOBS} calls are waiting`, 'try again later')
      return this.#clock.defer(() => done(error, null))
    }
    this.#jobs.push({
      plan: (snapshot) => {
        const planned = plan(snapshot)
        if (planned.kind === 'refuse') return { operations: [], answer: () => done(planned.error, null) }
        if (TreeDraft.fits(planned.operations)) {
          return { operations: planned.operations, answer: () => done(null, planned.answer) }
        }
        const error = masterError('too-large', 'more than one write may hold', 'ask for less at a time')
        return { operations: [], answer: () => done(error, null) }
      },
      fail: (error) => done(error, null),
    })
    this.#next()
  }

  /** The episode is over: another may lead. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#fenced.depose()
    for (const job of this.#jobs.splice(0)) this.#clock.defer(() => job.fail(NO_LONGER_ACTIVE))
  }

  #deposed(): void {
    if (this.#isOver) return
    this.end()
    this.#tellDeposed()
  }

  #next(): void {
    if (this.#isRunning || this.#isOver) return
    const job = this.#jobs.shift()
    if (job === undefined) return
    this.#isRunning = true
    this.#attempt(job, 0)
  }

  #attempt(job: Job, attempts: number): void {
    if (this.#isOver) return job.fail(NO_LONGER_ACTIVE)
    readSnapshot(this.store, (error, snapshot) => {
      if (this.#isOver) return job.fail(NO_LONGER_ACTIVE)
      if (error !== null || snapshot === null) {
        const isFinal = error === null || error.code !== 'unavailable' || attempts >= MAX_ATTEMPTS
        if (!isFinal) return this.#later(job, attempts)
        job.fail(error ?? masterError('unavailable', 'no snapshot', 'try again'))
        return this.#finished()
      }
      const { operations, answer } = job.plan(snapshot)
      if (operations.length === 0) {
        answer()
        return this.#finished()
      }
      this.#fenced.write(operations, (result) => this.#written(job, attempts, result, answer))
    })
  }

  #written(job: Job, attempts: number, result: WriteResult, answer: () => void): void {
    if (result.kind === 'done') {
      answer()
      return this.#finished()
    }
    if (result.kind === 'deposed') {
      const uncertain = masterError('uncertain', 'this master was deposed while it wrote', 'look at the state of now')
      job.fail(result.maybe ? uncertain : NO_LONGER_ACTIVE)
      return this.#deposed()
    }
    if (attempts < MAX_ATTEMPTS) return this.#attempt(job, attempts + 1)
    const { code, message } = result.error
    job.fail(masterError('busy', `the tree keeps changing: ${code}: ${message}`, 'try again'))
    this.#finished()
  }

  #later(job: Job, attempts: number): void {
    this.#clock.setTimer(RETRY_MS, () => this.#attempt(job, attempts + 1))
  }

  #finished(): void {
    assert(this.#isRunning, 'active master: no job is running')
    this.#isRunning = false
    this.#next()
  }
}
