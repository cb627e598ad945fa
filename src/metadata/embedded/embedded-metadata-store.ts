/**
 * One session with the tree on the masters' group: the port MetadataStore. It is attached to one master at a time (master-link.ts), and sends
 * through it its writes (write-queue.ts), reads and syncs (read-queue.ts), watches (holder-watches.ts) and keepalives (heartbeat.ts).
 *
 *   connecting -- opened, and heard by a leader --> connected <--> suspended     by the keepalives' times
 *        any -- the log says so --> expired          any -- close --> closed
 *
 * Its own clock never ends a session: without an answer it is suspended, for as long as it takes to hear what became of it.
 */

import { assert } from '../../base/assert.ts'
import type { Timer } from '../../ports/clock.ts'
import type { Done, MetadataStore, SessionState, StopWatching } from '../../ports/metadata-store.ts'
import {
  encodeMetadataRead,
  encodeMetadataWrite,
  type MetadataRead,
  SESSION_NONCE_BYTES,
} from '../../protocol/metadata-command.ts'
import type { MetadataResponse, WatchKind } from '../../protocol/metadata-message.ts'
import {
  METADATA_LIMITS,
  type MetadataError,
  type MetadataNode,
  type MetadataOperation,
  type MetadataPath,
  type MetadataResult,
  type NodeStat,
} from '../../protocol/metadata-operation.ts'
import type { MetadataReply } from '../../protocol/metadata-reply.ts'
import { utf8Length } from '../../protocol/metadata-text.ts'
import { failure } from './call-outcome.ts'
import { Heartbeat } from './heartbeat.ts'
import { HolderWatches } from './holder-watches.ts'
import { LoneCommand } from './lone-command.ts'
import { type LinkPorts, MasterLink } from './master-link.ts'
import { type EmbeddedMutations, NO_EMBEDDED_MUTATIONS } from './mutations.ts'
import { ReadQueue } from './read-queue.ts'
import { SESSION_TIMEOUT_DEFAULT_MS, type SessionTimings, sessionTimings } from './session-timings.ts'
import { type QueueLimits, WriteQueue } from './write-queue.ts'

export interface EmbeddedStoreOptions {
  /** 1 to 60 seconds. */
  readonly sessionTimeoutMs: number
  /** What a call is answered within, whatever the answer; left out: the session's timeout. */
  readonly operationTimeoutMs?: number
  /** Of reads and of writes each: beyond it they are `unavailable` at once. */
  readonly callsMax: number
  readonly bytesMax: number
  readonly watchesMax: number
  readonly mutations?: Partial<EmbeddedMutations>
}

const DEFAULT_OPTIONS: EmbeddedStoreOptions = {
  sessionTimeoutMs: SESSION_TIMEOUT_DEFAULT_MS,
  callsMax: 1024,
  bytesMax: 16 * 1024 * 1024,
  watchesMax: 10_000,
}
/** What a queued call counts for beside its bytes. */
const CALL_BYTES = 64
/** No valid path is as long; what is left of a longer one is refused by the tree, with its reason. */
const PATH_UNITS_MAX = METADATA_LIMITS.maxPathBytes * 2

export class EmbeddedMetadataStore implements MetadataStore {
  readonly #ports: LinkPorts
  readonly #timings: SessionTimings
  readonly #mutations: EmbeddedMutations
  readonly #link: MasterLink
  readonly #heartbeat: Heartbeat
  readonly #command: LoneCommand
  readonly #writes: WriteQueue
  readonly #reads: ReadQueue
  readonly #watches: HolderWatches
  readonly #stateListeners = new Set<(state: SessionState) => void>()
  readonly #nonce: Uint8Array
  #state: SessionState = 'connecting'
  #session = 0
  /** The highest index that anything told to this session's holder rests on. */
  #seen = 0
  #logTimeMs = 0
  /** Null: not closing. */
  #closing: { readonly dones: (() => void)[]; readonly giveUpMs: number } | null = null
  #pumping = false
  #timer: Timer | null = null

  constructor(ports: LinkPorts, options: Partial<EmbeddedStoreOptions> = {}) {
    const chosen = { ...DEFAULT_OPTIONS, ...options }
    const { sessionTimeoutMs, operationTimeoutMs, watchesMax } = chosen
    this.#ports = ports
    this.#mutations = { ...NO_EMBEDDED_MUTATIONS, ...options.mutations }
    this.#timings = sessionTimings(sessionTimeoutMs, operationTimeoutMs ?? sessionTimeoutMs)
    this.#nonce = Uint8Array.from({ length: SESSION_NONCE_BYTES }, () => ports.random.u32() & 0xff)
    const session = (): number => this.#session
    this.#link = new MasterLink(ports, this.#timings, session, () => this.#attached())
    const { resendMs } = this.#timings
    this.#heartbeat = new Heartbeat(this.#link, this.#timings, session)
    this.#command = new LoneCommand(this.#link, resendMs, () => this.#retryUntilMs())
    this.#writes = this.#makeWrites(chosen)
    this.#reads = this.#makeReads(chosen)
    const { quietReattachment } = this.#mutations
    this.#watches = new HolderWatches(ports.clock, this.#link, resendMs, watchesMax, quietReattachment)
    this.#open()
    this.#setTimer()
    this.#pumpSoon()
  }

  #makeWrites(limits: QueueLimits): WriteQueue {
    return new WriteQueue({
      link: this.#link,
      resendMs: this.#timings.resendMs,
      limits,
      newSequenceOnRepeat: this.#mutations.newSequenceOnRepeat,
      session: () => this.#session,
      retryUntilMs: () => this.#retryUntilMs(),
      saw: (asOf) => this.#saw(asOf),
      over: () => this.#expired(),
    })
  }

  #makeReads(limits: QueueLimits): ReadQueue {
    return new ReadQueue({
      link: this.#link,
      resendMs: this.#timings.resendMs,
      limits,
      readsGoBack: this.#mutations.readsGoBack,
      session: () => this.#session,
      seen: () => this.#seen,
      saw: (asOf) => this.#saw(asOf),
      over: () => this.#expired(),
    })
  }

  get state(): SessionState {
    // The process may have stood still: what its timers have not said yet, the clock says.
    this.#checkSuspended()
    return this.#state
  }

  get sessionId(): string | null {
    return this.#session === 0 ? null : String(this.#session)
  }

  /** Names this session in messages of its node. */
  get client(): number {
    return this.#link.client
  }

  onStateChange(listener: (state: SessionState) => void): StopWatching {
    const own = (state: SessionState): void => listener(state)
    this.#stateListeners.add(own)
    return () => this.#stateListeners.delete(own)
  }

  get(path: MetadataPath, done: Done<MetadataNode>): void {
    this.#read('get', path, done, (reply) => (reply.kind === 'node' ? reply.node : undefined))
  }

  exists(path: MetadataPath, done: Done<NodeStat>): void {
    this.#read('exists', path, done, (reply) => (reply.kind === 'stat' ? reply.stat : undefined))
  }

  children(path: MetadataPath, done: Done<readonly string[]>): void {
    this.#read('children', path, done, (reply) => (reply.kind === 'children' ? reply.names : undefined))
  }

  multi(operations: readonly MetadataOperation[], done: Done<readonly MetadataResult[]>): void {
    const refusal = this.#refusal()
    if (refusal !== null) return this.#later(() => done(refusal, null))
    const tooLarge = multiProblem(operations)
    const command = tooLarge === null ? encodeMetadataWrite({ kind: 'multi', operations }) : new Uint8Array(0)
    this.#writes.add(command, this.#deadlineMs(), tooLarge, (error, answer) => {
      if (answer === null) return this.#later(() => done(error, null))
      const { reply } = answer
      assert(reply.kind === 'results', `metadata: a multi answered ${reply.kind}`)
      this.#later(() => done(null, reply.results))
    })
    this.#pumpSoon()
  }

  sync(done: Done<true>): void {
    const refusal = this.#refusal()
    if (refusal !== null) return this.#later(() => done(refusal, null))
    this.#reads.add(null, CALL_BYTES, this.#deadlineMs(), (error) =>
      this.#later(() => done(error, error === null ? true : null)),
    )
    this.#pumpSoon()
  }

  watchNode(path: MetadataPath, listener: () => void): StopWatching {
    return this.#watch('node', path, listener)
  }

  watchChildren(path: MetadataPath, listener: () => void): StopWatching {
    return this.#watch('children', path, listener)
  }

  watchTree(path: MetadataPath, listener: () => void): StopWatching {
    return this.#watch('tree', path, listener)
  }

  close(done: () => void): void {
    if (this.#isOver) return this.#later(done)
    if (this.#closing !== null) return void this.#closing.dones.push(done)
    // What was called before is answered first, within its time; then as long again for the end itself.
    const giveUpMs = this.#ports.clock.monotonicMs() + this.#timings.operationMs * 2
    this.#closing = { dones: [done], giveUpMs }
    this.#watches.stopAll()
    this.#pumpSoon()
  }

  /** The masters are others, who do not know this session: it is over, and nothing of it is sent any more. */
  abandon(): void {
    this.#expired()
  }

  /** A response for this `client` has come. */
  onResponse(response: MetadataResponse): void {
    if (this.#isOver) return
    if (response.logTimeMs > this.#logTimeMs) this.#logTimeMs = response.logTimeMs
    const isCurrent = this.#link.heard(response)
    const nowMs = this.#ports.clock.monotonicMs()
    this.#take(response, isCurrent, nowMs)
    this.#pumpSoon()
  }

  #take(response: MetadataResponse, isCurrent: boolean, nowMs: number): void {
    const { request } = response
    switch (response.type) {
      case 'heard':
        if (this.#heartbeat.heard(request)) this.#alive()
        break
      case 'replies':
        this.#reads.replies(response, nowMs)
        break
      case 'synced':
        this.#reads.synced(response)
        break
      case 'wrote':
        if (this.#command.isUnderWay) this.#command.wrote(response, nowMs)
        this.#writes.wrote(response, nowMs)
        break
      case 'watching':
        if (isCurrent) this.#watches.registered(request)
        break
      case 'fired':
        if (isCurrent) this.#fired(request, response.ids, response.asOf)
        break
      case 'over':
        if (response.session === this.#session) this.#expired()
        break
      case 'refused':
        for (const part of [this.#heartbeat, this.#command, this.#writes, this.#reads, this.#watches]) {
          part.refused(request, nowMs)
        }
        break
      case 'attached':
      case 'detached':
        // The link's.
        break
    }
  }

  // --- the session --------------------------------------------------------------------------------------------

  #open(): void {
    const { timeoutMs } = this.#timings
    const command = encodeMetadataWrite({ kind: 'open', timeoutMs, nonce: this.#nonce })
    this.#command.begin(0, command, ({ reply, asOf }) => {
      assert(reply.kind === 'opened', `metadata: an opening answered ${reply.kind}`)
      this.#session = reply.session
      this.#saw(asOf)
    })
  }

  /** A leader has said so. */
  #alive(): void {
    if (this.#state !== 'connecting' && this.#state !== 'suspended') return
    if (this.#isSilent()) return
    if (this.#state === 'suspended') this.#watches.everythingChanged()
    this.#become('connected')
  }

  #isSilent(): boolean {
    const { aliveMs } = this.#heartbeat
    return aliveMs === null || this.#ports.clock.monotonicMs() - aliveMs >= this.#timings.suspendAfterMs
  }

  #checkSuspended(): void {
    if (this.#state === 'connected' && this.#isSilent()) this.#become('suspended')
    const { aliveMs } = this.#heartbeat
    if (!this.#mutations.expiryByLocalTimer || aliveMs === null) return
    if (this.#ports.clock.monotonicMs() - aliveMs >= this.#timings.timeoutMs) this.#expired()
  }

  #expired(): void {
    if (this.#isOver) return
    // The end that was asked for, told by another way than its answer.
    this.#become(this.#command.isUnderWay && this.#closing !== null ? 'closed' : 'expired')
    const error = failure('session-expired', `session ${this.#session} is over`)
    this.#watches.stopAll()
    this.#endAll(error)
  }

  #endAll(error: MetadataError): void {
    this.#timer?.cancel()
    this.#command.giveUp()
    this.#writes.failAll(error)
    this.#reads.failAll(error)
    for (const done of this.#closing?.dones.splice(0) ?? []) this.#later(done)
  }

  /** What was called before has been answered: now the end itself. */
  #pumpClosing(nowMs: number): void {
    const closing = this.#closing
    if (closing === null || this.#writes.length > 0 || this.#reads.length > 0) return
    if (this.#session === 0 || nowMs >= closing.giveUpMs) return this.#closed()
    if (this.#command.isUnderWay) return
    this.#command.begin(this.#session, encodeMetadataWrite({ kind: 'close' }), () => this.#closed())
  }

  /** Without a connection nobody could be told: the session ends when its time is over. */
  #closed(): void {
    this.#become('closed')
    this.#endAll(failure('closed', 'the session was closed'))
  }

  #become(state: SessionState): void {
    if (this.#state === state) return
    this.#state = state
    this.#later(() => {
      for (const listener of [...this.#stateListeners]) if (this.#stateListeners.has(listener)) listener(state)
    })
  }

  get #isOver(): boolean {
    return this.#state === 'expired' || this.#state === 'closed'
  }

  #refusal(): MetadataError | null {
    if (this.#closing !== null) return failure('closed', 'the session was closed')
    return this.#state === 'expired' ? failure('session-expired', `session ${this.#session} is over`) : null
  }

  // --- inside -------------------------------------------------------------------------------------------------

  #read<T>(
    kind: MetadataRead['kind'],
    path: MetadataPath,
    done: Done<T>,
    pick: (reply: MetadataReply) => T | null | undefined,
  ): void {
    const refusal = this.#refusal()
    if (refusal !== null) return this.#later(() => done(refusal, null))
    const short = path.slice(0, PATH_UNITS_MAX)
    const encode = (): Uint8Array => encodeMetadataRead({ kind, session: this.#session, path: short })
    this.#reads.add(encode, CALL_BYTES + short.length, this.#deadlineMs(), (error, reply) => {
      if (reply === null) return this.#later(() => done(error, null))
      const result = pick(reply)
      assert(result !== undefined, `metadata: ${kind} answered ${reply.kind}`)
      this.#later(() => done(null, result))
    })
    this.#pumpSoon()
  }

  #watch(kind: WatchKind, path: MetadataPath, listener: () => void): StopWatching {
    if (this.#isOver || this.#closing !== null) return () => {}
    const stop = this.#watches.watch(kind, path.slice(0, PATH_UNITS_MAX), listener)
    this.#pumpSoon()
    return () => {
      stop()
      this.#pumpSoon()
    }
  }

  #fired(number: number, ids: readonly number[], asOf: number): void {
    // Whoever is called reads at least what made it be called.
    this.#saw(asOf)
    this.#watches.fired(ids)
    this.#link.send({ type: 'ack' }, number)
  }

  #saw(asOf: number): void {
    if (asOf > this.#seen) this.#seen = asOf
  }

  #attached(): void {
    const nowMs = this.#ports.clock.monotonicMs()
    for (const part of [this.#heartbeat, this.#command, this.#writes, this.#reads]) part.reattached(nowMs)
    this.#watches.reattached()
    this.#pumpSoon()
  }

  #deadlineMs(): number {
    return this.#ports.clock.monotonicMs() + this.#timings.operationMs
  }

  /** On the log's clock, as far as it is known here. */
  #retryUntilMs(): number {
    return Math.max(this.#ports.clock.wallMs(), this.#logTimeMs) + this.#timings.operationMs
  }

  #later(callback: () => void): void {
    this.#ports.clock.defer(callback)
  }

  /** Once for all that is called and comes in one event. */
  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#later(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#isOver) return
    const nowMs = this.#ports.clock.monotonicMs()
    this.#checkSuspended()
    for (const part of [this.#heartbeat, this.#writes, this.#reads, this.#watches]) if (!this.#isOver) part.pump(nowMs)
    if (this.#isOver) return
    this.#pumpClosing(nowMs)
    if (!this.#isOver) this.#command.pump(nowMs)
  }

  #setTimer(): void {
    this.#timer = this.#ports.clock.setTimer(this.#timings.tickMs, () => {
      const parts = [this.#heartbeat, this.#command, this.#writes, this.#reads, this.#watches]
      const since = parts.map((part) => part.waitingSinceMs).filter((ms) => ms !== null)
      this.#link.tick(since.length === 0 ? null : Math.min(...since))
      this.#pump()
      if (!this.#isOver) this.#setTimer()
    })
  }
}

/** What cannot be sent; the tree checks the same, and the rest. */
function multiProblem(operations: readonly MetadataOperation[]): MetadataError | null {
  const { maxMultiOperations, maxMultiBytes, operationBytes } = METADATA_LIMITS
  if (operations.length > maxMultiOperations) {
    return failure('too-large', `multi: ${operations.length} operations, at most ${maxMultiOperations}`)
  }
  let bytes = 0
  for (const operation of operations) {
    bytes += operationBytes + utf8Length(operation.path)
    if (operation.kind === 'create' || operation.kind === 'set') bytes += operation.data.length
  }
  return bytes > maxMultiBytes ? failure('too-large', `multi: ${bytes} bytes, at most ${maxMultiBytes}`) : null
}
