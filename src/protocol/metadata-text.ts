/**
 * Text in the metadata tree's formats:
 *
 *   text := u32 length in bytes | UTF-8
 *
 * Any JavaScript string comes back as it was (a lone surrogate takes three bytes, as in WTF-8), so that a strange path is refused by the
 * state machine, with a reason, and not by the codec.
 */
import { type BytesReader, type BytesWriter, DecodeError, latin1Text, utf8Bytes } from '../base/bytes.ts'

export function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    // Two bytes below U+0800, three above, four for a pair of surrogates.
    if (code < 0x800) length++
    else if (isHighSurrogate(code) && isLowSurrogate(text.charCodeAt(i + 1))) {
      length += 2
      i++
    } else length += 2
  }
  return length
}

export function writeText(writer: BytesWriter, text: string): void {
  const length = utf8Length(text)
  writer.u32(length)
  if (length !== text.length) {
    writer.raw(utf8Bytes(text))
    return
  }
  const at = writer.reserve(length)
  for (let i = 0; i < length; i++) writer.bytes[at + i] = text.charCodeAt(i)
}

/** Throws DecodeError. */
export function readText(reader: BytesReader): string {
  const bytes = reader.blob()
  for (let i = 0; i < bytes.length; i++) if (bytes[i] >= 0x80) return decodeUtf8(bytes)
  return latin1Text(bytes)
}

function decodeUtf8(bytes: Uint8Array): string {
  const codes: number[] = []
  let text = ''
  let previous = 0
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at]
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
      throw new DecodeError(`text: no character begins with ${first}`)
    if (at + length > bytes.length) throw new DecodeError('text: ends within a character')
    let code = length === 1 ? first : first & (0x7f >> length)
    for (let i = 1; i < length; i++) {
      const next = bytes[at + i]
      if ((next & 0xc0) !== 0x80) throw new DecodeError(`text: ${next} within a character`)
      code = (code << 6) | (next & 0x3f)
    }
    // Only the shortest form, and no pair of surrogates one by one, so that one text has one encoding.
    const isLong = (length === 3 && code < 0x800) || (length === 4 && code < 0x10000)
    if (code > 0x10ffff || isLong || (isLowSurrogate(code) && isHighSurrogate(previous))) {
      throw new DecodeError('text: a character in a longer form than it needs, or beyond the last one')
    }
    previous = code
    codes.push(code)
    at += length
    if (codes.length === 4096) {
      text += String.fromCodePoint(...codes)
      codes.length = 0
    }
  }
  return text + String.fromCodePoint(...codes)
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code < 0xe000
}
