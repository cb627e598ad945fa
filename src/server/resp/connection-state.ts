/** What others see of a connection: its queues, and what it waits for. */
import type { RequestWords } from '../../protocol/resp-parser.ts'

/** What CLIENT LIST shows of a connection beside its ClientState. */
export interface ConnectionState {
  readonly descriptor: number
  readonly paused: boolean
  readonly closing: boolean
  readonly readable: boolean
  readonly writable: boolean
  /** Received and not yet run, the request at hand included. */
  readonly queryBytes: number
  readonly queryHeldBytes: number
  readonly argumentBytes: number
  readonly transactionBytes: number
  readonly repliesWaiting: number
  readonly outputBytes: number
}

/** Of the request at hand. */
export function argumentBytes(words: RequestWords): number {
  let bytes = 0
  for (let i = 0; i < words.wordCount; i++) bytes += words.offsets[2 * i + 1] - words.offsets[2 * i]
  return bytes
}
