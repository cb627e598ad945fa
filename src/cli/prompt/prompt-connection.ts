/**
 * One connection of the prompt to one node: RESP3 where the node speaks it, requests in order, pushes beside them. It never repeats
 * anything: when it is lost, what waits is rejected, and the outcome of that is unknown.
 */
import { connect, type Socket } from 'node:net'
import { splitAddress } from '../resp-client.ts'
import { encodeRequest } from '../resp-reply.ts'
import { type RespList, RespProtocolError, type RespValue, RespValueParser } from '../resp-value.ts'

export interface ConnectionEvents {
  push(value: RespList): void
  /** Once, before what waits is rejected; not after close(). */
  lost(reason: string): void
}

interface Waiting {
  /** SUBSCRIBE and its like are answered by a push. */
  readonly isAnsweredByPush: boolean
  resolve(value: RespValue): void
  reject(error: Error): void
}

const NO_EVENTS: ConnectionEvents = { push: () => {}, lost: () => {} }

const PUBSUB_WORDS = /^(p|s)?(message|subscribe|unsubscribe)$/

export class PromptConnection {
  readonly address: string
  readonly #socket: Socket
  readonly #parser = new RespValueParser()
  readonly #waiting: Waiting[] = []
  #events = NO_EVENTS
  #failure: Error | null = null
  /** Set while channels are subscribed to over RESP2, where messages look like any other list. */
  #mayGetMessages = false

  private constructor(address: string, socket: Socket) {
    this.address = address
    this.#socket = socket
    socket.on('data', (chunk) => this.#onData(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('it closed the connection')))
  }

  /** Rejects with an error whose message says why, in words that follow the address. */
  static async open(address: string, timeoutMs: number): Promise<PromptConnection> {
    const { host, port } = splitAddress(address)
    const socket = connect({ host, port, noDelay: true, keepAlive: true })
    let isLate = false
    const deadline = setTimeout(() => {
      isLate = true
      socket.destroy()
    }, timeoutMs)
    const connection = new PromptConnection(address, socket)
    try {
      // A server that knows no HELLO, or not that version, speaks RESP2.
      await connection.call([Buffer.from('HELLO'), Buffer.from('3')])
      return connection
    } catch (error) {
      throw isLate ? new Error(`no answer within ${timeoutMs / 1000} s`) : error
    } finally {
      clearTimeout(deadline)
    }
  }

  get isOpen(): boolean {
    return this.#failure === null
  }

  listen(events: ConnectionEvents): void {
    this.#events = events
  }

  /** Rejects where no reply came; an error reply is a value. */
  call(words: readonly Buffer[], isAnsweredByPush = false): Promise<RespValue> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure)
        return
      }
      if (isAnsweredByPush) this.#mayGetMessages = true
      this.#waiting.push({ isAnsweredByPush, resolve, reject })
      this.#socket.write(encodeRequest(words))
    })
  }

  /** For what has no reply. */
  send(words: readonly Buffer[]): void {
    if (this.#failure === null) this.#socket.write(encodeRequest(words))
  }

  /** Ends all subscriptions; the connection is then as any other. */
  async unsubscribe(): Promise<void> {
    this.send([Buffer.from('UNSUBSCRIBE')])
    this.send([Buffer.from('PUNSUBSCRIBE')])
    // Replies come in order: behind this one nothing of the subscriptions follows.
    await this.call([Buffer.from('PING')])
    this.#mayGetMessages = false
  }

  close(): void {
    this.#events = NO_EVENTS
    this.#fail(new Error('the connection was closed'))
  }

  #onData(chunk: Buffer): void {
    try {
      for (const value of this.#parser.push(chunk)) this.#onValue(value)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #onValue(value: RespValue): void {
    const isPush = value.kind === 'push' || (this.#mayGetMessages && isPubsub(value))
    if (isPush) {
      this.#events.push(value as RespList)
      if (this.#waiting[0]?.isAnsweredByPush === true && isPubsub(value)) this.#waiting.shift()?.resolve(value)
      return
    }
    const waiting = this.#waiting.shift()
    if (waiting === undefined) throw new RespProtocolError('it sent a reply that nobody asked for')
    waiting.resolve(value)
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = new Error(plainReason(error))
    this.#socket.destroy()
    this.#events.lost(this.#failure.message)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure)
  }
}

function isPubsub(value: RespValue): boolean {
  if (value.kind !== 'push' && value.kind !== 'array') return false
  const [first] = value.items
  return first?.kind === 'bulk' && PUBSUB_WORDS.test(first.bytes.toString('latin1'))
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it reset the connection',
  EPIPE: 'it closed the connection',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'no answer',
}

function plainReason(error: NodeJS.ErrnoException): string {
  if (error instanceof RespProtocolError) return `it does not speak the Redis protocol: ${error.message}`
  const words = error.code === undefined ? undefined : REASONS[error.code]
  return words === undefined ? error.message : `${words} (${error.code})`
}
