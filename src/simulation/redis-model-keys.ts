/** The plain model's commands on keys as such: existence, expiry, names, DUMP and RESTORE, the whole database. */

import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { globMatchesText } from '../base/glob.ts'
import { decodeRdbString, encodeRdbString } from '../kv/rdb-string.ts'
import {
  array,
  bulk,
  error,
  int,
  integer,
  invalidExpire,
  type ModelHandler,
  type ModelKeys,
  momentAfter,
  NOT_AN_INTEGER,
  nil,
  OK,
  SYNTAX,
} from './redis-model-parts.ts'

const NO_SUCH_KEY = '-ERR no such key\r\n'
/** The values of the model never come near. */
const MAX_VALUE_BYTES = 2 ** 30

const exists: ModelHandler = (keys, names) => int(names.filter((key) => keys.find(key) !== null).length)

const del: ModelHandler = (keys, names) => {
  let removed = 0
  for (const key of names) {
    if (keys.find(key) === null) continue
    keys.remove(key)
    removed++
  }
  return int(removed)
}

function parseFlags(words: readonly string[]): Set<string> | string {
  const flags = new Set<string>()
  for (const word of words) {
    const flag = word.toLowerCase()
    if (!['nx', 'xx', 'gt', 'lt'].includes(flag)) return error(`ERR Unsupported option ${word.slice(0, 128)}`)
    flags.add(flag)
  }
  if (flags.has('nx') && flags.size > 1)
    return '-ERR NX and XX, GT or LT options at the same time are not compatible\r\n'
  if (flags.has('gt') && flags.has('lt')) return '-ERR GT and LT options at the same time are not compatible\r\n'
  return flags
}

function expire(name: string, unitMs: number, relative: boolean): ModelHandler {
  return (keys, [key, amountText, ...words]) => {
    const flags = parseFlags(words)
    if (typeof flags === 'string') return flags
    const amount = integer(amountText)
    if (amount === null) return NOT_AN_INTEGER
    const moment = momentAfter(amount, unitMs, relative ? keys.nowMs : 0)
    if (moment === null) return invalidExpire(name)
    const found = keys.find(key)
    if (found === null) return int(0)
    const current = found.expiresAtMs
    const forbidden =
      (flags.has('nx') && current !== null) ||
      (flags.has('xx') && current === null) ||
      (flags.has('gt') && moment <= (current ?? Number.POSITIVE_INFINITY)) ||
      (flags.has('lt') && moment >= (current ?? Number.POSITIVE_INFINITY))
    if (forbidden) return int(0)
    if (moment <= keys.nowMs) keys.remove(key)
    else keys.put(key, found.text, moment)
    return int(1)
  }
}

/** The time to live, or the moment it ends. */
function timeOf(unit: 's' | 'ms', relative: boolean): ModelHandler {
  return (keys, [key]) => {
    const found = keys.find(key)
    if (found === null) return int(-2)
    if (found.expiresAtMs === null) return int(-1)
    const ms = relative ? Math.max(0, found.expiresAtMs - keys.nowMs) : found.expiresAtMs
    return keys.time(unit === 's' ? Math.floor((ms + 500) / 1000) : ms, unit)
  }
}

/** The value with its expiry. */
function copyTo(keys: ModelKeys, from: string, to: string): void {
  const found = keys.find(from)
  if (found !== null) keys.put(to, found.text, found.expiresAtMs)
}

const rename: ModelHandler = (keys, [from, to]) => {
  if (keys.find(from) === null) return NO_SUCH_KEY
  if (from === to) return OK
  copyTo(keys, from, to)
  keys.remove(from)
  return OK
}

const renamenx: ModelHandler = (keys, [from, to]) => {
  if (keys.find(from) === null) return NO_SUCH_KEY
  if (keys.find(to) !== null) return int(0)
  copyTo(keys, from, to)
  keys.remove(from)
  return int(1)
}

const copy: ModelHandler = (keys, [from, to, ...options]) => {
  let replace = false
  for (let i = 0; i < options.length; i++) {
    const word = options[i].toLowerCase()
    if (word === 'replace') replace = true
    else if (word === 'db' && i + 1 < options.length) {
      const database = integer(options[++i])
      if (database === null) return NOT_AN_INTEGER
      if (database !== 0n) return '-ERR DB index is out of range\r\n'
    } else return SYNTAX
  }
  if (from === to) return '-ERR source and destination objects are the same\r\n'
  if (keys.find(from) === null || (keys.find(to) !== null && !replace)) return int(0)
  copyTo(keys, from, to)
  return int(1)
}

const dump: ModelHandler = (keys, [key]) => {
  const found = keys.find(key)
  return found === null ? nil(keys) : bulk(latin1Text(encodeRdbString(latin1Bytes(found.text))))
}

function parseRestore(options: readonly string[]): Set<string> | string {
  const words = new Set<string>()
  for (let i = 0; i < options.length; i++) {
    const word = options[i].toLowerCase()
    const more = i + 1 < options.length
    if (word === 'replace' || word === 'absttl') words.add(word)
    else if (
      (word === 'idletime' && more && !words.has('freq')) ||
      (word === 'freq' && more && !words.has('idletime'))
    ) {
      const value = integer(options[++i])
      if (value === null) return NOT_AN_INTEGER
      if (word === 'idletime' && value < 0n) return '-ERR Invalid IDLETIME value, must be >= 0\r\n'
      if (word === 'freq' && (value < 0n || value > 255n)) return '-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n'
      words.add(word)
    } else return SYNTAX
  }
  return words
}

const restore: ModelHandler = (keys, [key, ttlText, payload, ...options]) => {
  const words = parseRestore(options)
  if (typeof words === 'string') return words
  const present = keys.find(key) !== null
  if (present && !words.has('replace')) return '-BUSYKEY Target key name already exists.\r\n'
  const ttl = integer(ttlText)
  if (ttl === null) return NOT_AN_INTEGER
  if (ttl < 0n) return '-ERR Invalid TTL value, must be >= 0\r\n'
  const value = decodeRdbString(latin1Bytes(payload), MAX_VALUE_BYTES)
  if (value === 'bad footer') return '-ERR DUMP payload version or checksum are wrong\r\n'
  if (value === 'bad data') return '-ERR Bad data format\r\n'
  const moment = ttl === 0n ? null : momentAfter(ttl, 1, words.has('absttl') ? 0 : keys.nowMs)
  if (moment !== null && moment <= keys.nowMs) {
    if (present) keys.remove(key)
  } else keys.put(key, latin1Text(value), moment)
  return OK
}

const NO_FREQUENCY =
  '-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n'

/** What a SET of the text would choose. */
function encodingOf(text: string): string {
  return integer(text) !== null ? 'int' : text.length <= 44 ? 'embstr' : 'raw'
}

function ofObject(reply: (text: string, keys: ModelKeys) => string): ModelHandler {
  return (keys, [key]) => {
    const found = keys.find(key)
    return found === null ? nil(keys) : reply(found.text, keys)
  }
}

const memoryUsage: ModelHandler = (keys, [key, ...options]) => {
  for (let i = 0; i < options.length; i += 2) {
    if (options[i].toLowerCase() !== 'samples' || i + 1 === options.length) return SYNTAX
    const samples = integer(options[i + 1])
    if (samples === null) return NOT_AN_INTEGER
    if (samples < 0n) return SYNTAX
  }
  // How much it takes is each server's own affair.
  return keys.find(key) === null ? nil(keys) : keys.time(0, 'ms')
}

const flush: ModelHandler = (keys, words) => {
  if (words.length > 1 || !['', 'async', 'sync'].includes(words[0]?.toLowerCase() ?? '')) return SYNTAX
  for (const key of keys.names()) keys.remove(key)
  return OK
}

/** All at once, whatever COUNT says, so only from cursor 0: as Redis answers where COUNT is large enough. */
const scan: ModelHandler = (keys, [cursor, ...options]) => {
  if (!/^[0-9]{1,19}$/.test(cursor)) return '-ERR invalid cursor\r\n'
  let pattern = '*'
  let shown = true
  for (let i = 0; i < options.length; i += 2) {
    const word = options[i].toLowerCase()
    const value = options[i + 1]
    if (value === undefined) return SYNTAX
    if (word === 'count') {
      const count = integer(value)
      if (count === null) return NOT_AN_INTEGER
      if (count < 1n) return SYNTAX
    } else if (word === 'match') pattern = value
    else if (word === 'type') shown = value.toLowerCase() === 'string'
    else return SYNTAX
  }
  const found = keys.names().filter((key) => shown && globMatchesText(pattern, key))
  return array([bulk('0'), array(found.map(bulk))])
}

export const KEY_COMMANDS: Readonly<Record<string, ModelHandler>> = {
  exists,
  touch: exists,
  del,
  unlink: del,
  type: (keys, [key]) => `+${keys.find(key) === null ? 'none' : 'string'}\r\n`,
  expire: expire('expire', 1000, true),
  pexpire: expire('pexpire', 1, true),
  expireat: expire('expireat', 1000, false),
  pexpireat: expire('pexpireat', 1, false),
  ttl: timeOf('s', true),
  pttl: timeOf('ms', true),
  expiretime: timeOf('s', false),
  pexpiretime: timeOf('ms', false),
  persist: (keys, [key]) => {
    const found = keys.find(key)
    if (found === null || found.expiresAtMs === null) return int(0)
    keys.put(key, found.text, null)
    return int(1)
  },
  rename,
  renamenx,
  copy,
  dump,
  restore,
  'object|encoding': ofObject((text) => bulk(encodingOf(text))),
  'object|idletime': ofObject((_text, keys) => keys.time(0, 's')),
  'object|freq': ofObject(() => NO_FREQUENCY),
  'object|refcount': ofObject(() => int(1)),
  'memory|usage': memoryUsage,
  flushall: flush,
  flushdb: flush,
  dbsize: (keys) => int(keys.names().length),
  keys: (keys, [pattern]) =>
    array(
      keys
        .names()
        .filter((key) => globMatchesText(pattern, key))
        .map(bulk),
    ),
  scan,
}
