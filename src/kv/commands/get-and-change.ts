/** GETSET, GETDEL, GETEX, SETNX, SETEX, PSETEX: the older and the joined forms of GET and SET, as Redis 7.0. */

import { assert, present } from '../../base/assert.ts'
import { bulkReply, errorReply, integerReply, NULL_REPLY, OK_REPLY } from '../../protocol/resp-reply.ts'
import { parseInteger } from '../integer-text.ts'
import { EVENT_DEL, EVENT_EXPIRE, EVENT_PERSIST, EVENT_SET } from '../key-events.ts'
import { momentAfter } from './expiry-time.ts'
import {
  type CommandHandler,
  checkValue,
  invalidExpireTime,
  isWord,
  NOT_AN_INTEGER,
  noSyntax,
  SYNTAX_ERROR,
} from './handler.ts'

export const GETSET: CommandHandler = {
  checkSyntax: (args, limits) => checkValue(args[1], limits),
  execute(context, args) {
    const current = context.find(args[0])
    const reply = current === null ? NULL_REPLY : bulkReply(current.value)
    context.put(args[0], args[1], 0, EVENT_SET)
    return reply
  },
}

export const GETDEL: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[0])
    if (current === null) return NULL_REPLY
    const reply = bulkReply(current.value)
    context.remove(args[0], EVENT_DEL)
    return reply
  },
}

interface NewExpiry {
  readonly kind: 'as it is' | 'persist' | 'relative' | 'absolute'
  readonly unitMs: 1 | 1000
  readonly amountText: Uint8Array | null
}

const AS_IT_IS: NewExpiry = { kind: 'as it is', unitMs: 1, amountText: null }
const PERSIST_IT: NewExpiry = { kind: 'persist', unitMs: 1, amountText: null }

/** `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`: the option, or an error's text. */
function parseNewExpiry(args: readonly Uint8Array[]): NewExpiry | string {
  let expiry = AS_IT_IS
  for (let i = 1; i < args.length; i++) {
    const word = args[i]
    if (isWord(word, 'persist') && (expiry === AS_IT_IS || expiry === PERSIST_IT)) {
      expiry = PERSIST_IT
      continue
    }
    const kind = isWord(word, 'ex') || isWord(word, 'px') ? 'relative' : 'absolute'
    const known = kind === 'relative' || isWord(word, 'exat') || isWord(word, 'pxat')
    const unitMs = (word[0] | 0x20) === 0x65 ? 1000 : 1
    // Once more the same is taken, as in Redis, and the last one counts.
    const again = expiry === AS_IT_IS || (expiry.kind === kind && expiry.unitMs === unitMs)
    if (!known || i + 1 === args.length || !again) return SYNTAX_ERROR
    expiry = { kind, unitMs, amountText: args[++i] }
  }
  return expiry
}

export const GETEX: CommandHandler = {
  checkSyntax(args) {
    const expiry = parseNewExpiry(args)
    return typeof expiry === 'string' ? expiry : null
  },
  execute(context, args) {
    const expiry = parseNewExpiry(args)
    assert(typeof expiry !== 'string', 'GETEX ran with a syntax error')
    const current = context.find(args[0])
    if (current === null) return NULL_REPLY
    const reply = bulkReply(current.value)
    if (expiry.kind === 'as it is') return reply
    if (expiry.kind === 'persist') {
      if (current.expiresAtMs !== 0) context.put(args[0], current.value.slice(), 0, EVENT_PERSIST)
      return reply
    }
    // As in Redis, the number is looked at only where there is something to expire.
    const amount = parseInteger(present(expiry.amountText, 'GETEX without a time'))
    if (amount === null) return errorReply(NOT_AN_INTEGER)
    const moment = momentAfter(amount, expiry.unitMs, expiry.kind === 'relative' ? context.logTimeMs : 0)
    if (amount <= 0 || moment === null) return errorReply(invalidExpireTime('getex'))
    if (moment <= context.logTimeMs) context.remove(args[0], EVENT_DEL)
    else context.put(args[0], current.value.slice(), moment, EVENT_EXPIRE)
    return reply
  },
}

export const SETNX: CommandHandler = {
  checkSyntax: (args, limits) => checkValue(args[1], limits),
  execute(context, args) {
    if (context.find(args[0]) !== null) return integerReply(0)
    context.put(args[0], args[1], 0, EVENT_SET)
    return integerReply(1)
  },
}

/** `SETEX key time value` and its form in milliseconds. */
function setWithTime(unitMs: 1 | 1000, name: string): CommandHandler {
  return {
    checkSyntax(args, limits) {
      const amount = parseInteger(args[1])
      if (amount === null) return NOT_AN_INTEGER
      if (amount <= 0 || momentAfter(amount, unitMs, 0) === null) return invalidExpireTime(name)
      return checkValue(args[2], limits)
    },
    execute(context, args) {
      const amount = present(parseInteger(args[1]), 'SETEX ran with a syntax error')
      const moment = momentAfter(amount, unitMs, context.logTimeMs)
      if (moment === null) return errorReply(invalidExpireTime(name))
      context.put(args[0], args[2], moment, EVENT_SET)
      context.note(EVENT_EXPIRE, args[0])
      return OK_REPLY
    },
  }
}

export const SETEX: CommandHandler = setWithTime(1000, 'setex')
export const PSETEX: CommandHandler = setWithTime(1, 'psetex')
