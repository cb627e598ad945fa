/** A reply as a person reads it, in redis-cli's manner: types shown, bytes that do not print escaped. */
import type { RespList, RespValue } from '../resp-value.ts'
import { type Palette, PLAIN } from './palette.ts'

export function replyText(value: RespValue, palette: Palette = PLAIN, indent = ''): string {
  switch (value.kind) {
    case 'nil':
      return palette.dim('(nil)')
    case 'simple':
      return printable(value.text)
    case 'error':
      return palette.error(`(error) ${printable(value.text)}`)
    case 'integer':
      return `${palette.type('(integer)')} ${value.value}`
    case 'big-number':
      return `${palette.type('(big number)')} ${value.value}`
    case 'double':
      return `${palette.type('(double)')} ${value.text}`
    case 'boolean':
      return palette.type(value.value ? '(true)' : '(false)')
    case 'bulk':
      return quoted(value.bytes)
    case 'verbatim':
      return pageText(value.bytes)
    default:
      return listText(value, palette, indent)
  }
}

/** Longest label first: `10) ` is wider than `9) `. */
const MARKS: Readonly<Record<RespList['kind'], string>> = { array: ')', push: ')', set: '~', map: '#' }
const EMPTY: Readonly<Record<RespList['kind'], string>> = {
  array: '(empty array)',
  push: '(empty push)',
  set: '(empty set)',
  map: '(empty map)',
}

function listText(list: RespList, palette: Palette, indent: string): string {
  if (list.items.length === 0) return palette.type(EMPTY[list.kind])
  const perRow = list.kind === 'map' ? 2 : 1
  const width = String(list.items.length / perRow).length
  const rows: string[] = []
  for (let at = 0; at < list.items.length; at += perRow) {
    const label = `${String(at / perRow + 1).padStart(width)}${MARKS[list.kind]} `
    const inner = indent + ' '.repeat(label.length)
    let row = (at === 0 ? '' : indent) + palette.dim(label) + replyText(list.items[at], palette, inner)
    if (perRow === 2) row += ` => ${mapValueText(list.items[at + 1], palette, inner)}`
    rows.push(row)
  }
  return rows.join('\n')
}

/** A list as a map's value begins on a line of its own. */
function mapValueText(value: RespValue, palette: Palette, indent: string): string {
  const text = replyText(value, palette, indent)
  return 'items' in value && value.items.length > 0 ? `\n${indent}${text}` : text
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '"': '\\"', '\\': '\\\\' }

/** In double quotes; text that is valid UTF-8 stays readable, other bytes are \xHH. */
export function quoted(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8')
  const isText = Buffer.from(text, 'utf8').equals(bytes)
  const source = isText ? text : Buffer.from(bytes).toString('latin1')
  if (isText && !NEEDS_ESCAPE.test(source)) return `"${source}"`
  let out = ''
  for (const character of source) {
    const prints = !UNPRINTABLE.test(character) && (isText || character < '\u007f')
    out += ESCAPES[character] ?? (prints ? character : escapedBytes(character, isText))
  }
  return `"${out}"`
}

// Control characters of C0 and C1, and what turns the direction of the text around them.
const UNPRINTABLE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u
const NEEDS_ESCAPE = /["\\\p{Cc}\u202a-\u202e\u2066-\u2069]/u

function escapedBytes(character: string, isText: boolean): string {
  const bytes = Buffer.from(character, isText ? 'utf8' : 'latin1')
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}

/** One line that cannot steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => escapedBytes(character, true))
}

/** Text of several lines, such as INFO's, as it is; without the last line's end, and without what would steer the terminal. */
export function pageText(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes)
    .toString('utf8')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
  return lines.map((line) => line.split('\t').map(printable).join('\t')).join('\n')
}
