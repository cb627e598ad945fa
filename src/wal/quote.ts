/**
 * Bytes as a quoted string, the way NaiveKV's log has them (Go's strconv.Quote): UTF-8 text as it is, `"` and `\` escaped, control
 * characters as \n \r \t or \xNN, bytes that are not UTF-8 as \xNN.
 */
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

export function quote(bytes: Uint8Array): string {
  let text = '"'
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]
    const length = sequenceLength(bytes, at)
    if (byte < 0x80 || length === 0) {
      text += quoteByte(byte)
      at++
      continue
    }
    text += quoteCharacter(bytes, at, length)
    at += length
  }
  return `${text}"`
}

function quoteByte(byte: number): string {
  if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`
  if (byte === 0x0a) return '\\n'
  if (byte === 0x0d) return '\\r'
  if (byte === 0x09) return '\\t'
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${hex(byte, 2)}`
}

/** C1 controls, line and paragraph separators, the byte order mark and direction marks would not show as what they are. */
const INVISIBLE = /[\u0080-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/

function quoteCharacter(bytes: Uint8Array, at: number, length: number): string {
  let code = bytes[at] & (0x7f >> length)
  for (let i = 1; i < length; i++) code = (code << 6) | (bytes[at + i] & 0x3f)
  const character = String.fromCodePoint(code)
  return INVISIBLE.test(character) ? `\\u${hex(code, 4)}` : character
}

/** How many bytes the well-formed UTF-8 sequence here has (RFC 3629: shortest form, no surrogates); 0: none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  const length =
    first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0
  if (length === 0 || at + length > bytes.length) return 0
  for (let i = 1; i < length; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return 0
  const second = bytes[at + 1]
  if (first === 0xe0 && second < 0xa0) return 0
  if (first === 0xed && second > 0x9f) return 0
  if (first === 0xf0 && second < 0x90) return 0
  if (first === 0xf4 && second > 0x8f) return 0
  return length
}
