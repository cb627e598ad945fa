/**
 * A client as an application should be: one command at a time on one connection, and on to another node when that
 * connection breaks or stays silent. It never repeats a command: what was unanswered is unknown.
 */
import type { Prng } from '../base/prng.ts'
import { RespClient } from '../cli/resp-client.ts'
import { RespError, type RespReply } from '../cli/resp-reply.ts'

const CONNECT_TIMEOUT_MS = 1_000
/** Longer than a node's own deadline for a request (5 s) and than a pause of one: only the dead stay silent for so long. */
const REPLY_TIMEOUT_MS = 10_000

export class RovingClient {
  readonly #addresses: readonly string[]
  readonly #random: Prng
  #client: RespClient | null = null

  constructor(addresses: readonly string[], random: Prng) {
    this.#addresses = addresses
    this.#random = random
  }

  /** Connected, maybe just now. False: the node that it tried is not there. */
  async connected(): Promise<boolean> {
    if (this.#client?.isOpen) return true
    try {
      this.#client = await RespClient.connect(this.#random.pick(this.#addresses), CONNECT_TIMEOUT_MS)
      return true
    } catch {
      this.#client = null
      return false
    }
  }

  /** Undefined: no reply, and the connection is given up. */
  async call(...words: readonly string[]): Promise<RespReply | undefined> {
    const client = this.#client
    if (client === null) return undefined
    // Closing the connection is what ends the wait.
    const silence = setTimeout(() => client.close(), REPLY_TIMEOUT_MS)
    try {
      return await client.call(...words)
    } catch {
      this.#client = null
      return undefined
    } finally {
      clearTimeout(silence)
    }
  }

  close(): void {
    this.#client?.close()
    this.#client = null
  }
}

/**
 * What a reply says of its command. `refused`: it did not happen and never will. `unknown`: it happens at most once. `wrong`: an error
 * that no sound cluster gives to a sound command.
 */
export function kindOfReply(reply: RespReply | undefined): 'done' | 'refused' | 'unknown' | 'wrong' {
  if (reply === undefined) return 'unknown'
  if (!(reply instanceof RespError)) return 'done'
  if (/^(CLUSTERDOWN|BUSY|DISKFULL)\b/.test(reply.message)) return 'refused'
  return /^UNCERTAIN\b/.test(reply.message) ? 'unknown' : 'wrong'
}

/** Null: absent. */
export function textOf(value: RespReply | undefined): string | null {
  if (value === null || value === undefined) return null
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  return value instanceof RespError ? `-${value.message}` : String(value)
}
