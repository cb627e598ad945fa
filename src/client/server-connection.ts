/** One connection to one server: requests pipelined, replies in their order, what is asked in one turn sent in one write. It repeats nothing. */
import { BoundedDeque } from '../base/deque.ts'
import type { Clock } from '../ports/clock.ts'
import type { Connection, ConnectionHandlers } from '../ports/network.ts'
import { type Reply, ReplyParser } from './reply.ts'

/** Whoever waits for a reply hears of its coming or of its loss, once, in an event of its own. */
export interface ReplyWaiter {
  /** Nobody wants the reply any more: what was not sent yet need not be. */
  readonly isAbandoned: boolean
  /** It is on a connection, within the call that sent it. */
  onSent(): void
  onReply(reply: Reply): void
  /** `wasSent`: it may have arrived. */
  onLost(wasSent: boolean, reason: string): void
}

interface Waiting {
  readonly waiter: ReplyWaiter
  readonly sentAtMs: number
}

export class ServerConnection implements ConnectionHandlers {
  readonly #socket: Connection
  readonly #clock: Clock
  readonly #parser = new ReplyParser()
  readonly #waiting: BoundedDeque<Waiting>
  readonly #onClosed: (connection: ServerConnection) => void
  readonly #onRoom: () => void
  #unsent: Uint8Array[] = []
  #isClosed = false
  #reason: string | null = null

  constructor(
    socket: Connection,
    clock: Clock,
    maxPipelined: number,
    onRoom: () => void,
    onClosed: (connection: ServerConnection) => void,
  ) {
    this.#socket = socket
    this.#clock = clock
    this.#waiting = new BoundedDeque(maxPipelined)
    this.#onRoom = onRoom
    this.#onClosed = onClosed
    socket.setHandlers(this)
  }

  get unanswered(): number {
    return this.#waiting.length
  }

  get hasRoom(): boolean {
    return !this.#isClosed && this.#waiting.length < this.#waiting.maxLength
  }

  /** Since when the server owes the oldest reply; null: it owes none. Monotonic ms. */
  get owesSinceMs(): number | null {
    return this.#waiting.peek()?.sentAtMs ?? null
  }

  /** Only where there is room. The bytes must not change any more. */
  send(request: Uint8Array, waiter: ReplyWaiter): void {
    this.#waiting.push({ waiter, sentAtMs: this.#clock.monotonicMs() })
    this.#unsent.push(request)
    waiter.onSent()
    if (this.#unsent.length === 1) this.#clock.defer(() => this.#flush())
  }

  /** What is unanswered is lost. */
  close(reason: string): void {
    this.#reason ??= reason
    this.#socket.destroy()
  }

  onData(bytes: Uint8Array): void {
    const wasFull = !this.hasRoom
    try {
      this.#parser.push(bytes, (reply) => {
        const waiting = this.#waiting.shift()
        if (waiting === undefined) throw new Error('a reply that nobody asked for')
        waiting.waiter.onReply(reply)
      })
    } catch (error) {
      return this.close(`it does not speak the protocol: ${error instanceof Error ? error.message : String(error)}`)
    }
    if (wasFull && this.hasRoom) this.#onRoom()
  }

  onClose(reason: string): void {
    this.#isClosed = true
    this.#onClosed(this)
    const unsent = this.#unsent.length
    const sent = this.#waiting.length - unsent
    for (let i = 0; this.#waiting.length > 0; i++) {
      this.#waiting.shift()?.waiter.onLost(i < sent, this.#reason ?? reason)
    }
    this.#unsent = []
  }

  #flush(): void {
    const parts = this.#unsent
    if (this.#isClosed || parts.length === 0) return
    this.#unsent = []
    if (parts.length === 1) this.#socket.write(parts[0])
    else this.#socket.writeMany(parts)
  }
}
