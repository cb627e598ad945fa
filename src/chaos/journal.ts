/**
 * One writer's list of numbered entries in one key, made with APPEND. It shows what registers hide: a write that was lost before the next one
 * came over it, and one that ran twice. Every acknowledged entry is in it once, in order; an unknown one at most once, anywhere;
 * a refused one never.
 */
import { assert } from '../base/assert.ts'

export class Journal {
  readonly key: string
  readonly #acknowledged: number[] = []
  readonly #unknown = new Set<number>()
  #next = 0

  constructor(key: string) {
    this.key = key
  }

  /** Of the entry to append next. */
  next(): number {
    return this.#next++
  }

  static entry(sequence: number): string {
    return `${sequence};`
  }

  acknowledged(sequence: number): void {
    assert(sequence > (this.#acknowledged.at(-1) ?? -1), 'Journal: one writer, one entry at a time')
    this.#acknowledged.push(sequence)
  }

  unknown(sequence: number): void {
    this.#unknown.add(sequence)
  }

  /** What is wrong with this value of the key; null: nothing. */
  check(value: string | null): string | null {
    const text = value ?? ''
    if (!/^(\d+;)*$/.test(text)) return `${this.key} holds ${JSON.stringify(text.slice(0, 60))}, which is no journal`
    const held = text === '' ? [] : text.slice(0, -1).split(';').map(Number)
    const seen = new Set<number>()
    let position = 0
    for (const sequence of held) {
      if (seen.has(sequence)) return `${this.key} holds entry ${sequence} twice`
      seen.add(sequence)
      if (this.#unknown.has(sequence)) continue
      const expected = this.#acknowledged[position++]
      if (sequence !== expected) return this.#explain(sequence, expected, held)
    }
    const lost = this.#acknowledged[position]
    return lost === undefined ? null : this.#explain(undefined, lost, held)
  }

  #explain(found: number | undefined, expected: number | undefined, held: readonly number[]): string {
    if (expected !== undefined && !held.includes(expected)) return `${this.key} lost the acknowledged entry ${expected}`
    if (expected === undefined) return `${this.key} holds entry ${found}, which was refused or never sent`
    return `${this.key} holds entry ${found} where ${expected} belongs`
  }
}
