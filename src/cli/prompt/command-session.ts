/**
 * Commands of one user, one after the other, over the link: the prompt's own words, what a connection holds (a transaction, watched
 * keys, subscriptions, CLIENT REPLY), and what became of a command whose connection was lost.
 */

import type { ReadLevel } from '../../client/index.ts'
import { type Failure, fail, type Outcome } from '../../platform/failure.ts'
import type { RespList, RespValue } from '../resp-value.ts'
import { ClusterLink } from './cluster-link.ts'
import { commandHelp } from './command-help.ts'
import { DataCalls, failureOf } from './data-calls.ts'
import type { Palette } from './palette.ts'
import type { PromptConnection } from './prompt-connection.ts'
import { type Shorthand, shorthandOf } from './shorthands.ts'
import { isReadOnly } from './vocabulary.ts'

export type Result =
  | {
      readonly kind: 'reply'
      readonly value: RespValue
      readonly shorthand: Shorthand | null
      readonly isPage: boolean
    }
  /** `isSetUp`: it never came to a command: wrong use, or no node. */
  | { readonly kind: 'failure'; readonly failure: Failure; readonly isSetUp: boolean }
  | { readonly kind: 'text'; readonly text: string }
  /** Nothing to show: what there is comes by events. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'leave' }

export interface SessionEvents {
  /** A message of a subscription, or another push. */
  push(value: RespList): void
  notice(text: string): void
  /** The connection is gone. */
  lost(): void
}

const SUBSCRIBING = new Set(['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE'])
const ANSWERED_BY_PUSH = new Set([...SUBSCRIBING, 'UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE'])
const ENDS_TRANSACTION = new Set(['EXEC', 'DISCARD', 'RESET'])
const STOPPED = 'stopped waiting'
/** Replies that are text for people also where they come as plain strings. */
const PAGES = /^(INFO|KV\.STATUS|CLIENT (LIST|INFO)|LATENCY (DOCTOR|GRAPH)|MEMORY DOCTOR)$/

export class CommandSession {
  readonly link: ClusterLink
  readonly #events: SessionEvents
  readonly #palette: Palette
  readonly #addresses: readonly string[]
  #data = new DataCalls()
  /** Ends the data command under way. */
  #dataCall: AbortController | null = null
  /** Of the connection, as KV.READ set it. */
  #level: ReadLevel = 'linearizable'
  #inTransaction = false
  #isWatching = false
  /** The connection was lost in the middle of one: its commands must not run one by one. */
  #lostTransaction = false
  #isSubscribed = false
  #isUnsubscribing = false
  #replies: 'on' | 'off' | 'skip-next' = 'on'
  #isStopped = false

  constructor(addresses: readonly string[], palette: Palette, events: SessionEvents) {
    this.#events = events
    this.#palette = palette
    this.#addresses = addresses
    this.link = new ClusterLink(addresses, {
      push: (value) => {
        if (!this.#isUnsubscribing) events.push(value)
      },
      lost: () => this.#onLost(),
      notice: (text) => events.notice(text),
    })
  }

  /** For a session that lasts: data commands go by the cluster's client from when that is there. */
  useCluster(): void {
    void this.#data.open(this.#addresses)
  }

  close(): void {
    this.#data.close()
    this.link.close()
  }

  /** As the prompt shows it: begun, or gone with its connection and not yet given up by the user. */
  get transaction(): 'none' | 'open' | 'lost' {
    if (this.#lostTransaction) return 'lost'
    return this.#inTransaction ? 'open' : 'none'
  }

  get isSubscribed(): boolean {
    return this.#isSubscribed
  }

  /** Never rejects. */
  async run(given: readonly Buffer[]): Promise<Result> {
    const name = given[0].toString('utf8').toUpperCase()
    if (given.length === 1 && (name === 'EXIT' || name === 'QUIT')) return { kind: 'leave' }
    if (name === 'HELP') return helpResult(commandHelp(given.slice(1).map(String), this.#palette))
    const shorthand = shorthandOf(name)
    if (shorthand === null) return this.#send(given, null)
    const count = given.length - 1
    if (count < shorthand.minArguments || count > shorthand.maxArguments) {
      return failed('usage', `wrong number of arguments for ${name.toLowerCase()}`, `usage: ${shorthand.usage}`, true)
    }
    return this.#send([Buffer.from(shorthand.command), ...given.slice(1)], shorthand)
  }

  /** Stops waiting for the command under way; its run() then ends with a failure. */
  stopWaiting(): void {
    this.#isStopped = true
    if (this.#dataCall === null) return this.link.drop()
    this.#dataCall.abort()
    // Its connections go: what a server has not begun is then never begun.
    this.#data.close()
    this.#data = new DataCalls()
    this.useCluster()
  }

  /** Ends all subscriptions; where that fails, the connection is gone and they with it. */
  async unsubscribe(): Promise<void> {
    this.#isUnsubscribing = true
    try {
      const opened = await this.link.open()
      if (opened.ok && this.#isSubscribed) await opened.value.unsubscribe()
    } catch {
      // Lost: said already.
    } finally {
      this.#isUnsubscribing = false
      this.#isSubscribed = false
    }
  }

  async #send(words: readonly Buffer[], shorthand: Shorthand | null): Promise<Result> {
    const [name, second] = words.slice(0, 2).map((word) => word.toString('latin1').toUpperCase())
    if (this.#lostTransaction) {
      const isOver = ENDS_TRANSACTION.has(name)
      if (isOver) this.#lostTransaction = false
      const mend = isOver ? 'begin it again' : 'end it with DISCARD, and begin again'
      return failed('lost-transaction', 'the transaction was lost with its connection; nothing of it was run', mend)
    }
    if (this.#isDataCommand(name, words)) return this.#sendData(words, shorthand)
    const opened = await this.link.open()
    if (!opened.ok) return { kind: 'failure', failure: opened.failure, isSetUp: true }
    this.#isStopped = false
    const connection = opened.value
    if (this.#isUnanswered(name, second, words)) {
      connection.send(words)
      return { kind: 'silent' }
    }
    try {
      const value = await connection.call(words, ANSWERED_BY_PUSH.has(name))
      this.#follow(name, words, value)
      if (value.kind === 'push') return { kind: 'silent' }
      return { kind: 'reply', value, shorthand, isPage: PAGES.test(name) || PAGES.test(`${name} ${second}`) }
    } catch (error) {
      if (ENDS_TRANSACTION.has(name)) this.#lostTransaction = false
      return { kind: 'failure', failure: this.#unanswered(words, connection, error as Error), isSetUp: false }
    }
  }

  /** It needs nothing of what this connection holds. */
  #isDataCommand(name: string, words: readonly Buffer[]): boolean {
    const isPlain = !this.#inTransaction && !this.#isWatching && !this.#isSubscribed && this.#replies === 'on'
    return isPlain && this.#data.takes(name, words)
  }

  async #sendData(words: readonly Buffer[], shorthand: Shorthand | null): Promise<Result> {
    const abort = new AbortController()
    this.#dataCall = abort
    this.#isStopped = false
    try {
      const value = await this.#data.run(words, this.#level, abort.signal)
      return { kind: 'reply', value, shorthand, isPage: false }
    } catch (error) {
      return { kind: 'failure', failure: this.#isStopped ? noReply(words, STOPPED) : failureOf(error), isSetUp: false }
    } finally {
      this.#dataCall = null
    }
  }

  /** Keeps in step with what the connection holds. */
  #follow(name: string, words: readonly Buffer[], value: RespValue): void {
    const isOk = value.kind === 'simple' && value.text === 'OK'
    if (name === 'MULTI' && isOk) this.#inTransaction = true
    if (name === 'WATCH' && isOk) this.#isWatching = true
    if (name === 'UNWATCH' && isOk) this.#isWatching = false
    if (name === 'KV.READ' && isOk) this.#level = words[1].toString('latin1').toLowerCase() as ReadLevel
    if (name === 'RESET' && value.kind === 'simple') this.#level = 'linearizable'
    if (ENDS_TRANSACTION.has(name) && words.length === 1) {
      this.#inTransaction = false
      this.#isWatching = false
    }
    if (SUBSCRIBING.has(name) && (value.kind === 'push' || value.kind === 'array')) this.#isSubscribed = true
  }

  /** CLIENT REPLY OFF and SKIP: nothing comes back, and nothing must be waited for. */
  #isUnanswered(name: string, second: string | undefined, words: readonly Buffer[]): boolean {
    const mode = name === 'CLIENT' && second === 'REPLY' ? words[2]?.toString('latin1').toUpperCase() : undefined
    if (mode === 'ON' || name === 'RESET') this.#replies = 'on'
    else if (mode === 'OFF') this.#replies = 'off'
    else if (mode === 'SKIP' && this.#replies !== 'off') {
      this.#replies = 'skip-next'
      return true
    }
    if (this.#replies !== 'skip-next') return this.#replies === 'off'
    this.#replies = 'on'
    return true
  }

  #unanswered(words: readonly Buffer[], { address }: PromptConnection, error: Error): Failure {
    if (this.#isStopped) return noReply(words, STOPPED)
    return noReply(words, `the connection to ${address} was lost before the reply came (${error.message})`)
  }

  #onLost(): void {
    if (this.#inTransaction || this.#isWatching) this.#lostTransaction = true
    this.#inTransaction = false
    this.#isWatching = false
    this.#isSubscribed = false
    this.#replies = 'on'
    this.#level = 'linearizable'
    this.#events.lost()
  }
}

function noReply(words: readonly Buffer[], why: string): Failure {
  const name = words[0].toString('latin1').toUpperCase()
  if (isReadOnly(words)) return { code: 'no-reply', message: why, mend: `ask again: ${name} changes nothing` }
  const mend = 'look before you send it again'
  return { code: 'uncertain', message: `${why}: ${name} may or may not have happened`, mend }
}

function helpResult(help: Outcome<string>): Result {
  return help.ok ? { kind: 'text', text: help.value } : { kind: 'failure', failure: help.failure, isSetUp: true }
}

function failed(code: string, message: string, mend: string, isSetUp = false): Result {
  return { kind: 'failure', failure: fail(code, message, mend).failure, isSetUp }
}

/** Did it go wrong? */
export function isFailed(result: Result): boolean {
  return result.kind === 'failure' || (result.kind === 'reply' && result.value.kind === 'error')
}
