/**
 * Replies of a Redis server as plain values, for callers that know what they asked for: what RESP2 and RESP3 say of one thing looks
 * the same here. And requests, as they go over the wire.
 */
import { type RespValue, RespValueParser } from './resp-value.ts'

export class RespError {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Arrays, sets and pushes are arrays; maps are arrays of key and value in turn, as RESP2 gives them. */
export type RespReply = null | boolean | number | bigint | string | Buffer | RespError | readonly RespReply[]

/** Feed it chunks; it gives whole replies. */
export class RespReplyParser {
  readonly #values = new RespValueParser()

  /** Throws RespProtocolError; the connection is then of no more use. */
  push(chunk: Uint8Array): RespReply[] {
    return this.#values.push(chunk).map(plainReply)
  }
}

function plainReply(value: RespValue): RespReply {
  switch (value.kind) {
    case 'nil':
      return null
    case 'simple':
      return value.text
    case 'error':
      return new RespError(value.text)
    case 'double':
      return double(value.text)
    case 'integer':
    case 'big-number':
    case 'boolean':
      return value.value
    case 'bulk':
    case 'verbatim':
      return value.bytes
    default:
      return value.items.map(plainReply)
  }
}

function double(text: string): number {
  return text === 'inf' ? Infinity : text === '-inf' ? -Infinity : Number(text)
}

/** One request as an array of bulk strings. */
export function encodeRequest(words: readonly (string | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`, 'latin1')]
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word, 'utf8') : Buffer.from(word)
    parts.push(Buffer.from(`$${bytes.length}\r\n`, 'latin1'), bytes, Buffer.from('\r\n', 'latin1'))
  }
  return Buffer.concat(parts)
}
