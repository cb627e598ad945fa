/** RENAME, RENAMENX, COPY, as Redis 7.0; both keys lie in one slot. */

import { equalBytes } from '../../base/bytes.ts'
import { errorReply, integerReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { parseInteger } from '../integer-text.ts'
import { EVENT_COPY_TO, EVENT_RENAME_FROM, EVENT_RENAME_TO, type KeyEvent } from '../key-events.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER, noSyntax, SYNTAX_ERROR } from './handler.ts'

const INT32_END = 2 ** 31
const NO_SUCH_KEY = errorReply('ERR no such key')
const SAME_KEY = errorReply('ERR source and destination objects are the same')

/** The value with its expiry. */
function copyTo(context: ExecutionContext, from: Uint8Array, to: Uint8Array, event: KeyEvent): void {
  const source = context.find(from)
  if (source !== null) context.put(to, source.value.slice(), source.expiresAtMs, event)
}

export const RENAME: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const [from, to] = args
    if (context.find(from) === null) return NO_SUCH_KEY
    if (equalBytes(from, to)) return OK_REPLY
    context.note(EVENT_RENAME_FROM, from)
    copyTo(context, from, to, EVENT_RENAME_TO)
    context.remove(from, null)
    return OK_REPLY
  },
}

export const RENAMENX: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const [from, to] = args
    if (context.find(from) === null) return NO_SUCH_KEY
    if (context.find(to) !== null) return integerReply(0)
    context.note(EVENT_RENAME_FROM, from)
    copyTo(context, from, to, EVENT_RENAME_TO)
    context.remove(from, null)
    return integerReply(1)
  },
}

/** `COPY source destination [DB destination-db] [REPLACE]`: whether to replace, or an error's text. There is one database, 0. */
function parseCopy(args: readonly Uint8Array[]): boolean | string {
  let replace = false
  for (let i = 2; i < args.length; i++) {
    if (isWord(args[i], 'replace')) replace = true
    else if (isWord(args[i], 'db') && i + 1 < args.length) {
      const database = parseInteger(args[++i])
      if (database === null || database < -INT32_END || database >= INT32_END) return NOT_AN_INTEGER
      if (database !== 0) return 'ERR DB index is out of range'
    } else return SYNTAX_ERROR
  }
  return replace
}

export const COPY: CommandHandler = {
  checkSyntax(args) {
    const parsed = parseCopy(args)
    return typeof parsed === 'string' ? parsed : null
  },
  execute(context, args) {
    const [from, to] = args
    if (equalBytes(from, to)) return SAME_KEY
    if (context.find(from) === null) return integerReply(0)
    if (context.find(to) !== null && parseCopy(args) !== true) return integerReply(0)
    copyTo(context, from, to, EVENT_COPY_TO)
    return integerReply(1)
  },
}
