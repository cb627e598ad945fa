/** One server's address: its connections, opened when they are wanted and bounded in number, and what is known of its health. */
import type { Clock } from '../ports/clock.ts'
import type { Network } from '../ports/network.ts'
import { type ReplyWaiter, ServerConnection } from './server-connection.ts'

export interface ServerLimits {
  readonly connectionsPerServer: number
  readonly connectTimeoutMs: number
  /** Unanswered requests on one connection; what is more waits here. */
  readonly maxPipelined: number
}

interface Queued {
  readonly request: Uint8Array
  readonly waiter: ReplyWaiter
}

/** Another connection is opened where all there are have more than this to answer. */
const BUSY_ABOVE = 16
/** A server that owes a reply for so long, and a request's deadline is shorter on any node, does not run. */
const SILENT_AFTER_MS = 8_000

export class Server {
  readonly address: string
  readonly #network: Network
  readonly #clock: Clock
  readonly #limits: ServerLimits
  readonly #connections: ServerConnection[] = []
  #connecting = 0
  #queue: Queued[] = []
  #isClosed = false
  /** It did not answer, or could not be reached: others are asked first until then. Monotonic ms. */
  #suspectUntilMs = 0

  constructor(address: string, network: Network, clock: Clock, limits: ServerLimits) {
    this.address = address
    this.#network = network
    this.#clock = clock
    this.#limits = limits
  }

  get isSuspect(): boolean {
    return this.#clock.monotonicMs() < this.#suspectUntilMs
  }

  suspect(forMs: number): void {
    this.#suspectUntilMs = this.#clock.monotonicMs() + forMs
  }

  trust(): void {
    this.#suspectUntilMs = 0
  }

  send(request: Uint8Array, waiter: ReplyWaiter): void {
    if (this.#isClosed) return this.#clock.defer(() => waiter.onLost(false, 'the client is closed'))
    const connection = this.#leastBusy()
    if (connection !== null) connection.send(request, waiter)
    else this.#queue.push({ request, waiter })
    const wantsMore = connection === null || connection.unanswered > BUSY_ABOVE
    const { connectionsPerServer } = this.#limits
    const hasEnough = this.#connecting > 0 || this.#connections.length >= connectionsPerServer
    if (wantsMore && !hasEnough) this.#connect()
  }

  /** Ends connections whose server owes a reply for too long. */
  checkSilence(nowMs: number): void {
    for (const connection of [...this.#connections]) {
      const sinceMs = connection.owesSinceMs
      if (sinceMs !== null && nowMs - sinceMs > SILENT_AFTER_MS) connection.close('no answer')
    }
  }

  close(): void {
    this.#isClosed = true
    for (const connection of [...this.#connections]) connection.close('the client was closed')
    this.#failQueue('the client was closed')
  }

  #leastBusy(): ServerConnection | null {
    let best: ServerConnection | null = null
    for (const connection of this.#connections) {
      if (connection.hasRoom && (best === null || connection.unanswered < best.unanswered)) best = connection
    }
    return best
  }

  #connect(): void {
    this.#connecting++
    this.#network.connect(this.address, this.#limits.connectTimeoutMs, (error, socket) => {
      this.#connecting--
      if (socket === null) {
        // With a connection open what waits here waits for its room.
        if (this.#connections.length === 0) this.#failQueue(error ?? 'no connection')
        return
      }
      const connection = new ServerConnection(
        socket,
        this.#clock,
        this.#limits.maxPipelined,
        () => this.#drainQueue(),
        (closed) => this.#onClosed(closed),
      )
      if (this.#isClosed) return connection.close('the client was closed')
      this.#connections.push(connection)
      this.#drainQueue()
    })
  }

  #onClosed(connection: ServerConnection): void {
    const at = this.#connections.indexOf(connection)
    if (at >= 0) this.#connections.splice(at, 1)
    if (this.#connections.length === 0 && this.#connecting === 0) this.#failQueue('the connection was lost')
  }

  #drainQueue(): void {
    const queue = this.#queue
    let taken = 0
    for (; taken < queue.length; taken++) {
      const { request, waiter } = queue[taken]
      if (waiter.isAbandoned) continue
      const connection = this.#leastBusy()
      if (connection === null) break
      connection.send(request, waiter)
    }
    this.#queue = queue.slice(taken)
  }

  #failQueue(reason: string): void {
    const queue = this.#queue
    this.#queue = []
    for (const { waiter } of queue) waiter.onLost(false, reason)
  }
}
