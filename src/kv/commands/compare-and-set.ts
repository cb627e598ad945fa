/**
 * KV.CAS key expected new: `[1, new]` where the value was `expected`, else `[0, current]` (null where the key is absent).
 * `expected` written exactly as NX (capitals) expects absence. As with SET, the new value has no expiry.
 */

import { equalBytes, latin1Bytes } from '../../base/bytes.ts'
import { arrayReply, bulkReply, integerReply, NULL_REPLY } from '../../protocol/resp-reply.ts'
import { EVENT_SET } from '../key-events.ts'
import { type CommandHandler, checkValue } from './handler.ts'

const EXPECTS_ABSENCE = latin1Bytes('NX')

export const KV_CAS: CommandHandler = {
  checkSyntax: (args, limits) => checkValue(args[2], limits),
  execute(context, args) {
    const [key, expected, next] = args
    const current = context.find(key)
    const holds = equalBytes(expected, EXPECTS_ABSENCE)
      ? current === null
      : current !== null && equalBytes(current.value, expected)
    if (!holds) {
      return arrayReply([integerReply(0), current === null ? NULL_REPLY : bulkReply(current.value)])
    }
    context.put(key, next, 0, EVENT_SET)
    return arrayReply([integerReply(1), bulkReply(next)])
  },
}
