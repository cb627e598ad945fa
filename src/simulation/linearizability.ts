/**
 * Is a history linearizable: is there one order of all operations, each at one moment between its call and its return,
 * in which every result is right (Herlihy, Wing 1990)? Keys are independent objects and linearizability is compositional,
 * so each key is searched on its own. The search is in `linearizability-search.ts`, what a key is in a model.
 */
import type { RecordedOperation } from './history.ts'
import { explainViolation } from './linearizability-explanation.ts'
import { planKey } from './linearizability-plan.ts'
import { KeySearch } from './linearizability-search.ts'
import type { Model } from './sequential-model.ts'

export interface CheckOptions {
  /** Calls of the model's `step` for one key before the checker gives up on it. Default 2,000,000: some seconds. */
  readonly maxStepsPerKey?: number
}

/** `undecided`: no violation was found, and this key's search was given up. `steps` are those of all keys. */
export type CheckVerdict =
  | { readonly kind: 'linearizable'; readonly steps: number }
  | { readonly kind: 'violation'; readonly steps: number; readonly key: string; readonly explanation: string }
  | { readonly kind: 'undecided'; readonly steps: number; readonly key: string }

const DEFAULT_MAX_STEPS_PER_KEY = 2_000_000

/** A violation of any key wins over undecided ones. */
export function checkHistory<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  history: readonly RecordedOperation<Operation, Result>[],
  options: CheckOptions = {},
): CheckVerdict {
  const maxSteps = options.maxStepsPerKey ?? DEFAULT_MAX_STEPS_PER_KEY
  let steps = 0
  let undecidedKey: string | null = null
  for (const [key, records] of groupByKey(history)) {
    const plan = planKey(model, records)
    if (plan.definite.length === 0) continue
    const verdict = new KeySearch(model, plan, { maxSteps }).run()
    steps += verdict.steps
    if (verdict.kind === 'none') {
      return { kind: 'violation', steps, key, explanation: explainViolation(model, key, records) }
    }
    if (verdict.kind === 'undecided') undecidedKey ??= key
  }
  if (undecidedKey !== null) return { kind: 'undecided', steps, key: undecidedKey }
  return { kind: 'linearizable', steps }
}

function groupByKey<Operation, Result>(
  history: readonly RecordedOperation<Operation, Result>[],
): Map<string, RecordedOperation<Operation, Result>[]> {
  const byKey = new Map<string, RecordedOperation<Operation, Result>[]>()
  for (const record of history) {
    const records = byKey.get(record.key)
    if (records === undefined) byKey.set(record.key, [record])
    else records.push(record)
  }
  return byKey
}
