/**
 * The arguments of a command as a tree, from the one line of its syntax in command-docs.ts: what COMMAND DOCS tells, and what hints and
 * completion are made from.
 *
 *   sequence     = item*                      items stand one behind the other
 *   item         = TOKEN value? | name | `[` alternatives `]` | `<` alternatives `>`
 *   alternatives = sequence (`|` sequence)* ` ...`?
 *
 * `key [key ...]` is one argument that may be said again.
 */
import { assert } from '../base/assert.ts'

export type ArgumentType =
  | 'key'
  | 'string'
  | 'integer'
  | 'double'
  | 'pattern'
  | 'unix-time'
  | 'pure-token'
  | 'oneof'
  | 'block'

export interface SyntaxArgument {
  readonly name: string
  readonly type: ArgumentType
  /** The word, in capitals, that stands before the argument, or is all of it. */
  readonly token: string | null
  readonly optional: boolean
  readonly multiple: boolean
  /** The alternatives of a `oneof`, the parts of a `block`. */
  readonly parts: readonly SyntaxArgument[]
}

const TYPES: ReadonlyMap<string, ArgumentType> = new Map([
  ...typed('key', 'key key1 key2 newkey destkey source destination'),
  ...typed(
    'integer',
    'seconds milliseconds decrement start end len offset count ttl frequency cursor index destination-db client-id timeout numreplicas bit protover',
  ),
  ...typed('unix-time', 'unix-time-seconds unix-time-milliseconds'),
  ...typed('pattern', 'pattern library-name-pattern'),
])

function typed(type: ArgumentType, names: string): [string, ArgumentType][] {
  return names.split(' ').map((name) => [name, type])
}

const WORD = /[^\s[\]<>|]+|[[\]<>|]/g
const AGAIN = '...'

export function parseSyntax(syntax: string): readonly SyntaxArgument[] {
  const parser = new SyntaxParser(syntax)
  const found = parser.sequence()
  assert(parser.ended, `command syntax: something is left over in '${syntax}'`)
  return found
}

class SyntaxParser {
  readonly #words: readonly string[]
  readonly #syntax: string
  #at = 0

  constructor(syntax: string) {
    this.#syntax = syntax
    this.#words = syntax.match(WORD) ?? []
  }

  get ended(): boolean {
    return this.#at === this.#words.length
  }

  sequence(): readonly SyntaxArgument[] {
    const found: SyntaxArgument[] = []
    for (;;) {
      const word = this.#words[this.#at]
      if (word === undefined || word === '|' || word === ']' || word === '>' || word === AGAIN) return found
      const item = this.#item()
      const last = found.at(-1)
      // `a b [a b ...]` is `a b` once or more often.
      if (item.optional && item.multiple && repeats(found, item)) {
        const count = item.type === 'block' ? item.parts.length : 1
        const again = found.splice(found.length - count, count)
        found.push({ ...(count === 1 && last !== undefined ? again[0] : block(again)), multiple: true })
      } else found.push(item)
    }
  }

  #item(): SyntaxArgument {
    const word = this.#next()
    if (word === '[') return { ...this.#alternatives(']'), optional: true }
    if (word === '<') return this.#alternatives('>')
    if (!isToken(word)) return { ...ARGUMENT, name: word, type: TYPES.get(word) ?? 'string' }
    const after = this.#words[this.#at]
    const name = word.toLowerCase()
    if (after === '<') {
      this.#at++
      return { ...this.#alternatives('>'), token: word, name }
    }
    const values: SyntaxArgument[] = []
    for (let next = after; next !== undefined && /^[a-z0-9:-]+$/.test(next); next = this.#words[this.#at]) {
      this.#at++
      values.push({ ...ARGUMENT, name: next, type: TYPES.get(next) ?? 'string' })
    }
    if (values.length === 0) return { ...ARGUMENT, name, type: 'pure-token', token: word }
    return { ...(values.length === 1 ? values[0] : block(values)), token: word }
  }

  #alternatives(end: string): SyntaxArgument {
    const found: SyntaxArgument[] = []
    let multiple = false
    for (;;) {
      const parts = this.sequence()
      assert(parts.length > 0, `command syntax: nothing between brackets in '${this.#syntax}'`)
      found.push(parts.length === 1 ? parts[0] : block(parts))
      let word = this.#next()
      if (word === AGAIN) {
        multiple = true
        word = this.#next()
      }
      if (word === end) break
      assert(word === '|', `command syntax: '${end}' is missing in '${this.#syntax}'`)
    }
    if (found.length === 1) return { ...found[0], multiple: multiple || found[0].multiple }
    return { ...ARGUMENT, name: found.map(({ name }) => name).join('|'), type: 'oneof', multiple, parts: found }
  }

  #next(): string {
    const word = this.#words[this.#at++]
    assert(word !== undefined, `command syntax: '${this.#syntax}' ends too early`)
    return word
  }
}

const ARGUMENT: Omit<SyntaxArgument, 'name' | 'type'> = { token: null, optional: false, multiple: false, parts: [] }

function block(parts: readonly SyntaxArgument[]): SyntaxArgument {
  return { ...ARGUMENT, name: parts.map(({ name }) => name).join('_'), type: 'block', parts }
}

function repeats(before: readonly SyntaxArgument[], item: SyntaxArgument): boolean {
  const parts = item.type === 'block' ? item.parts : [item]
  const last = before.slice(-parts.length)
  const same = (part: SyntaxArgument, i: number): boolean => part.name === last[i]?.name && part.type === last[i].type
  return last.length === parts.length && item.token === null && parts.every(same)
}

function isToken(word: string): boolean {
  return /^[A-Z][A-Z0-9-]*$/.test(word)
}
