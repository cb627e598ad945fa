/** Errors that the door gives by itself, in Redis 7's words where Redis has the case. */

import type { RequestWords } from '../../protocol/resp-parser.ts'
import { errorReply } from '../../protocol/resp-reply.ts'
import { wordText } from './words.ts'

export const CROSS_SLOT = errorReply("CROSSSLOT Keys in request don't hash to the same slot")
export const SYNTAX_ERROR = errorReply('ERR syntax error')
export const WRONG_PASSWORD = errorReply('WRONGPASS invalid username-password pair or user is disabled.')
export const NESTED_MULTI = errorReply('ERR MULTI calls can not be nested')
export const WATCH_INSIDE_MULTI = errorReply('ERR WATCH inside MULTI is not allowed')
export const EXEC_WITHOUT_MULTI = errorReply('ERR EXEC without MULTI')
export const DISCARD_WITHOUT_MULTI = errorReply('ERR DISCARD without MULTI')
export const EXEC_ABORTED = errorReply('EXECABORT Transaction discarded because of previous errors.')
export const NOT_IN_MULTI = errorReply('ERR Command not allowed inside a transaction')
export const TRANSACTION_TOO_LARGE = errorReply('ERR transaction is too large')
export const TOO_MANY_WATCHED = errorReply('ERR too many watched keys')
export const TOO_MANY_CLIENTS = errorReply('ERR max number of clients reached')

export const OUT_OF_MEMORY = "command not allowed when used memory > 'maxmemory'."

/** Names end at a NUL in Redis's errors, and at 128 bytes. */
function cut(text: string, limit: number): string {
  const end = text.indexOf('\0')
  return text.slice(0, Math.min(limit, end < 0 ? text.length : end))
}

export function unknownCommand(words: RequestWords): string {
  let args = ''
  for (let i = 1; i < words.wordCount && args.length < 128; i++) {
    args += `'${cut(wordText(words, i), 128 - args.length)}' `
  }
  return `unknown command '${cut(wordText(words, 0), 128)}', with args beginning with: ${args}`
}

export function unknownSubcommand(words: RequestWords): string {
  const container = cut(wordText(words, 0), 128).toUpperCase()
  return `unknown subcommand '${cut(wordText(words, 1), 128)}'. Try ${container} HELP.`
}

/** What a subcommand says that has been given more words than it can use. */
export function subcommandSyntax(words: RequestWords): Uint8Array {
  const container = cut(wordText(words, 0), 128).toUpperCase()
  const subcommand = cut(wordText(words, 1), 128)
  return errorReply(`ERR unknown subcommand or wrong number of arguments for '${subcommand}'. Try ${container} HELP.`)
}

export function wrongArity(fullName: string): string {
  return `wrong number of arguments for '${fullName}' command`
}

export function keyTooLong(lengthBytes: number, maxBytes: number): Uint8Array {
  return errorReply(`ERR key is ${lengthBytes} bytes, the limit is ${maxBytes} (--max-key-bytes)`)
}

export function valueTooLong(lengthBytes: number, maxBytes: number): Uint8Array {
  return errorReply(`ERR value is ${lengthBytes} bytes, the limit is ${maxBytes} (--max-value-bytes)`)
}
