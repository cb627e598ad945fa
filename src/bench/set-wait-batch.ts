/**
 * One connection's request, laid out once and patched in place: `pipeline` times SET, and a WAIT behind every
 * `setsPerWait`-th (0: none).
 *
 *   *3 | $3 SET | $16 key:dddddddddddd | $n value    ...    *3 | $4 WAIT | $1 r | $4 1000
 */
import { assert } from '../base/assert.ts'

const KEY_PREFIX = 'key:'
const KEY_DIGITS = 12
const ZERO = 48
/** WAIT's own time-out: long enough never to be the reason for a failure. */
const WAIT_TIMEOUT_MS = 5_000

export interface SetWaitBatchOptions {
  readonly pipeline: number
  readonly setsPerWait: number
  readonly replicas: number
  readonly valueBytes: number
}

export class SetWaitBatch {
  readonly bytes: Buffer
  /** How many replies the whole batch brings. */
  readonly replies: number
  readonly #keyOffsets: number[] = []

  constructor(options: SetWaitBatchOptions) {
    assert(options.pipeline >= 1, 'SetWaitBatch: at least one SET')
    const value = 'x'.repeat(options.valueBytes)
    const wait = words('WAIT', String(options.replicas), String(WAIT_TIMEOUT_MS))
    const key = KEY_PREFIX + '0'.repeat(KEY_DIGITS)
    const set = words('SET', key, value)
    let text = ''
    let replies = 0
    for (let i = 1; i <= options.pipeline; i++) {
      this.#keyOffsets.push(text.length + set.indexOf(key) + KEY_PREFIX.length)
      text += set
      replies++
      if (options.setsPerWait === 0 || (i % options.setsPerWait !== 0 && i !== options.pipeline)) continue
      text += wait
      replies++
    }
    this.bytes = Buffer.from(text, 'latin1')
    this.replies = replies
  }

  get sets(): number {
    return this.#keyOffsets.length
  }

  setKey(position: number, key: number): void {
    const first = this.#keyOffsets[position]
    let rest = key
    for (let at = first + KEY_DIGITS - 1; at >= first; at--) {
      this.bytes[at] = ZERO + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    assert(rest === 0, 'SetWaitBatch.setKey: key has more digits than its place')
  }
}

function words(...parts: string[]): string {
  return `*${parts.length}\r\n${parts.map((part) => `$${part.length}\r\n${part}\r\n`).join('')}`
}
