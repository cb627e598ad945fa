/**
 * One key's operations, laid out for the search: in order of their returns, with what is pending at each, and with what
 * can be known of each operation beforehand (who could observe a write, who could bring a state back).
 */
import { assert } from '../base/assert.ts'
import type { RecordedOperation } from './history.ts'
import { type Model, REJECT, type StateKey } from './sequential-model.ts'

export interface PlannedOperation<Operation, Result> {
  readonly record: RecordedOperation<Operation, Result>
  readonly operation: Operation
  /** Undefined: the outcome is unknown. */
  readonly result: Result | undefined
  readonly unknown: boolean
  readonly readOnly: boolean
  readonly blind: boolean
  /** Position among the returns; Infinity if unknown. */
  rank: number
  /** Its place in a configuration's set: reused after the return by operations called later; never shared if unknown. */
  bit: bigint
  /** Blind writes: the last rank at which an operation returns that could observe what it wrote; -1 if none. */
  observableUntil: number
  /** Unknown ones: the equal unknown operation called before. */
  twin: PlannedOperation<Operation, Result> | null
}

export interface KeyPlan<Operation, Result> {
  /** With a known result, in order of the returns. */
  readonly definite: readonly PlannedOperation<Operation, Result>[]
  /** In order of the calls; those that could only read are left out. */
  readonly unknown: readonly PlannedOperation<Operation, Result>[]
  /** At each rank: the definite operations called and not returned before, the one that returns there included. */
  readonly pending: readonly (readonly PlannedOperation<Operation, Result>[])[]
  /** At each rank: those of `pending` that were called after the return before it. */
  readonly called: readonly (readonly PlannedOperation<Operation, Result>[])[]
  /** At each rank: how many of `unknown` were called before it. */
  readonly unknownCalled: readonly number[]
  /** For each state: the definite operations that must find it, by rank. */
  readonly finders: ReadonlyMap<StateKey, readonly PlannedOperation<Operation, Result>[]>
  /** For each state: the operations that can lead to it, definite ones by rank, then unknown ones. */
  readonly producers: ReadonlyMap<StateKey, readonly PlannedOperation<Operation, Result>[]>
  /** Those without a single target, in the same order. */
  readonly unpredictable: readonly PlannedOperation<Operation, Result>[]
}

export function planKey<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  records: readonly RecordedOperation<Operation, Result>[],
): KeyPlan<Operation, Result> {
  const definite: PlannedOperation<Operation, Result>[] = []
  const unknown: PlannedOperation<Operation, Result>[] = []
  for (const record of records) {
    // What failed did not happen: it puts no bound on anything.
    if (record.outcome.kind === 'failed') continue
    const planned = plannedOperation(model, record)
    if (!planned.unknown) definite.push(planned)
    else if (!planned.readOnly) unknown.push(planned)
  }
  definite.sort((a, b) => a.record.returnOrder - b.record.returnOrder)
  unknown.sort((a, b) => a.record.callOrder - b.record.callOrder)
  for (let rank = 0; rank < definite.length; rank++) definite[rank].rank = rank
  linkTwins(model, unknown)
  const swept = sweep(definite, unknown)
  markObservable(model, definite, unknown, swept.pending)
  return { definite, unknown, ...swept, ...sourcesAndTargets(model, definite, unknown) }
}

function plannedOperation<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  record: RecordedOperation<Operation, Result>,
): PlannedOperation<Operation, Result> {
  const operation = record.operation
  const result = record.outcome.kind === 'ok' ? record.outcome.result : undefined
  return {
    record,
    operation,
    result,
    unknown: record.outcome.kind === 'unknown',
    readOnly: model.isReadOnly(operation, result),
    blind: model.isBlind(operation, result),
    rank: Infinity,
    bit: 0n,
    observableUntil: -1,
    twin: null,
  }
}

function linkTwins<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  unknown: readonly PlannedOperation<Operation, Result>[],
): void {
  const last = new Map<string, PlannedOperation<Operation, Result>>()
  for (let i = 0; i < unknown.length; i++) {
    unknown[i].bit = 1n << BigInt(i)
    const text = model.describe(unknown[i].operation, undefined)
    unknown[i].twin = last.get(text) ?? null
    last.set(text, unknown[i])
  }
}

/** Walks calls and returns in order; hands out bits; a call at the same position as a return counts as before it. */
function sweep<Operation, Result>(
  definite: readonly PlannedOperation<Operation, Result>[],
  unknown: readonly PlannedOperation<Operation, Result>[],
): Pick<KeyPlan<Operation, Result>, 'pending' | 'called' | 'unknownCalled'> {
  const calls = [...definite].sort(byCall)
  const freeBits: bigint[] = []
  const pending: PlannedOperation<Operation, Result>[][] = []
  const called: PlannedOperation<Operation, Result>[][] = []
  const unknownCalled: number[] = []
  let active: PlannedOperation<Operation, Result>[] = []
  let nextCall = 0
  let nextUnknown = 0
  let bits = 0n
  for (const returning of definite) {
    const fresh: PlannedOperation<Operation, Result>[] = []
    while (nextCall < calls.length && calls[nextCall].record.callOrder <= returning.record.returnOrder) {
      const call = calls[nextCall++]
      call.bit = freeBits.pop() ?? 1n << bits++
      fresh.push(call)
    }
    while (nextUnknown < unknown.length && unknown[nextUnknown].record.callOrder <= returning.record.returnOrder) {
      nextUnknown++
    }
    active.push(...fresh)
    assert(active.includes(returning), 'planKey: an operation returns after its call')
    pending.push(active)
    called.push(fresh)
    unknownCalled.push(nextUnknown)
    active = active.filter((operation) => operation !== returning)
    freeBits.push(returning.bit)
  }
  return { pending, called, unknownCalled }
}

/**
 * Only an operation directly behind a blind write can observe it. So one that was called after some other blind write had
 * run from start to end behind this one is no observer: that write stands between them.
 */
function markObservable<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  definite: readonly PlannedOperation<Operation, Result>[],
  unknown: readonly PlannedOperation<Operation, Result>[],
  pending: readonly (readonly PlannedOperation<Operation, Result>[])[],
): void {
  const calls = [...definite].sort(byCall)
  const horizonAfter = blindHorizons(calls)
  for (const write of definite) {
    if (!write.blind) continue
    const state = stateWritten(model, write)
    const horizon = horizonAfter(write.record.returnOrder)
    for (const observer of unknown) {
      if (observer.record.callOrder >= horizon) break
      if (!observer.blind && observes(model, state, observer)) write.observableUntil = Infinity
    }
    const consider = (observer: PlannedOperation<Operation, Result>): void => {
      if (observer.blind || observer.rank <= write.observableUntil) return
      if (observes(model, state, observer)) write.observableUntil = observer.rank
    }
    const overlapping = pending[firstReturnAfter(definite, write.record.callOrder)]
    for (const observer of overlapping) consider(observer)
    for (let i = firstCallAfter(calls, write.record.callOrder); i < calls.length; i++) {
      if (calls[i].record.callOrder >= horizon) break
      consider(calls[i])
    }
  }
  markUnknownObservable(model, definite, unknown)
}

/** For an order position: when the first blind write called after it has returned; Infinity if there is none. */
function blindHorizons<Operation, Result>(
  calls: readonly PlannedOperation<Operation, Result>[],
): (order: number) => number {
  const earliest = new Array<number>(calls.length + 1).fill(Infinity)
  for (let i = calls.length - 1; i >= 0; i--) {
    earliest[i] = calls[i].blind ? Math.min(earliest[i + 1], calls[i].record.returnOrder) : earliest[i + 1]
  }
  return (order) => earliest[firstCallAfter(calls, order)]
}

/** An unknown write can come at any later time, so every later operation may observe it. */
function markUnknownObservable<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  definite: readonly PlannedOperation<Operation, Result>[],
  unknown: readonly PlannedOperation<Operation, Result>[],
): void {
  const unseen = new Map<StateKey, { readonly state: State; readonly writes: PlannedOperation<Operation, Result>[] }>()
  for (const write of unknown) {
    if (!write.blind) continue
    const state = stateWritten(model, write)
    const key = model.stateKey(state)
    const entry = unseen.get(key)
    if (entry === undefined) unseen.set(key, { state, writes: [write] })
    else entry.writes.push(write)
  }
  // From the last return on, so that the first observer found is the last one.
  for (const observer of [...definite, ...unknown].reverse()) {
    if (unseen.size === 0) return
    if (observer.blind) continue
    const source = model.sourceState(observer.operation, observer.result)
    const candidates = source === undefined ? [...unseen.keys()] : [model.stateKey(source)]
    for (const key of candidates) {
      const entry = unseen.get(key)
      if (entry === undefined || !observes(model, entry.state, observer)) continue
      for (const write of entry.writes) write.observableUntil = observer.rank
      unseen.delete(key)
    }
  }
}

function stateWritten<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  write: PlannedOperation<Operation, Result>,
): State {
  const state = model.step(model.initial, write.operation, write.result)
  assert(state !== REJECT, 'Model.isBlind: accepted from every state')
  return state
}

/** Does the state matter to it? An unknown operation that would change nothing may as well not have happened. */
function observes<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  state: State,
  observer: PlannedOperation<Operation, Result>,
): boolean {
  const next = model.step(state, observer.operation, observer.result)
  if (next === REJECT) return false
  return !observer.unknown || model.stateKey(next) !== model.stateKey(state)
}

function byCall<Operation, Result>(
  a: PlannedOperation<Operation, Result>,
  b: PlannedOperation<Operation, Result>,
): number {
  return a.record.callOrder - b.record.callOrder
}

/** The first index with a call behind this position. */
function firstCallAfter<Operation, Result>(
  calls: readonly PlannedOperation<Operation, Result>[],
  order: number,
): number {
  return lowerBound(calls.length, (i) => calls[i].record.callOrder > order)
}

/** The first rank that returns at or behind this position. */
function firstReturnAfter<Operation, Result>(
  definite: readonly PlannedOperation<Operation, Result>[],
  order: number,
): number {
  return lowerBound(definite.length, (rank) => definite[rank].record.returnOrder >= order)
}

function lowerBound(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

function sourcesAndTargets<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  definite: readonly PlannedOperation<Operation, Result>[],
  unknown: readonly PlannedOperation<Operation, Result>[],
): Pick<KeyPlan<Operation, Result>, 'finders' | 'producers' | 'unpredictable'> {
  const finders = new Map<StateKey, PlannedOperation<Operation, Result>[]>()
  const producers = new Map<StateKey, PlannedOperation<Operation, Result>[]>()
  const unpredictable: PlannedOperation<Operation, Result>[] = []
  for (const operation of [...definite, ...unknown]) {
    const source = model.sourceState(operation.operation, operation.result)
    if (source !== undefined && !operation.unknown) append(finders, model.stateKey(source), operation)
    if (operation.readOnly) continue
    const target = model.targetState(operation.operation, operation.result)
    if (target === undefined) unpredictable.push(operation)
    else append(producers, model.stateKey(target), operation)
  }
  return { finders, producers, unpredictable }
}

function append<Value>(lists: Map<StateKey, Value[]>, key: StateKey, value: Value): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
