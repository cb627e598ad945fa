/** Redis's string commands over a plain Map and bigints, as slow and as plain as can be: what the state machine is compared with. */
import { opcodeOf } from './kv-driver.testkit.ts'

interface Value {
  readonly text: string
  /** Null: never. */
  readonly expiresAtMs: number | null
}

const NIL = '_\r\n'
const OK = '+OK\r\n'
const SYNTAX = '-ERR syntax error\r\n'
const NOT_AN_INTEGER = '-ERR value is not an integer or out of range\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
const int = (value: number | bigint): string => `:${value}\r\n`

export class KvModel {
  readonly #values = new Map<string, Value>()
  nowMs = 0

  static opcodeOf(name: string): number {
    return opcodeOf(name)
  }

  run(words: readonly string[]): string {
    const [name, key, ...rest] = words
    const found = key === undefined ? null : this.#find(key)
    switch (name) {
      case 'GET':
        return found === null ? NIL : bulk(found.text)
      case 'STRLEN':
        return int(found?.text.length ?? 0)
      case 'SET':
        return this.#set(key, rest[0], rest.slice(1))
      case 'KV.CAS': {
        const holds = rest[0] === 'NX' ? found === null : found !== null && found.text === rest[0]
        if (!holds) return `*2\r\n:0\r\n${found === null ? NIL : bulk(found.text)}`
        this.#values.set(key, { text: rest[1], expiresAtMs: null })
        return `*2\r\n:1\r\n${bulk(rest[1])}`
      }
      case 'INCR':
        return this.#add(key, '1', 1n)
      case 'DECR':
        return this.#add(key, '1', -1n)
      case 'INCRBY':
        return this.#add(key, rest[0], 1n)
      case 'DECRBY':
        return this.#add(key, rest[0], -1n)
      case 'APPEND': {
        const text = (found?.text ?? '') + rest[0]
        this.#values.set(key, { text, expiresAtMs: found?.expiresAtMs ?? null })
        return int(text.length)
      }
      case 'DEL':
        return int([key, ...rest].filter((each) => this.#find(each) !== null && this.#values.delete(each)).length)
      case 'EXISTS':
        return int([key, ...rest].filter((each) => this.#find(each) !== null).length)
      case 'MGET':
        return `*${rest.length + 1}\r\n${[key, ...rest].map((each) => this.run(['GET', each])).join('')}`
      case 'MSET':
        for (let i = 1; i < words.length; i += 2) this.#values.set(words[i], { text: words[i + 1], expiresAtMs: null })
        return OK
      case 'EXPIRE':
        return this.#expire(key, Number(rest[0]) * 1000, rest[1])
      case 'PEXPIRE':
        return this.#expire(key, Number(rest[0]), rest[1])
      case 'PTTL':
      case 'TTL': {
        if (found === null) return int(-2)
        if (found.expiresAtMs === null) return int(-1)
        const left = found.expiresAtMs - this.nowMs
        return int(name === 'PTTL' ? left : Math.round(left / 1000))
      }
      case 'PERSIST':
        if (found === null || found.expiresAtMs === null) return int(0)
        this.#values.set(key, { text: found.text, expiresAtMs: null })
        return int(1)
      case 'FLUSHALL':
        this.#values.clear()
        return OK
      default:
        throw new Error(`the model does not know ${name}`)
    }
  }

  #find(key: string): Value | null {
    const value = this.#values.get(key)
    if (value === undefined) return null
    return value.expiresAtMs !== null && value.expiresAtMs <= this.nowMs ? null : value
  }

  #set(key: string, text: string, options: readonly string[]): string {
    const conditions = new Map<string, string>()
    const expiries = new Map<string, string>()
    let get = false
    for (let i = 0; i < options.length; i++) {
      if (options[i] === 'GET') get = true
      else if (options[i] === 'NX' || options[i] === 'XX') conditions.set(options[i], '')
      else if (options[i] === 'IFEQ' || options[i] === 'IFNE') conditions.set(options[i], options[++i])
      else if (options[i] === 'KEEPTTL') expiries.set('KEEPTTL', '')
      else expiries.set(options[i], options[++i])
    }
    if (conditions.size > 1 || expiries.size > 1) return SYNTAX
    const found = this.#find(key)
    const answer = (plain: string): string => (!get ? plain : found === null ? NIL : bulk(found.text))
    for (const [condition, comparand] of conditions) {
      if (condition === 'NX' && found !== null) return answer(NIL)
      if (condition === 'XX' && found === null) return answer(NIL)
      if (condition === 'IFEQ' && found?.text !== comparand) return answer(NIL)
      if (condition === 'IFNE' && found?.text === comparand) return answer(NIL)
    }
    let expiresAtMs: number | null = null
    for (const [expiry, amount] of expiries) {
      if (expiry === 'KEEPTTL') expiresAtMs = found?.expiresAtMs ?? null
      else expiresAtMs = this.nowMs + Number(amount) * (expiry === 'EX' ? 1000 : 1)
    }
    this.#values.set(key, { text, expiresAtMs })
    return answer(OK)
  }

  #add(key: string, amountText: string, sign: bigint): string {
    const whole = /^(0|-?[1-9][0-9]*)$/
    if (!whole.test(amountText)) return NOT_AN_INTEGER
    const found = this.#find(key)
    const text = found?.text ?? '0'
    if (!whole.test(text) || BigInt(text) !== BigInt.asIntN(64, BigInt(text))) return NOT_AN_INTEGER
    const sum = BigInt(text) + sign * BigInt(amountText)
    if (sum !== BigInt.asIntN(64, sum)) return '-ERR increment or decrement would overflow\r\n'
    this.#values.set(key, { text: String(sum), expiresAtMs: found?.expiresAtMs ?? null })
    return int(sum)
  }

  #expire(key: string, ms: number, flag: string | undefined): string {
    const found = this.#find(key)
    if (found === null) return int(0)
    const current = found.expiresAtMs
    const moment = this.nowMs + ms
    const forbidden =
      (flag === 'NX' && current !== null) ||
      (flag === 'XX' && current === null) ||
      (flag === 'GT' && moment <= (current ?? Number.POSITIVE_INFINITY)) ||
      (flag === 'LT' && moment >= (current ?? Number.POSITIVE_INFINITY))
    if (forbidden) return int(0)
    if (moment <= this.nowMs) this.#values.delete(key)
    else this.#values.set(key, { text: found.text, expiresAtMs: moment })
    return int(1)
  }
}
