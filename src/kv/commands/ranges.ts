/** GETRANGE (SUBSTR), SETRANGE: parts of a value by byte positions, as Redis 7.0. */

import { assert, present } from '../../base/assert.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { bulkReply, errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { type Integer, parseInteger } from '../integer-text.ts'
import { EVENT_SETRANGE } from '../key-events.ts'
import { type CommandHandler, NOT_AN_INTEGER, valueWouldBeTooLarge } from './handler.ts'

export interface Range {
  readonly first: number
  readonly last: number
}

/** Positions as clients give them (negative: from the end) within `length`; null: an empty range. */
export function clampRange(start: Integer, end: Integer, length: number): Range | null {
  const first = fromStart(start, length)
  const last = fromStart(end, length)
  if (length === 0 || first > last || first >= length) return null
  return { first, last: Math.min(last, length - 1) }
}

function fromStart(position: Integer, length: number): number {
  // Beyond 2^53 it is outside of every value, exact or not.
  const at = Number(position)
  return at < 0 ? Math.max(0, length + at) : at
}

export const GETRANGE: CommandHandler = {
  checkSyntax: (args) => (parseInteger(args[1]) === null || parseInteger(args[2]) === null ? NOT_AN_INTEGER : null),
  execute(context, args) {
    const value = context.find(args[0])?.value ?? EMPTY_BYTES
    const start = present(parseInteger(args[1]), 'GETRANGE ran with a syntax error')
    const end = present(parseInteger(args[2]), 'GETRANGE ran with a syntax error')
    // Redis's rule before positions are clamped: -1 -2 is empty in a value of one byte, too.
    if (start < 0 && end < 0 && start > end) return bulkReply(EMPTY_BYTES)
    const range = clampRange(start, end, value.length)
    return bulkReply(range === null ? EMPTY_BYTES : value.subarray(range.first, range.last + 1))
  },
}

export const SETRANGE: CommandHandler = {
  checkSyntax(args) {
    const offset = parseInteger(args[1])
    if (offset === null) return NOT_AN_INTEGER
    return offset < 0 ? 'ERR offset is out of range' : null
  },
  execute(context, args) {
    const offset = parseInteger(args[1])
    assert(offset !== null && offset >= 0, 'SETRANGE ran with a syntax error')
    const current = context.find(args[0])
    const patch = args[2]
    if (patch.length === 0) return integerReply(current?.value.length ?? 0)
    const end = Number(offset) + patch.length
    if (end > context.limits.maxValueBytes) return errorReply(valueWouldBeTooLarge(end, context.limits))
    const value = lengthened(context, args[0], end)
    value.bytes.set(patch, Number(offset))
    context.put(args[0], value.bytes, value.expiresAtMs, EVENT_SETRANGE)
    return integerReply(value.bytes.length)
  },
}

/** A copy of the key's value, filled up with zeros to at least `length` bytes; the caller has checked the limit. */
export function lengthened(
  context: ExecutionContext,
  key: Uint8Array,
  length: number,
): { readonly bytes: Uint8Array; readonly expiresAtMs: number } {
  const current = context.find(key)
  const bytes = new Uint8Array(Math.max(length, current?.value.length ?? 0))
  if (current !== null) bytes.set(current.value)
  return { bytes, expiresAtMs: current?.expiresAtMs ?? 0 }
}
