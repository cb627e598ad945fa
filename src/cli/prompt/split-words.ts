/**
 * A typed line into words, nearly as redis-cli splits it: blanks separate; "..." knows \n \r \t \b \a \\ \" and \xHH; '...' knows \'
 * only. A quote opens at the start of a word alone: `it's` is a word.
 */
export interface Word {
  readonly bytes: Buffer
  /** Where it was written, quotes included: [start, end) of the line. */
  readonly start: number
  readonly end: number
  readonly isQuoted: boolean
}

export type SplitLine =
  | { readonly kind: 'words'; readonly words: readonly Word[] }
  /** The last quote is not closed; `words` came before it. */
  | { readonly kind: 'open'; readonly quote: '"' | "'"; readonly words: readonly Word[] }
  /** A closing quote is followed by something else than a blank. */
  | { readonly kind: 'stray' }

/** `utf8`: the line is text. `latin1`: every character of it is one byte, to be kept as it is. */
export type LineEncoding = 'utf8' | 'latin1'

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\u0007' }

export function splitWords(line: string, encoding: LineEncoding = 'utf8'): SplitLine {
  const words: Word[] = []
  let at = 0
  for (;;) {
    while (at < line.length && isBlank(line[at])) at++
    if (at >= line.length) return { kind: 'words', words }
    const quote = line[at]
    if (quote !== '"' && quote !== "'") {
      const start = at
      while (at < line.length && !isBlank(line[at])) at++
      words.push({ bytes: Buffer.from(line.slice(start, at), encoding), start, end: at, isQuoted: false })
      continue
    }
    const word = readQuoted(line, at, quote, encoding)
    if (word === null) return { kind: 'open', quote, words }
    if (word.end < line.length && !isBlank(line[word.end])) return { kind: 'stray' }
    words.push(word)
    at = word.end
  }
}

/** Null: it does not end. Takes runs without a backslash as a whole: values may be megabytes. */
function readQuoted(line: string, start: number, quote: '"' | "'", encoding: LineEncoding): Word | null {
  const parts: Buffer[] = []
  let at = start + 1
  let end = -1
  for (;;) {
    if (end < at) end = line.indexOf(quote, at)
    if (end < 0) return null
    const slash = line.slice(at, end).indexOf('\\')
    if (slash < 0) {
      parts.push(Buffer.from(line.slice(at, end), encoding))
      return { bytes: Buffer.concat(parts), start, end: end + 1, isQuoted: true }
    }
    parts.push(Buffer.from(line.slice(at, at + slash), encoding))
    const piece = quote === '"' ? doubleEscape(line, at + slash, encoding) : singleEscape(line, at + slash)
    parts.push(piece.bytes)
    at = piece.end
  }
}

interface Piece {
  readonly bytes: Buffer
  readonly end: number
}

function doubleEscape(line: string, at: number, encoding: LineEncoding): Piece {
  const hex = /^x([0-9a-fA-F]{2})/.exec(line.slice(at + 1, at + 4))
  if (hex !== null) return { bytes: Buffer.from(hex[1], 'hex'), end: at + 4 }
  // Also half of a pair of surrogates must stay with its other half.
  const character = String.fromCodePoint(line.codePointAt(at + 1) ?? 0x5c)
  return { bytes: Buffer.from(ESCAPES[character] ?? character, encoding), end: at + 1 + character.length }
}

function singleEscape(line: string, at: number): Piece {
  return line[at + 1] === "'" ? { bytes: Buffer.from("'"), end: at + 2 } : { bytes: Buffer.from('\\'), end: at + 1 }
}

export function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\n' || character === '\r'
}
