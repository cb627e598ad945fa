/**
 * A Redis client in the simulated world: one connection at a time to some node, commands pipelined a few deep, answers in order. When
 * the connection ends or nothing comes for too long, what is unanswered has an unknown outcome, and it goes to another node.
 */
import { latin1Bytes } from '../base/bytes.ts'
import type { Connection, Network } from '../ports/network.ts'
import { encodeWords, RespReader, type RespReply } from './resp-reader.ts'
import type { Scheduler } from './scheduler.ts'

export type ClientReply = ({ readonly kind: 'reply' } & RespReply) | { readonly kind: 'lost' }

export interface SimClientOptions {
  readonly name: string
  readonly addresses: readonly string[]
  readonly replyTimeoutMs: number
}

interface Waiting {
  readonly sentAtMs: number
  readonly done: (reply: ClientReply) => void
}

const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_MS_MAX = 300

export class SimClient {
  readonly #scheduler: Scheduler
  readonly #network: Network
  readonly #options: SimClientOptions
  readonly #onReady: () => void
  #connection: Connection | null = null
  #reader = new RespReader()
  #waiting: Waiting[] = []
  #stopped = false

  /** `onReady` runs whenever a connection is up: the owner sends its next commands then. */
  constructor(scheduler: Scheduler, network: Network, options: SimClientOptions, onReady: () => void) {
    this.#scheduler = scheduler
    this.#network = network
    this.#options = options
    this.#onReady = onReady
  }

  get connected(): boolean {
    return this.#connection !== null
  }

  get unanswered(): number {
    return this.#waiting.length
  }

  start(): void {
    this.#connect()
    this.#watch()
  }

  stop(): void {
    this.#stopped = true
    this.#connection?.destroy()
  }

  /** Only while connected. */
  send(words: readonly string[], done: (reply: ClientReply) => void): void {
    this.#waiting.push({ sentAtMs: this.#scheduler.nowMs, done })
    this.#connection?.write(latin1Bytes(encodeWords(words)))
  }

  #connect(): void {
    if (this.#stopped) return
    const address = this.#scheduler.random.pick(this.#options.addresses)
    this.#network.connect(address, CONNECT_TIMEOUT_MS, (_error, connection) => {
      if (connection === null) return this.#connectLater()
      this.#reader = new RespReader()
      this.#connection = connection
      connection.setHandlers({
        onData: (bytes) => this.#onData(bytes),
        onClose: () => this.#lost(),
      })
      this.#onReady()
    })
  }

  #connectLater(): void {
    const delayMs = this.#scheduler.random.unit() * RECONNECT_MS_MAX
    this.#scheduler.after(delayMs, `${this.#options.name} reconnects`, () => this.#connect())
  }

  #onData(bytes: Uint8Array): void {
    for (const reply of this.#reader.feed(bytes)) {
      const waiting = this.#waiting.shift()
      if (waiting === undefined) throw new Error(`${this.#options.name}: a reply that nobody asked for`)
      waiting.done({ kind: 'reply', ...reply })
    }
  }

  #lost(): void {
    this.#connection = null
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) one.done({ kind: 'lost' })
    this.#connectLater()
  }

  /** A silent connection is given up. */
  #watch(): void {
    this.#scheduler.after(500, `${this.#options.name} watch`, () => {
      if (this.#stopped) return
      const [oldest] = this.#waiting
      if (oldest !== undefined && this.#scheduler.nowMs - oldest.sentAtMs > this.#options.replyTimeoutMs) {
        this.#connection?.destroy()
      }
      this.#watch()
    })
  }
}
