/**
 * Replies of a Redis server (RESP2 and RESP3), parsed as they arrive. A client's side only: bulk strings are bounded by
 * what the server sends. Grammar: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export class RespError {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Arrays, sets and pushes are arrays; maps are arrays of key and value in turn, as RESP2 gives them. */
export type RespReply = null | boolean | number | bigint | string | Buffer | RespError | readonly RespReply[]

export class RespProtocolError extends Error {
  override readonly name = 'RespProtocolError'
}

const INCOMPLETE = Symbol('incomplete')
const MAX_DEPTH = 32

/** Feed it chunks; it gives whole replies. */
export class RespReplyParser {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0

  /** Throws RespProtocolError; the connection is then of no more use. */
  push(chunk: Uint8Array): RespReply[] {
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#bytes, chunk])
    const replies: RespReply[] = []
    let start = 0
    for (;;) {
      this.#at = start
      const reply = this.#reply(0)
      if (reply === INCOMPLETE) break
      replies.push(reply)
      start = this.#at
    }
    this.#bytes = this.#bytes.subarray(start)
    return replies
  }

  #reply(depth: number): RespReply | typeof INCOMPLETE {
    if (depth > MAX_DEPTH) throw new RespProtocolError('reply nested too deeply')
    const line = this.#line()
    if (line === INCOMPLETE) return INCOMPLETE
    const rest = line.slice(1)
    switch (line[0]) {
      case '+':
        return rest
      case '-':
        return new RespError(rest)
      case ':':
        return integer(rest)
      case '(':
        return BigInt(rest)
      case ',':
        return rest === 'inf' ? Infinity : rest === '-inf' ? -Infinity : Number(rest)
      case '#':
        return rest === 't'
      case '_':
        return null
      case '$':
        return this.#bulk(length(rest))
      case '=':
        return this.#verbatim(length(rest))
      case '!':
        return this.#bulkError(length(rest))
      case '*':
      case '~':
      case '>':
        return this.#array(length(rest), depth)
      case '%':
        return this.#array(length(rest) * 2, depth)
      default:
        throw new RespProtocolError(`unexpected reply type ${JSON.stringify(line.slice(0, 1))}`)
    }
  }

  #line(): string | typeof INCOMPLETE {
    const end = this.#bytes.indexOf('\r\n', this.#at, 'latin1')
    if (end < 0) return INCOMPLETE
    const line = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 2
    return line
  }

  #bulk(lengthBytes: number): Buffer | null | typeof INCOMPLETE {
    if (lengthBytes < 0) return null
    const start = this.#at
    if (this.#bytes.length < start + lengthBytes + 2) return INCOMPLETE
    this.#at = start + lengthBytes + 2
    return this.#bytes.subarray(start, start + lengthBytes)
  }

  #bulkError(lengthBytes: number): RespReply | typeof INCOMPLETE {
    const bulk = this.#bulk(lengthBytes)
    return bulk === INCOMPLETE || bulk === null ? bulk : new RespError(bulk.toString('utf8'))
  }

  /** Three letters of format and a colon come first. */
  #verbatim(lengthBytes: number): RespReply | typeof INCOMPLETE {
    const bulk = this.#bulk(lengthBytes)
    return bulk === INCOMPLETE || bulk === null ? bulk : bulk.subarray(4)
  }

  #array(count: number, depth: number): RespReply | typeof INCOMPLETE {
    if (count < 0) return null
    const items: RespReply[] = []
    for (let i = 0; i < count; i++) {
      const item = this.#reply(depth + 1)
      if (item === INCOMPLETE) return INCOMPLETE
      items.push(item)
    }
    return items
  }
}

function integer(text: string): number | bigint {
  const value = Number(text)
  if (Number.isSafeInteger(value)) return value
  return BigInt(text)
}

function length(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < -1) throw new RespProtocolError(`bad length ${JSON.stringify(text)}`)
  return value
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
