/**
 * CLIENT. SETINFO and NO-TOUCH are Redis 7.2's: today's client libraries send the first at once. Connections are never evicted and reads
 * leave no trace, so NO-EVICT and NO-TOUCH are taken and shown, and change nothing. Client-side caching is not offered.
 */
import { latin1Bytes } from '../../base/bytes.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import {
  arrayReply,
  bulkReply,
  bulkText,
  errorReply,
  integerReply,
  mapReply,
  NULL_REPLY,
  OK_REPLY,
  setReply,
  verbatimReply,
} from '../../protocol/resp-reply.ts'
import { killFilter, matches, unknownType } from './client-filter.ts'
import { clientLine, clientTypeNamed, typeOf } from './client-line.ts'
import { type ClientState, isClientAttribute } from './client-state.ts'
import type { NamedReplies } from './commands.ts'
import type { Door, DoorReply, Handler } from './door.ts'
import { SYNTAX_ERROR, subcommandSyntax } from './errors.ts'
import { BAD_CLIENT_NAME } from './hello.ts'
import { wordLower, wordText } from './words.ts'

const NO_SUCH_CLIENT = errorReply('ERR No such client')
const BAD_ID = errorReply('ERR Invalid client ID')
const NOT_AN_INTEGER = errorReply('ERR value is not an integer or out of range')
const BAD_REASON = errorReply('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR')
const BAD_TIMEOUT = errorReply('ERR timeout is not an integer or out of range')
const NEGATIVE_TIMEOUT = errorReply('ERR timeout is negative')
const BAD_PAUSE_MODE = errorReply('ERR CLIENT PAUSE mode must be WRITE or ALL')
const NO_TRACKING = errorReply('ERR client-side caching is not offered: CLIENT TRACKING takes OFF only')
const NO_REDIRECT_TARGET = errorReply('ERR The client ID you want redirect to does not exist')
const INTEGER = /^(0|-?[1-9][0-9]{0,18})$/
/** Longer is as good as for ever, and stays an exact number. */
const LONGEST_PAUSE_MS = 2 ** 52

function clients(door: Door): ClientState[] {
  const found: ClientState[] = []
  for (const connection of door.connections()) if (!connection.isClosed) found.push(connection.client)
  return found
}

function linesReply(door: Door, asking: ClientState, shown: readonly ClientState[]): Uint8Array {
  const nowMs = door.clock.monotonicMs()
  return verbatimReply('txt', shown.map((client) => clientLine(client, nowMs, client === asking)).join(''))
}

const listReply: DoorReply = (door, asking, words) => {
  const option = words.wordCount > 3 ? wordLower(words, 2) : ''
  if (words.wordCount === 4 && option === 'type') {
    const type = clientTypeNamed(wordText(words, 3))
    if (type === null) return unknownType(wordText(words, 3))
    return linesReply(
      door,
      asking,
      clients(door).filter((client) => typeOf(client) === type),
    )
  }
  if (option === 'id') return listByIds(door, asking, words)
  return words.wordCount === 2 ? linesReply(door, asking, clients(door)) : SYNTAX_ERROR
}

function listByIds(door: Door, asking: ClientState, words: RequestWords): Uint8Array {
  const byId = new Map(clients(door).map((client) => [String(client.id), client]))
  const shown: ClientState[] = []
  for (let i = 3; i < words.wordCount; i++) {
    const text = wordText(words, i)
    if (!INTEGER.test(text)) return BAD_ID
    const client = byId.get(text)
    if (client !== undefined) shown.push(client)
  }
  return linesReply(door, asking, shown)
}

const killReply: DoorReply = (door, asking, words) => {
  const { filter, refusal } = killFilter(words)
  if (refusal !== null) return refusal
  let killed = 0
  for (const client of clients(door)) {
    const { connection } = client
    if (!matches(filter, client, asking)) continue
    killed++
    // Who asked hears the answer first.
    if (client === asking) connection.closeAfterReplies()
    else connection.kill()
  }
  if (words.wordCount > 3) return integerReply(killed)
  return killed === 0 ? NO_SUCH_CLIENT : OK_REPLY
}

/** ON or OFF, kept for CLIENT LIST. */
function switchReply(field: 'noEvict' | 'noTouch'): DoorReply {
  return (_door, client, words) => {
    const choice = wordLower(words, 2)
    if (choice !== 'on' && choice !== 'off') return SYNTAX_ERROR
    client[field] = choice === 'on'
    return OK_REPLY
  }
}

const trackingReply: DoorReply = (door, _client, words) => {
  for (let i = 3; i < words.wordCount; i++) {
    const option = wordLower(words, i)
    const hasValue = i + 1 < words.wordCount
    if (option === 'redirect' && hasValue) {
      i++
      const text = wordText(words, i)
      if (!INTEGER.test(text)) return NOT_AN_INTEGER
      if (!clients(door).some((client) => String(client.id) === text)) return NO_REDIRECT_TARGET
    } else if (option === 'prefix' && hasValue) {
      i++
    } else if (!['bcast', 'optin', 'optout', 'noloop'].includes(option)) {
      return SYNTAX_ERROR
    }
  }
  const choice = wordLower(words, 2)
  if (choice === 'on') return NO_TRACKING
  return choice === 'off' ? OK_REPLY : SYNTAX_ERROR
}

const unblockReply: DoorReply = (_door, _client, words) => {
  if (words.wordCount > 4) return subcommandSyntax(words)
  const reason = words.wordCount === 4 ? wordLower(words, 3) : 'timeout'
  if (reason !== 'timeout' && reason !== 'error') return BAD_REASON
  const text = wordText(words, 2)
  if (!INTEGER.test(text)) return NOT_AN_INTEGER
  // No command waits for anything but its group.
  return integerReply(0)
}

const pauseReply: DoorReply = (door, _client, words) => {
  if (words.wordCount > 4) return subcommandSyntax(words)
  const mode = words.wordCount === 4 ? wordLower(words, 3) : 'all'
  if (mode !== 'write' && mode !== 'all') return BAD_PAUSE_MODE
  const text = wordText(words, 2)
  if (!INTEGER.test(text) || BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) return BAD_TIMEOUT
  const timeoutMs = Number(text)
  if (timeoutMs < 0) return NEGATIVE_TIMEOUT
  door.gates.pause(Math.min(timeoutMs, LONGEST_PAUSE_MS), mode === 'write')
  return OK_REPLY
}

/** Inside EXEC the replies of one array cannot be left out: the mode counts from the next command on. */
const replyModeReply: DoorReply = (_door, client, words) => {
  const mode = wordLower(words, 2)
  if (mode !== 'on' && mode !== 'off' && mode !== 'skip') return SYNTAX_ERROR
  const { connection } = client
  if (mode !== 'skip' || connection.replyMode === 'on') connection.replyMode = mode
  return OK_REPLY
}

/** OFF and SKIP are not answered themselves. */
export const runClientReply: Handler = (_door, connection) => {
  const mode = wordLower(connection.words, 2)
  if (mode === 'on') connection.replyMode = 'on'
  if (mode === 'on' || (mode !== 'off' && mode !== 'skip')) {
    connection.answer(mode === 'on' ? OK_REPLY : SYNTAX_ERROR)
    return true
  }
  const stays = mode === 'off' || connection.replyMode === 'off'
  connection.replyMode = 'off'
  connection.answer(OK_REPLY)
  if (!stays) connection.replyMode = 'skip'
  return true
}

const setInfoReply: DoorReply = (_door, client, words) => {
  const option = wordLower(words, 2)
  const value = wordText(words, 3)
  if (option !== 'lib-name' && option !== 'lib-ver') {
    return errorReply(`ERR Unrecognized option '${wordText(words, 2)}'`)
  }
  if (!isClientAttribute(value)) {
    return errorReply(`ERR ${option} cannot contain spaces, newlines or special characters.`)
  }
  if (option === 'lib-name') client.libraryName = value
  else client.libraryVersion = value
  return OK_REPLY
}

const setNameReply: DoorReply = (_door, client, words) => {
  const name = wordText(words, 2)
  if (!isClientAttribute(name)) return BAD_CLIENT_NAME
  client.name = name
  return OK_REPLY
}

const TRACKING_INFO = mapReply([
  [bulkText('flags'), setReply([bulkText('off')])],
  [bulkText('redirect'), integerReply(-1)],
  [bulkText('prefixes'), arrayReply([])],
])

export const CLIENT_REPLIES: NamedReplies = [
  ['client|id', (_door, client) => integerReply(client.id)],
  ['client|getname', (_door, client) => (client.name === '' ? NULL_REPLY : bulkReply(latin1Bytes(client.name)))],
  ['client|setname', setNameReply],
  ['client|setinfo', setInfoReply],
  ['client|info', (door, client) => linesReply(door, client, [client])],
  ['client|list', listReply],
  ['client|kill', killReply],
  ['client|no-evict', switchReply('noEvict')],
  ['client|no-touch', switchReply('noTouch')],
  ['client|reply', replyModeReply],
  ['client|tracking', trackingReply],
  ['client|trackinginfo', () => TRACKING_INFO],
  ['client|getredir', () => integerReply(-1)],
  ['client|unblock', unblockReply],
  ['client|pause', pauseReply],
  [
    'client|unpause',
    (door) => {
      door.gates.unpause()
      return OK_REPLY
    },
  ],
]
