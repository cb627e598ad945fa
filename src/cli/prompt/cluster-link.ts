/**
 * The prompt's way to the cluster: a connection to one of the addresses, and to the next where one does not answer. Tells when the
 * connection is lost and when there is one again; nothing is ever sent twice.
 */
import { fail, type Outcome, succeed } from '../../platform/failure.ts'
import type { RespList } from '../resp-value.ts'
import { PromptConnection } from './prompt-connection.ts'

const CONNECT_TIMEOUT_MS = 2_000
const RETRY_EVERY_MS = 500

export interface LinkEvents {
  push(value: RespList): void
  /** The connection is gone, with all that it held; notice() follows. */
  lost(): void
  /** A line for people. */
  notice(text: string): void
}

export class ClusterLink {
  readonly #addresses: readonly string[]
  readonly #events: LinkEvents
  /** Where to try first: the node that answered last. */
  #next = 0
  #connection: PromptConnection | null = null
  #attempt: Promise<Outcome<PromptConnection>> | null = null
  /** There was no connection although one was wanted: the next one is news. Where it was, or '' for nowhere yet. */
  #missing: string | null = null
  #retry: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(addresses: readonly string[], events: LinkEvents) {
    this.#addresses = addresses
    this.#events = events
  }

  /** Of the node that is connected; null: none. */
  get address(): string | null {
    return this.#connection?.isOpen === true ? this.#connection.address : null
  }

  /** The open connection, or a new one to the first address that answers. */
  open(): Promise<Outcome<PromptConnection>> {
    if (this.#connection?.isOpen === true) return Promise.resolve(succeed(this.#connection))
    this.#attempt ??= this.#tryAll().finally(() => {
      this.#attempt = null
    })
    return this.#attempt
  }

  /** Goes on trying in the background until there is a connection, or close(). */
  keepTrying(): void {
    if (this.#isClosed || this.#retry !== null || this.address !== null) return
    this.#missing ??= ''
    void this.open().then(({ ok }) => {
      if (ok || this.#isClosed || this.#retry !== null) return
      this.#retry = setTimeout(() => {
        this.#retry = null
        this.keepTrying()
      }, RETRY_EVERY_MS)
    })
  }

  /** Ends the connection at the user's wish: no news, and the same node is asked first. */
  drop(): void {
    this.#connection?.close()
    this.#connection = null
    this.#events.lost()
  }

  close(): void {
    this.#isClosed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#connection?.close()
    this.#connection = null
  }

  async #tryAll(): Promise<Outcome<PromptConnection>> {
    const reasons: string[] = []
    for (let tries = 0; tries < this.#addresses.length && !this.#isClosed; tries++) {
      const address = this.#addresses[this.#next]
      try {
        const connection = await PromptConnection.open(address, CONNECT_TIMEOUT_MS)
        if (this.#isClosed) connection.close()
        else this.#use(connection)
        return succeed(connection)
      } catch (error) {
        reasons.push(`${address}: ${(error as Error).message}`)
        this.#next = (this.#next + 1) % this.#addresses.length
      }
    }
    const mend = 'start a cluster with `npm start` or `quorate dev`, or name a node with --addr HOST:PORT'
    return fail('no-node', `no node answers at ${reasons.join(', ')}`, mend)
  }

  #use(connection: PromptConnection): void {
    const { address } = connection
    this.#connection = connection
    connection.listen({
      push: (value) => this.#events.push(value),
      lost: (reason) => {
        this.#missing = address
        this.#events.lost()
        this.#events.notice(`the connection to ${address} was lost: ${reason}`)
      },
    })
    if (this.#missing !== null) {
      const how = this.#missing === address ? ' again' : this.#missing === '' ? '' : `, instead of ${this.#missing}`
      this.#missing = null
      this.#events.notice(`connected to ${address}${how}`)
    }
  }
}
