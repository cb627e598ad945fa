/** INCR, DECR, INCRBY, DECRBY: 64-bit signed; INCRBYFLOAT: 80-bit extended. The time to live stays. */

import { assert } from '../../base/assert.ts'
import { bulkReply, errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { addIntegers, decimalBytes, INT64_MIN, type Integer, parseInteger } from '../integer-text.ts'
import { EVENT_INCRBY, EVENT_INCRBYFLOAT } from '../key-events.ts'
import { addLongDoubles, formatLongDouble, LONG_DOUBLE_ZERO, parseLongDouble } from '../long-double.ts'
import { type CommandHandler, NOT_AN_INTEGER, noSyntax, valueWouldBeTooLarge } from './handler.ts'

function add(context: ExecutionContext, key: Uint8Array, amount: Integer): Uint8Array {
  const current = context.find(key)
  const before = current === null ? 0 : parseInteger(current.value)
  if (before === null) return errorReply(NOT_AN_INTEGER)
  const after = addIntegers(before, amount)
  if (after === null) return errorReply('ERR increment or decrement would overflow')
  context.put(key, decimalBytes(after), current?.expiresAtMs ?? 0, EVENT_INCRBY)
  return integerReply(after)
}

function amountOf(text: Uint8Array): Integer {
  const amount = parseInteger(text)
  assert(amount !== null, 'a counter ran with a syntax error')
  return amount
}

export const INCR: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => add(context, args[0], 1),
}

export const DECR: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => add(context, args[0], -1),
}

export const INCRBY: CommandHandler = {
  checkSyntax: (args) => (parseInteger(args[1]) === null ? NOT_AN_INTEGER : null),
  execute: (context, args) => add(context, args[0], amountOf(args[1])),
}

export const DECRBY: CommandHandler = {
  checkSyntax(args) {
    const amount = parseInteger(args[1])
    if (amount === null) return NOT_AN_INTEGER
    // It has no opposite in 64 bits.
    return amount === INT64_MIN ? 'ERR decrement would overflow' : null
  },
  execute(context, args) {
    const amount = amountOf(args[1])
    return add(context, args[0], typeof amount === 'bigint' ? -amount : 0 - amount)
  },
}

const NOT_A_FLOAT = 'ERR value is not a valid float'

export const INCRBYFLOAT: CommandHandler = {
  checkSyntax: (args) => (parseLongDouble(args[1]) === null ? NOT_A_FLOAT : null),
  execute(context, args) {
    const amount = parseLongDouble(args[1])
    const current = context.find(args[0])
    const before = current === null ? LONG_DOUBLE_ZERO : parseLongDouble(current.value)
    if (before === null || amount === null) return errorReply(NOT_A_FLOAT)
    const after = before === 'infinite' || amount === 'infinite' ? null : addLongDoubles(before, amount)
    if (after === null) return errorReply('ERR increment would produce NaN or Infinity')
    const text = formatLongDouble(after)
    if (text.length > context.limits.maxValueBytes) return errorReply(valueWouldBeTooLarge(text.length, context.limits))
    context.put(args[0], text, current?.expiresAtMs ?? 0, EVENT_INCRBYFLOAT)
    return bulkReply(text)
  },
}
