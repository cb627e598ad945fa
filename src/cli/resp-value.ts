/**
 * Replies of a Redis server with all that RESP2 and RESP3 say of them (a map is not an array, a double keeps its digits), parsed as they
 * arrive. A client's side only: sizes are bounded by what the server sends. Who needs plain values reads them through resp-reply.ts.
 * Grammar: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export type RespValue =
  | { readonly kind: 'nil' }
  | { readonly kind: 'simple'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'integer'; readonly value: number | bigint }
  | { readonly kind: 'big-number'; readonly value: bigint }
  /** As it came: `3.10` stays `3.10`; also `inf`, `-inf`, `nan`. */
  | { readonly kind: 'double'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'bulk'; readonly bytes: Buffer }
  | { readonly kind: 'verbatim'; readonly format: string; readonly bytes: Buffer }
  | RespList

/** A map's items are keys and values in turn. */
export interface RespList {
  readonly kind: 'array' | 'set' | 'map' | 'push'
  readonly items: readonly RespValue[]
}

export class RespProtocolError extends Error {
  override readonly name = 'RespProtocolError'
}

const MAX_DEPTH = 32
const NIL: RespValue = { kind: 'nil' }

interface OpenList {
  /** Attributes are read and forgotten: the value that they describe follows. */
  readonly kind: RespList['kind'] | 'attribute'
  readonly count: number
  readonly items: RespValue[]
}

const LISTS: Readonly<Record<string, { readonly kind: OpenList['kind']; readonly itemsEach: 1 | 2 }>> = {
  '*': { kind: 'array', itemsEach: 1 },
  '~': { kind: 'set', itemsEach: 1 },
  '>': { kind: 'push', itemsEach: 1 },
  '%': { kind: 'map', itemsEach: 2 },
  '|': { kind: 'attribute', itemsEach: 2 },
}

/** Feed it chunks; it gives whole values. */
export class RespValueParser {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** Chunks that came since, not joined before they can complete something: else a long value costs its square. */
  #later: Buffer[] = []
  #laterBytes = 0
  /** Bytes that must be there from #at on before it is worth looking again. */
  #wanted = 1
  readonly #open: OpenList[] = []
  #done: RespValue[] = []

  /** Throws RespProtocolError; the connection is then of no more use. */
  push(chunk: Uint8Array): RespValue[] {
    // A copy: what is kept must not change under us.
    this.#later.push(Buffer.from(chunk))
    this.#laterBytes += chunk.length
    if (this.#bytes.length - this.#at + this.#laterBytes < this.#wanted) return []
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...this.#later])
    this.#at = 0
    this.#later = []
    this.#laterBytes = 0
    while (this.#readOne());
    const done = this.#done
    this.#done = []
    return done
  }

  /** One header, with its bulk if it has one; false, and nothing consumed: more bytes are wanted. */
  #readOne(): boolean {
    const end = this.#bytes.indexOf('\r\n', this.#at, 'latin1')
    if (end < 0) {
      this.#wanted = this.#bytes.length - this.#at + 1
      const type = this.#bytes.toString('latin1', this.#at, this.#at + 1)
      if (type !== '' && !/[-+:(,#_$=!*~>%|]/.test(type)) throw unexpected(type)
      return false
    }
    const type = this.#bytes.toString('latin1', this.#at, this.#at + 1)
    const rest = this.#bytes.toString('utf8', this.#at + 1, end)
    const list = LISTS[type]
    if (list !== undefined) {
      this.#at = end + 2
      this.#openList(list.kind, length(rest) * list.itemsEach)
      return true
    }
    if (type !== '$' && type !== '=' && type !== '!') {
      this.#at = end + 2
      this.#complete(scalar(type, rest))
      return true
    }
    const lengthBytes = length(rest)
    const next = lengthBytes < 0 ? end + 2 : end + 2 + lengthBytes + 2
    if (this.#bytes.length < next) {
      this.#wanted = next - this.#at
      return false
    }
    this.#at = next
    const bytes = this.#bytes.subarray(end + 2, next - 2)
    this.#complete(lengthBytes < 0 ? NIL : bulk(type, bytes))
    return true
  }

  #openList(kind: OpenList['kind'], count: number): void {
    if (count < 0) return this.#complete(NIL)
    if (this.#open.length >= MAX_DEPTH) throw new RespProtocolError('reply nested too deeply')
    if (count > 0) this.#open.push({ kind, count, items: [] })
    else if (kind !== 'attribute') this.#complete({ kind, items: [] })
  }

  #complete(value: RespValue): void {
    let whole = value
    for (;;) {
      const list = this.#open.at(-1)
      if (list === undefined) {
        this.#done.push(whole)
        return
      }
      list.items.push(whole)
      if (list.items.length < list.count) return
      this.#open.pop()
      if (list.kind === 'attribute') return
      whole = { kind: list.kind, items: list.items }
    }
  }
}

function scalar(type: string, rest: string): RespValue {
  switch (type) {
    case '+':
      return { kind: 'simple', text: rest }
    case '-':
      return { kind: 'error', text: rest }
    case ':':
      return { kind: 'integer', value: integer(rest) }
    case '(':
      return { kind: 'big-number', value: exact(rest) }
    case ',':
      return { kind: 'double', text: rest }
    case '#':
      return { kind: 'boolean', value: rest === 't' }
    case '_':
      return NIL
    default:
      throw unexpected(type)
  }
}

function bulk(type: string, bytes: Buffer): RespValue {
  if (type === '$') return { kind: 'bulk', bytes }
  if (type === '!') return { kind: 'error', text: bytes.toString('utf8') }
  // Three letters of format and a colon come first.
  return { kind: 'verbatim', format: bytes.toString('latin1', 0, 3), bytes: bytes.subarray(4) }
}

function integer(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : exact(text)
}

function exact(text: string): bigint {
  if (!/^[-+]?\d+$/.test(text)) throw new RespProtocolError(`bad integer ${JSON.stringify(text)}`)
  return BigInt(text)
}

function length(text: string): number {
  const value = text === '' ? Number.NaN : Number(text)
  if (!Number.isSafeInteger(value) || value < -1) throw new RespProtocolError(`bad length ${JSON.stringify(text)}`)
  return value
}

function unexpected(type: string): RespProtocolError {
  return new RespProtocolError(`unexpected reply type ${JSON.stringify(type)}`)
}
