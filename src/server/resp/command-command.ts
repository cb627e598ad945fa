/** COMMAND, COMMAND INFO, COMMAND COUNT, COMMAND LIST from the command table; COMMAND DOCS is empty. */
import { latin1Bytes } from '../../base/bytes.ts'
import { COMMAND_SPECS, COMMANDS_BY_NAME, type CommandSpec } from '../../protocol/command-table.ts'
import {
  arrayReply,
  bulkReply,
  integerReply,
  mapReply,
  NULL_REPLY,
  setReply,
  simpleString,
} from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import type { DoorReply } from './door.ts'
import { wordLower } from './words.ts'

const TRANSACTION_COMMANDS: ReadonlySet<string> = new Set(['multi', 'exec', 'discard', 'watch', 'unwatch'])
const KEYSPACE_COMMANDS: ReadonlySet<string> = new Set([
  'del',
  'exists',
  'expire',
  'pexpire',
  'ttl',
  'pttl',
  'persist',
  'flushall',
  'dbsize',
])

function categories(spec: CommandSpec): string[] {
  const names: string[] = []
  if (KEYSPACE_COMMANDS.has(spec.name)) names.push('@keyspace')
  if (spec.flags.includes('readonly')) names.push('@read')
  if (spec.flags.includes('write')) names.push('@write')
  if (spec.firstKey > 0 && spec.opcode > 0 && !KEYSPACE_COMMANDS.has(spec.name)) names.push('@string')
  names.push(spec.flags.includes('fast') ? '@fast' : '@slow')
  if (TRANSACTION_COMMANDS.has(spec.name)) names.push('@transaction')
  else if (spec.scope === 'door') names.push('@connection')
  return names
}

/** The ten fields of Redis 7; tips, key specifications and subcommands are left empty. */
function infoOf(spec: CommandSpec): Uint8Array {
  return arrayReply([
    bulkReply(latin1Bytes(spec.name)),
    integerReply(spec.arity),
    setReply(spec.flags.map((flag) => simpleString(flag))),
    integerReply(spec.firstKey),
    integerReply(spec.lastKey),
    integerReply(spec.keyStep),
    setReply(categories(spec).map((name) => simpleString(name))),
    setReply([]),
    setReply([]),
    setReply([]),
  ])
}

const ALL = arrayReply(COMMAND_SPECS.map(infoOf))

export const commandReply: DoorReply = () => ALL

export const COMMAND_REPLIES: NamedReplies = [
  ['command|count', () => integerReply(COMMAND_SPECS.length)],
  ['command|docs', () => mapReply([])],
  ['command|list', () => arrayReply(COMMAND_SPECS.map((spec) => bulkReply(latin1Bytes(spec.name))))],
  [
    'command|info',
    (_door, _client, words) => {
      if (words.wordCount === 2) return ALL
      const replies: Uint8Array[] = []
      for (let i = 2; i < words.wordCount; i++) {
        const spec = COMMANDS_BY_NAME.get(wordLower(words, i))
        replies.push(spec === undefined ? NULL_REPLY : infoOf(spec))
      }
      return arrayReply(replies)
    },
  ],
]
