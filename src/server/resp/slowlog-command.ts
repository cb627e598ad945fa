/** SLOWLOG GET, LEN, RESET, as Redis 7.0: entries newest first, with their words cut short. */
import { latin1Bytes } from '../../base/bytes.ts'
import { arrayReply, bulkReply, errorReply, integerReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import type { DoorReply } from './door.ts'
import { subcommandSyntax } from './errors.ts'
import type { SlowEntry } from './slowlog.ts'
import { wordText } from './words.ts'

const DEFAULT_COUNT = 10
const BAD_COUNT = errorReply('ERR count should be greater than or equal to -1')

const getReply: DoorReply = (door, _client, words) => {
  if (words.wordCount > 3) return subcommandSyntax(words)
  let count = DEFAULT_COUNT
  if (words.wordCount === 3) {
    const text = wordText(words, 2)
    if (!/^(0|-1|[1-9][0-9]{0,17})$/.test(text)) return BAD_COUNT
    count = text === '-1' ? Number.POSITIVE_INFINITY : Number(text)
  }
  const { slowlog } = door.measures
  return arrayReply(slowlog.latest(Math.min(count, slowlog.length)).map(entryReply))
}

function entryReply({ id, unixSeconds, durationUs, words, address, name }: SlowEntry): Uint8Array {
  return arrayReply([
    integerReply(id),
    integerReply(unixSeconds),
    integerReply(durationUs),
    arrayReply(words.map((word) => bulkReply(latin1Bytes(word)))),
    bulkReply(latin1Bytes(address)),
    bulkReply(latin1Bytes(name)),
  ])
}

export const SLOWLOG_REPLIES: NamedReplies = [
  ['slowlog|get', getReply],
  ['slowlog|len', (door) => integerReply(door.measures.slowlog.length)],
  [
    'slowlog|reset',
    (door) => {
      door.measures.slowlog.reset()
      return OK_REPLY
    },
  ],
]
