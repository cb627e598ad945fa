/** Administration calls between nodes: JSON both ways, `{"call","args"}` and `{"error","answer"}`. Other nodes' bytes are checked before they are believed. */

import type { NodeId } from '../../base/brand.ts'
import { asNodeId } from '../../base/brand.ts'
import { latin1Text, utf8Bytes } from '../../base/bytes.ts'
import type { AdminArguments, AdminError } from '../../ports/cluster-admin.ts'

export interface CallRequest {
  readonly call: string
  readonly args: AdminArguments
}

export interface CallError extends AdminError {
  /** Of `not-active`: who is, as far as the answerer knows. */
  readonly activeMaster?: NodeId | null
}

export interface CallReply {
  readonly error: CallError | null
  readonly answer: unknown
}

export const encodeRequest = (call: string, args: AdminArguments): Uint8Array => encode({ call, args })

export const encodeReply = (error: CallError | null, answer: unknown): Uint8Array => encode({ error, answer })

/** Null where it is none. */
export function decodeRequest(bytes: Uint8Array): CallRequest | null {
  const value = decode(bytes)
  return value !== null && typeof value.call === 'string' && isObject(value.args)
    ? { call: value.call, args: value.args }
    : null
}

/** Null where it is none. */
export function decodeReply(bytes: Uint8Array): CallReply | null {
  const value = decode(bytes)
  if (value === null) return null
  const { error, answer } = value
  if (error === null) return { error: null, answer }
  if (!isObject(error)) return null
  const { code, message, mend, activeMaster } = error
  if (typeof code !== 'string' || typeof message !== 'string' || typeof mend !== 'string') return null
  const active = typeof activeMaster === 'number' ? asNodeId(activeMaster) : null
  return { error: { code, message, mend, activeMaster: active }, answer: null }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** In ASCII alone. */
function encode(value: unknown): Uint8Array {
  return utf8Bytes(JSON.stringify(value).replace(/[\u007f-\uffff]/g, escaped))
}

function decode(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(latin1Text(bytes))
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
