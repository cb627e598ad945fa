/**
 * WAIT numreplicas timeout. An acknowledged write is on a quorum's disks already, so once this connection's writes are answered, a quorum less
 * one (the leader) hold them. That is the answer, at once, also where more is asked for: waiting would not make more known. Redis says the
 * same of replicas that do not come within the time.
 */
import { errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { DoorReply, Handler } from './door.ts'
import { wordText } from './words.ts'

const INTEGER = /^(0|-?[1-9][0-9]{0,17})$/
const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const BAD_TIMEOUT = errorReply('ERR timeout is not an integer or out of range')
const NEGATIVE_TIMEOUT = errorReply('ERR timeout is negative')

export const waitReply: DoorReply = (door, _client, words) => {
  const timeout = wordText(words, 2)
  if (!INTEGER.test(wordText(words, 1))) return NOT_AN_INTEGER
  if (!INTEGER.test(timeout)) return BAD_TIMEOUT
  if (Number(timeout) < 0) return NEGATIVE_TIMEOUT
  return integerReply(door.options.nodeInfo.replicasHoldingWrites())
}

/** Behind all that was asked before. */
export const runWait: Handler = (door, connection) => {
  if (connection.pendingCount > 0) return false
  connection.answer(waitReply(door, connection.client, connection.words))
  return true
}
