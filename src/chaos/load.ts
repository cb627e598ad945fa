/**
 * Clients for runs against real processes: writers with unique values and readers on shared keys, every call and return recorded for the
 * linearizability checker. A client whose connection breaks, or that waits too long, goes to another node; what was unanswered is unknown.
 */

import type { Prng } from '../base/prng.ts'
import { RespClient } from '../cli/resp-client.ts'
import { RespError, type RespReply } from '../cli/resp-reply.ts'
import { HistoryRecorder } from '../simulation/history.ts'
import type { RegisterOperation, RegisterResult } from '../simulation/register-model.ts'

export interface LoadOptions {
  readonly addresses: readonly string[]
  readonly writers: number
  readonly readers: number
  readonly keys: number
  /** Pause of each client between two commands, on average. */
  readonly thinkMs: number
  readonly maxOperations: number
}

const CONNECT_TIMEOUT_MS = 1_000
const REPLY_TIMEOUT_MS = 8_000

export class Load {
  readonly recorder: HistoryRecorder<RegisterOperation, RegisterResult>
  readonly findings: string[] = []
  readonly #options: LoadOptions
  readonly #random: Prng
  readonly #running: Promise<void>[] = []
  #stopping = false

  constructor(options: LoadOptions, random: Prng) {
    this.#options = options
    this.#random = random
    this.recorder = new HistoryRecorder({ nowMs: () => performance.now(), maxOperations: options.maxOperations })
  }

  start(): void {
    for (let id = 0; id < this.#options.writers + this.#options.readers; id++) this.#running.push(this.#client(id))
  }

  /** Ends when every client has its last answer. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#running)
  }

  /** Reads every key once through one node: what was acknowledged must be there. */
  async readAll(address: string): Promise<void> {
    const client = await RespClient.connect(address, CONNECT_TIMEOUT_MS)
    for (let key = 0; key < this.#options.keys; key++) await this.#run(-1, client, `key-${key}`, { kind: 'get' })
    client.close()
  }

  async #client(id: number): Promise<void> {
    const reads = id >= this.#options.writers
    let client: RespClient | null = null
    let sequence = 0
    while (!this.#stopping && !this.recorder.full) {
      if (client === null || !client.isOpen) client = await this.#connect()
      if (client !== null) {
        const key = `key-${this.#random.below(this.#options.keys)}`
        const alive = await this.#run(id, client, key, reads ? { kind: 'get' } : this.#write(id, sequence++))
        if (!alive) client.close()
      }
      await pause(this.#random.unit() * 2 * this.#options.thinkMs)
    }
    client?.close()
  }

  #write(id: number, sequence: number): RegisterOperation {
    const value = `${id}-${sequence}`
    return this.#random.chance(0.9) ? { kind: 'set', value } : { kind: 'cas', expected: null, value }
  }

  async #connect(): Promise<RespClient | null> {
    try {
      return await RespClient.connect(this.#random.pick(this.#options.addresses), CONNECT_TIMEOUT_MS)
    } catch {
      // A dead node: the next round tries another one.
      return null
    }
  }

  /** False: the connection is of no more use. */
  async #run(id: number, client: RespClient, key: string, operation: RegisterOperation): Promise<boolean> {
    const { recorder } = this
    if (recorder.full) return true
    const call = recorder.call(id, key, operation)
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no reply')), REPLY_TIMEOUT_MS)
    })
    try {
      const reply = await Promise.race([client.call(...wordsOf(key, operation)), silence])
      this.#settle(call, operation, reply)
      return true
    } catch {
      recorder.unknown(call)
      return false
    } finally {
      clearTimeout(timer)
    }
  }

  #settle(call: number, operation: RegisterOperation, reply: RespReply): void {
    const { recorder } = this
    if (reply instanceof RespError) {
      if (/^(CLUSTERDOWN|BUSY|DISKFULL)/.test(reply.message)) return recorder.failed(call)
      if (!reply.message.startsWith('UNCERTAIN')) this.findings.push(`${operation.kind} answered ${reply.message}`)
      return recorder.unknown(call)
    }
    const text = textOf(reply)
    if (operation.kind === 'get') return recorder.ok(call, { kind: 'value', value: text })
    if (operation.kind === 'set') return recorder.ok(call, { kind: 'ok' })
    if (!Array.isArray(reply)) {
      this.findings.push(`${operation.kind} answered ${String(reply)}`)
      return recorder.unknown(call)
    }
    const [done, current] = reply
    recorder.ok(call, Number(done) === 1 ? { kind: 'ok' } : { kind: 'current', value: textOf(current) })
  }
}

function wordsOf(key: string, operation: RegisterOperation): string[] {
  if (operation.kind === 'get') return ['GET', key]
  if (operation.kind === 'set') return ['SET', key, operation.value]
  if (operation.kind === 'cas')
    return ['KV.CAS', key, ...(operation.expected === null ? ['NX'] : [operation.expected]), operation.value]
  throw new Error(`the load has no ${operation.kind}`)
}

function textOf(value: RespReply | undefined): string | null {
  if (value === null || value === undefined) return null
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  return String(value)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
