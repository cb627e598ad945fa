/**
 * Bytes without Node's Buffer: pure rooms must not see it. Little-endian everywhere on disk and on the wire,
 * except in ordered keys. A reader never reads past its end: it throws DecodeError, which the callers that face
 * foreign bytes catch at one place.
 */
import { assert } from './assert.ts'

export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Order of unsigned bytes, as memcmp; a prefix sorts first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return a.length - b.length
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let total = 0
  for (const part of parts) total += part.length
  const out = new Uint8Array(total)
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

/** One byte a character; characters above U+00FF are a programming error. */
export function latin1Bytes(text: string): Uint8Array {
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    assert(code < 256, 'latin1Bytes: character above U+00FF')
    out[i] = code
  }
  return out
}

export function latin1Text(bytes: Uint8Array, from = 0, to = bytes.length): string {
  let text = ''
  for (let i = from; i < to; i += 4096) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, Math.min(to, i + 4096)) as unknown as number[])
  }
  return text
}

export function utf8Bytes(text: string): Uint8Array {
  const out: number[] = []
  for (const character of text) {
    const code = character.codePointAt(0) as number
    if (code < 0x80) out.push(code)
    else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63))
    else if (code < 0x10000) out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
    else out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
  }
  return Uint8Array.from(out)
}

/** Grows by doubling; `finish()` returns a view of what was written, valid until the next `reset()`. */
export class BytesWriter {
  bytes: Uint8Array
  #view: DataView
  length = 0

  constructor(initialBytes = 256) {
    this.bytes = new Uint8Array(initialBytes)
    this.#view = new DataView(this.bytes.buffer)
  }

  reset(): void {
    this.length = 0
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** A copy that the writer does not touch any more. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  /** Makes room for `count` bytes at the current end, advances over them and returns where they start. */
  reserve(count: number): number {
    const offset = this.length
    const needed = offset + count
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, offset))
      this.bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.length = needed
    return offset
  }

  u8(value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
  }

  u16(value: number): void {
    const at = this.reserve(2)
    this.#view.setUint16(at, value, true)
  }

  u32(value: number): void {
    const at = this.reserve(4)
    this.#view.setUint32(at, value, true)
  }

  /** An unsigned safe integer in 8 bytes. */
  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'u64: not an unsigned safe integer')
    const at = this.reserve(8)
    this.#view.setUint32(at, value >>> 0, true)
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
  }

  raw(part: Uint8Array): void {
    const at = this.reserve(part.length)
    this.bytes.set(part, at)
  }

  /** u32 length, then the bytes. */
  blob(part: Uint8Array): void {
    this.u32(part.length)
    this.raw(part)
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }
}

export class BytesReader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  offset: number
  readonly end: number

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = from
    this.end = to
  }

  get remaining(): number {
    return this.end - this.offset
  }

  #advance(count: number): number {
    const at = this.offset
    if (count > this.end - at) throw new DecodeError(`needs ${count} bytes at ${at}, has ${this.end - at}`)
    this.offset = at + count
    return at
  }

  u8(): number {
    return this.bytes[this.#advance(1)]
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  u64(): number {
    const at = this.#advance(8)
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 0x1_0000_0000
    if (!Number.isSafeInteger(value)) throw new DecodeError(`not a safe integer at ${at}`)
    return value
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    const at = this.#advance(count)
    return this.bytes.subarray(at, at + count)
  }

  blob(): Uint8Array {
    return this.raw(this.u32())
  }

  expectEnd(): void {
    if (this.offset !== this.end) throw new DecodeError(`${this.end - this.offset} bytes left over`)
  }
}
