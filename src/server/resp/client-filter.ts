/** Which connections CLIENT LIST and CLIENT KILL are about, from their words; errors are Redis 7.0.15's. */
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { errorReply } from '../../protocol/resp-reply.ts'
import { type ClientType, clientTypeNamed, typeOf } from './client-line.ts'
import type { ClientState } from './client-state.ts'
import { SYNTAX_ERROR } from './errors.ts'
import { wordLower, wordText } from './words.ts'

export interface ClientFilter {
  id: number | null
  address: string | null
  localAddress: string | null
  type: ClientType | null
  /** The asking connection is not meant. */
  skipMe: boolean
}

export type FilterOutcome =
  | { readonly filter: ClientFilter; readonly refusal: null }
  | { readonly filter: null; readonly refusal: Uint8Array }

const BAD_ID = errorReply('ERR client-id should be greater than 0')

export function unknownType(text: string): Uint8Array {
  return errorReply(`ERR Unknown client type '${text}'`)
}

/** Ids are whole and count from 1; null: none. */
function clientIdOf(text: string): number | null {
  return /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : null
}

/** CLIENT KILL's: one address, or pairs of option and value. */
export function killFilter(words: RequestWords): FilterOutcome {
  const filter: ClientFilter = { id: null, address: null, localAddress: null, type: null, skipMe: words.wordCount > 3 }
  if (words.wordCount === 3) {
    filter.address = wordText(words, 2)
    return { filter, refusal: null }
  }
  for (let i = 2; i < words.wordCount; i += 2) {
    const refusal =
      i + 1 < words.wordCount ? takeOption(filter, wordLower(words, i), wordText(words, i + 1)) : SYNTAX_ERROR
    if (refusal !== null) return { filter: null, refusal }
  }
  return { filter, refusal: null }
}

function takeOption(filter: ClientFilter, option: string, value: string): Uint8Array | null {
  switch (option) {
    case 'id':
      filter.id = clientIdOf(value)
      return filter.id === null ? BAD_ID : null
    case 'type':
      filter.type = clientTypeNamed(value)
      return filter.type === null ? unknownType(value) : null
    case 'addr':
      filter.address = value
      return null
    case 'laddr':
      filter.localAddress = value
      return null
    case 'user':
      // There is one, and every connection is its.
      return value === 'default' ? null : errorReply(`ERR No such user '${value}'`)
    case 'skipme': {
      const choice = value.toLowerCase()
      filter.skipMe = choice === 'yes'
      return choice === 'yes' || choice === 'no' ? null : SYNTAX_ERROR
    }
    default:
      return SYNTAX_ERROR
  }
}

export function matches(filter: ClientFilter, client: ClientState, asking: ClientState): boolean {
  return (
    (filter.address === null || filter.address === client.address) &&
    (filter.localAddress === null || filter.localAddress === client.connection.localAddress) &&
    (filter.type === null || filter.type === typeOf(client)) &&
    (filter.id === null || filter.id === client.id) &&
    !(filter.skipMe && client === asking)
  )
}
