/**
 * What the simulated clients do: a mix of reads, writes, compare-and-sets, counters, transactions and multi-key commands on a few shared
 * keys, recorded for the linearizability checker; and three kinds of clients that check themselves: `order` (one connection's
 * pipelined commands on one key run in order), `expiry` (a key that has expired never shows again) and sessions (session-client.ts).
 */
import { BallastClient } from './ballast-client.ts'
import { HistoryRecorder } from './history.ts'
import type { RegisterOperation, RegisterResult } from './register-model.ts'
import type { RespValue } from './resp-reader.ts'
import type { Scheduler } from './scheduler.ts'
import { SessionClient } from './session-client.ts'
import type { ClientReply } from './sim-client.ts'
import type { SimCluster } from './sim-cluster.ts'
import { fate, WorkloadClient } from './workload-client.ts'

export interface WorkloadOptions {
  readonly clients: number
  readonly keys: number
  readonly pipelineMax: number
  /** Mean pause of a client between two commands. */
  readonly thinkMs: number
  readonly valueBytesMax: number
  readonly maxOperations: number
  /** Beside the others: clients that send the whole table's commands (session-client.ts). */
  readonly sessions: number
  readonly slotCount: number
  /** Between groups, at any time. */
  readonly slotsMove?: boolean
  /** Of a client with nothing but many keys (ballast-client.ts); 0: none. */
  readonly ballastKeys?: number
}

export type RegisterHistory = HistoryRecorder<RegisterOperation, RegisterResult>

const REPLY_TIMEOUT_MS = 9_000
const KEY_LIFE_MS = 6_000

export class Workload {
  readonly recorder: RegisterHistory
  readonly findings: string[] = []
  operationsOk = 0
  operationsUnknown = 0
  operationsFailed = 0
  /** Of the sessions: how often each command of the table was answered without an error. */
  readonly commands: Record<string, number> = {}
  readonly coverage: Record<string, number> = {}
  readonly #scheduler: Scheduler
  readonly #options: WorkloadOptions
  readonly #clients: WorkloadClient[]

  constructor(scheduler: Scheduler, cluster: SimCluster, options: WorkloadOptions) {
    this.#scheduler = scheduler
    this.#options = options
    this.recorder = new HistoryRecorder({ nowMs: () => scheduler.nowMs, maxOperations: options.maxOperations })
    const addresses = cluster.hosts.map((host) => cluster.respAddress(host.nodeId))
    const roles = Array.from({ length: options.clients }, (_, i) => (i === 0 ? 'order' : i === 1 ? 'expiry' : 'mixed'))
    this.#clients = roles.map((role, i): WorkloadClient => {
      const context = { scheduler, workload: this, options, id: i }
      const settings = { name: `c${i}`, addresses, replyTimeoutMs: REPLY_TIMEOUT_MS }
      const network = cluster.clientNetwork(i)
      if (role === 'order') return new OrderClient(context, network, settings)
      if (role === 'expiry') return new ExpiryClient(context, network, settings)
      return new MixedClient(context, network, settings)
    })
    if ((options.ballastKeys ?? 0) > 0) {
      const id = options.clients + options.sessions
      const context = { scheduler, workload: this, options, id }
      const settings = { name: `c${id}`, addresses, replyTimeoutMs: REPLY_TIMEOUT_MS }
      this.#clients.push(new BallastClient(context, cluster.clientNetwork(id), settings))
    }
    for (let i = 0; i < options.sessions; i++) {
      const id = options.clients + i
      const context = { scheduler, workload: this, options, id }
      const settings = { name: `c${id}`, addresses, replyTimeoutMs: REPLY_TIMEOUT_MS }
      this.#clients.push(new SessionClient(context, cluster.clientNetwork(id), settings, options.slotCount))
    }
  }

  start(): void {
    for (const client of this.#clients) client.start()
  }

  /** No new commands; what is under way goes on. */
  drain(): void {
    for (const client of this.#clients) client.draining = true
  }

  get unanswered(): number {
    return this.#clients.reduce((sum, client) => sum + client.unanswered, 0)
  }

  /** How many acknowledged operations each client has, to see that all of them get on once the faults are over. */
  progress(): number[] {
    return this.#clients.map((client) => client.acknowledged)
  }

  stop(): void {
    for (const client of this.#clients) client.stop()
  }

  get sessions(): number {
    return this.#options.sessions
  }

  /** False: no session has a connection. */
  flushEverything(): boolean {
    return this.#clients.some((client) => client instanceof SessionClient && client.flushEverything())
  }

  count(what: string): void {
    this.coverage[what] = (this.coverage[what] ?? 0) + 1
  }

  countCommand(name: string): void {
    this.commands[name] = (this.commands[name] ?? 0) + 1
  }

  finding(message: string): void {
    if (this.findings.length < 20) this.findings.push(`at ${this.#scheduler.nowMs.toFixed(0)} ms: ${message}`)
  }

  get mixedKeys(): number {
    return this.#options.keys
  }
}

/** What a reply means in the register's words; null: not what this command may answer. */
function resultOf(operation: RegisterOperation, value: RespValue): RegisterResult | null {
  switch (operation.kind) {
    case 'get':
      if (value.kind === 'bulk') return { kind: 'value', value: value.text }
      return value.kind === 'null' ? { kind: 'value', value: null } : null
    case 'set':
      return value.kind === 'simple' && value.text === 'OK' ? { kind: 'ok' } : null
    case 'cas': {
      if (value.kind !== 'array' || value.items.length !== 2) return null
      const [done, current] = value.items
      if (done.kind !== 'integer') return null
      if (done.value === 1) return { kind: 'ok' }
      if (current.kind === 'null') return { kind: 'current', value: null }
      return current.kind === 'bulk' ? { kind: 'current', value: current.text } : null
    }
    case 'incr':
      if (value.kind === 'error') return value.text.includes('not an integer') ? { kind: 'not-an-integer' } : null
      return value.kind === 'integer' ? { kind: 'number', value: value.value } : null
    case 'del':
    case 'append':
      return value.kind === 'integer' ? { kind: 'number', value: value.value } : null
  }
}

class MixedClient extends WorkloadClient {
  #sequence = 0
  /** WATCH is the connection's: one transaction at a time. */
  #watching = false

  protected round(): void {
    const { random } = this.context.scheduler
    const depth = random.between(1, this.context.options.pipelineMax)
    if (this.client.unanswered >= this.context.options.pipelineMax) return
    for (let i = 0; i < depth; i++) {
      if (this.context.workload.recorder.length + 8 >= this.context.options.maxOperations) return
      const dice = random.unit()
      if (dice < 0.06 && !this.#watching) this.#transaction()
      else if (dice < 0.1) this.#many(true)
      else if (dice < 0.14) this.#many(false)
      else this.#single(dice)
    }
  }

  #value(): string {
    const { random } = this.context.scheduler
    const { valueBytesMax } = this.context.options
    const pad = random.chance(0.1) ? random.below(valueBytesMax) : 0
    return `${this.context.id}-${this.#sequence++}${pad > 0 ? `-${'x'.repeat(pad)}` : ''}`
  }

  /** Counters and journals go on to fresh keys every few seconds: what unknown outcomes may have done to them multiplies for the checker. */
  #key(prefix: string): string {
    const { scheduler, options } = this.context
    const age = prefix === 'k' ? '' : `@${Math.floor(scheduler.nowMs / KEY_LIFE_MS)}`
    return `${prefix}${scheduler.random.below(options.keys)}${age}`
  }

  #single(dice: number): void {
    const { random } = this.context.scheduler
    if (dice < 0.45) return this.#send(this.#key(random.pick(['k', 'n', 'a'])), { kind: 'get' })
    if (dice < 0.65) return this.#send(this.#key('k'), { kind: 'set', value: this.#value() })
    if (dice < 0.75) {
      const expected = random.chance(0.3) ? null : (this.#lastSeen.get('any') ?? '0-0')
      return this.#send(this.#key('k'), { kind: 'cas', expected, value: this.#value() })
    }
    if (dice < 0.88) return this.#send(this.#key('n'), { kind: 'incr', by: random.between(1, 3) })
    // Three clients at most: many unknown appends to one key are more than the checker can decide.
    if (dice < 0.93 && this.context.id <= 4)
      return this.#send(this.#key('a'), { kind: 'append', value: `${this.context.id}.${this.#sequence++};` })
    return this.#send(this.#key(random.pick(['k', 'n', 'a'])), { kind: 'del' })
  }

  readonly #lastSeen = new Map<string, string>()

  #send(key: string, operation: RegisterOperation): void {
    const { recorder } = this.context.workload
    const id = recorder.call(this.context.id, key, operation)
    this.client.send(wordsOf(key, operation), (reply) => this.#settle(id, operation, reply))
  }

  #settle(id: number, operation: RegisterOperation, reply: ClientReply): void {
    const { recorder } = this.context.workload
    const of = fate(reply)
    this.countFate(of)
    if (of === 'failed') recorder.failed(id)
    else if (of === 'unknown' || reply.kind === 'lost') recorder.unknown(id)
    else {
      const result = resultOf(operation, reply.value)
      if (result === null) {
        this.context.workload.finding(`${operation.kind} answered ${JSON.stringify(reply.value)}`)
        return recorder.unknown(id)
      }
      if (result.kind === 'value' && result.value !== null) this.#lastSeen.set('any', result.value)
      recorder.ok(id, result)
    }
  }

  /** GET under WATCH, then SET in MULTI: a compare-and-set made of parts. */
  #transaction(): void {
    const { recorder } = this.context.workload
    const key = this.#key('k')
    const value = this.#value()
    const get: RegisterOperation = { kind: 'get' }
    this.#watching = true
    this.client.send(['WATCH', key], () => {})
    const getId = recorder.call(this.context.id, key, get)
    this.client.send(['GET', key], (reply) => {
      this.#settle(getId, get, reply)
      if (fate(reply) !== 'ok' || reply.kind === 'lost') {
        this.#watching = false
        if (this.client.connected) this.client.send(['UNWATCH'], () => {})
        return
      }
      const seen = reply.value.kind === 'bulk' ? reply.value.text : null
      if (recorder.length + 8 >= this.context.options.maxOperations || !this.client.connected) this.#watching = false
      else this.#exec(key, seen, value)
    })
  }

  #exec(key: string, expected: string | null, value: string): void {
    const { recorder } = this.context.workload
    const operation: RegisterOperation = { kind: 'cas', expected, value }
    const id = recorder.call(this.context.id, key, operation)
    this.client.send(['MULTI'], () => {})
    this.client.send(['SET', key, value], () => {})
    this.client.send(['EXEC'], (reply) => {
      this.#watching = false
      const of = fate(reply)
      this.countFate(of)
      if (of === 'unknown' || reply.kind === 'lost') recorder.unknown(id)
      // Null: the version had changed (or the watch was refused): it did not run.
      else if (of === 'failed' || reply.value.kind === 'null') recorder.failed(id)
      else if (reply.value.kind === 'array') recorder.ok(id, { kind: 'ok' })
      else {
        this.context.workload.finding(`EXEC answered ${JSON.stringify(reply.value)}`)
        recorder.unknown(id)
      }
    })
  }

  /** MGET or MSET over several slots: not atomic together, so each key is an operation of its own. */
  #many(writes: boolean): void {
    const { recorder } = this.context.workload
    const keys = [...new Set([this.#key('k'), this.#key('k'), this.#key('k')])]
    const operations = keys.map((key): { key: string; operation: RegisterOperation } => ({
      key,
      operation: writes ? { kind: 'set', value: this.#value() } : { kind: 'get' },
    }))
    const ids = operations.map(({ key, operation }) => recorder.call(this.context.id, key, operation))
    const words = operations.flatMap(({ key, operation }) =>
      operation.kind === 'set' ? [key, operation.value] : [key],
    )
    this.client.send([writes ? 'MSET' : 'MGET', ...words], (reply) => {
      const of = fate(reply)
      this.countFate(of)
      for (const [i, id] of ids.entries()) {
        const { operation } = operations[i]
        // One part may have run where another was refused: whatever is no success is unknown.
        if (of !== 'ok' || reply.kind === 'lost') {
          recorder.unknown(id)
          continue
        }
        const part = writes ? reply.value : reply.value.kind === 'array' ? reply.value.items[i] : reply.value
        const result = resultOf(operation, part)
        if (result === null) {
          this.context.workload.finding(`${writes ? 'MSET' : 'MGET'} answered ${JSON.stringify(reply.value)}`)
          recorder.unknown(id)
          continue
        }
        recorder.ok(id, result)
      }
    })
  }
}

function wordsOf(key: string, operation: RegisterOperation): string[] {
  switch (operation.kind) {
    case 'get':
      return ['GET', key]
    case 'set':
      return ['SET', key, operation.value]
    case 'cas':
      return operation.expected === null
        ? ['KV.CAS', key, 'NX', operation.value]
        : ['KV.CAS', key, operation.expected, operation.value]
    case 'del':
      return ['DEL', key]
    case 'incr':
      return ['INCRBY', key, String(operation.by)]
    case 'append':
      return ['APPEND', key, operation.value]
  }
}

/** Pipelines SET and GET on a key of its own: each GET must show the SET before it, whatever was refused and sent again. */
class OrderClient extends WorkloadClient {
  #next = 0
  #busy = false
  /** A write whose outcome is unknown may run at any later time: then the client goes on with another key. */
  #key = 0

  protected round(): void {
    if (this.#busy || this.client.unanswered > 0) return
    this.#busy = true
    const key = `order${this.#key}`
    const depth = this.context.scheduler.random.between(2, 6)
    let open = 2 * depth
    let doubtful = false
    for (let i = 0; i < depth; i++) {
      const value = String(this.#next++)
      const settled = (): void => {
        open--
        if (open === 0) this.#busy = false
      }
      this.client.send(['SET', key, value], (reply) => {
        const of = fate(reply)
        this.countFate(of)
        if (of !== 'ok' && !doubtful) {
          doubtful = true
          this.#key++
        }
        settled()
      })
      this.client.send(['GET', key], (reply) => {
        const of = fate(reply)
        this.countFate(of)
        if (of === 'ok' && !doubtful && reply.kind === 'reply') {
          if (reply.value.kind !== 'bulk' || reply.value.text !== value) {
            this.context.workload.finding(
              `order: GET after SET ${value} on one connection gave ${JSON.stringify(reply.value)}`,
            )
          }
        }
        settled()
      })
    }
  }
}

/**
 * Sets a key with a short life, watches it go, and sees that it stays gone: by reads, and by a compare-and-set that never succeeds, which
 * looks at the key from within the log.
 */
class ExpiryClient extends WorkloadClient {
  #generation = 0
  #key = ''
  #state: 'unset' | 'setting' | 'alive' | 'gone' = 'unset'
  #looks = 0

  protected round(): void {
    if (this.client.unanswered > 0) return
    switch (this.#state) {
      case 'unset':
        return this.#set()
      case 'setting':
        // The connection was lost before the answer: begin again with another key.
        this.#state = 'unset'
        return
      case 'alive':
      case 'gone': {
        const { random } = this.context.scheduler
        for (let looks = random.between(1, 3); looks > 0; looks--) this.#look(random.chance(0.5))
      }
    }
  }

  #set(): void {
    this.#key = `expiring${this.#generation++}`
    this.#state = 'setting'
    this.#looks = 0
    const lifeMs = this.context.scheduler.random.between(200, 3_000)
    this.client.send(['SET', this.#key, 'v', 'PX', String(lifeMs)], (reply) => {
      const of = fate(reply)
      this.countFate(of)
      this.#state = of === 'ok' ? 'alive' : 'unset'
    })
  }

  #look(inTheLog: boolean): void {
    const words = inTheLog ? ['KV.CAS', this.#key, 'another value', 'x'] : ['GET', this.#key]
    this.client.send(words, (reply) => {
      const of = fate(reply)
      this.countFate(of)
      if (of !== 'ok' || reply.kind === 'lost' || this.#state === 'unset') return
      const seen = inTheLog && reply.value.kind === 'array' ? reply.value.items[1] : reply.value
      const absent = seen.kind === 'null'
      if (!absent && this.#state === 'gone')
        this.context.workload.finding(`expiry ran backwards: ${words.join(' ')} gave ${JSON.stringify(reply.value)}`)
      if (absent) this.#state = 'gone'
      this.#looks++
      if (this.#state === 'gone' && this.#looks > 12) this.#state = 'unset'
    })
  }
}
