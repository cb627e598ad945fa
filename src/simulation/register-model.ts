/**
 * One key as a sequential object: what each operation may answer, and what it leaves behind. A value is a string, an
 * absent key is null; bytes are handed in as latin1 text. Numbers must stay below 2^53: workloads see to it.
 */
import { unreachable } from '../base/assert.ts'
import type { RecordedOperation } from './history.ts'
import { type Model, REJECT } from './sequential-model.ts'

export type RegisterOperation =
  | { readonly kind: 'get' }
  | { readonly kind: 'set'; readonly value: string }
  /** `expected` null: only where the key is absent. */
  | { readonly kind: 'cas'; readonly expected: string | null; readonly value: string }
  | { readonly kind: 'del' }
  | { readonly kind: 'incr'; readonly by: number }
  | { readonly kind: 'append'; readonly value: string }

export type RegisterResult =
  /** Of get. */
  | { readonly kind: 'value'; readonly value: string | null }
  /** Of set, and of a cas that was applied. */
  | { readonly kind: 'ok' }
  /** Of a cas that was not applied: what the key held instead. */
  | { readonly kind: 'current'; readonly value: string | null }
  /** del: keys removed; incr: the new number; append: the new length. */
  | { readonly kind: 'number'; readonly value: number }
  /** Of an incr on what is no integer. */
  | { readonly kind: 'not-an-integer' }

export type RegisterState = string | null
export type RegisterRecord = RecordedOperation<RegisterOperation, RegisterResult>

/** Redis's spelling of an integer: no sign but a minus, no leading zeros. */
const INTEGER = /^(0|-?[1-9][0-9]{0,15})$/

export const registerModel: Model<RegisterState, RegisterOperation, RegisterResult> = {
  initial: null,

  step(state, operation, result) {
    const next = applyRegister(state, operation)
    return result === undefined || sameResult(next.result, result) ? next.state : REJECT
  },

  stateKey(state) {
    return state
  },

  isReadOnly(operation, result) {
    if (operation.kind === 'get') return true
    if (result === undefined) return false
    if (operation.kind === 'del') return result.kind === 'number' && result.value === 0
    return result.kind === 'current' || result.kind === 'not-an-integer'
  },

  isBlind(operation, result) {
    // A delete is blind only while nobody knows whether there was something to delete.
    return operation.kind === 'set' || (operation.kind === 'del' && result === undefined)
  },

  sourceState(operation, result) {
    if (operation.kind === 'cas' && result?.kind !== 'current') return operation.expected
    if (result === undefined) return undefined
    if (result.kind === 'value' || result.kind === 'current') return result.value
    if (operation.kind === 'del' && result.kind === 'number' && result.value === 0) return null
    return undefined
  },

  targetState(operation, result) {
    if (operation.kind === 'set' || operation.kind === 'cas') return operation.value
    if (operation.kind === 'del') return null
    if (operation.kind === 'incr' && result?.kind === 'number') return String(result.value)
    return undefined
  },

  mayLeadTo(operation, result, state) {
    if (state === null) return false
    if (operation.kind === 'incr') return INTEGER.test(state)
    if (operation.kind !== 'append' || !state.endsWith(operation.value)) return false
    return result?.kind !== 'number' || result.value === state.length
  },

  describe(operation, result) {
    const outcome = result === undefined ? '' : ` -> ${describeResult(result)}`
    return `${describeOperation(operation)}${outcome}`
  },
}

/** The sequential specification itself; also what a simulated correct register runs. */
export function applyRegister(
  state: RegisterState,
  operation: RegisterOperation,
): { readonly state: RegisterState; readonly result: RegisterResult } {
  switch (operation.kind) {
    case 'get':
      return { state, result: { kind: 'value', value: state } }
    case 'set':
      return { state: operation.value, result: { kind: 'ok' } }
    case 'cas':
      return state === operation.expected
        ? { state: operation.value, result: { kind: 'ok' } }
        : { state, result: { kind: 'current', value: state } }
    case 'del':
      return { state: null, result: { kind: 'number', value: state === null ? 0 : 1 } }
    case 'incr': {
      if (state !== null && !INTEGER.test(state)) return { state, result: { kind: 'not-an-integer' } }
      const value = Number(state ?? '0') + operation.by
      return { state: String(value), result: { kind: 'number', value } }
    }
    case 'append': {
      const value = (state ?? '') + operation.value
      return { state: value, result: { kind: 'number', value: value.length } }
    }
    default:
      return unreachable(operation)
  }
}

function sameResult(a: RegisterResult, b: RegisterResult): boolean {
  switch (a.kind) {
    case 'value':
    case 'current':
    case 'number':
      return b.kind === a.kind && b.value === a.value
    default:
      return b.kind === a.kind
  }
}

function describeOperation(operation: RegisterOperation): string {
  switch (operation.kind) {
    case 'get':
    case 'del':
      return operation.kind
    case 'incr':
      return `incr ${operation.by}`
    case 'cas':
      return `cas ${quoted(operation.expected)} ${quoted(operation.value)}`
    default:
      return `${operation.kind} ${quoted(operation.value)}`
  }
}

function describeResult(result: RegisterResult): string {
  switch (result.kind) {
    case 'value':
      return quoted(result.value)
    case 'current':
      return `not applied, found ${quoted(result.value)}`
    case 'number':
      return String(result.value)
    default:
      return result.kind
  }
}

function quoted(value: string | null): string {
  return value === null ? 'absent' : JSON.stringify(value)
}
