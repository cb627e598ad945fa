/**
 * Network over TCP (node:net). Reads land in one 64 KiB buffer that all connections share (`onread`: no allocation and no stream
 * machinery a read; GET x1.14 in the prototype). Node 20 offers `onread` for dialled sockets only, so the handle of an
 * accepted one is put into a Socket of our own; where a later Node has other insides, 'data' events do the same work.
 */
import { createServer, type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { assert } from '../base/assert.ts'
import {
  type Connection,
  type ConnectionHandlers,
  HIGH_WATER_BYTES,
  type ListenError,
  type Listener,
  type Network,
} from '../ports/network.ts'

const READ_BUFFER_BYTES = 64 * 1024
/** After end(): how long the other side may take to read what is left and to close, before the connection is cut. */
const LINGER_MS = 2000
const KEEP_ALIVE_MS = 300_000
/** Linux's bound on TCP_KEEPIDLE. */
const MAX_KEEP_ALIVE_SECONDS = 32_767
const LISTEN_BACKLOG = 511

/** Valid only while one read is being handled; reads are handled one at a time. */
const sharedReadBuffer = new Uint8Array(READ_BUFFER_BYTES)

/** What Node's stream handles have counted since Node 10. */
interface CountingHandle {
  /** Bytes given to libuv; and how many of them the kernel has not taken. */
  readonly bytesWritten: number
  readonly writeQueueSize: number
}

function counts(handle: unknown): handle is CountingHandle {
  const counting = handle as Partial<CountingHandle> | null | undefined
  return typeof counting?.bytesWritten === 'number' && typeof counting.writeQueueSize === 'number'
}

interface UserBufferHandle {
  useUserBuffer(buffer: Uint8Array): void
}

function descriptorOf(handle: unknown): number {
  const descriptor = (handle as { readonly fd?: unknown } | null | undefined)?.fd
  return typeof descriptor === 'number' ? descriptor : -1
}

function takesUserBuffer(handle: unknown): handle is UserBufferHandle {
  return typeof (handle as Partial<UserBufferHandle> | null | undefined)?.useUserBuffer === 'function'
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** "host:port", "[v6 address]:port"; null where it is neither. */
export function parseAddress(address: string): HostPort | null {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address)
  if (match === null) return null
  const port = Number(match[3])
  return port > 65535 ? null : { host: match[1] ?? match[2], port }
}

export function formatAddress(host: string | undefined, port: number | undefined): string {
  const plain = (host ?? '').replace(/^::ffff:(?=\d+\.)/, '')
  return plain.includes(':') ? `[${plain}]:${port ?? 0}` : `${plain}:${port ?? 0}`
}

class NodeConnection implements Connection {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly #socket: Socket
  #handlers: ConnectionHandlers | null = null
  #state: 'open' | 'ended' | 'destroyed' | 'closed' = 'open'
  #reason = 'closed by the other side'
  #writtenBytes = 0

  constructor(socket: Socket) {
    this.#socket = socket
    this.remoteAddress = formatAddress(socket.remoteAddress, socket.remotePort)
    this.localAddress = formatAddress(socket.localAddress, socket.localPort)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#state === 'open') this.#reason = error.code ?? error.message
    })
    socket.on('end', () => {
      if (this.#state === 'open' && this.#handlers?.onEnd !== undefined) this.#handlers.onEnd()
      else socket.end()
    })
    socket.on('close', () => {
      this.#state = 'closed'
      this.#handlers?.onClose(this.#reason)
    })
  }

  setHandlers(handlers: ConnectionHandlers): void {
    assert(this.#handlers === null, 'connection: handlers are set once')
    this.#handlers = handlers
    if (handlers.onDrain !== undefined) {
      this.#socket.on('drain', () => {
        if (this.#state === 'open') handlers.onDrain?.()
      })
    }
  }

  /** From the socket's read callback. */
  receive(bytes: Uint8Array): void {
    if (this.#state === 'open') this.#handlers?.onData(bytes)
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== 'open') return
    this.#writtenBytes += bytes.length
    this.#socket.write(bytes)
  }

  writeMany(parts: readonly Uint8Array[]): void {
    if (this.#state !== 'open') return
    const socket = this.#socket
    // Corked writes leave as one writev.
    socket.cork()
    for (const part of parts) {
      this.#writtenBytes += part.length
      socket.write(part)
    }
    socket.uncork()
  }

  get bufferedBytes(): number {
    const queuedBytes = this.#socket.writableLength
    if (queuedBytes === 0) return 0
    // writableLength forgets a request only as a whole, and one writev may be megabytes: progress would not be seen.
    const handle = (this.#socket as unknown as { _handle: unknown })._handle
    return counts(handle) ? this.#writtenBytes - handle.bytesWritten + handle.writeQueueSize : queuedBytes
  }

  get descriptor(): number {
    return descriptorOf((this.#socket as unknown as { _handle: unknown })._handle)
  }

  setKeepAlive(seconds: number): void {
    this.#socket.setKeepAlive(seconds > 0, Math.min(seconds, MAX_KEEP_ALIVE_SECONDS) * 1000)
  }

  pause(): void {
    if (this.#state === 'open') this.#socket.pause()
  }

  resume(): void {
    if (this.#state === 'open') this.#socket.resume()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#reason = 'ended here'
    // Reading goes on (and is thrown away) until the other side closes: closing over unread bytes would send RST and
    // could cost the peer the last bytes written.
    this.#socket.resume()
    this.#socket.end()
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS).unref()
    this.#socket.once('close', () => clearTimeout(linger))
  }

  destroy(): void {
    if (this.#state === 'destroyed' || this.#state === 'closed') return
    this.#state = 'destroyed'
    this.#reason = 'closed here'
    this.#socket.destroy()
  }
}

interface OwnSocket {
  readonly socket: Socket
  /** Where reads go. */
  deliverTo(connection: NodeConnection): void
}

/** A socket, new or around an accepted handle, that reads into the shared buffer. */
function socketWithSharedBuffer(handle: UserBufferHandle | null): OwnSocket {
  let receiver: NodeConnection | null = null
  const onread: OnReadOpts = {
    buffer: sharedReadBuffer,
    callback: (count, buffer) => {
      receiver?.receive(buffer.subarray(0, count))
      return true
    },
  }
  const options = {
    onread,
    allowHalfOpen: true,
    writableHighWaterMark: HIGH_WATER_BYTES,
    ...(handle === null ? {} : { handle }),
  }
  const socket = new Socket(options as SocketConstructorOpts)
  return {
    socket,
    deliverTo: (connection) => {
      receiver = connection
    },
  }
}

/** `accepted` was created paused: nothing has been read from it. */
function adopt(accepted: Socket): NodeConnection {
  const inside = accepted as unknown as { _handle: unknown }
  const handle = inside._handle
  if (!takesUserBuffer(handle)) {
    const connection = new NodeConnection(accepted)
    accepted.on('data', (bytes) => connection.receive(bytes))
    accepted.resume()
    return connection
  }
  inside._handle = null
  accepted.destroy()
  const own = socketWithSharedBuffer(handle)
  const connection = new NodeConnection(own.socket)
  own.deliverTo(connection)
  return connection
}

const LISTEN_ERRORS: Readonly<Record<string, ListenError>> = {
  EADDRINUSE: 'address-in-use',
  EACCES: 'denied',
  EPERM: 'denied',
}

export class NodeNetwork implements Network {
  listen(
    address: string,
    onConnection: (connection: Connection) => void,
    done: (error: { readonly code: ListenError; readonly message: string } | null, listener: Listener | null) => void,
  ): void {
    const parsed = parseAddress(address)
    if (parsed === null) {
      setImmediate(() => done({ code: 'failed', message: `${address} is no host:port` }, null))
      return
    }
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
    server.on('connection', (accepted) => {
      onConnection(adopt(accepted))
    })
    const onListenError = (error: NodeJS.ErrnoException): void => {
      const code = LISTEN_ERRORS[error.code ?? ''] ?? 'failed'
      done({ code, message: `cannot listen on ${address}: ${error.code ?? error.message}` }, null)
    }
    server.once('error', onListenError)
    server.listen({ host: parsed.host, port: parsed.port, backlog: LISTEN_BACKLOG }, () => {
      server.off('error', onListenError)
      // Out of file descriptors while accepting: the connection waits in the backlog, this listener goes on.
      server.on('error', () => {})
      const bound = server.address()
      assert(bound !== null && typeof bound === 'object', 'network: a TCP listener has an address and a port')
      done(null, {
        address: formatAddress(parsed.host, bound.port),
        close: (closed) => {
          // The port is free at once; accepted connections are their owners' business.
          server.close()
          setImmediate(closed)
        },
      })
    })
  }

  connect(
    address: string,
    timeoutMs: number,
    done: (error: string | null, connection: Connection | null) => void,
  ): void {
    const parsed = parseAddress(address)
    if (parsed === null) {
      setImmediate(() => done(`${address} is no host:port`, null))
      return
    }
    const own = socketWithSharedBuffer(null)
    const socket = own.socket
    let settled = false
    const settle = (error: string | null, connection: Connection | null): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      done(error, connection)
    }
    const timer = setTimeout(() => {
      socket.destroy()
      settle(`no connection to ${address} in ${timeoutMs} ms`, null)
    }, timeoutMs)
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message, null))
    socket.connect({ host: parsed.host, port: parsed.port }, () => {
      if (settled) return
      const connection = new NodeConnection(socket)
      own.deliverTo(connection)
      settle(null, connection)
    })
  }
}
