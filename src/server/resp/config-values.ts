/** The types of CONFIG SET's values: how their texts are read, and Redis 7's words about those that cannot be. */

export type Parsed<T> = { readonly value: T; readonly error: null } | { readonly value: null; readonly error: string }

const MEMORY_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1000],
  ['kb', 1024],
  ['m', 1000 ** 2],
  ['mb', 1024 ** 2],
  ['g', 1000 ** 3],
  ['gb', 1024 ** 3],
])

export function good<T>(value: T): Parsed<T> {
  return { value, error: null }
}

export function bad(error: string): { readonly value: null; readonly error: string } {
  return { value: null, error }
}

/** `100`, `64kb`, `1GB`; null: none. Above 2^53 it is the nearest that a number can hold. */
export function memoryBytes(text: string): number | null {
  const match = /^(\d+)([a-zA-Z]{0,2})$/.exec(text)
  const unit = match === null ? undefined : MEMORY_UNITS.get(match[2].toLowerCase())
  return match === null || unit === undefined ? null : Math.min(Number(match[1]) * unit, Number.MAX_SAFE_INTEGER)
}

/** A decimal integer as Redis reads one: no plus, no leading zero, no blank. */
export function plainInteger(text: string): number | null {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return null
  const value = Number(text)
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))
}

function within(value: number, min: number, max: number): Parsed<number> {
  if (value >= min && value <= max) return good(value)
  return bad(`argument must be between ${min} and ${max} inclusive`)
}

export function parseInteger(text: string, min: number, max: number): Parsed<number> {
  const value = plainInteger(text)
  return value === null ? bad("argument couldn't be parsed into an integer") : within(value, min, max)
}

export function parseMemory(text: string, min: number, max: number): Parsed<number> {
  const value = memoryBytes(text)
  return value === null ? bad('argument must be a memory value') : within(value, min, max)
}

/** Negative: so many per cent. */
export function parseMemoryOrPercent(text: string): Parsed<number> {
  if (!text.endsWith('%')) {
    const value = memoryBytes(text)
    return value === null ? bad('argument must be a memory or percent value') : good(value)
  }
  const percent = plainInteger(text.slice(0, -1))
  if (percent === null || percent < 0) return bad('argument must be a memory or percent value')
  return percent > 100 ? bad('percentage argument must be less or equal to 100') : good(-percent)
}

export function parseYesNo(text: string): Parsed<boolean> {
  const word = text.toLowerCase()
  return word === 'yes' || word === 'no' ? good(word === 'yes') : bad("argument must be 'yes' or 'no'")
}

export function parseOneOf(text: string, words: readonly string[]): Parsed<string> {
  const word = text.toLowerCase()
  return words.includes(word) ? good(word) : bad(`argument(s) must be one of the following: ${words.join(', ')}`)
}

/** `99.9`; null: no number. */
export function plainDouble(text: string): number | null {
  return /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text) ? Number(text) : null
}

export function blankSeparated(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}
