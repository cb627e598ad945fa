/**
 * A typed line into words, as redis-cli splits it: blanks separate; "..." knows \n \r \t \b \a \\ \" and \xHH; '...' knows \' only.
 * Null: a quote is open, or a closing quote is followed by something else than a blank.
 */
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, a: 7 }

export function splitWords(line: string): Buffer[] | null {
  const words: Buffer[] = []
  let at = 0
  for (;;) {
    while (at < line.length && isBlank(line[at])) at++
    if (at >= line.length) return words
    const word = readWord(line, at)
    if (word === null) return null
    words.push(word.bytes)
    at = word.end
  }
}

interface Word {
  readonly bytes: Buffer
  readonly end: number
}

function readWord(line: string, start: number): Word | null {
  const quote = line[start]
  if (quote !== '"' && quote !== "'") {
    let end = start
    while (end < line.length && !isBlank(line[end])) end++
    return { bytes: Buffer.from(line.slice(start, end), 'utf8'), end }
  }
  const parts: Buffer[] = []
  let at = start + 1
  while (at < line.length && line[at] !== quote) {
    const piece = readPiece(line, at, quote)
    parts.push(piece.bytes)
    at = piece.end
  }
  const closed = at < line.length && (at + 1 === line.length || isBlank(line[at + 1]))
  return closed ? { bytes: Buffer.concat(parts), end: at + 1 } : null
}

/** One character, or one escape, inside quotes. */
function readPiece(line: string, at: number, quote: string): Word {
  const next = line[at + 1]
  if (line[at] === '\\' && next !== undefined) {
    if (quote === "'") {
      if (next === "'") return { bytes: Buffer.from("'"), end: at + 2 }
    } else {
      const hex = /^[0-9a-fA-F]{2}/.exec(line.slice(at + 2))
      if (next === 'x' && hex !== null) return { bytes: Buffer.from(hex[0], 'hex'), end: at + 4 }
      const code = ESCAPES[next]
      return { bytes: code === undefined ? Buffer.from(next, 'utf8') : Buffer.of(code), end: at + 2 }
    }
  }
  const character = String.fromCodePoint(line.codePointAt(at) as number)
  return { bytes: Buffer.from(character, 'utf8'), end: at + character.length }
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t'
}
