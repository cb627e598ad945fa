/**
 * A string in Redis's RDB form, as DUMP gives it and RESTORE takes it (Redis RDB version 10, of Redis 7.0):
 *
 *   payload := u8 type (0: a string) | string | u16 RDB version | u64 CRC-64 of all before          integers with the lowest byte first
 *   string  := length | bytes   or   0xC0 i8, 0xC1 i16, 0xC2 i32: the number's decimal text   or   0xC3 length of the compressed | length | LZF bytes
 *   length  := 00xxxxxx   or   01xxxxxx u8   or   0x80 u32   or   0x81 u64                        these with the highest byte first
 */
import { equalBytes } from '../base/bytes.ts'
import { crc64 } from './crc64.ts'
import { decimalBytes, parseInteger } from './integer-text.ts'

const RDB_VERSION = 10
const TYPE_STRING = 0
const FOOTER_BYTES = 10
/** Texts up to this length may stand as numbers. */
const MAX_NUMBER_CHARACTERS = 11

export function encodeRdbString(value: Uint8Array): Uint8Array {
  const body = encodeNumber(value) ?? encodeBytes(value)
  const out = new Uint8Array(1 + body.length + FOOTER_BYTES)
  out[0] = TYPE_STRING
  out.set(body, 1)
  const end = 1 + body.length
  out[end] = RDB_VERSION
  out.set(crc64(out, 0, end + 2), end + 2)
  return out
}

function encodeNumber(value: Uint8Array): Uint8Array | null {
  if (value.length > MAX_NUMBER_CHARACTERS) return null
  const number = parseInteger(value)
  if (typeof number !== 'number') return null
  for (const [code, bytes] of [
    [0xc0, 1],
    [0xc1, 2],
    [0xc2, 4],
  ] as const) {
    const end = 2 ** (8 * bytes - 1)
    if (number < -end || number >= end) continue
    return Uint8Array.from([code, ...Array.from({ length: bytes }, (_, i) => (number >> (8 * i)) & 0xff)])
  }
  return null
}

function encodeBytes(value: Uint8Array): Uint8Array {
  const length = value.length
  const head =
    length < 64
      ? [length]
      : length < 16384
        ? [0x40 | (length >>> 8), length & 0xff]
        : [0x80, length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff]
  const out = new Uint8Array(head.length + length)
  out.set(head)
  out.set(value, head.length)
  return out
}

/** 'bad footer': a version from the future, or a wrong checksum; 'bad data': no string, or malformed, or longer than `maxBytes`. */
export type RdbFailure = 'bad footer' | 'bad data'

export function decodeRdbString(payload: Uint8Array, maxBytes: number): Uint8Array | RdbFailure {
  const end = payload.length - FOOTER_BYTES
  if (end < 0) return 'bad footer'
  const version = payload[end] | (payload[end + 1] << 8)
  if (version > RDB_VERSION) return 'bad footer'
  if (!equalBytes(crc64(payload, 0, end + 2), payload.subarray(end + 2))) return 'bad footer'
  if (payload[0] !== TYPE_STRING || end < 1) return 'bad data'
  return decodeString(payload.subarray(1, end), maxBytes) ?? 'bad data'
}

interface Length {
  readonly value: number
  /** Where what follows begins. */
  readonly next: number
}

function decodeLength(bytes: Uint8Array, at: number): Length | null {
  if (at >= bytes.length) return null
  const first = bytes[at]
  if (first < 0x40) return { value: first, next: at + 1 }
  const width = first < 0x80 ? 1 : first === 0x80 ? 4 : first === 0x81 ? 8 : 0
  if (width === 0 || at + 1 + width > bytes.length) return null
  let value = first < 0x80 ? first & 0x3f : 0
  for (let i = 1; i <= width; i++) value = value * 256 + bytes[at + i]
  return { value, next: at + 1 + width }
}

/** The bytes must end with the string. */
function decodeString(bytes: Uint8Array, maxBytes: number): Uint8Array | null {
  const code = bytes[0]
  if (code >= 0xc0 && code <= 0xc2) {
    const width = 1 << (code - 0xc0)
    if (bytes.length !== 1 + width) return null
    let value = 0
    for (let i = width; i >= 1; i--) value = value * 256 + bytes[i]
    const end = 2 ** (8 * width)
    return decimalBytes(value >= end / 2 ? value - end : value)
  }
  if (code === 0xc3) return decodeCompressed(bytes, maxBytes)
  const length = decodeLength(bytes, 0)
  return length !== null && bytes.length === length.next + length.value && length.value <= maxBytes
    ? bytes.slice(length.next)
    : null
}

function decodeCompressed(bytes: Uint8Array, maxBytes: number): Uint8Array | null {
  const compressed = decodeLength(bytes, 1)
  const length = compressed === null ? null : decodeLength(bytes, compressed.next)
  if (compressed === null || length === null || length.value > maxBytes) return null
  if (bytes.length !== length.next + compressed.value) return null
  return decodeLzf(bytes.subarray(length.next), length.value)
}

/** LZF: runs of up to 32 literal bytes, and copies of 3 to 264 bytes from up to 8 KiB back. Null: malformed. */
function decodeLzf(bytes: Uint8Array, length: number): Uint8Array | null {
  const out = new Uint8Array(length)
  let from = 0
  let to = 0
  while (from < bytes.length) {
    const control = bytes[from++]
    if (control < 32) {
      const count = control + 1
      if (from + count > bytes.length || to + count > length) return null
      out.set(bytes.subarray(from, from + count), to)
      from += count
      to += count
      continue
    }
    let count = control >>> 5
    if (count === 7) count += bytes[from++] ?? Number.NaN
    const back = ((control & 0x1f) << 8) + (bytes[from++] ?? Number.NaN) + 1
    // NaN, where bytes are missing, makes these comparisons false.
    if (!(back <= to && to + count + 2 <= length)) return null
    for (let i = 0; i < count + 2; i++, to++) out[to] = out[to - back]
  }
  return to === length ? out : null
}
