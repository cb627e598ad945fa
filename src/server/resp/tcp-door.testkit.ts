/** A door on a real TCP port, a real redis-server beside it, and raw sockets to both. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer, connect as dial, type Socket } from 'node:net'
import { Prng } from '../../base/prng.ts'
import { NodeClock } from '../../platform/node-clock.ts'
import { NodeNetwork } from '../../platform/node-network.ts'
import { SILENT_LOGGER } from '../../ports/logger.ts'
import { LONELY_BUS, TEST_NODE_INFO } from './door.testkit.ts'
import { MemoryRouter, type MemoryRouterOptions } from './memory-router.testkit.ts'
import { splitReplies } from './reply-splitter.testkit.ts'
import { RespServer, type RespServerSettings } from './resp-server.ts'

export interface TcpDoor {
  readonly port: number
  readonly server: RespServer
  readonly router: MemoryRouter
  stop(): Promise<void>
}

export async function startTcpDoor(
  settings: Partial<RespServerSettings> = {},
  routerOptions: MemoryRouterOptions = {},
): Promise<TcpDoor> {
  const clock = new NodeClock()
  const router = new MemoryRouter(clock, routerOptions)
  const options = { address: '127.0.0.1:0', nodeInfo: TEST_NODE_INFO, ...settings }
  const server = new RespServer(new NodeNetwork(), clock, new Prng(1), router, LONELY_BUS, SILENT_LOGGER, options)
  await new Promise<void>((resolve, reject) => {
    server.start((error) => (error === null ? resolve() : reject(new Error(error.message))))
  })
  return {
    port: Number(server.address.split(':')[1]),
    server,
    router,
    stop: () => new Promise((resolve) => server.stop(resolve)),
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export interface RealRedis {
  readonly port: number
  stop(): Promise<void>
}

/** Debian's redis-server 7.0.15, in memory only. */
export async function startRealRedis(): Promise<RealRedis> {
  const port = await freePort()
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--databases',
    '1',
    '--rdbcompression',
    'no',
  ]
  const child: ChildProcess = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/tmp' })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    let log = ''
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`redis-server ended: ${log}`)))
    child.stdout?.on('data', (bytes: Buffer) => {
      log += bytes.toString()
      if (log.includes('Ready to accept connections')) resolve()
    })
  })
  return {
    port,
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}

export class RawClient {
  received = ''
  closed = false
  readonly #socket: Socket
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => {
      this.received += bytes.toString('latin1')
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = dial(port, '127.0.0.1')
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  send(text: string): void {
    this.#socket.write(Buffer.from(text, 'latin1'))
  }

  /** Sends requests and waits for as many replies. */
  async replies(text: string, count: number): Promise<string[]> {
    this.send(text)
    for (;;) {
      const { replies, rest } = splitReplies(this.received)
      if (replies.length >= count || this.closed) {
        this.received = rest
        return replies
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** All that comes until the other side closes. */
  async untilClosed(text: string): Promise<string> {
    this.send(text)
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.received
  }

  end(): void {
    this.#socket.destroy()
  }
}

export function encodeRequest(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}
