/**
 * The load that a migration has to live with: half GET, half SET of 1 KiB values at random keys, through one RESP port. Pipelined clients always have
 * as many operations under way as they may, and make the throughput; paced clients begin one at fixed times, ready or not, and make the latencies (a
 * slow answer delays none of their later ones, so a pause is seen by all operations that fall into it).
 */
import { RespClient } from '../../cli/resp-client.ts'
import { RespError, type RespReply } from '../../cli/resp-reply.ts'
import { failedOperation } from '../bench-error.ts'
import type { LoadWindow } from './migration-report.ts'

export const VALUE_BYTES = 1024
const PIPELINED_CLIENTS = 8
const PIPELINE = 8
const PACED_CLIENTS = 4
const PACED_EVERY_MS = 10
const CONNECT_TIMEOUT_MS = 5_000

export function keyOf(number: number): string {
  return `m:${String(number).padStart(10, '0')}`
}

export function failWhereError(reply: RespReply): void {
  if (reply instanceof RespError)
    throw failedOperation(`the foreground load got ${reply.message}`, 'see the nodes’ logs')
}

export class ForegroundLoad {
  readonly #keys: number
  readonly #value = new Uint8Array(VALUE_BYTES).fill(0x78)
  readonly #clients: RespClient[] = []
  readonly #timers: NodeJS.Timeout[] = []
  #operations = 0
  #latenciesMs: number[] = []
  #windowStartedMs = 0
  #stopped = false
  #failure: Error | null = null

  constructor(keys: number) {
    this.#keys = keys
  }

  async start(address: string): Promise<void> {
    for (let i = 0; i < PIPELINED_CLIENTS; i++) {
      const client = await this.#connect(address)
      for (let j = 0; j < PIPELINE; j++) void this.#keepGoing(client)
    }
    for (let i = 0; i < PACED_CLIENTS; i++) {
      const client = await this.#connect(address)
      this.#timers.push(setInterval(() => void this.#paced(client), PACED_EVERY_MS))
    }
    this.#windowStartedMs = performance.now()
  }

  /** What happened since the last call. Throws the first failure. */
  takeWindow(): LoadWindow {
    if (this.#failure !== null) throw this.#failure
    const nowMs = performance.now()
    const window = {
      seconds: (nowMs - this.#windowStartedMs) / 1000,
      operations: this.#operations,
      latenciesMs: this.#latenciesMs,
    }
    this.#windowStartedMs = nowMs
    this.#operations = 0
    this.#latenciesMs = []
    return window
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers) clearInterval(timer)
    for (const client of this.#clients) client.close()
  }

  async #connect(address: string): Promise<RespClient> {
    const client = await RespClient.connect(address, CONNECT_TIMEOUT_MS)
    this.#clients.push(client)
    return client
  }

  async #keepGoing(client: RespClient): Promise<void> {
    while (!this.#stopped && (await this.#operate(client))) this.#operations++
  }

  async #paced(client: RespClient): Promise<void> {
    const startedMs = performance.now()
    if (await this.#operate(client)) this.#latenciesMs.push(performance.now() - startedMs)
  }

  /** False: it failed, or all is over. */
  async #operate(client: RespClient): Promise<boolean> {
    const key = keyOf(Math.floor(Math.random() * this.#keys))
    try {
      failWhereError(Math.random() < 0.5 ? await client.call('GET', key) : await client.call('SET', key, this.#value))
      return !this.#stopped
    } catch (error) {
      if (!this.#stopped) this.#failure ??= error as Error
      return false
    }
  }
}
