/** CLIENT ID, GETNAME, SETNAME, SETINFO (the last as in Redis 7.2: today's client libraries send it at once). */
import { latin1Bytes } from '../../base/bytes.ts'
import { bulkReply, errorReply, integerReply, NULL_REPLY, OK_REPLY } from '../../protocol/resp-reply.ts'
import { type ClientState, isClientAttribute } from './client-state.ts'
import type { NamedReplies } from './commands.ts'
import { BAD_CLIENT_NAME } from './hello.ts'
import { wordLower, wordText } from './words.ts'

function infoLine(client: ClientState): string {
  const { id, address, name, protocol, libraryName, libraryVersion } = client
  return `id=${id} addr=${address} name=${name} db=0 resp=${protocol} lib-name=${libraryName} lib-ver=${libraryVersion}\n`
}

export const CLIENT_REPLIES: NamedReplies = [
  ['client|id', (_door, client) => integerReply(client.id)],
  ['client|getname', (_door, client) => (client.name === '' ? NULL_REPLY : bulkReply(latin1Bytes(client.name)))],
  [
    'client|setname',
    (_door, client, words) => {
      const name = wordText(words, 2)
      if (!isClientAttribute(name)) return BAD_CLIENT_NAME
      client.name = name
      return OK_REPLY
    },
  ],
  [
    'client|setinfo',
    (_door, client, words) => {
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
    },
  ],
  ['client|info', (_door, client) => bulkReply(latin1Bytes(infoLine(client)))],
]
