/** What the handlers of the plain model share: the keys as they see them, replies as text (one character a byte), numbers, error texts. */

export interface ModelValue {
  readonly text: string
  /** Null: never. */
  readonly expiresAtMs: number | null
}

/** The keys and the clock, for one command. */
export interface ModelKeys {
  readonly nowMs: number
  readonly protocol: 2 | 3
  find(key: string): ModelValue | null
  put(key: string, text: string, expiresAtMs: number | null): void
  remove(key: string): void
  /** Of all that is there. */
  names(): string[]
  /** A number that hangs on the clock, as a reply. */
  time(value: number, unit: 's' | 'ms'): string
}

/** `args`: the words without the command's name (and its subcommand's). The reply is whole. */
export type ModelHandler = (keys: ModelKeys, args: readonly string[]) => string

export const OK = '+OK\r\n'
export const SYNTAX = '-ERR syntax error\r\n'
export const NOT_AN_INTEGER = '-ERR value is not an integer or out of range\r\n'

export const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
export const int = (value: number | bigint): string => `:${value}\r\n`
export const array = (items: readonly string[]): string => `*${items.length}\r\n${items.join('')}`
export const nil = ({ protocol }: ModelKeys): string => (protocol === 3 ? '_\r\n' : '$-1\r\n')
export const map = ({ protocol }: ModelKeys, pairs: readonly (readonly [string, string])[]): string =>
  protocol === 3 ? `%${pairs.length}\r\n${pairs.flat().join('')}` : array(pairs.flat())
export const error = (text: string): string => `-${text.replace(/[\r\n]/g, ' ')}\r\n`
export const bulkOrNil = (keys: ModelKeys, found: ModelValue | null): string =>
  found === null ? nil(keys) : bulk(found.text)
export const wrongArity = (name: string): string => `ERR wrong number of arguments for '${name}' command`
export const invalidExpire = (name: string): string => error(`ERR invalid expire time in '${name}' command`)

const INT64_END = 2n ** 63n

export function fits64(value: bigint): boolean {
  return value === BigInt.asIntN(64, value)
}

/** A 64-bit integer in its one canonical form, else null. */
export function integer(text: string): bigint | null {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return null
  const value = BigInt(text)
  return fits64(value) ? value : null
}

/** `amount` units from `baseMs` on; null: more than 64 bits hold. */
export function momentAfter(amount: bigint, unitMs: number, baseMs: number): number | null {
  const ms = amount * BigInt(unitMs)
  const moment = ms + BigInt(Math.floor(baseMs))
  return fits64(ms) && moment < INT64_END ? Number(moment) : null
}

/** Positions as clients give them, negative ones from the end; null: an empty range. */
export function clamp(start: bigint, end: bigint, length: number): { first: number; last: number } | null {
  const at = (position: bigint): number => {
    const number = Number(position)
    return number < 0 ? Math.max(0, length + number) : number
  }
  const first = at(start)
  const last = Math.min(at(end), length - 1)
  return length === 0 || first > last || first >= length ? null : { first, last }
}
