/**
 * Counts the replies to SET and WAIT in a stream of bytes cut anywhere: `+OK` for each SET, `:n` for each WAIT. Anything
 * else, and a WAIT that reached too few replicas, is a failure of the run.
 */
const LF = 10
const CR = 13
const PLUS = 43
const MINUS = 45
const COLON = 58
const ZERO = 48
const MAX_ERROR_BYTES = 200

export class SetWaitReplies {
  readonly #minReplicas: number
  #kind = 0
  #number = 0
  #text = ''
  /** Replies seen, of both kinds. */
  count = 0
  failure: string | null = null

  constructor(minReplicas: number) {
    this.#minReplicas = minReplicas
  }

  push(chunk: Uint8Array): void {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      if (this.#kind === 0) this.#kind = byte
      else if (byte === LF) this.#endLine()
      else if (byte === CR) continue
      else if (this.#kind === COLON) this.#number = this.#number * 10 + byte - ZERO
      else if (this.#kind !== PLUS && this.#text.length < MAX_ERROR_BYTES) this.#text += String.fromCharCode(byte)
    }
  }

  #endLine(): void {
    if (this.#kind === MINUS) this.failure ??= `error reply: ${this.#text}`
    else if (this.#kind === COLON && !(this.#number >= this.#minReplicas)) {
      this.failure ??= `WAIT reached ${this.#number} replicas, not ${this.#minReplicas}`
    } else if (this.#kind !== COLON && this.#kind !== PLUS) this.failure ??= 'not a reply to SET or WAIT'
    this.#kind = 0
    this.#number = 0
    this.#text = ''
    this.count++
  }
}
