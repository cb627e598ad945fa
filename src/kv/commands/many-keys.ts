/** DEL (UNLINK), EXISTS (TOUCH), MGET, MSET: the part of one slot; doors fan out over slots and join the replies. */

import { BytesWriter } from '../../base/bytes.ts'
import {
  arrayHead,
  bulkReply,
  errorReply,
  integerReply,
  NULL_REPLY,
  OK_REPLY,
  simpleString,
} from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { EVENT_DEL, EVENT_SET } from '../key-events.ts'
import { MAX_REPLY_BYTES } from '../kv-options.ts'
import { type CommandHandler, checkValue, noSyntax, wrongArgumentCount } from './handler.ts'

export const DEL: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    let removed = 0
    for (const key of args) {
      if (context.find(key) === null) continue
      context.remove(key, EVENT_DEL)
      removed++
    }
    return integerReply(removed)
  },
}

export const EXISTS: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    let found = 0
    for (const key of args) if (context.find(key) !== null) found++
    return integerReply(found)
  },
}

export const MGET: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const writer = new BytesWriter(64 + args.length * 32)
    writer.raw(arrayHead(args.length))
    for (const key of args) {
      const current = context.find(key)
      writer.raw(current === null ? NULL_REPLY : bulkReply(current.value))
      if (writer.length > MAX_REPLY_BYTES) {
        return errorReply(`ERR the values together are more than ${MAX_REPLY_BYTES} bytes: ask for fewer keys at once`)
      }
    }
    return writer.copy()
  },
}

function checkPairs(name: string): CommandHandler['checkSyntax'] {
  return (args, limits) => {
    if (args.length % 2 !== 0) return wrongArgumentCount(name)
    for (let i = 1; i < args.length; i += 2) {
      const error = checkValue(args[i], limits)
      if (error !== null) return error
    }
    return null
  }
}

function putPairs(context: ExecutionContext, args: readonly Uint8Array[]): void {
  for (let i = 0; i < args.length; i += 2) context.put(args[i], args[i + 1], 0, EVENT_SET)
}

export const MSET: CommandHandler = {
  checkSyntax: checkPairs('mset'),
  execute(context, args) {
    putPairs(context, args)
    return OK_REPLY
  },
}

/** All or nothing: in one slot, as its keys' doors have checked. */
export const MSETNX: CommandHandler = {
  checkSyntax: checkPairs('msetnx'),
  execute(context, args) {
    for (let i = 0; i < args.length; i += 2) if (context.find(args[i]) !== null) return integerReply(0)
    putPairs(context, args)
    return integerReply(1)
  },
}

/** Every value is a string so far. */
export const TYPE: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => simpleString(context.find(args[0]) === null ? 'none' : 'string'),
}
