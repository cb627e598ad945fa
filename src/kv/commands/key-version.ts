/** What WATCH asks for: [generation, index] of one key. */
import { arrayReply, integerReply } from '../../protocol/resp-reply.ts'
import { type CommandHandler, noSyntax } from './handler.ts'

export const KEY_VERSION: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const { generation, index } = context.version(args[0])
    return arrayReply([integerReply(generation), integerReply(index)])
  },
}
