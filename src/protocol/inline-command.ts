/**
 * Splits the line of an inline command (and of a REPL) into words the way Redis does (sds.c, sdssplitargs): words are parted by white space; "..." knows
 * \n \r \t \b \a \xHH and \c; '...' knows \' alone; a closing quote must be followed by white space or the end.
 */
export interface InlineWords {
  readonly bytes: Uint8Array
  /** Word i is bytes[offsets[2i], offsets[2i+1]). */
  readonly offsets: readonly number[]
}

const DOUBLE_QUOTE = 34
const SINGLE_QUOTE = 39
const BACKSLASH = 92
const LOWER_X = 120

/** Null: quotes that do not balance. */
export function splitInline(line: Uint8Array, from: number, to: number): InlineWords | null {
  // A word is never longer than what it was written as.
  const bytes = new Uint8Array(to - from)
  const offsets: number[] = []
  let out = 0
  let at = from
  for (;;) {
    while (at < to && isSpace(line[at])) at++
    if (at >= to) return { bytes, offsets }
    offsets.push(out)
    // As in Redis, VT and FF are skipped before a word but do not end one.
    while (at < to && !endsWord(line[at])) {
      const byte = line[at]
      if (byte !== DOUBLE_QUOTE && byte !== SINGLE_QUOTE) {
        bytes[out++] = byte
        at++
        continue
      }
      const end = byte === DOUBLE_QUOTE ? closingDouble(line, at + 1, to) : closingSingle(line, at + 1, to)
      if (end < 0 || (end + 1 < to && !isSpace(line[end + 1]))) return null
      out =
        byte === DOUBLE_QUOTE ? copyDouble(line, at + 1, end, bytes, out) : copySingle(line, at + 1, end, bytes, out)
      at = end + 1
      break
    }
    offsets.push(out)
  }
}

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13)
}

function endsWord(byte: number): boolean {
  return byte === 32 || byte === 9 || byte === 10 || byte === 13
}

function closingDouble(line: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (line[at] === BACKSLASH && at + 1 < to) at++
    else if (line[at] === DOUBLE_QUOTE) return at
  }
  return -1
}

function closingSingle(line: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (line[at] === BACKSLASH && line[at + 1] === SINGLE_QUOTE && at + 1 < to) at++
    else if (line[at] === SINGLE_QUOTE) return at
  }
  return -1
}

const ESCAPES = new Map<number, number>([
  [110, 10],
  [114, 13],
  [116, 9],
  [98, 8],
  [97, 7],
])

function copyDouble(line: Uint8Array, from: number, to: number, into: Uint8Array, start: number): number {
  let out = start
  for (let at = from; at < to; at++) {
    if (line[at] !== BACKSLASH || at + 1 >= to) {
      into[out++] = line[at]
      continue
    }
    const high = hexDigit(line[at + 2])
    const low = hexDigit(line[at + 3])
    if (line[at + 1] === LOWER_X && at + 3 < to && high >= 0 && low >= 0) {
      into[out++] = high * 16 + low
      at += 3
    } else {
      into[out++] = ESCAPES.get(line[at + 1]) ?? line[at + 1]
      at++
    }
  }
  return out
}

function copySingle(line: Uint8Array, from: number, to: number, into: Uint8Array, start: number): number {
  let out = start
  for (let at = from; at < to; at++) {
    if (line[at] === BACKSLASH && line[at + 1] === SINGLE_QUOTE && at + 1 < to) at++
    into[out++] = line[at]
  }
  return out
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
