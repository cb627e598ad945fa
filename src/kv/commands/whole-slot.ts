/** FLUSHALL and DBSIZE: the part of one slot. */
import { errorReply, integerReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import { type CommandHandler, isWord, noSyntax, SYNTAX_ERROR } from './handler.ts'

export const FLUSHALL: CommandHandler = {
  checkSyntax(args) {
    if (args.length === 0) return null
    return args.length === 1 && (isWord(args[0], 'async') || isWord(args[0], 'sync')) ? null : SYNTAX_ERROR
  },
  execute(context) {
    if (context.mutations.generationNotBumpedOnFlush) return OK_REPLY
    return context.flush() ? OK_REPLY : errorReply(`ERR slot ${context.slot} cannot be flushed again: delete its keys`)
  },
}

/** As Redis's, it counts keys that have expired and are not yet removed. */
export const DBSIZE: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context) => integerReply(context.keySpace.count(context.slot, context.generation)),
}
