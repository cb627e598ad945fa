/** FUNCTION FLUSH and LIST: there are no functions, and both say so truly. Clients and tools call them to begin with a clean server. */
import { arrayReply, errorReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import { subcommandSyntax } from './errors.ts'
import { wordLower, wordText } from './words.ts'

const FLUSH_MODE = errorReply('ERR FUNCTION FLUSH only supports SYNC|ASYNC option')
const NO_LIBRARY_NAME = errorReply('ERR library name argument was not given')

export const FUNCTION_REPLIES: NamedReplies = [
  [
    'function|flush',
    (_door, _client, words) => {
      if (words.wordCount > 3) return subcommandSyntax(words)
      const mode = words.wordCount === 3 ? wordLower(words, 2) : 'sync'
      return mode === 'sync' || mode === 'async' ? OK_REPLY : FLUSH_MODE
    },
  ],
  [
    'function|list',
    (_door, _client, words) => {
      const seen = new Set<string>()
      for (let i = 2; i < words.wordCount; i++) {
        const option = wordLower(words, i)
        // Each may be said once; a second time Redis does not know it.
        if ((option !== 'withcode' && option !== 'libraryname') || seen.has(option)) {
          return errorReply(`ERR Unknown argument ${wordText(words, i)}`)
        }
        seen.add(option)
        if (option === 'withcode') continue
        i++
        if (i === words.wordCount) return NO_LIBRARY_NAME
      }
      return arrayReply([])
    },
  ],
]
