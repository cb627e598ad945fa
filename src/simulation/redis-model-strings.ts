/** The plain model's string commands: values, counters, ranges. */
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { addLongDoubles, formatLongDouble, LONG_DOUBLE_ZERO, parseLongDouble } from '../kv/long-double.ts'
import {
  array,
  bulk,
  bulkOrNil,
  clamp,
  error,
  fits64,
  int,
  integer,
  invalidExpire,
  type ModelHandler,
  type ModelKeys,
  map,
  momentAfter,
  NOT_AN_INTEGER,
  nil,
  OK,
  SYNTAX,
  wrongArity,
} from './redis-model-parts.ts'

const MILLISECONDS: Readonly<Record<string, number>> = { ex: 1000, exat: 1000, px: 1, pxat: 1 }

interface SetOptions {
  get: boolean
  condition: string
  comparand: string
  expiry: string
  amount: string
}

function parseSet(options: readonly string[]): SetOptions | null {
  const parsed: SetOptions = { get: false, condition: '', comparand: '', expiry: '', amount: '' }
  for (let i = 0; i < options.length; i++) {
    const word = options[i].toLowerCase()
    const more = i + 1 < options.length
    if (word === 'get') parsed.get = true
    else if (['nx', 'xx'].includes(word) && ['', word].includes(parsed.condition)) parsed.condition = word
    else if (['ifeq', 'ifne'].includes(word) && more && ['', word].includes(parsed.condition)) {
      parsed.condition = word
      parsed.comparand = options[++i]
    } else if (word === 'keepttl' && ['', word].includes(parsed.expiry)) parsed.expiry = word
    else if (MILLISECONDS[word] !== undefined && more && ['', word].includes(parsed.expiry)) {
      parsed.expiry = word
      parsed.amount = options[++i]
    } else return null
  }
  return parsed
}

const set: ModelHandler = (keys, [key, text, ...words]) => {
  const options = parseSet(words)
  if (options === null) return SYNTAX
  const { expiry, condition, comparand } = options
  const found = keys.find(key)
  let expiresAtMs = expiry === 'keepttl' ? (found?.expiresAtMs ?? null) : null
  if (MILLISECONDS[expiry] !== undefined) {
    const amount = integer(options.amount)
    if (amount === null) return NOT_AN_INTEGER
    expiresAtMs = momentAfter(amount, MILLISECONDS[expiry], expiry.endsWith('at') ? 0 : keys.nowMs)
    if (amount <= 0n || expiresAtMs === null) return invalidExpire('set')
  }
  const old = options.get ? bulkOrNil(keys, found) : null
  const refused =
    (condition === 'nx' && found !== null) ||
    (condition === 'xx' && found === null) ||
    (condition === 'ifeq' && found?.text !== comparand) ||
    (condition === 'ifne' && found?.text === comparand)
  if (refused) return old ?? nil(keys)
  keys.put(key, text, expiresAtMs)
  return old ?? OK
}

function setWithTime(name: string, unitMs: number): ModelHandler {
  return (keys, [key, amountText, text]) => {
    const amount = integer(amountText)
    if (amount === null) return NOT_AN_INTEGER
    const moment = momentAfter(amount, unitMs, keys.nowMs)
    if (amount <= 0n || moment === null) return invalidExpire(name)
    keys.put(key, text, moment)
    return OK
  }
}

const getex: ModelHandler = (keys, [key, ...options]) => {
  let expiry = ''
  let amountText = ''
  for (let i = 0; i < options.length; i++) {
    const word = options[i].toLowerCase()
    if (word === 'persist' && ['', word].includes(expiry)) expiry = word
    else if (MILLISECONDS[word] !== undefined && i + 1 < options.length && ['', word].includes(expiry)) {
      expiry = word
      amountText = options[++i]
    } else return SYNTAX
  }
  const found = keys.find(key)
  if (found === null) return nil(keys)
  if (expiry === 'persist') {
    if (found.expiresAtMs !== null) keys.put(key, found.text, null)
  } else if (expiry !== '') {
    const amount = integer(amountText)
    if (amount === null) return NOT_AN_INTEGER
    const moment = momentAfter(amount, MILLISECONDS[expiry], expiry.endsWith('at') ? 0 : keys.nowMs)
    if (amount <= 0n || moment === null) return invalidExpire('getex')
    if (moment <= keys.nowMs) keys.remove(key)
    else keys.put(key, found.text, moment)
  }
  return bulk(found.text)
}

function add(keys: ModelKeys, key: string, amountText: string, sign: bigint): string {
  const amount = integer(amountText)
  if (amount === null) return NOT_AN_INTEGER
  if (!fits64(sign * amount)) return '-ERR decrement would overflow\r\n'
  const found = keys.find(key)
  const before = integer(found?.text ?? '0')
  if (before === null) return NOT_AN_INTEGER
  const after = before + sign * amount
  if (!fits64(after)) return '-ERR increment or decrement would overflow\r\n'
  keys.put(key, String(after), found?.expiresAtMs ?? null)
  return int(after)
}

const incrbyfloat: ModelHandler = (keys, [key, amountText]) => {
  const amount = parseLongDouble(latin1Bytes(amountText))
  const found = keys.find(key)
  const before = found === null ? LONG_DOUBLE_ZERO : parseLongDouble(latin1Bytes(found.text))
  if (before === null || amount === null) return '-ERR value is not a valid float\r\n'
  const after = before === 'infinite' || amount === 'infinite' ? null : addLongDoubles(before, amount)
  if (after === null) return '-ERR increment would produce NaN or Infinity\r\n'
  const text = latin1Text(formatLongDouble(after))
  keys.put(key, text, found?.expiresAtMs ?? null)
  return bulk(text)
}

const getrange: ModelHandler = (keys, [key, startText, endText]) => {
  const start = integer(startText)
  const end = integer(endText)
  if (start === null || end === null) return NOT_AN_INTEGER
  const text = keys.find(key)?.text ?? ''
  // Before positions are clamped: -1 -2 is empty in a value of one byte, too.
  const range = start < 0n && end < 0n && start > end ? null : clamp(start, end, text.length)
  return bulk(range === null ? '' : text.slice(range.first, range.last + 1))
}

const setrange: ModelHandler = (keys, [key, offsetText, patch]) => {
  const offset = integer(offsetText)
  if (offset === null) return NOT_AN_INTEGER
  if (offset < 0n) return '-ERR offset is out of range\r\n'
  const found = keys.find(key)
  const text = found?.text ?? ''
  if (patch === '') return int(text.length)
  const at = Number(offset)
  const changed = text.padEnd(at, '\0').slice(0, at) + patch + text.slice(at + patch.length)
  keys.put(key, changed, found?.expiresAtMs ?? null)
  return int(changed.length)
}

function pairsOf(words: readonly string[]): [string, string][] {
  return Array.from({ length: words.length / 2 }, (_, i) => [words[2 * i], words[2 * i + 1]])
}

/** How long the longest common subsequence of each two beginnings is. */
function lcsTable(a: string, b: string): number[][] {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i][j] = a[i - 1] === b[j - 1] ? table[i - 1][j - 1] + 1 : Math.max(table[i - 1][j], table[i][j - 1])
  return table
}

/** Walked from the end, as Redis does: which of several longest ones is found hangs on it. */
function lcsWalk(a: string, b: string): { text: string; runs: [a: number, b: number, length: number][] } {
  const table = lcsTable(a, b)
  const runs: [number, number, number][] = []
  let text = ''
  let together = false
  for (let i = a.length, j = b.length; i > 0 && j > 0; ) {
    if (a[i - 1] === b[j - 1]) {
      text = a[--i] + text
      j--
      const last = runs.at(-1)
      if (together && last !== undefined) runs[runs.length - 1] = [i, j, last[2] + 1]
      else runs.push([i, j, 1])
      together = true
    } else {
      together = false
      if (table[i - 1][j] > table[i][j - 1]) i--
      else j--
    }
  }
  return { text, runs }
}

const lcs: ModelHandler = (keys, [first, second, ...options]) => {
  const words = new Set<string>()
  let shortest = 0n
  for (let i = 0; i < options.length; i++) {
    const word = options[i].toLowerCase()
    if (word === 'minmatchlen' && i + 1 < options.length) {
      const value = integer(options[++i])
      if (value === null) return NOT_AN_INTEGER
      shortest = value
    } else if (['idx', 'len', 'withmatchlen'].includes(word)) words.add(word)
    else return SYNTAX
  }
  if (words.has('len') && words.has('idx'))
    return '-ERR If you want both the length and indexes, please just use IDX.\r\n'
  const { text, runs } = lcsWalk(keys.find(first)?.text ?? '', keys.find(second)?.text ?? '')
  if (words.has('len')) return int(text.length)
  if (!words.has('idx')) return bulk(text)
  const matches = runs
    .filter(([, , length]) => length >= shortest)
    .map(([a, b, length]) => {
      const ranges = [a, b].map((from) => array([int(from), int(from + length - 1)]))
      return array(words.has('withmatchlen') ? [...ranges, int(length)] : ranges)
    })
  return map(keys, [
    [bulk('matches'), array(matches)],
    [bulk('len'), int(text.length)],
  ])
}

const mset: ModelHandler = (keys, words) => {
  if (words.length % 2 !== 0) return error(wrongArity('mset'))
  for (const [key, text] of pairsOf(words)) keys.put(key, text, null)
  return OK
}

const msetnx: ModelHandler = (keys, words) => {
  if (words.length % 2 !== 0) return error(wrongArity('msetnx'))
  if (pairsOf(words).some(([key]) => keys.find(key) !== null)) return int(0)
  mset(keys, words)
  return int(1)
}

/** Quorate's own: `KV.CAS key expected|NX new`. */
const compareAndSet: ModelHandler = (keys, [key, expected, text]) => {
  const found = keys.find(key)
  const holds = expected === 'NX' ? found === null : found?.text === expected
  if (!holds) return array([int(0), bulkOrNil(keys, found)])
  keys.put(key, text, null)
  return array([int(1), bulk(text)])
}

export const STRING_COMMANDS: Readonly<Record<string, ModelHandler>> = {
  set,
  setex: setWithTime('setex', 1000),
  psetex: setWithTime('psetex', 1),
  setnx: (keys, [key, text]) => {
    if (keys.find(key) !== null) return int(0)
    keys.put(key, text, null)
    return int(1)
  },
  getset: (keys, [key, text]) => {
    const old = bulkOrNil(keys, keys.find(key))
    keys.put(key, text, null)
    return old
  },
  getdel: (keys, [key]) => {
    const found = keys.find(key)
    if (found !== null) keys.remove(key)
    return bulkOrNil(keys, found)
  },
  get: (keys, [key]) => bulkOrNil(keys, keys.find(key)),
  mget: (keys, names) => array(names.map((key) => bulkOrNil(keys, keys.find(key)))),
  getex,
  strlen: (keys, [key]) => int(keys.find(key)?.text.length ?? 0),
  append: (keys, [key, more]) => {
    const found = keys.find(key)
    const text = (found?.text ?? '') + more
    keys.put(key, text, found?.expiresAtMs ?? null)
    return int(text.length)
  },
  incr: (keys, [key]) => add(keys, key, '1', 1n),
  decr: (keys, [key]) => add(keys, key, '1', -1n),
  incrby: (keys, [key, amount]) => add(keys, key, amount, 1n),
  decrby: (keys, [key, amount]) => add(keys, key, amount, -1n),
  incrbyfloat,
  getrange,
  substr: getrange,
  setrange,
  mset,
  msetnx,
  lcs,
  'kv.cas': compareAndSet,
}
