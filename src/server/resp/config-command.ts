/** CONFIG GET of what clients and tools ask for; a node's settings come from its command line, so CONFIG SET refuses. */
import { latin1Bytes } from '../../base/bytes.ts'
import { bulkReply, errorReply, mapReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import type { Door } from './door.ts'
import { globMatches } from './glob.ts'
import { wordLower, wordText } from './words.ts'

function entries(door: Door): Map<string, string> {
  const { maxClients, maxRequestBytes, hardOutputBytes, address } = door.options
  return new Map([
    ['appendfsync', 'always'],
    ['appendonly', 'yes'],
    ['bind', address.slice(0, address.lastIndexOf(':'))],
    ['client-output-buffer-limit', `normal ${hardOutputBytes} 0 0`],
    ['databases', '1'],
    ['maxclients', String(maxClients)],
    ['maxmemory', '0'],
    ['maxmemory-policy', 'noeviction'],
    ['port', address.slice(address.lastIndexOf(':') + 1)],
    ['proto-max-bulk-len', String(maxRequestBytes)],
    ['save', ''],
    ['timeout', '0'],
    ...door.options.nodeInfo.configEntries(),
  ])
}

export const CONFIG_REPLIES: NamedReplies = [
  [
    'config|get',
    (door, _client, words) => {
      const patterns: string[] = []
      for (let i = 2; i < words.wordCount; i++) patterns.push(wordLower(words, i))
      const found = [...entries(door)].filter(([name]) => patterns.some((pattern) => globMatches(pattern, name)))
      return mapReply(found.map(([name, value]) => [bulkReply(latin1Bytes(name)), bulkReply(latin1Bytes(value))]))
    },
  ],
  [
    'config|set',
    (door, _client, words) => {
      const name = wordText(words, 2)
      const known = words.wordCount % 2 === 0 && entries(door).has(name.toLowerCase())
      return errorReply(
        known
          ? `ERR CONFIG SET failed (possibly related to argument '${name}') - can't set immutable config`
          : `ERR Unknown option or number of arguments for CONFIG SET - '${name}'`,
      )
    },
  ],
  [
    'config|resetstat',
    (door) => {
      door.resetStats()
      return OK_REPLY
    },
  ],
]
