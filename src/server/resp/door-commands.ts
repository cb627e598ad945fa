/** The small commands that the door answers by itself. */
import { latin1Text } from '../../base/bytes.ts'
import type { ReadLevel } from '../../ports/request-router.ts'
import { bulkReply, bulkText, errorReply, OK_REPLY, PONG_REPLY } from '../../protocol/resp-reply.ts'
import type { DoorReply, Handler } from './door.ts'
import { wrongArity } from './errors.ts'
import { wordLower, wordText, wordView } from './words.ts'

const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const NO_SUCH_DATABASE = errorReply('ERR DB index is out of range')
const READ_LEVELS: ReadonlyMap<string, ReadLevel> = new Map([
  ['linearizable', 'linearizable'],
  ['lease', 'lease'],
  ['stale', 'stale'],
])

export const pingReply: DoorReply = (_door, _client, words) => {
  if (words.wordCount > 2) return errorReply(`ERR ${wrongArity('ping')}`)
  return words.wordCount === 2 ? bulkReply(wordView(words, 1)) : PONG_REPLY
}

export const echoReply: DoorReply = (_door, _client, words) => bulkReply(wordView(words, 1))

/** There is one database. */
export const selectReply: DoorReply = (_door, _client, words) => {
  const text = wordText(words, 1)
  if (!/^(0|-?[1-9][0-9]{0,9})$/.test(text)) return NOT_AN_INTEGER
  return text === '0' ? OK_REPLY : NO_SUCH_DATABASE
}

export const readLevelReply: DoorReply = (_door, client, words) => {
  const level = READ_LEVELS.get(wordLower(words, 1))
  if (level === undefined) {
    return errorReply(
      `ERR unknown read level '${latin1Text(wordView(words, 1)).slice(0, 128)}': linearizable, lease or stale`,
    )
  }
  client.readLevel = level
  return OK_REPLY
}

export const statusReply: DoorReply = (door) => bulkText(JSON.stringify(door.options.nodeInfo.status()))

export const runQuit: Handler = (_door, connection) => {
  connection.answer(OK_REPLY)
  connection.closeAfterReplies()
  return true
}
