/** Replies in RESP2, which is what a connection speaks that has not said HELLO; parsed as they arrive. */
import { EMPTY_BYTES, latin1Text } from '../base/bytes.ts'
import { bytesText } from './text.ts'

/** An error reply's text, without its sign. */
export class ReplyError {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Simple strings are strings, bulk strings bytes. */
export type Reply = null | number | bigint | string | Uint8Array | ReplyError | readonly Reply[]

/** The server does not speak RESP2: the connection is of no more use. */
export class ReplyProtocolError extends Error {
  override readonly name = 'ReplyProtocolError'
}

const CR = 0x0d
const LF = 0x0a
const MAX_DEPTH = 16
const MAX_LINE_BYTES = 64 * 1024
/** Redis's own bound on a bulk string. */
const MAX_BULK_BYTES = 512 * 1024 * 1024

interface OpenArray {
  readonly count: number
  readonly items: Reply[]
}

export class ReplyParser {
  /** What has come and is not used up: #bytes from #at to #end. */
  #bytes: Uint8Array = EMPTY_BYTES
  #at = 0
  #end = 0
  readonly #open: OpenArray[] = []

  /** Calls back for each whole reply. The chunk is copied where it must stay. Throws ReplyProtocolError. */
  push(chunk: Uint8Array, onReply: (reply: Reply) => void): void {
    this.#append(chunk)
    while (this.#readOne(onReply));
    if (this.#at === this.#end) {
      this.#bytes = EMPTY_BYTES
      this.#at = 0
      this.#end = 0
    }
  }

  #append(chunk: Uint8Array): void {
    const rest = this.#end - this.#at
    if (rest === 0) {
      // Values are copied out, so the chunk itself may be read.
      this.#bytes = chunk.slice()
      this.#at = 0
      this.#end = chunk.length
      return
    }
    if (this.#end + chunk.length > this.#bytes.length) {
      // Doubled, so that a long value costs no more than its length.
      const grown = new Uint8Array(Math.max(rest + chunk.length, 2 * rest))
      grown.set(this.#bytes.subarray(this.#at, this.#end))
      this.#bytes = grown
      this.#at = 0
      this.#end = rest
    }
    this.#bytes.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** One header, with its bulk if it has one. False: more bytes are wanted, nothing was used up. */
  #readOne(onReply: (reply: Reply) => void): boolean {
    const bytes = this.#bytes
    const line = this.#lineEnd()
    if (line < 0) return false
    const type = bytes[this.#at]
    if (type === 0x24) {
      const length = this.#length(line, MAX_BULK_BYTES)
      const next = length < 0 ? line + 2 : line + 2 + length + 2
      if (next > this.#end) return false
      this.#at = next
      this.#complete(length < 0 ? null : bytes.slice(line + 2, next - 2), onReply)
      return true
    }
    const from = this.#at + 1
    if (type === 0x2a) {
      const count = this.#length(line, Number.MAX_SAFE_INTEGER)
      this.#at = line + 2
      if (count <= 0) this.#complete(count < 0 ? null : [], onReply)
      else if (this.#open.length >= MAX_DEPTH) throw new ReplyProtocolError('a reply nested too deeply')
      else this.#open.push({ count, items: [] })
      return true
    }
    if (type === 0x3a) this.#complete(integer(latin1Text(bytes, from, line)), onReply)
    else if (type === 0x2b) this.#complete(bytesText(bytes.subarray(from, line)), onReply)
    else if (type === 0x2d) this.#complete(new ReplyError(bytesText(bytes.subarray(from, line))), onReply)
    else throw new ReplyProtocolError(`an unexpected reply type ${JSON.stringify(latin1Text(bytes, this.#at, from))}`)
    this.#at = line + 2
    return true
  }

  /** Where the CR of the header's end stands; -1: it has not come. */
  #lineEnd(): number {
    for (let at = this.#at; at + 1 < this.#end; at++) {
      if (this.#bytes[at] === CR && this.#bytes[at + 1] === LF) return at
      if (at - this.#at > MAX_LINE_BYTES) throw new ReplyProtocolError('a line without an end')
    }
    return -1
  }

  #length(line: number, limit: number): number {
    const text = latin1Text(this.#bytes, this.#at + 1, line)
    const value = Number(text)
    if (!/^-?\d+$/.test(text) || value < -1 || value > limit) {
      throw new ReplyProtocolError(`a bad length ${JSON.stringify(text.slice(0, 32))}`)
    }
    return value
  }

  #complete(reply: Reply, onReply: (reply: Reply) => void): void {
    let whole = reply
    for (let open = this.#open.at(-1); open !== undefined; open = this.#open.at(-1)) {
      open.items.push(whole)
      if (open.items.length < open.count) return
      this.#open.pop()
      whole = open.items
    }
    onReply(whole)
  }
}

function integer(text: string): number | bigint {
  if (!/^[-+]?\d+$/.test(text)) throw new ReplyProtocolError(`a bad integer ${JSON.stringify(text.slice(0, 32))}`)
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}
