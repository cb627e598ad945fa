/** Reads RESP2 and RESP3 replies out of a stream of chunks, for simulated clients: small and strict, so that a malformed reply is a finding. */
import { concatBytes, latin1Text } from '../base/bytes.ts'

export type RespValue =
  | { readonly kind: 'simple'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'integer'; readonly value: number }
  | { readonly kind: 'bulk'; readonly text: string }
  | { readonly kind: 'null' }
  /** RESP3's maps too, as keys and values in turn, and its sets and pushes. */
  | { readonly kind: 'array'; readonly items: readonly RespValue[] }

export interface RespReply {
  readonly value: RespValue
  /** As it came, one character a byte. */
  readonly text: string
}

export class RespReader {
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0

  /** The replies that this chunk completes. Throws on what is not RESP. */
  feed(chunk: Uint8Array): RespReply[] {
    this.#bytes = concatBytes([this.#bytes.subarray(this.#at), chunk])
    this.#at = 0
    const replies: RespReply[] = []
    for (;;) {
      const start = this.#at
      const value = this.#value()
      if (value === null) {
        this.#at = start
        return replies
      }
      replies.push({ value, text: latin1Text(this.#bytes, start, this.#at) })
    }
  }

  #line(): string | null {
    for (let i = this.#at; i + 1 < this.#bytes.length; i++) {
      if (this.#bytes[i] !== 13 || this.#bytes[i + 1] !== 10) continue
      const text = latin1Text(this.#bytes, this.#at, i)
      this.#at = i + 2
      return text
    }
    return null
  }

  #value(): RespValue | null {
    const line = this.#line()
    if (line === null) return null
    const rest = line.slice(1)
    switch (line[0]) {
      case '+':
        return { kind: 'simple', text: rest }
      case '-':
        return { kind: 'error', text: rest }
      case ':':
        return { kind: 'integer', value: Number(rest) }
      case '$':
      case '=':
        return this.#bulk(Number(rest))
      case '*':
      case '~':
      case '>':
        return this.#array(Number(rest))
      case '%':
        return this.#array(2 * Number(rest))
      case '_':
        return { kind: 'null' }
      case ',':
      case '#':
      case '(':
        return { kind: 'simple', text: rest }
      default:
        throw new Error(`not a RESP reply: ${JSON.stringify(line)}`)
    }
  }

  #bulk(length: number): RespValue | null {
    if (length === -1) return { kind: 'null' }
    if (this.#bytes.length - this.#at < length + 2) return null
    const text = latin1Text(this.#bytes, this.#at, this.#at + length)
    this.#at += length + 2
    return { kind: 'bulk', text }
  }

  #array(count: number): RespValue | null {
    if (count === -1) return { kind: 'null' }
    const items: RespValue[] = []
    for (let i = 0; i < count; i++) {
      const item = this.#value()
      if (item === null) return null
      items.push(item)
    }
    return { kind: 'array', items }
  }
}

/** A command as clients send it. */
export function encodeWords(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}
