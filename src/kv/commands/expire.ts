/**
 * EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, TTL, PTTL, EXPIRETIME, PEXPIRETIME, PERSIST. Relative times count from log time, in apply, so that every replica computes the
 * same moment. A time to live that is over at once deletes the key.
 */

import { assert } from '../../base/assert.ts'
import { latin1Text } from '../../base/bytes.ts'
import { errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { parseInteger } from '../integer-text.ts'
import { EVENT_DEL, EVENT_EXPIRE, EVENT_PERSIST } from '../key-events.ts'
import { momentAfter } from './expiry-time.ts'
import { type CommandHandler, invalidExpireTime, isWord, NOT_AN_INTEGER, noSyntax } from './handler.ts'

const NX = 1
const XX = 2
const GT = 4
const LT = 8

/** The flags from `args[2]` on, or an error's text. */
function parseFlags(args: readonly Uint8Array[]): number | string {
  let flags = 0
  for (let i = 2; i < args.length; i++) {
    if (isWord(args[i], 'nx')) flags |= NX
    else if (isWord(args[i], 'xx')) flags |= XX
    else if (isWord(args[i], 'gt')) flags |= GT
    else if (isWord(args[i], 'lt')) flags |= LT
    else return `ERR Unsupported option ${latin1Text(args[i], 0, Math.min(args[i].length, 128))}`
  }
  if ((flags & NX) !== 0 && flags !== NX) {
    return 'ERR NX and XX, GT or LT options at the same time are not compatible'
  }
  if ((flags & GT) !== 0 && (flags & LT) !== 0) {
    return 'ERR GT and LT options at the same time are not compatible'
  }
  return flags
}

/** A key without expiry counts as one that never ends: GT never holds, LT always. `current` is 0 then. */
function allows(flags: number, current: number, moment: number): boolean {
  if ((flags & NX) !== 0 && current !== 0) return false
  if ((flags & XX) !== 0 && current === 0) return false
  if ((flags & GT) !== 0 && (current === 0 || moment <= current)) return false
  return (flags & LT) === 0 || current === 0 || moment < current
}

interface ExpireForm {
  readonly name: string
  readonly unitMs: 1 | 1000
  /** From now on; else a moment since 1970. */
  readonly relative: boolean
}

function expire(context: ExecutionContext, args: readonly Uint8Array[], form: ExpireForm): Uint8Array {
  const amount = parseInteger(args[1])
  const flags = parseFlags(args)
  assert(amount !== null && typeof flags === 'number', 'EXPIRE ran with a syntax error')
  const moment = momentAfter(amount, form.unitMs, form.relative ? context.logTimeMs : 0)
  if (moment === null) return errorReply(invalidExpireTime(form.name))
  const current = context.find(args[0])
  if (current === null || !allows(flags, current.expiresAtMs, moment)) return integerReply(0)
  if (moment <= context.logTimeMs) context.remove(args[0], EVENT_DEL)
  else context.put(args[0], current.value.slice(), moment, EVENT_EXPIRE)
  return integerReply(1)
}

function expireHandler(name: string, unitMs: 1 | 1000, relative: boolean): CommandHandler {
  const form = { name, unitMs, relative }
  return {
    checkSyntax(args) {
      const flags = parseFlags(args)
      if (typeof flags === 'string') return flags
      const amount = parseInteger(args[1])
      if (amount === null) return NOT_AN_INTEGER
      return momentAfter(amount, unitMs, 0) === null ? invalidExpireTime(name) : null
    },
    execute: (context, args) => expire(context, args, form),
  }
}

export const EXPIRE: CommandHandler = expireHandler('expire', 1000, true)
export const PEXPIRE: CommandHandler = expireHandler('pexpire', 1, true)
export const EXPIREAT: CommandHandler = expireHandler('expireat', 1000, false)
export const PEXPIREAT: CommandHandler = expireHandler('pexpireat', 1, false)

/** -2: no such key; -1: no expiry. */
function remainingMs(context: ExecutionContext, key: Uint8Array): number {
  const current = context.find(key)
  if (current === null) return -2
  if (current.expiresAtMs === 0) return -1
  return Math.max(0, current.expiresAtMs - context.nowMs)
}

export const TTL: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const ms = remainingMs(context, args[0])
    return integerReply(ms < 0 ? ms : Math.floor((ms + 500) / 1000))
  },
}

export const PTTL: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => integerReply(remainingMs(context, args[0])),
}

/** -2: no such key; -1: no expiry. */
function expiryOf(context: ExecutionContext, key: Uint8Array): number {
  const current = context.find(key)
  if (current === null) return -2
  return current.expiresAtMs === 0 ? -1 : current.expiresAtMs
}

export const EXPIRETIME: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const ms = expiryOf(context, args[0])
    return integerReply(ms < 0 ? ms : Math.floor((ms + 500) / 1000))
  },
}

export const PEXPIRETIME: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => integerReply(expiryOf(context, args[0])),
}

export const PERSIST: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[0])
    if (current === null || current.expiresAtMs === 0) return integerReply(0)
    context.put(args[0], current.value.slice(), 0, EVENT_PERSIST)
    return integerReply(1)
  },
}
