/**
 * The search for one key's order. Wing and Gong's (1993), with Lowe's memory of the configurations seen and his just-in-time
 * order ("Testing for linearizability", 2017): it walks over the returns, and an operation enters the order only when a
 * return forces it in, its own or that of one which has to stand behind it. A configuration is (next return, pending
 * operations already in the order, unknown ones spent, state).
 *
 * Six cuts keep it small. Each drops a configuration only where another one can do everything that it can do:
 *
 *  1. A read-only operation enters as soon as its result fits: that never hurts.
 *  2. Unknown operations may never happen, so of two configurations that differ only in those spent, the one that spent
 *     fewer is enough. Of equal unknown operations the first called goes first.
 *  3. A blind write that no unfinished operation can observe is buried right before the next blind write. In any order
 *     that has it later, a blind write or nothing follows it, so it can as well stand here.
 *  4. Such a write is never put in on its own before it must.
 *  5. An unknown operation, then at once a blind write: leave out the unknown one.
 *  6. A state that an unfinished operation must still find, and that nothing left can bring back, is not left.
 *
 * Work is bounded by `maxSteps`, calls of the model's `step`; never by a clock, so that the verdict is the same everywhere.
 */
import { assert } from '../base/assert.ts'
import type { KeyPlan, PlannedOperation } from './linearizability-plan.ts'
import { type Model, REJECT, type StateKey } from './sequential-model.ts'

export type SearchVerdict<State> =
  | { readonly kind: 'found'; readonly steps: number }
  /** The search got no further than before the return at `rank`, in `states` (up to 8 of them). */
  | { readonly kind: 'none'; readonly steps: number; readonly rank: number; readonly states: readonly State[] }
  | { readonly kind: 'undecided'; readonly steps: number }

export interface SearchOptions {
  readonly maxSteps: number
  /** Cut 6, on by default. Without it the search gets as far as the history is good. */
  readonly foresight?: boolean
}

interface Configuration<State, Operation, Result> {
  readonly rank: number
  readonly state: State
  /** Pending definite operations in the order already, by their bits. */
  readonly taken: bigint
  readonly spent: bigint
  /** An unknown operation came last and nobody has looked at what it left (cut 5). */
  readonly unseenUnknown: boolean
  /** What to try after the returning operation itself; null until that was tried. */
  choices: PlannedOperation<Operation, Result>[] | null
  nextChoice: number
}

const MAX_STATES_REPORTED = 8

export class KeySearch<State, Operation, Result> {
  readonly #model: Model<State, Operation, Result>
  readonly #plan: KeyPlan<Operation, Result>
  readonly #maxSteps: number
  readonly #foresight: boolean
  readonly #seen = new Map<string, bigint[]>()
  readonly #mayLeadTo = new Map<StateKey, readonly PlannedOperation<Operation, Result>[]>()
  readonly #stateIds = new Map<StateKey, number>()
  #steps = 0
  #furthestRank = -1
  #furthestStates = new Map<StateKey, State>()

  constructor(model: Model<State, Operation, Result>, plan: KeyPlan<Operation, Result>, options: SearchOptions) {
    const { maxSteps, foresight = true } = options
    assert(maxSteps >= 1, 'KeySearch: maxSteps must be positive')
    this.#model = model
    this.#plan = plan
    this.#maxSteps = maxSteps
    this.#foresight = foresight
  }

  run(): SearchVerdict<State> {
    const end = this.#plan.definite.length
    const stack = [this.#settle(0, 0n, 0n, this.#model.initial, false)]
    for (;;) {
      const top = stack[stack.length - 1]
      if (top === undefined) break
      if (top.rank === end) return { kind: 'found', steps: this.#steps }
      if (this.#steps > this.#maxSteps) return { kind: 'undecided', steps: this.#steps }
      const next = this.#nextConfiguration(top)
      if (next === null) stack.pop()
      else if (next !== 'cut' && this.#isNew(next)) stack.push(next)
    }
    assert(this.#furthestRank >= 0, 'KeySearch: without definite operations there is always an order')
    return {
      kind: 'none',
      steps: this.#steps,
      rank: this.#furthestRank,
      states: [...this.#furthestStates.values()],
    }
  }

  #step(state: State, by: PlannedOperation<Operation, Result>): State | typeof REJECT {
    this.#steps++
    return this.#model.step(state, by.operation, by.result)
  }

  /** The next branch of a configuration; null after the last one. */
  #nextConfiguration(
    from: Configuration<State, Operation, Result>,
  ): Configuration<State, Operation, Result> | 'cut' | null {
    if (from.choices === null) {
      from.choices = []
      const returning = this.#plan.definite[from.rank]
      const next = returning.readOnly ? 'cut' : this.#take(from, returning)
      // Most often this is all there is to do here; the choices are worked out only on coming back.
      from.nextChoice = -1
      return next
    }
    if (from.nextChoice === -1) {
      from.choices = this.#choices(from)
      from.nextChoice = 0
    }
    if (from.nextChoice === from.choices.length) return null
    return this.#take(from, from.choices[from.nextChoice++])
  }

  /** Those first after which the returning operation fits: a detour of one before any of two. */
  #choices(from: Configuration<State, Operation, Result>): PlannedOperation<Operation, Result>[] {
    const returning = this.#plan.definite[from.rank]
    const near: PlannedOperation<Operation, Result>[] = []
    const far: PlannedOperation<Operation, Result>[] = []
    const consider = (choice: PlannedOperation<Operation, Result>): void => {
      if (choice.blind && choice.observableUntil < from.rank) return
      const state = this.#step(from.state, choice)
      if (state === REJECT) return
      if (choice.unknown && this.#model.stateKey(state) === this.#model.stateKey(from.state)) return
      if (this.#step(state, returning) === REJECT) far.push(choice)
      else near.push(choice)
    }
    for (const choice of this.#plan.pending[from.rank]) {
      if (choice !== returning && !choice.readOnly && (from.taken & choice.bit) === 0n) consider(choice)
    }
    const unknownCalled = this.#plan.unknownCalled[from.rank]
    for (let i = 0; i < unknownCalled; i++) {
      const choice = this.#plan.unknown[i]
      if ((from.spent & choice.bit) !== 0n) continue
      if (choice.twin === null || (from.spent & choice.twin.bit) !== 0n) consider(choice)
    }
    near.push(...far)
    return near
  }

  #take(
    from: Configuration<State, Operation, Result>,
    by: PlannedOperation<Operation, Result>,
  ): Configuration<State, Operation, Result> | 'cut' {
    if (by.blind && from.unseenUnknown) return 'cut'
    const state = this.#step(from.state, by)
    if (state === REJECT) return 'cut'
    let taken = by.unknown ? from.taken : from.taken | by.bit
    const spent = by.unknown ? from.spent | by.bit : from.spent
    if (by.blind) {
      for (const buried of this.#plan.pending[from.rank]) {
        if (buried.blind && buried.observableUntil < from.rank) taken |= buried.bit
      }
    }
    if (this.#foresight && this.#losesState(from, state, taken, spent)) return 'cut'
    return this.#settle(from.rank, taken, spent, state, by.unknown)
  }

  /** Cut 6. */
  #losesState(from: Configuration<State, Operation, Result>, next: State, taken: bigint, spent: bigint): boolean {
    const key = this.#model.stateKey(from.state)
    if (this.#model.stateKey(next) === key) return false
    const finders = this.#plan.finders.get(key)
    if (finders === undefined || !this.#anyLeft(finders, from.rank, taken, spent)) return false
    const producers = this.#plan.producers.get(key)
    if (producers !== undefined && this.#anyLeft(producers, from.rank, taken, spent)) return false
    return !this.#anyLeft(this.#unpredictableProducers(key, from.state), from.rank, taken, spent)
  }

  #unpredictableProducers(key: StateKey, state: State): readonly PlannedOperation<Operation, Result>[] {
    if (this.#plan.unpredictable.length === 0) return this.#plan.unpredictable
    let producers = this.#mayLeadTo.get(key)
    if (producers === undefined) {
      producers = this.#plan.unpredictable.filter((by) => this.#model.mayLeadTo(by.operation, by.result, state))
      this.#mayLeadTo.set(key, producers)
    }
    return producers
  }

  /** Is any of these, sorted by rank, not in the order yet? */
  #anyLeft(
    operations: readonly PlannedOperation<Operation, Result>[],
    rank: number,
    taken: bigint,
    spent: bigint,
  ): boolean {
    const returnOrder = this.#plan.definite[rank].record.returnOrder
    for (let i = operations.length - 1; i >= 0; i--) {
      const operation = operations[i]
      if (operation.rank < rank) return false
      if (operation.unknown) {
        if ((spent & operation.bit) === 0n) return true
      } else if (operation.record.callOrder > returnOrder || (taken & operation.bit) === 0n) {
        return true
      }
    }
    return false
  }

  /** Takes in every read that fits, and steps over the returns of operations that are in the order. */
  #settle(
    fromRank: number,
    fromTaken: bigint,
    spent: bigint,
    state: State,
    byUnknown: boolean,
  ): Configuration<State, Operation, Result> {
    const plan = this.#plan
    let rank = fromRank
    let taken = fromTaken
    let looked = false
    let fresh = rank < plan.definite.length ? plan.pending[rank] : []
    while (rank < plan.definite.length) {
      for (const operation of fresh) {
        if (!operation.readOnly || (taken & operation.bit) !== 0n) continue
        if (this.#step(state, operation) === REJECT) continue
        taken |= operation.bit
        looked = true
      }
      const returning = plan.definite[rank]
      if ((taken & returning.bit) === 0n) break
      taken ^= returning.bit
      rank++
      if (rank < plan.definite.length) fresh = plan.called[rank]
    }
    this.#noteProgress(rank, state)
    return { rank, state, taken, spent, unseenUnknown: byUnknown && !looked, choices: null, nextChoice: 0 }
  }

  #noteProgress(rank: number, state: State): void {
    if (rank < this.#furthestRank) return
    if (rank > this.#furthestRank) this.#furthestStates.clear()
    this.#furthestRank = rank
    if (this.#furthestStates.size < MAX_STATES_REPORTED) {
      this.#furthestStates.set(this.#model.stateKey(state), state)
    }
  }

  /** Remembers the configuration; false where one as good was seen before (cut 2). */
  #isNew(configuration: Configuration<State, Operation, Result>): boolean {
    const stateKey = this.#model.stateKey(configuration.state)
    let stateId = this.#stateIds.get(stateKey)
    if (stateId === undefined) {
      stateId = this.#stateIds.size
      this.#stateIds.set(stateKey, stateId)
    }
    const key = `${configuration.rank} ${stateId} ${configuration.taken.toString(36)}`
    const spents = this.#seen.get(key)
    if (spents === undefined) {
      this.#seen.set(key, [configuration.spent])
      return true
    }
    this.#steps += spents.length
    for (const spent of spents) if ((spent & configuration.spent) === spent) return false
    spents.push(configuration.spent)
    return true
  }
}
