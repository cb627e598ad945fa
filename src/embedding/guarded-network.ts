/**
 * The Network of one node: what it listens on and talks through is closed with the node's life. And ports can be taken for it before
 * it starts: nodes that are to know each other's free ports need all of them first, and a port that was found free and let go
 * again may be somebody else's a moment later. Who connects to such a port early waits until the node takes it over.
 */
import type { Connection, ConnectionHandlers, ListenError, Listener, Network } from '../ports/network.ts'
import type { NodeLife } from './node-life.ts'

type ListenFailure = { readonly code: ListenError; readonly message: string }

interface ReservedPort {
  readonly listener: Listener
  readonly waiting: GuardedConnection[]
  onConnection: ((connection: GuardedConnection) => void) | null
}

export class GuardedNetwork implements Network {
  readonly #network: Network
  readonly #life: NodeLife
  readonly #listeners = new Set<Listener>()
  readonly #connections = new Set<GuardedConnection>()
  readonly #reserved = new Map<string, ReservedPort>()

  constructor(network: Network, life: NodeLife) {
    this.#network = network
    this.#life = life
  }

  /** Listens for the node from now on: on a free port where the address ends with `:0`. `done` brings the address to listen on later. */
  reserve(address: string, done: (error: ListenFailure | null, address: string) => void): void {
    const waiting: GuardedConnection[] = []
    let port: ReservedPort | null = null
    const onConnection = (accepted: Connection): void => {
      const connection = this.#adopt(accepted)
      if (connection === null) return
      if (port?.onConnection != null) return port.onConnection(connection)
      connection.pause()
      waiting.push(connection)
    }
    this.#network.listen(address, onConnection, (error, listener) => {
      if (listener === null) return done(error ?? { code: 'failed', message: `cannot listen on ${address}` }, '')
      const kept = this.#keep(listener)
      if (kept !== null) {
        port = { listener: kept, waiting, onConnection: null }
        this.#reserved.set(kept.address, port)
      }
      done(null, listener.address)
    })
  }

  listen(
    address: string,
    onConnection: (connection: Connection) => void,
    done: (error: ListenFailure | null, listener: Listener | null) => void,
  ): void {
    const deliver = (connection: GuardedConnection): void => this.#life.run(() => onConnection(connection))
    const reserved = this.#reserved.get(address)
    if (reserved === undefined) {
      const accept = (accepted: Connection): void => {
        const connection = this.#adopt(accepted)
        if (connection !== null) deliver(connection)
      }
      this.#network.listen(address, accept, (error, listener) => {
        const kept = listener === null ? null : this.#keep(listener)
        this.#life.run(() => done(error, kept))
      })
      return
    }
    this.#reserved.delete(address)
    setImmediate(() => {
      this.#life.run(() => done(null, reserved.listener))
      reserved.onConnection = deliver
      for (const connection of reserved.waiting.splice(0)) {
        deliver(connection)
        connection.resume()
      }
    })
  }

  connect(
    address: string,
    timeoutMs: number,
    done: (error: string | null, connection: Connection | null) => void,
  ): void {
    if (this.#life.over) return
    this.#network.connect(address, timeoutMs, (error, made) => {
      const connection = made === null ? null : this.#adopt(made)
      this.#life.run(() => done(error, connection))
    })
  }

  /** After the life's end. The other sides see their connections reset, as when a process is killed. */
  end(): void {
    for (const listener of this.#listeners) listener.close(() => {})
    for (const connection of this.#connections) connection.destroy()
    this.#listeners.clear()
    this.#reserved.clear()
  }

  /** Null: too late, and closed. */
  #keep(listener: Listener): Listener | null {
    if (this.#life.over) {
      listener.close(() => {})
      return null
    }
    this.#listeners.add(listener)
    return {
      address: listener.address,
      close: (done) => {
        this.#listeners.delete(listener)
        listener.close(() => this.#life.run(done))
      },
    }
  }

  /** Null: too late, and closed. */
  #adopt(inner: Connection): GuardedConnection | null {
    if (this.#life.over) {
      inner.destroy()
      return null
    }
    const connection = new GuardedConnection(inner, this.#life, () => this.#connections.delete(connection))
    this.#connections.add(connection)
    return connection
  }
}

class GuardedConnection implements Connection {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly #inner: Connection
  readonly #life: NodeLife
  #handlers: ConnectionHandlers | null = null
  /** It was closed before anyone listened. */
  #closedEarly: string | null = null

  constructor(inner: Connection, life: NodeLife, forget: () => void) {
    this.#inner = inner
    this.#life = life
    this.remoteAddress = inner.remoteAddress
    this.localAddress = inner.localAddress
    inner.setHandlers({
      onData: (bytes) => {
        const handlers = this.#handlers
        if (handlers !== null) life.run(() => handlers.onData(bytes))
      },
      onClose: (reason) => {
        forget()
        const handlers = this.#handlers
        if (handlers === null) this.#closedEarly = reason
        else life.run(() => handlers.onClose(reason))
      },
      onDrain: () => {
        const handlers = this.#handlers
        if (handlers !== null) life.run(() => handlers.onDrain?.())
      },
    })
  }

  setHandlers(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
    const reason = this.#closedEarly
    if (reason !== null) setImmediate(() => this.#life.run(() => handlers.onClose(reason)))
  }

  get descriptor(): number {
    return this.#inner.descriptor
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes
  }

  write(bytes: Uint8Array): void {
    this.#inner.write(bytes)
  }

  writeMany(parts: readonly Uint8Array[]): void {
    this.#inner.writeMany(parts)
  }

  setKeepAlive(seconds: number): void {
    this.#inner.setKeepAlive(seconds)
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  end(): void {
    this.#inner.end()
  }

  destroy(): void {
    this.#inner.destroy()
  }
}
