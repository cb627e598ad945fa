/**
 * GET, SET, STRLEN, APPEND.
 *
 * SET key value [NX | XX | IFEQ value | IFNE value] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL], as Redis 7.0, with
 * IFEQ and IFNE as in Redis 8.4 (IFEQ also Valkey 8.1): IFEQ never creates a key, IFNE does. A bare SET looks nothing up.
 */

import { assert, present } from '../../base/assert.ts'
import { equalBytes } from '../../base/bytes.ts'
import type { StoredValue } from '../../ports/key-space.ts'
import { bulkReply, errorReply, integerReply, NULL_REPLY, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { type Integer, parseInteger } from '../integer-text.ts'
import { EVENT_APPEND, EVENT_EXPIRE, EVENT_SET } from '../key-events.ts'
import { momentAfter } from './expiry-time.ts'
import {
  type CommandHandler,
  checkValue,
  invalidExpireTime,
  isWord,
  NOT_AN_INTEGER,
  noSyntax,
  SYNTAX_ERROR,
  valueWouldBeTooLarge,
} from './handler.ts'

type Condition = 'none' | 'nx' | 'xx' | 'ifeq' | 'ifne'
type ExpiryOption = 'none' | 'ex' | 'px' | 'exat' | 'pxat' | 'keepttl'

interface SetOptions {
  condition: Condition
  comparand: Uint8Array | null
  get: boolean
  expiry: ExpiryOption
  amountText: Uint8Array | null
  amount: Integer
}

/** The options from `args[2]` on, or an error's text. Words are checked before the expiry's number, as Redis does. */
function parseSetOptions(args: readonly Uint8Array[]): SetOptions | string {
  const options: SetOptions = {
    condition: 'none',
    comparand: null,
    get: false,
    expiry: 'none',
    amountText: null,
    amount: 0,
  }
  for (let i = 2; i < args.length; i++) {
    const word = args[i]
    const next = i + 1 < args.length ? args[i + 1] : null
    if (isWord(word, 'get')) options.get = true
    else if (isWord(word, 'keepttl') && takesExpiry(options, 'keepttl')) options.expiry = 'keepttl'
    else if (takesCondition(options, word, next)) i += options.comparand === null ? 0 : 1
    else if (next !== null && takesTimedExpiry(options, word)) {
      options.amountText = next
      i++
    } else return SYNTAX_ERROR
  }
  if (options.amountText === null) return options
  const amount = parseInteger(options.amountText)
  if (amount === null) return NOT_AN_INTEGER
  options.amount = amount
  // The base of zero leaves only what is wrong at any time.
  if (amount <= 0 || momentAfter(amount, unitOf(options.expiry), 0) === null) return invalidExpireTime('set')
  return options
}

/** The same option may be said twice, two that exclude each other may not. */
function takesExpiry(options: SetOptions, expiry: ExpiryOption): boolean {
  return options.expiry === 'none' || options.expiry === expiry
}

function takesTimedExpiry(options: SetOptions, word: Uint8Array): boolean {
  const expiry: ExpiryOption | null = isWord(word, 'ex')
    ? 'ex'
    : isWord(word, 'px')
      ? 'px'
      : isWord(word, 'exat')
        ? 'exat'
        : isWord(word, 'pxat')
          ? 'pxat'
          : null
  if (expiry === null || !takesExpiry(options, expiry)) return false
  options.expiry = expiry
  return true
}

function takesCondition(options: SetOptions, word: Uint8Array, next: Uint8Array | null): boolean {
  const condition: Condition | null = isWord(word, 'nx')
    ? 'nx'
    : isWord(word, 'xx')
      ? 'xx'
      : next !== null && isWord(word, 'ifeq')
        ? 'ifeq'
        : next !== null && isWord(word, 'ifne')
          ? 'ifne'
          : null
  if (condition === null || (options.condition !== 'none' && options.condition !== condition)) return false
  options.condition = condition
  options.comparand = condition === 'ifeq' || condition === 'ifne' ? next : null
  return true
}

function unitOf(expiry: ExpiryOption): 1 | 1000 {
  return expiry === 'ex' || expiry === 'exat' ? 1000 : 1
}

function holds(options: SetOptions, current: StoredValue | null): boolean {
  switch (options.condition) {
    case 'none':
      return true
    case 'nx':
      return current === null
    case 'xx':
      return current !== null
    case 'ifeq':
      return current !== null && equalBytes(current.value, present(options.comparand, 'IFEQ without a value'))
    case 'ifne':
      return current === null || !equalBytes(current.value, present(options.comparand, 'IFNE without a value'))
  }
}

function setWithOptions(context: ExecutionContext, args: readonly Uint8Array[]): Uint8Array {
  const options = parseSetOptions(args)
  assert(typeof options !== 'string', 'SET ran with a syntax error')
  let expiresAtMs = 0
  if (options.amountText !== null) {
    const relative = options.expiry === 'ex' || options.expiry === 'px'
    const moment = momentAfter(options.amount, unitOf(options.expiry), relative ? context.logTimeMs : 0)
    if (moment === null) return errorReply(invalidExpireTime('set'))
    expiresAtMs = moment
  }
  const needsOld = options.get || options.condition !== 'none' || options.expiry === 'keepttl'
  const current = needsOld ? context.find(args[0]) : null
  const old = !options.get ? null : current === null ? NULL_REPLY : bulkReply(current.value)
  if (!holds(options, current)) return old ?? NULL_REPLY
  if (options.expiry === 'keepttl' && current !== null) expiresAtMs = current.expiresAtMs
  context.put(args[0], args[1], expiresAtMs, EVENT_SET)
  if (options.amountText !== null) context.note(EVENT_EXPIRE, args[0])
  return old ?? OK_REPLY
}

export const SET: CommandHandler = {
  checkSyntax(args, limits) {
    if (args.length > 2) {
      const options = parseSetOptions(args)
      if (typeof options === 'string') return options
    }
    return checkValue(args[1], limits)
  },
  execute(context, args) {
    if (args.length > 2) return setWithOptions(context, args)
    context.put(args[0], args[1], 0, EVENT_SET)
    return OK_REPLY
  },
}

export const GET: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[0])
    return current === null ? NULL_REPLY : bulkReply(current.value)
  },
}

export const STRLEN: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    return integerReply(context.find(args[0])?.value.length ?? 0)
  },
}

export const APPEND: CommandHandler = {
  checkSyntax: (args, limits) => checkValue(args[1], limits),
  execute(context, args) {
    const current = context.find(args[0])
    const oldLength = current?.value.length ?? 0
    const length = oldLength + args[1].length
    if (length > context.limits.maxValueBytes) return errorReply(valueWouldBeTooLarge(length, context.limits))
    const joined = new Uint8Array(length)
    if (current !== null) joined.set(current.value)
    joined.set(args[1], oldLength)
    context.put(args[0], joined, current?.expiresAtMs ?? 0, EVENT_APPEND)
    return integerReply(length)
  },
}
