/**
 * A small Redis client for the command line and the tests: one connection, pipelined, replies in order. It never retries:
 * a connection that fails rejects everything that waits, whose outcome is then unknown.
 */
import { connect, type Socket } from 'node:net'
import { encodeRequest, type RespReply, RespReplyParser } from './resp-reply.ts'

interface Waiting {
  resolve(reply: RespReply): void
  reject(error: Error): void
}

export class RespClient {
  readonly address: string
  readonly #socket: Socket
  readonly #parser = new RespReplyParser()
  /** As long as the requests that the caller has not awaited. */
  readonly #waiting: Waiting[] = []
  #failure: Error | null = null

  private constructor(address: string, socket: Socket) {
    this.address = address
    this.#socket = socket
    socket.on('data', (chunk) => this.#onData(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error(`${address} closed the connection`)))
  }

  static connect(address: string, timeoutMs: number): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const { host, port } = splitAddress(address)
      const socket = connect({ host, port, noDelay: true })
      const giveUp = (error: Error): void => {
        socket.destroy()
        reject(error)
      }
      socket.setTimeout(timeoutMs, () => giveUp(new Error(`${address} did not accept within ${timeoutMs} ms`)))
      socket.once('error', giveUp)
      socket.once('connect', () => {
        socket.setTimeout(0)
        socket.off('error', giveUp)
        resolve(new RespClient(address, socket))
      })
    })
  }

  get isOpen(): boolean {
    return this.#failure === null
  }

  /** Rejects only where no reply came; an error reply is a RespError value. */
  call(...words: readonly (string | Uint8Array)[]): Promise<RespReply> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure)
        return
      }
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encodeRequest(words))
    })
  }

  /** Waits for nothing: replies that are still due are rejected. */
  close(): void {
    this.#fail(new Error('the connection was closed'))
  }

  #onData(chunk: Buffer): void {
    try {
      for (const reply of this.#parser.push(chunk)) {
        const waiting = this.#waiting.shift()
        if (waiting === undefined) throw new Error(`${this.address} sent a reply that nobody asked for`)
        waiting.resolve(reply)
      }
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#socket.destroy()
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
  }
}

/** "host:port", the host possibly an IPv6 address. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
