/**
 * Carries calls through: to the server that leads the slot's group, to the next one where that does not answer, again where it was refused, until there
 * is an answer or the call's time is over. A write goes under one session and one number however often it is sent, so it runs once.
 *
 * Between calls that are not awaited there is no order. All bounds are counts of calls: there is nothing here that grows beside them.
 */
import { concatBytes, latin1Bytes } from '../base/bytes.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { Network } from '../ports/network.ts'
import { classify } from './classify.ts'
import { Aborted, Busy, Closed, CommandError, OutcomeUnknown, ReplyLost } from './errors.ts'
import { Attempt, type CallEvents, type PendingCall, type Trouble } from './pending-call.ts'
import { type Reply, ReplyError } from './reply.ts'
import { Server, type ServerLimits } from './server.ts'
import { SessionKeeper } from './session-keeper.ts'
import { TableKeeper } from './table-keeper.ts'
import { timeOverError } from './time-over.ts'

export interface EngineOptions extends ServerLimits {
  readonly servers: readonly string[]
  /** A server that is silent for so long is passed over for the next one. */
  readonly attemptTimeoutMs: number
  /** Calls that have no answer; one more is refused. */
  readonly maxUnanswered: number
}

/** Deadlines, silent servers and the times for asking again are looked at so often, while there are calls. */
const SWEEP_EVERY_MS = 10
const SUSPECT_FOR_MS = 2_000
const PAUSE_MIN_MS = 5
const PAUSE_MAX_MS = 200
/** How long beyond its deadline a write's last attempt may be carried on behind the doors. */
const RETRY_MARGIN_MS = 5_000
const STALE_BEFORE_UNCHECKED = 3

export class CallEngine implements CallEvents {
  readonly table: TableKeeper
  readonly #options: EngineOptions
  readonly #network: Network
  readonly #clock: Clock
  readonly #servers = new Map<string, Server>()
  readonly #sessions: SessionKeeper
  readonly #calls = new Set<PendingCall>()
  /** Of them: for the slot table and the session. */
  readonly #ownCalls = new Set<PendingCall>()
  #userCalls = 0
  #sweepTimer: Timer | null = null
  #isClosed = false
  /** Where a call to any server begins: the last one that answered. */
  #current = ''
  #rotation = 0

  constructor(options: EngineOptions, network: Network, clock: Clock) {
    this.#options = options
    this.#network = network
    this.#clock = clock
    this.table = new TableKeeper(clock, (call) => this.begin(call, true))
    this.#sessions = new SessionKeeper(
      clock,
      (call) => this.begin(call, true),
      (call) => this.#aim(call),
      (call, error) => this.#end(call, error, null),
    )
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get session(): number | null {
    return this.#sessions.current
  }

  /** `isOwn`: the client asks for its own ends, which must not wait for its user. */
  begin(call: PendingCall, isOwn = false): void {
    if (this.#isClosed) return call.settle(new Closed(false), null)
    if (!isOwn && this.#userCalls >= this.#options.maxUnanswered) {
      return call.settle(new Busy(`${this.#options.maxUnanswered} calls have no answer yet: await some first`), null)
    }
    if (isOwn) this.#ownCalls.add(call)
    else this.#userCalls++
    this.#calls.add(call)
    this.#startSweeping()
    if (call.route.kind === 'slot') this.table.refreshWhenOld()
    if (call.isWrite && call.route.kind === 'slot') this.#sessions.admit(call, call.route.slot)
    else this.#aim(call)
  }

  abort(call: PendingCall, reason: unknown): void {
    this.#end(call, new Aborted(call.isWrite && mayRun(call), reason), null)
  }

  /** Ends all calls and connections. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#sweepTimer?.cancel()
    for (const call of [...this.#calls]) this.#end(call, new Closed(call.isWrite && mayRun(call)), null)
    for (const server of this.#servers.values()) server.close()
  }

  // --- One attempt ------------------------------------------------------------------------------------------------

  #aim(call: PendingCall): void {
    if (call.isEnded || call.attempt !== null) return
    const address = this.#choose(call)
    if (address === null) {
      // A round is over: everybody was asked.
      call.tried.clear()
      call.preferred = null
      call.rounds++
      return this.#pause(call)
    }
    call.preferred = null
    const attempt = new Attempt(call, address, this.#clock.monotonicMs(), this)
    call.attempt = attempt
    this.#server(address).send(this.#request(call), attempt)
  }

  #choose(call: PendingCall): string | null {
    if (call.preferred !== null && !call.tried.has(call.preferred)) return call.preferred
    let suspect: string | null = null
    for (const address of this.#candidates(call)) {
      if (call.tried.has(address)) continue
      if (!this.#server(address).isSuspect) return address
      suspect ??= address
    }
    return suspect
  }

  #candidates(call: PendingCall): readonly string[] {
    const { servers } = this.#options
    const table = this.table.current
    const all = [this.#current, ...servers, ...(table?.nodes ?? [])].filter((address) => address !== '')
    if (call.route.kind === 'any' || table === null) return all
    const members = table.addresses.get(table.groupOf[call.route.slot]) ?? []
    if (call.level !== 'stale' || call.isWrite || members.length === 0) return [...members, ...all]
    const first = this.#rotation++ % members.length
    return [...members.slice(first), ...members.slice(0, first), ...all]
  }

  #request(call: PendingCall): Uint8Array {
    if (call.route.kind === 'any') return concatBytes([latin1Bytes(`*${call.wordCount}\r\n`), call.words])
    const version = call.staleInRow >= STALE_BEFORE_UNCHECKED ? 0 : (this.table.current?.version ?? 0)
    const fields = [String(version), ...this.#identityOf(call, call.route.slot)]
    const head = fields.map((field) => `$${field.length}\r\n${field}\r\n`).join('')
    return concatBytes([latin1Bytes(`*${call.wordCount + 6}\r\n$7\r\nKV.CALL\r\n${head}`), call.words])
  }

  #identityOf(call: PendingCall, slot: number): readonly string[] {
    const { session, sequence } = call
    if (session === null) return [call.level, '0', '0', '0']
    if (call.retryUntilMs === 0) call.retryUntilMs = session.clusterMs(call.deadlineMs) + RETRY_MARGIN_MS
    const lowest = session.numbers(slot).lowestUnanswered
    return [String(session.session), String(sequence), String(lowest), String(call.retryUntilMs)]
  }

  #server(address: string): Server {
    let server = this.#servers.get(address)
    if (server === undefined) {
      server = new Server(address, this.#network, this.#clock, this.#options)
      this.#servers.set(address, server)
    }
    return server
  }

  // --- Its outcome ------------------------------------------------------------------------------------------------

  replied(call: PendingCall, address: string, reply: Reply): void {
    call.attempt = null
    this.#server(address).trust()
    if (call.route.kind === 'any') this.#current = address
    if (!(reply instanceof ReplyError)) return this.#end(call, null, reply)
    const verdict = classify(call, reply.text)
    switch (verdict.kind) {
      case 'refused':
        return this.#end(call, new CommandError(reply.text), null)
      case 'done':
        return this.#end(call, new ReplyLost(`${call.name} ran once, but its reply is lost: ${reply.text}`), null)
      case 'unknown':
        return this.#end(call, new OutcomeUnknown(`${call.name} may or may not have run: ${reply.text}`), null)
      case 'stale':
        call.staleInRow++
        call.trouble = { kind: 'unserved', text: reply.text }
        return this.table.atLeast(verdict.version, address, () => {
          if (call.staleInRow < STALE_BEFORE_UNCHECKED) this.#aim(call)
          else this.#pause(call)
        })
      default:
        return this.#askAgain(call, address, verdict.trouble, verdict.mayHaveRun)
    }
  }

  /** An answer is an answer, also when the call had been sent once more by then. */
  repliedLate(call: PendingCall, address: string, reply: Reply): void {
    if (call.isEnded || (reply instanceof ReplyError && classify(call, reply.text).kind !== 'refused')) return
    if (call.attempt !== null) call.attempt.isAbandoned = true
    this.replied(call, address, reply)
  }

  lost(call: PendingCall, address: string, wasSent: boolean, reason: string): void {
    call.attempt = null
    this.#server(address).suspect(SUSPECT_FOR_MS)
    this.table.refresh()
    const kind = wasSent ? 'silent' : 'unreachable'
    this.#askAgain(call, address, { kind, text: `${address}: ${reason}` }, wasSent && call.isWrite)
  }

  #askAgain(call: PendingCall, address: string, trouble: Trouble, mayHaveRun: boolean): void {
    call.trouble = trouble
    call.maybeRan ||= mayHaveRun
    if (mayHaveRun && call.route.kind === 'any') {
      const error = new OutcomeUnknown(`${call.name} may or may not have run: ${trouble.text}`)
      return this.#end(call, error, null)
    }
    call.tried.add(address)
    if (trouble.kind === 'redirect' && trouble.address !== '') {
      call.tried.delete(trouble.address)
      call.preferred = trouble.address
      call.rounds++
      this.table.refresh()
      return this.#pause(call)
    }
    if (trouble.kind === 'unserved') this.table.refresh()
    // Whoever is overloaded, or knows no leader, is not helped by being asked at once through the next.
    if (trouble.kind === 'busy' || trouble.kind === 'unserved') this.#pause(call)
    else this.#aim(call)
  }

  #pause(call: PendingCall): void {
    const pauseMs = Math.min(PAUSE_MIN_MS * 2 ** Math.min(call.rounds, 10), PAUSE_MAX_MS)
    call.notBeforeMs = this.#clock.monotonicMs() + pauseMs
  }

  #end(call: PendingCall, error: Error | null, reply: Reply): void {
    if (call.isEnded) return
    call.isEnded = true
    if (this.#calls.delete(call) && !this.#ownCalls.delete(call)) this.#userCalls--
    if (call.attempt !== null) call.attempt.isAbandoned = true
    call.attempt = null
    call.settle(error, reply)
    if (call.session !== null && call.route.kind === 'slot') {
      for (const next of call.session.numbers(call.route.slot).ended()) this.#aim(next)
    }
  }

  // --- Time -------------------------------------------------------------------------------------------------------

  #startSweeping(): void {
    this.#sweepTimer ??= this.#clock.setTimer(SWEEP_EVERY_MS, () => this.#sweep())
  }

  #sweep(): void {
    this.#sweepTimer = null
    const nowMs = this.#clock.monotonicMs()
    for (const call of [...this.#calls]) {
      if (nowMs >= call.deadlineMs) this.#end(call, timeOverError(call, mayRun(call)), null)
      else if (call.attempt !== null) this.#checkAttempt(call, call.attempt, nowMs)
      else if (call.notBeforeMs !== 0 && nowMs >= call.notBeforeMs) {
        call.notBeforeMs = 0
        this.#aim(call)
      }
    }
    for (const server of this.#servers.values()) server.checkSilence(nowMs)
    if (this.#calls.size > 0) this.#startSweeping()
  }

  #checkAttempt(call: PendingCall, attempt: Attempt, nowMs: number): void {
    const isSentOnce = call.isWrite && call.route.kind === 'any'
    if (isSentOnce || nowMs - attempt.startedMs < this.#options.attemptTimeoutMs) return
    attempt.isAbandoned = true
    this.lost(call, attempt.address, true, `no answer in ${this.#options.attemptTimeoutMs} ms`)
  }
}

function mayRun(call: PendingCall): boolean {
  return call.maybeRan || call.attempt?.isSent === true
}
