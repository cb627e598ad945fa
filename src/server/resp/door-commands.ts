/** The small commands that the door answers by itself. */
import { latin1Text } from '../../base/bytes.ts'
import {
  arrayReply,
  bulkReply,
  bulkText,
  errorReply,
  OK_REPLY,
  PONG_REPLY,
  simpleString,
} from '../../protocol/resp-reply.ts'
import { isSubscriber } from './client-state.ts'
import type { DoorReply, Handler } from './door.ts'
import { SYNTAX_ERROR, WRONG_PASSWORD, wrongArity } from './errors.ts'
import { READ_LEVELS } from './kv-call.ts'
import { wordLower, wordText, wordView } from './words.ts'

const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const OUTSIDE_32_BITS = errorReply('ERR value is out of range, value must between -2147483648 and 2147483647')
const NO_SUCH_DATABASE = errorReply('ERR DB index is out of range')
const NO_PASSWORD_SET = errorReply(
  'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
)
const PONG_BULK = bulkText('pong')
const EMPTY_BULK = bulkText('')
const RESET_REPLY = simpleString('RESET')

export const pingReply: DoorReply = (_door, client, words) => {
  if (words.wordCount > 2) return errorReply(`ERR ${wrongArity('ping')}`)
  // Among messages a PONG looks like one.
  if (client.protocol === 2 && isSubscriber(client)) {
    return arrayReply([PONG_BULK, words.wordCount === 2 ? bulkReply(wordView(words, 1)) : EMPTY_BULK])
  }
  return words.wordCount === 2 ? bulkReply(wordView(words, 1)) : PONG_REPLY
}

export const echoReply: DoorReply = (_door, _client, words) => bulkReply(wordView(words, 1))

/** There is one database. */
export const selectReply: DoorReply = (_door, _client, words) => {
  const text = wordText(words, 1)
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return NOT_AN_INTEGER
  const index = BigInt(text)
  if (BigInt.asIntN(64, index) !== index) return NOT_AN_INTEGER
  if (BigInt.asIntN(32, index) !== index) return OUTSIDE_32_BITS
  return text === '0' ? OK_REPLY : NO_SUCH_DATABASE
}

/** Seconds and microseconds of the node's clock, which counts whole milliseconds. */
export const timeReply: DoorReply = (door) => {
  const nowMs = door.clock.wallMs()
  return arrayReply([bulkText(String(Math.floor(nowMs / 1000))), bulkText(String((nowMs % 1000) * 1000))])
}

/** There is one user, `default`, who needs no password: as in a Redis where none is set. */
export const authReply: DoorReply = (_door, _client, words) => {
  if (words.wordCount > 3) return SYNTAX_ERROR
  if (words.wordCount === 2) return NO_PASSWORD_SET
  return wordText(words, 1) === 'default' ? OK_REPLY : WRONG_PASSWORD
}

/** Back to how the connection began; the protocol too, so all earlier replies leave first. */
export const runReset: Handler = (_door, connection) => {
  if (connection.pendingCount > 0) return false
  connection.reset()
  connection.answer(RESET_REPLY)
  return true
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
