/**
 * One walk by SCAN, held to what Redis promises of it: a key that is there from the first call to the last is returned; one that never was is
 * not. The walk goes on over broken connections, at whatever node the session is next.
 */

import { globMatchesText } from '../base/glob.ts'
import type { Prng } from '../base/prng.ts'
import type { RespValue } from './resp-reader.ts'

interface KnownNames {
  readonly certain: ReadonlySet<string>
  readonly possible: ReadonlySet<string>
}

export class SessionScan {
  readonly #pattern: string
  readonly #options: readonly string[]
  readonly #returned = new Set<string>()
  #cursor = '0'
  /** There at every moment so far. */
  #throughout: ReadonlySet<string>
  /** There at some moment, perhaps. */
  readonly #ever: Set<string>

  constructor(random: Prng, patterns: readonly string[], names: KnownNames) {
    this.#pattern = random.pick(patterns)
    const typed = random.chance(0.2) ? ['TYPE', 'string'] : []
    this.#options = ['MATCH', this.#pattern, 'COUNT', String(random.between(1, 60)), ...typed]
    this.#throughout = names.certain
    this.#ever = new Set(names.possible)
  }

  next(): string[] {
    return ['SCAN', this.#cursor, ...this.#options]
  }

  /** After each command of the session, whatever became of it. */
  note({ certain, possible }: KnownNames): void {
    this.#throughout = new Set([...this.#throughout].filter((name) => certain.has(name)))
    for (const name of possible) this.#ever.add(name)
  }

  get done(): boolean {
    return this.#cursor === '0' && this.#begun
  }

  #begun = false

  /** What is wrong with the reply; null: nothing. */
  take(value: RespValue): string | null {
    if (value.kind !== 'array' || value.items.length !== 2) return 'no cursor and keys'
    const [cursor, keys] = value.items
    if (cursor.kind !== 'bulk' || keys.kind !== 'array') return 'no cursor and keys'
    this.#begun = true
    this.#cursor = cursor.text
    for (const key of keys.items) {
      if (key.kind !== 'bulk') return 'a key that is no text'
      if (!globMatchesText(this.#pattern, key.text)) return `${key.text} does not match`
      if (!this.#ever.has(key.text)) return `${key.text} was never there`
      this.#returned.add(key.text)
    }
    if (!this.done) return null
    const missed = [...this.#throughout].filter(
      (name) => globMatchesText(this.#pattern, name) && !this.#returned.has(name),
    )
    return missed.length > 0 ? `the walk is over, and left out ${missed.join(' ')}, there all the time` : null
  }
}
