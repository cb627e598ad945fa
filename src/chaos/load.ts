/**
 * Clients for runs against real processes. Writers set unique values on shared keys (blindly, or by compare-and-set on what they last
 * saw) and append to a journal of their own; readers read the shared keys. Every call and return on the shared keys is recorded for the
 * linearizability checker; `check` adds final reads of everything through every node.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Prng } from '../base/prng.ts'
import type { RespReply } from '../cli/resp-reply.ts'
import { HistoryRecorder } from '../simulation/history.ts'
import { checkHistory } from '../simulation/linearizability.ts'
import { type RegisterOperation, type RegisterResult, registerModel } from '../simulation/register-model.ts'
import { Journal } from './journal.ts'
import { kindOfReply, RovingClient, textOf } from './roving-client.ts'
import type { WriteWatch } from './write-watch.ts'

export interface LoadOptions {
  readonly addresses: readonly string[]
  readonly groupOf: (key: string) => number
  readonly watch: WriteWatch
  /** Of every key; a fresh one for a fresh history. */
  readonly prefix: string
  readonly writers: number
  readonly readers: number
  readonly keys: number
  /** Pause of each client between two commands, on average. */
  readonly thinkMs: number
  readonly maxOperations: number
}

export interface LoadVerdict {
  readonly violations: readonly string[]
  /** A key whose search was given up; null: all were decided. */
  readonly undecided: string | null
}

const JOURNAL_SHARE = 0.5
const CAS_SHARE = 0.25
const MAX_FINDINGS = 50
const FINAL_READ_CLIENT = -1
const FINAL_READ_TRIES = 50

export class Load {
  readonly #options: LoadOptions
  readonly #random: Prng
  readonly #recorder: HistoryRecorder<RegisterOperation, RegisterResult>
  readonly #journals: Journal[] = []
  readonly #findings: string[] = []
  readonly #running: Promise<void>[] = []
  #stopping = false
  #operations = 0
  #acknowledged = 0
  #unknown = 0

  constructor(options: LoadOptions, random: Prng) {
    this.#options = options
    this.#random = random
    // The final reads need room too: one of each key through each node.
    const maxOperations = options.maxOperations + options.keys * options.addresses.length
    this.#recorder = new HistoryRecorder({ nowMs: () => performance.now(), maxOperations })
  }

  /** Commands sent. */
  get operations(): number {
    return this.#operations
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Commands whose outcome nobody told. */
  get unknown(): number {
    return this.#unknown
  }

  /** Clients have stopped: time for a new load with a new history. */
  get full(): boolean {
    return this.#operations >= this.#options.maxOperations
  }

  start(): void {
    const { writers, readers, prefix } = this.#options
    for (let id = 0; id < writers; id++) {
      const journal = new Journal(`${prefix}journal-${id}`)
      this.#journals.push(journal)
      this.#running.push(this.#writer(id, journal, this.#random.fork()))
    }
    for (let id = writers; id < writers + readers; id++) this.#running.push(this.#reader(id, this.#random.fork()))
  }

  /** Ends when every client has its last answer. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#running)
  }

  /** After `stop`, with all nodes up: final reads of everything through every node, then the whole history. */
  async check(): Promise<LoadVerdict> {
    for (const address of this.#options.addresses) await this.#readAll(address)
    const violations = [...this.#findings, ...(await this.checkJournals())]
    const verdict = checkHistory(registerModel, this.#recorder.history())
    if (verdict.kind === 'violation') violations.push(`not linearizable: ${verdict.explanation}`)
    return { violations, undecided: verdict.kind === 'undecided' ? verdict.key : null }
  }

  /** What is wrong with the journals, read through every node; also long after the load has ended. */
  async checkJournals(): Promise<string[]> {
    const wrong = new Set<string>()
    for (const address of this.#options.addresses) {
      const client = new RovingClient([address], this.#random)
      for (const journal of this.#journals) {
        const reply = await patiently(client, 'GET', journal.key)
        const problem =
          kindOfReply(reply) === 'done'
            ? journal.check(textOf(reply))
            : `${journal.key} cannot be read through ${address}: ${textOf(reply) ?? 'no reply'}`
        if (problem !== null) wrong.add(problem)
      }
      client.close()
    }
    return [...wrong]
  }

  async #readAll(address: string): Promise<void> {
    const client = new RovingClient([address], this.#random)
    for (let index = 0; index < this.#options.keys; index++) {
      const key = this.#key(index)
      const call = this.#recorder.call(FINAL_READ_CLIENT, key, { kind: 'get' })
      const reply = await patiently(client, 'GET', key)
      this.#settle(call, key, { kind: 'get' }, reply)
      if (kindOfReply(reply) === 'done') continue
      this.#find(`${key} cannot be read through ${address}: ${textOf(reply) ?? 'no reply'}`)
    }
    client.close()
  }

  async #writer(id: number, journal: Journal, random: Prng): Promise<void> {
    const client = new RovingClient(this.#options.addresses, random)
    /** What this writer knows of the keys: what its compare-and-set expects. */
    const seen = new Map<string, string | null>()
    let sequence = 0
    while (await this.#goOn(client, random)) {
      if (random.chance(JOURNAL_SHARE)) {
        await this.#append(client, journal)
        continue
      }
      const key = this.#key(random.below(this.#options.keys))
      const value = `${id}-${sequence++}`
      const operation: RegisterOperation = random.chance(CAS_SHARE)
        ? { kind: 'cas', expected: seen.get(key) ?? null, value }
        : { kind: 'set', value }
      const result = await this.#run(id, client, key, operation)
      if (result === null) seen.delete(key)
      else seen.set(key, result.kind === 'current' ? result.value : value)
    }
    client.close()
  }

  async #reader(id: number, random: Prng): Promise<void> {
    const client = new RovingClient(this.#options.addresses, random)
    while (await this.#goOn(client, random)) {
      await this.#run(id, client, this.#key(random.below(this.#options.keys)), { kind: 'get' })
    }
    client.close()
  }

  /** Thinks, then sees to it that the client has a node; false: the load ends. */
  async #goOn(client: RovingClient, random: Prng): Promise<boolean> {
    for (;;) {
      await delay(random.unit() * 2 * this.#options.thinkMs)
      if (this.#stopping || this.full) return false
      if ((await client.connected()) && !this.#stopping && !this.full) return true
    }
  }

  async #append(client: RovingClient, journal: Journal): Promise<void> {
    const sequence = journal.next()
    const calledAtMs = performance.now()
    this.#operations++
    const reply = await client.call('APPEND', journal.key, Journal.entry(sequence))
    switch (kindOfReply(reply)) {
      case 'done':
        journal.acknowledged(sequence)
        return this.#wrote(journal.key, calledAtMs)
      case 'refused':
        return
      case 'wrong':
        this.#find(`append answered ${textOf(reply)}`)
    }
    this.#unknown++
    journal.unknown(sequence)
  }

  /** Null: refused or unknown. */
  async #run(
    id: number,
    client: RovingClient,
    key: string,
    operation: RegisterOperation,
  ): Promise<RegisterResult | null> {
    const calledAtMs = performance.now()
    this.#operations++
    const call = this.#recorder.call(id, key, operation)
    const result = this.#settle(call, key, operation, await client.call(...wordsOf(key, operation)))
    if (result?.kind === 'ok') this.#wrote(key, calledAtMs)
    else if (result !== null) this.#acknowledged++
    return result
  }

  #settle(
    call: number,
    key: string,
    operation: RegisterOperation,
    reply: RespReply | undefined,
  ): RegisterResult | null {
    const kind = kindOfReply(reply)
    const result = kind === 'done' ? resultOf(operation, reply) : null
    if (result !== null) this.#recorder.ok(call, result)
    else if (kind === 'refused') this.#recorder.failed(call)
    else {
      if (kind !== 'unknown') this.#find(`${operation.kind} of ${key} answered ${textOf(reply)?.slice(0, 100)}`)
      this.#unknown++
      this.#recorder.unknown(call)
    }
    return result
  }

  #wrote(key: string, calledAtMs: number): void {
    this.#acknowledged++
    this.#options.watch.acknowledged(this.#options.groupOf(key), calledAtMs, performance.now())
  }

  #key(index: number): string {
    return `${this.#options.prefix}key-${index}`
  }

  #find(what: string): void {
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push(what)
  }
}

/** A node that has just come back may have to be asked again. */
async function patiently(client: RovingClient, ...words: readonly string[]): Promise<RespReply | undefined> {
  for (let tries = 1; ; tries++) {
    const reply = (await client.connected()) ? await client.call(...words) : undefined
    const kind = kindOfReply(reply)
    if (kind === 'done' || kind === 'wrong' || tries >= FINAL_READ_TRIES) return reply
    await delay(100)
  }
}

/** On the wire a value has a tail that follows from it, so that a value that was cut or mixed up shows. Up to 2 KiB. */
function padded(value: string): string {
  let hash = 0
  for (let i = 0; i < value.length; i++) hash = (hash * 31 + value.charCodeAt(i)) % 2039
  return `${value}:${'x'.repeat(hash)}`
}

/** Undefined: this is no value that any writer has written. */
function unpadded(text: string | null): string | null | undefined {
  if (text === null) return null
  const value = text.slice(0, text.indexOf(':'))
  return padded(value) === text ? value : undefined
}

function wordsOf(key: string, operation: RegisterOperation): string[] {
  if (operation.kind === 'get') return ['GET', key]
  if (operation.kind === 'set') return ['SET', key, padded(operation.value)]
  if (operation.kind !== 'cas') throw new Error(`the load has no ${operation.kind}`)
  const { expected, value } = operation
  return ['KV.CAS', key, expected === null ? 'NX' : padded(expected), padded(value)]
}

/** Null: a reply that this command never has. */
function resultOf(operation: RegisterOperation, reply: RespReply | undefined): RegisterResult | null {
  if (operation.kind === 'set') return reply === 'OK' ? { kind: 'ok' } : null
  if (operation.kind === 'get') {
    const value = unpadded(textOf(reply))
    return value === undefined ? null : { kind: 'value', value }
  }
  if (!Array.isArray(reply)) return null
  const [done, current] = reply as readonly RespReply[]
  const value = unpadded(textOf(current))
  if (value === undefined) return null
  if (Number(done) === 1) return operation.kind === 'cas' && value === operation.value ? { kind: 'ok' } : null
  return Number(done) === 0 ? { kind: 'current', value } : null
}
