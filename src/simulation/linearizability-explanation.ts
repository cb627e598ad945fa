/**
 * Makes a violation readable: the few operations that cannot stand together, in order of their calls, with their times.
 * The shortest bad prefix is weakened step by step while it stays a violation: a read is dropped, a write becomes one that may have happened at any time or never. Both only allow more orders, so what is left
 * is a violation whatever the weakened operations did (delta debugging, Zeller 2002).
 */
import type { RecordedOperation } from './history.ts'
import { planKey } from './linearizability-plan.ts'
import { KeySearch } from './linearizability-search.ts'
import type { Model } from './sequential-model.ts'

const MAX_STEPS_PER_TRY = 100_000
const MAX_STEPS_IN_ALL = 4_000_000
const MAX_LINES = 40
const MAX_OTHER_WRITES = 4
const MAX_TEXT = 96
const BAR_COLUMNS = 32

type History<Operation, Result> = readonly RecordedOperation<Operation, Result>[]

/** `records`: one key's, known to be a violation. */
export function explainViolation<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  key: string,
  records: History<Operation, Result>,
): string {
  const core = weaken(model, shortestBadPrefix(model, records))
  const definite = planKey(model, core).definite.map((operation) => operation.record)
  const culprit = definite[definite.length - 1]
  const shown = definite.sort((a, b) => a.callOrder - b.callOrder)
  const lines = [
    `key ${JSON.stringify(key)}: no order of its operations gives ${textOf(model, culprit)} (client ${culprit.client}).`,
    `These operations alone contradict each other, whatever the key's other ${records.length - shown.length} did:`,
    ...timeline(model, shown, culprit),
    ...possibleStates(model, core),
    ...otherWrites(model, records, shown, culprit),
  ]
  return lines.join('\n')
}

/** The history as it stood at the earliest return after which it was a violation: what had not returned is unknown. */
function shortestBadPrefix<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  records: History<Operation, Result>,
): History<Operation, Result> {
  const returns = planKey(model, records).definite.map((operation) => operation.record.returnOrder)
  const prefix = (rank: number): RecordedOperation<Operation, Result>[] =>
    records
      .filter((record) => record.callOrder <= returns[rank])
      .map((record) => (record.returnOrder <= returns[rank] ? record : unknownNow(record)))
  let good = -1
  let bad = returns.length - 1
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (stepsToViolation(model, prefix(middle)) === null) good = middle
    else bad = middle
  }
  return prefix(bad)
}

/** Delta debugging: in halves, then quarters, down to single operations. */
function weaken<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  prefix: History<Operation, Result>,
): History<Operation, Result> {
  let history = prefix
  let stepsLeft = MAX_STEPS_IN_ALL
  for (let chunk = Math.ceil(history.length / 2); chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)) {
    let firm = firmOldestFirst(history)
    for (let from = 0; from < firm.length && stepsLeft > 0; ) {
      const chosen = new Set(firm.slice(from, from + chunk))
      const tried = history.map((record) => (chosen.has(record) ? weakened(model, record) : record))
      const steps = stepsToViolation(model, tried)
      stepsLeft -= tried.length + (steps ?? MAX_STEPS_PER_TRY)
      if (steps === null) {
        from += chunk
        continue
      }
      history = tried
      firm = firmOldestFirst(history)
    }
  }
  return history
}

function firmOldestFirst<Operation, Result>(
  history: History<Operation, Result>,
): RecordedOperation<Operation, Result>[] {
  return history.filter((record) => record.outcome.kind === 'ok').sort((a, b) => a.returnOrder - b.returnOrder)
}

function weakened<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  record: RecordedOperation<Operation, Result>,
): RecordedOperation<Operation, Result> {
  return model.isReadOnly(record.operation, resultOf(record))
    ? { ...record, outcome: { kind: 'failed' } }
    : unknownNow(record)
}

function unknownNow<Operation, Result>(
  record: RecordedOperation<Operation, Result>,
): RecordedOperation<Operation, Result> {
  return record.outcome.kind === 'failed' ? record : { ...record, outcome: { kind: 'unknown' }, returnOrder: Infinity }
}

/** Null: it is no violation, or that would take too long to find out. */
function stepsToViolation<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  history: History<Operation, Result>,
): number | null {
  const plan = planKey(model, history)
  if (plan.definite.length === 0) return null
  const verdict = new KeySearch(model, plan, { maxSteps: MAX_STEPS_PER_TRY }).run()
  return verdict.kind === 'none' ? verdict.steps : null
}

/** What the key could hold before the culprit's return. Found without foresight, which would end the search before. */
function possibleStates<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  core: History<Operation, Result>,
): string[] {
  const verdict = new KeySearch(model, planKey(model, core), { maxSteps: MAX_STEPS_PER_TRY, foresight: false }).run()
  if (verdict.kind !== 'none' || verdict.states.length === 0) return []
  const states = verdict.states.map((state) => shorten(JSON.stringify(model.stateKey(state))))
  return [`Before the marked return the key could hold: ${states.join(', ')}.`]
}

function timeline<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  shown: History<Operation, Result>,
  culprit: RecordedOperation<Operation, Result>,
): string[] {
  const fromMs = shown[0].calledAtMs
  const toMs = shown.reduce((latest, record) => Math.max(latest, record.returnedAtMs), culprit.returnedAtMs)
  const column = (atMs: number): number =>
    toMs === fromMs ? 0 : Math.round(((Math.min(atMs, toMs) - fromMs) / (toMs - fromMs)) * (BAR_COLUMNS - 1))
  const lines = shown.slice(0, MAX_LINES).map((record) => {
    const start = column(record.calledAtMs)
    const bar = `${' '.repeat(start)}|${'-'.repeat(Math.max(0, column(record.returnedAtMs) - start - 1))}|`
    const mark = record === culprit ? '   <== fits nowhere' : ''
    return `  ${bar.padEnd(BAR_COLUMNS + 2)} ${lineOf(model, record)}${mark}`
  })
  if (shown.length > MAX_LINES) lines.push(`  ... and ${shown.length - MAX_LINES} more`)
  return lines
}

/** Writes outside the core that tell the story: those of what the culprit found, and the last ones before its return. */
function otherWrites<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  records: History<Operation, Result>,
  shown: History<Operation, Result>,
  culprit: RecordedOperation<Operation, Result>,
): string[] {
  const inCore = new Set(shown.map((record) => record.callOrder))
  const others = records.filter(
    (record) => !inCore.has(record.callOrder) && !model.isReadOnly(record.operation, resultOf(record)),
  )
  const found = model.sourceState(culprit.operation, resultOf(culprit))
  const writers = others.filter((record) => {
    const target = model.targetState(record.operation, resultOf(record))
    return found !== undefined && target !== undefined && model.stateKey(target) === model.stateKey(found)
  })
  const latest = others.filter((record) => record.callOrder < culprit.returnOrder).slice(-MAX_OTHER_WRITES)
  const chosen = new Set([...writers.slice(0, MAX_OTHER_WRITES), ...latest])
  if (chosen.size === 0) return []
  const lines = others.filter((record) => chosen.has(record)).map((record) => `  ${lineOf(model, record)}`)
  return ['Other writes, of what the marked one found or last before its return:', ...lines]
}

function lineOf<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  record: RecordedOperation<Operation, Result>,
): string {
  const outcome = record.outcome.kind === 'ok' ? '' : ` (${record.outcome.kind})`
  const times = `${record.calledAtMs.toFixed(3)} .. ${record.returnedAtMs.toFixed(3)} ms`
  return `client ${record.client}  ${times}  ${textOf(model, record)}${outcome}`
}

function resultOf<Operation, Result>(record: RecordedOperation<Operation, Result>): Result | undefined {
  return record.outcome.kind === 'ok' ? record.outcome.result : undefined
}

function textOf<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  record: RecordedOperation<Operation, Result>,
): string {
  return shorten(model.describe(record.operation, resultOf(record)))
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 20)}... (${text.length} characters)`
}
