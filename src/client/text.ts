/** Words of requests and replies as bytes and as text. */
import { latin1Bytes, latin1Text, utf8Bytes } from '../base/bytes.ts'

/** What a command's word may be given as; text goes as UTF-8, numbers in decimal. */
export type Word = string | number | bigint | Uint8Array

export function wordBytes(word: Word): Uint8Array {
  if (word instanceof Uint8Array) return word
  const text = typeof word === 'string' ? word : String(word)
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return utf8Bytes(text)
  return latin1Bytes(text)
}

const REPLACEMENT = '\ufffd'

/** UTF-8; what is none becomes U+FFFD. */
export function bytesText(bytes: Uint8Array): string {
  let at = 0
  while (at < bytes.length && bytes[at] < 0x80) at++
  if (at === bytes.length) return latin1Text(bytes)
  let text = latin1Text(bytes, 0, at)
  while (at < bytes.length) {
    const size = sequenceBytes(bytes[at])
    const code = size === 0 ? -1 : codePoint(bytes, at, size)
    text += code < 0 ? REPLACEMENT : String.fromCodePoint(code)
    at += code < 0 ? 1 : size
  }
  return text
}

function sequenceBytes(lead: number): number {
  if (lead < 0x80) return 1
  if (lead >= 0xc2 && lead < 0xe0) return 2
  if (lead >= 0xe0 && lead < 0xf0) return 3
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0
}

const LOWEST = [0, 0, 0x80, 0x800, 0x10000]

/** -1: not a code point in its shortest form. */
function codePoint(bytes: Uint8Array, at: number, size: number): number {
  if (size === 1) return bytes[at]
  if (at + size > bytes.length) return -1
  let code = bytes[at] & (0xff >> (size + 1))
  for (let i = 1; i < size; i++) {
    if ((bytes[at + i] & 0xc0) !== 0x80) return -1
    code = (code << 6) | (bytes[at + i] & 0x3f)
  }
  const isSurrogate = code >= 0xd800 && code < 0xe000
  return code < LOWEST[size] || code > 0x10ffff || isSurrogate ? -1 : code
}
