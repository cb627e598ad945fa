/** HELLO [2|3 [AUTH user password] [SETNAME name]]: the switch between RESP2 and RESP3. */

import type { RequestWords } from '../../protocol/resp-parser.ts'
import { arrayReply, bulkText, errorReply, integerReply, mapReply } from '../../protocol/resp-reply.ts'
import { type ClientState, isClientAttribute } from './client-state.ts'
import type { DoorReply, Handler } from './door.ts'
import { WRONG_PASSWORD } from './errors.ts'
import { wordLower, wordText } from './words.ts'

/** What clients that look at a server's version may count on. */
export const REDIS_VERSION = '7.0.15'

export const BAD_CLIENT_NAME = errorReply('ERR Client names cannot contain spaces, newlines or special characters.')
const BAD_VERSION = errorReply('ERR Protocol version is not an integer or out of range')
const UNSUPPORTED_VERSION = errorReply('NOPROTO unsupported protocol version')

/** Replies change their form here, so all earlier ones leave first. */
export const runHello: Handler = (door, connection) => {
  if (connection.pendingCount > 0) return false
  connection.answer(helloReply(door, connection.client, connection.words))
  return true
}

export const helloReply: DoorReply = (door, client, words) => {
  let protocol = client.protocol
  if (words.wordCount > 1) {
    const text = wordText(words, 1)
    if (!/^(0|-?[1-9][0-9]{0,17})$/.test(text)) return BAD_VERSION
    if (text !== '2' && text !== '3') return UNSUPPORTED_VERSION
    protocol = text === '2' ? 2 : 3
  }
  const refusal = takeOptions(client, words)
  if (refusal !== null) return refusal
  client.protocol = protocol
  return mapReply([
    [bulkText('server'), bulkText('redis')],
    [bulkText('version'), bulkText(REDIS_VERSION)],
    [bulkText('proto'), integerReply(protocol)],
    [bulkText('id'), integerReply(client.id)],
    [bulkText('mode'), bulkText(door.cluster === null ? 'standalone' : 'cluster')],
    [bulkText('role'), bulkText('master')],
    [bulkText('modules'), arrayReply([])],
  ])
}

/** There are no users but `default`, who has no password: as in a Redis without any set up. */
function takeOptions(client: ClientState, words: RequestWords): Uint8Array | null {
  let name: string | null = null
  let user = 'default'
  for (let i = 2; i < words.wordCount; i++) {
    const option = wordLower(words, i)
    const left = words.wordCount - 1 - i
    if (option === 'auth' && left >= 2) {
      user = wordText(words, i + 1)
      i += 2
    } else if (option === 'setname' && left >= 1) {
      name = wordText(words, i + 1)
      if (!isClientAttribute(name)) return BAD_CLIENT_NAME
      i++
    } else {
      return errorReply(`ERR Syntax error in HELLO option '${wordText(words, i)}'`)
    }
  }
  if (user !== 'default') return WRONG_PASSWORD
  if (name !== null) client.name = name
  return null
}
