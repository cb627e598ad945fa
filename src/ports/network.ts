/**
 * Streams of bytes between addresses ("host:port"). Real: TCP in platform/. Simulated: simulation/.
 * Handlers run as events of their own, never inside the call that causes them.
 */

/** A send buffer that stood at or above this calls onDrain once it is empty again. */
export const HIGH_WATER_BYTES = 64 * 1024

export interface ConnectionHandlers {
  /** `bytes` is valid only during the call (a shared read buffer): copy what must stay. */
  onData(bytes: Uint8Array): void
  /** Exactly once, whoever closed; no other handler runs after it. `reason` is for logs. */
  onClose(reason: string): void
  /** The send buffer has drained after it stood at or above HIGH_WATER_BYTES. */
  onDrain?(): void
  /** The other side sends no more, and may still read. Left out: the connection is closed then. */
  onEnd?(): void
}

export interface Connection {
  /** The remote "host:port", for logs and CLIENT INFO. */
  readonly remoteAddress: string
  /** This end's "host:port". */
  readonly localAddress: string
  /** The operating system's number for the socket; -1: it has none. For CLIENT LIST alone. */
  readonly descriptor: number
  /** Set once, right after the connection is handed over. */
  setHandlers(handlers: ConnectionHandlers): void
  /** Queues bytes; the array must not be changed afterwards. Ignored once closed. */
  write(bytes: Uint8Array): void
  /** Several arrays in one system call where the platform can. */
  writeMany(parts: readonly Uint8Array[]): void
  /** Bytes handed to write and not yet taken by the kernel. */
  readonly bufferedBytes: number
  /** Stops and restarts onData: back-pressure on the sender. */
  pause(): void
  resume(): void
  /** Has the operating system ask after a silent peer so often; 0: never. */
  setKeepAlive(seconds: number): void
  /** Sends what is queued, then closes. */
  end(): void
  /** Closes now; queued bytes may be lost. */
  destroy(): void
}

export interface Listener {
  readonly address: string
  close(done: () => void): void
}

export type ListenError = 'address-in-use' | 'denied' | 'failed'

export interface Network {
  listen(
    address: string,
    onConnection: (connection: Connection) => void,
    done: (error: { readonly code: ListenError; readonly message: string } | null, listener: Listener | null) => void,
  ): void
  /** `done` runs once: with a connection, or with the reason why there is none. `timeoutMs` bounds the attempt. */
  connect(address: string, timeoutMs: number, done: (error: string | null, connection: Connection | null) => void): void
}
