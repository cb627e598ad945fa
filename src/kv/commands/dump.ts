/** DUMP, RESTORE: values in Redis's RDB form (../rdb-string.ts), so that they go to a Redis and come from one. */

import { assert } from '../../base/assert.ts'
import { bulkReply, errorReply, NULL_REPLY, OK_REPLY } from '../../protocol/resp-reply.ts'
import { parseInteger } from '../integer-text.ts'
import { EVENT_DEL, EVENT_RESTORE } from '../key-events.ts'
import { decodeRdbString, encodeRdbString } from '../rdb-string.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER, noSyntax, SYNTAX_ERROR } from './handler.ts'

const BUSY_KEY = errorReply('BUSYKEY Target key name already exists.')
const BAD_TTL = errorReply('ERR Invalid TTL value, must be >= 0')
const BAD_FOOTER = errorReply('ERR DUMP payload version or checksum are wrong')
const BAD_DATA = errorReply('ERR Bad data format')

export const DUMP: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[0])
    return current === null ? NULL_REPLY : bulkReply(encodeRdbString(current.value))
  },
}

interface RestoreOptions {
  readonly replace: boolean
  readonly absolute: boolean
}

/** IDLETIME and FREQ are checked and have no effect: neither is kept. */
function parseOptions(args: readonly Uint8Array[]): RestoreOptions | string {
  let replace = false
  let absolute = false
  let idle = false
  let frequency = false
  for (let i = 3; i < args.length; i++) {
    const word = args[i]
    const hasMore = i + 1 < args.length
    if (isWord(word, 'replace')) replace = true
    else if (isWord(word, 'absttl')) absolute = true
    else if (isWord(word, 'idletime') && hasMore && !frequency) {
      const seconds = parseInteger(args[++i])
      if (seconds === null) return NOT_AN_INTEGER
      if (seconds < 0) return 'ERR Invalid IDLETIME value, must be >= 0'
      idle = true
    } else if (isWord(word, 'freq') && hasMore && !idle) {
      const value = parseInteger(args[++i])
      if (value === null) return NOT_AN_INTEGER
      if (value < 0 || value > 255) return 'ERR Invalid FREQ value, must be >= 0 and <= 255'
      frequency = true
    } else return SYNTAX_ERROR
  }
  return { replace, absolute }
}

/** `RESTORE key ttl-ms payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]`. */
export const RESTORE: CommandHandler = {
  checkSyntax(args) {
    const options = parseOptions(args)
    return typeof options === 'string' ? options : null
  },
  execute(context, args) {
    const options = parseOptions(args)
    assert(typeof options !== 'string', 'RESTORE ran with a syntax error')
    const [key, ttlText, payload] = args
    const exists = context.find(key) !== null
    if (exists && !options.replace) return BUSY_KEY
    const ttl = parseInteger(ttlText)
    if (ttl === null) return errorReply(NOT_AN_INTEGER)
    if (ttl < 0) return BAD_TTL
    const value = decodeRdbString(payload, context.limits.maxValueBytes)
    if (value === 'bad footer') return BAD_FOOTER
    if (value === 'bad data') return BAD_DATA
    const moment = ttl === 0 ? 0 : Number(ttl) + (options.absolute ? 0 : context.logTimeMs)
    if (moment !== 0 && moment <= context.logTimeMs) {
      if (exists) context.remove(key, EVENT_DEL)
      return OK_REPLY
    }
    if (!Number.isSafeInteger(moment)) return errorReply("ERR invalid expire time in 'restore' command")
    context.put(key, value, moment, EVENT_RESTORE)
    return OK_REPLY
  },
}
