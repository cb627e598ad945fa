/**
 * What clients saw: one record for each operation, with the order of its call and its return among all other calls and
 * returns. The checker trusts that order alone (times are for people), so two events at one virtual millisecond are
 * still ordered as they happened.
 */
import { assert, present } from '../base/assert.ts'

/**
 * `ok`: it happened, once, with this result. `failed`: it did not happen and never will. `unknown`: it happened at most
 * once, at any time after its call, or never: time-outs, lost connections, -UNCERTAIN.
 */
export type Outcome<Result> =
  | { readonly kind: 'ok'; readonly result: Result }
  | { readonly kind: 'failed' }
  | { readonly kind: 'unknown' }

export interface RecordedOperation<Operation, Result> {
  readonly client: number
  readonly key: string
  readonly operation: Operation
  readonly outcome: Outcome<Result>
  /** Position of the call among all calls and returns of the history. */
  readonly callOrder: number
  /** Position of the return; Infinity for an unknown outcome, which may still take effect after any other event. */
  readonly returnOrder: number
  readonly calledAtMs: number
  /** Infinity where the operation was still open at the end. */
  readonly returnedAtMs: number
}

export interface HistoryRecorderOptions {
  readonly nowMs: () => number
  readonly maxOperations: number
}

interface OpenOperation<Operation> {
  readonly client: number
  readonly key: string
  readonly operation: Operation
  readonly callOrder: number
  readonly calledAtMs: number
}

/** Records as it happens: `call` before the request leaves, one of the three returns when the client knows. */
export class HistoryRecorder<Operation, Result> {
  readonly #options: HistoryRecorderOptions
  readonly #open = new Map<number, OpenOperation<Operation>>()
  readonly #closed: RecordedOperation<Operation, Result>[] = []
  #order = 0
  #nextId = 0

  constructor(options: HistoryRecorderOptions) {
    assert(options.maxOperations >= 1, 'HistoryRecorder: maxOperations must be positive')
    this.#options = options
  }

  /** Operations recorded so far, the open ones included. */
  get length(): number {
    return this.#nextId
  }

  /** No further `call` is allowed: the workload should end. */
  get full(): boolean {
    return this.#nextId >= this.#options.maxOperations
  }

  /** Returns the id under which the operation's return is reported. */
  call(client: number, key: string, operation: Operation): number {
    assert(!this.full, 'HistoryRecorder: more operations than maxOperations')
    const id = this.#nextId++
    this.#open.set(id, { client, key, operation, callOrder: this.#order++, calledAtMs: this.#options.nowMs() })
    return id
  }

  ok(id: number, result: Result): void {
    this.#close(id, { kind: 'ok', result })
  }

  failed(id: number): void {
    this.#close(id, { kind: 'failed' })
  }

  unknown(id: number): void {
    this.#close(id, { kind: 'unknown' })
  }

  isOpen(id: number): boolean {
    return this.#open.has(id)
  }

  /** The history up to now, in order of the calls; operations still open have an unknown outcome. */
  history(): RecordedOperation<Operation, Result>[] {
    const all = this.#closed.slice()
    for (const open of this.#open.values()) {
      all.push({ ...open, outcome: { kind: 'unknown' }, returnOrder: Infinity, returnedAtMs: Infinity })
    }
    return all.sort((a, b) => a.callOrder - b.callOrder)
  }

  #close(id: number, outcome: Outcome<Result>): void {
    const open = present(this.#open.get(id), 'HistoryRecorder: an operation returns once, after its call')
    this.#open.delete(id)
    const returnOrder = this.#order++
    assert(returnOrder > open.callOrder, 'HistoryRecorder: a return comes after its call')
    this.#closed.push({
      ...open,
      outcome,
      returnOrder: outcome.kind === 'unknown' ? Infinity : returnOrder,
      returnedAtMs: this.#options.nowMs(),
    })
  }
}
