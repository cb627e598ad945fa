/** The slow log: requests that took long from dispatch to reply, newest first, with their words cut short. Bounded by slowlog-max-len. */
import { latin1Text } from '../../base/bytes.ts'

/** Redis's SLOWLOG_ENTRY_MAX_ARGC and SLOWLOG_ENTRY_MAX_STRING. */
const MAX_WORDS = 32
const MAX_WORD_BYTES = 128

export interface SlowEntry {
  readonly id: number
  readonly unixSeconds: number
  readonly durationUs: number
  /** One character a byte. */
  readonly words: readonly string[]
  readonly address: string
  readonly name: string
}

/** The words as an entry keeps them: of many and of long ones the beginning, and how much is not there. */
export function shortWords(count: number, wordAt: (index: number) => Uint8Array): string[] {
  const kept = Math.min(count, MAX_WORDS)
  const words: string[] = []
  for (let i = 0; i < kept; i++) {
    if (kept !== count && i === kept - 1) {
      words.push(`... (${count - kept + 1} more arguments)`)
      break
    }
    const word = wordAt(i)
    const text = latin1Text(word, 0, Math.min(word.length, MAX_WORD_BYTES))
    words.push(word.length > MAX_WORD_BYTES ? `${text}... (${word.length - MAX_WORD_BYTES} more bytes)` : text)
  }
  return words
}

export class Slowlog {
  /** Newest last. */
  #entries: SlowEntry[] = []
  #nextId = 0

  get length(): number {
    return this.#entries.length
  }

  push(entry: Omit<SlowEntry, 'id'>, maxLength: number): void {
    this.#entries.push({ id: this.#nextId++, ...entry })
    this.trim(maxLength)
  }

  trim(maxLength: number): void {
    if (this.#entries.length > maxLength) this.#entries = this.#entries.slice(this.#entries.length - maxLength)
  }

  reset(): void {
    this.#entries = []
  }

  /** Newest first, `count` at most. */
  latest(count: number): SlowEntry[] {
    return this.#entries.slice(Math.max(0, this.#entries.length - count)).reverse()
  }
}
