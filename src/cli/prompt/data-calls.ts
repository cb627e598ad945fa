/**
 * The prompt's commands of one slot, by way of the cluster's own client: they go to the node that leads the slot, are carried on at another where that one dies,
 * and writes run once. All else (transactions, subscriptions, what belongs to a connection or to a node) goes by the prompt's own connection, and so does
 * everything where the other end is no Quorate cluster.
 */
import {
  type CallOptions,
  CommandError,
  connect,
  type QuorateClient,
  QuorateClientError,
  type ReadLevel,
  type Reply,
  ReplyError,
} from '../../client/index.ts'
import type { Failure } from '../../platform/failure.ts'
import type { RespValue } from '../resp-value.ts'
import { clientAddress } from './cluster-addresses.ts'

/** In the background: until then, and where there is none, the prompt's connection does all. */
const CONNECT_WITHIN_MS = 3_000
const CALL_TIMEOUT_MS = 10_000
/** In RESP3 they answer with maps, which the client's RESP2 does not have. */
const NOT_BY_CLIENT: ReadonlySet<string> = new Set(['LCS'])

export class DataCalls {
  #client: QuorateClient | null = null
  #isClosed = false

  /** Resolves when it is known whether there is a cluster. Never rejects. */
  async open(addresses: readonly string[]): Promise<void> {
    const servers = addresses.map(clientAddress)
    const client = await connect({ servers, timeoutMs: CONNECT_WITHIN_MS, connectionsPerServer: 1 }).catch(() => null)
    if (this.#isClosed) client?.close()
    else this.#client = client
  }

  takes(name: string, words: readonly Buffer[]): boolean {
    return this.#client !== null && !NOT_BY_CLIENT.has(name) && this.#client.isOfOneSlot(words)
  }

  /** An error reply is a value. Rejects with a QuorateClientError where there is no reply. */
  async run(words: readonly Buffer[], level: ReadLevel, signal: AbortSignal): Promise<RespValue> {
    const options: CallOptions = { level, signal, timeoutMs: CALL_TIMEOUT_MS }
    try {
      return respValue((await this.#client?.call(words, options)) ?? null)
    } catch (error) {
      if (error instanceof CommandError) return { kind: 'error', text: error.message }
      throw error
    }
  }

  close(): void {
    this.#isClosed = true
    this.#client?.close()
    this.#client = null
  }
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof QuorateClientError)) throw error
  if (error.mayHaveRun) return { code: 'uncertain', message: error.message, mend: 'look before you send it again' }
  const mend = 'nothing was done: see with KV.STATUS which nodes are up, and send it again'
  return { code: 'no-reply', message: error.message, mend }
}

function respValue(reply: Reply): RespValue {
  if (reply === null) return { kind: 'nil' }
  if (typeof reply === 'string') return { kind: 'simple', text: reply }
  if (typeof reply === 'number' || typeof reply === 'bigint') return { kind: 'integer', value: reply }
  if (reply instanceof Uint8Array) return { kind: 'bulk', bytes: Buffer.from(reply) }
  if (reply instanceof ReplyError) return { kind: 'error', text: reply.text }
  return { kind: 'array', items: reply.map(respValue) }
}
