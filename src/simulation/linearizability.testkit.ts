/**
 * Histories for testing the checker: of a register that really is linearizable, served over a network with random delays,
 * lost replies and late effects; hand-written ones; and a checker that tries every order there is.
 */
import { assert } from '../base/assert.ts'
import type { Prng } from '../base/prng.ts'
import { HistoryRecorder, type Outcome } from './history.ts'
import {
  applyRegister,
  type RegisterOperation,
  type RegisterRecord,
  type RegisterResult,
  type RegisterState,
  registerModel,
} from './register-model.ts'
import { Scheduler } from './scheduler.ts'
import { REJECT } from './sequential-model.ts'

export interface WorkloadOptions {
  readonly seed: number
  readonly clients: number
  readonly keys: number
  readonly operations: number
  /** Of all operations: the client never learns what became of it. Half of those take effect, some of them much later. */
  readonly unknownChance: number
  /** Of all operations: refused, without effect. */
  readonly failedChance: number
  readonly nextOperation: (random: Prng, sequence: number) => RegisterOperation
  /** What clients are told instead of the truth: for bad histories. */
  readonly distort?: (result: RegisterResult, operation: RegisterOperation, sequence: number) => RegisterResult
}

/** Gets and unique-valued sets mostly, with some of everything else. */
export function mixedOperation(random: Prng, sequence: number): RegisterOperation {
  const dice = random.below(100)
  if (dice < 45) return { kind: 'get' }
  if (dice < 75) return { kind: 'set', value: `v${sequence}` }
  if (dice < 85)
    return {
      kind: 'cas',
      expected: random.chance(0.2) ? null : `v${random.below(sequence + 1)}`,
      value: `c${sequence}`,
    }
  if (dice < 90) return { kind: 'del' }
  if (dice < 95) return { kind: 'append', value: `+${sequence}` }
  return { kind: 'incr', by: 1 }
}

export function getOrUniqueSet(random: Prng, sequence: number): RegisterOperation {
  return random.chance(0.5) ? { kind: 'get' } : { kind: 'set', value: `v${sequence}` }
}

/** Values from a set so small that they come back all the time. */
export function fewValues(random: Prng): RegisterOperation {
  const value = String(random.below(3))
  return random.pick<RegisterOperation>([
    { kind: 'get' },
    { kind: 'get' },
    { kind: 'set', value },
    { kind: 'cas', expected: random.chance(0.3) ? null : String(random.below(3)), value },
    { kind: 'del' },
    { kind: 'incr', by: 1 },
    { kind: 'append', value },
  ])
}

/** Runs clients against one linearizable register for each key; every operation takes effect between call and return. */
export function linearizableHistory(options: WorkloadOptions): RegisterRecord[] {
  const scheduler = new Scheduler(options.seed)
  const random = scheduler.random
  const recorder = new HistoryRecorder<RegisterOperation, RegisterResult>({
    nowMs: () => scheduler.nowMs,
    maxOperations: options.operations,
  })
  const states = new Map<string, RegisterState>()
  const delay = (): number => (random.chance(0.02) ? random.unit() * 50 : random.unit() * 2)
  const apply = (key: string, operation: RegisterOperation): RegisterResult => {
    const next = applyRegister(states.get(key) ?? null, operation)
    states.set(key, next.state)
    return next.result
  }
  const next = (client: number): void => {
    if (recorder.full) return
    const sequence = recorder.length
    const key = `key${random.below(options.keys)}`
    const operation = options.nextOperation(random, sequence)
    const id = recorder.call(client, key, operation)
    const again = (): void => {
      scheduler.after(random.unit(), 'think', () => next(client))
    }
    if (random.chance(options.unknownChance)) {
      if (random.chance(0.5))
        scheduler.after(delay() * (random.chance(0.2) ? 100 : 1), 'late effect', () => apply(key, operation))
      scheduler.after(5, 'give up', () => {
        recorder.unknown(id)
        again()
      })
      return
    }
    const refused = random.chance(options.failedChance)
    scheduler.after(delay(), 'effect', () => {
      const truth: RegisterResult | null = refused ? null : apply(key, operation)
      scheduler.after(delay(), 'return', () => {
        if (truth === null) recorder.failed(id)
        else recorder.ok(id, options.distort === undefined ? truth : options.distort(truth, operation, sequence))
        again()
      })
    })
  }
  for (let client = 1; client <= options.clients; client++) next(client)
  while (scheduler.step())
    assert(scheduler.executed <= options.operations * 5, 'linearizableHistory: events are bounded')
  return recorder.history()
}

/** A hand-written operation: called and returned at the given times, which must all differ within a history. */
export function at(
  calledAtMs: number,
  returnedAtMs: number,
  operation: RegisterOperation,
  outcome: RegisterResult | 'failed' | 'unknown',
  client = 1,
): RegisterRecord {
  const told: Outcome<RegisterResult> =
    typeof outcome === 'string' ? { kind: outcome } : { kind: 'ok', result: outcome }
  return {
    client,
    key: 'k',
    operation,
    outcome: told,
    callOrder: calledAtMs,
    returnOrder: told.kind === 'unknown' ? Infinity : returnedAtMs,
    calledAtMs,
    returnedAtMs,
  }
}

/** The definition, tried out literally: every order of every choice of unknown operations. For a handful of operations. */
export function bruteForceLinearizable(history: readonly RegisterRecord[]): boolean {
  const operations = history.filter((record) => record.outcome.kind !== 'failed')
  assert(operations.length <= 10, 'bruteForceLinearizable: factorial time')
  const used = operations.map(() => false)
  const place = (state: RegisterState): boolean => {
    const open = operations.filter((record, i) => !used[i] && record.outcome.kind === 'ok')
    if (open.length === 0) return true
    const firstReturn = Math.min(...open.map((record) => record.returnOrder))
    for (let i = 0; i < operations.length; i++) {
      const record = operations[i]
      if (used[i] || record.callOrder > firstReturn) continue
      const result = record.outcome.kind === 'ok' ? record.outcome.result : undefined
      const next = registerModel.step(state, record.operation, result)
      if (next === REJECT) continue
      used[i] = true
      if (place(next)) return true
      used[i] = false
    }
    return false
  }
  return place(registerModel.initial)
}
