/**
 * A MetadataStore for tests: sessions with one TreeStateMachine in this process, without replication. Commands pass through the real codecs
 * and the real apply. Every callback is an event of its own, through `defer`; nothing here takes time or chance, so a run is its calls.
 *
 *   const metadata = new LocalMetadata((callback) => queueMicrotask(callback))
 *   const store = metadata.open()
 *   store.loseAnswers(1, 'done')      the next write is done, and answers `unknown`
 *   store.suspend(); store.resume()   the connection goes and comes
 *   metadata.expire(store)            the server ends the session
 */
import { assert } from '../../base/assert.ts'
import { asLogIndex, asSlotId, asTerm } from '../../base/brand.ts'
import type { Done, MetadataStore, SessionState, StopWatching } from '../../ports/metadata-store.ts'
import { encodePayload, PAYLOAD_METADATA } from '../../protocol/command.ts'
import { ENTRY_COMMAND } from '../../protocol/entry.ts'
import {
  type ExpireReason,
  encodeMetadataRead,
  encodeMetadataWrite,
  type MetadataRead,
  type MetadataWrite,
} from '../../protocol/metadata-command.ts'
import type {
  MetadataError,
  MetadataErrorCode,
  MetadataNode,
  MetadataOperation,
  MetadataPath,
  MetadataResult,
  NodeStat,
} from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import type { TreeChange, TreeListener } from './tree-changes.ts'
import type { TreeLimits } from './tree-limits.ts'
import { TreeStateMachine } from './tree-state-machine.ts'
import { WatchTable } from './watch-table.ts'

type Defer = (callback: () => void) => void

/** What becomes of a write whose answer is lost. `late`: it is done when the test says so (`deliverLate`). */
export type LostFate = 'done' | 'dropped' | 'late'

const TERM = asTerm(1)
const SLOT = asSlotId(0)
const RETRY_UNTIL_MS = Number.MAX_SAFE_INTEGER

/** The server: its tree, and whom it tells. */
export class LocalMetadata {
  readonly machine: TreeStateMachine
  readonly #defer: Defer
  readonly #stores = new Set<LocalMetadataStore>()
  #index = 0
  #opened = 0

  constructor(defer: Defer, limits: Partial<TreeLimits> = {}) {
    this.#defer = defer
    const each = (tell: (store: LocalMetadataStore) => void): void => {
      for (const store of this.#stores) tell(store)
    }
    const listener: TreeListener = {
      changed: (change) => each((store) => store.treeChanged(change)),
      sessionOpened() {},
      sessionEnded: (session) => each((store) => store.sessionEnded(session)),
      everythingChanged: () => each((store) => store.everythingChanged()),
    }
    this.machine = new TreeStateMachine(limits, listener)
  }

  /** A session that is being opened: connected an event later. */
  open(timeoutMs = 10_000): LocalMetadataStore {
    const nonce = new Uint8Array(16)
    new DataView(nonce.buffer).setUint32(0, ++this.#opened)
    const store = new LocalMetadataStore(this, this.#defer, { kind: 'open', timeoutMs, nonce })
    this.#stores.add(store)
    return store
  }

  expire(store: LocalMetadataStore, reason: ExpireReason = 'timeout'): void {
    this.write(0, 0, { kind: 'expire', session: store.session, term: TERM, reason })
  }

  write(session: number, sequence: number, command: MetadataWrite): MetadataReply {
    const header = { stampMs: 0, session, sequence, lowestUnanswered: sequence, retryUntilMs: RETRY_UNTIL_MS }
    const payload = encodePayload({ kind: PAYLOAD_METADATA, slot: SLOT, ...header }, encodeMetadataWrite(command))
    const index = asLogIndex(++this.#index)
    const reply = this.machine.apply({ term: TERM, index, kind: ENTRY_COMMAND, payload })
    return decodeMetadataReply(reply).reply
  }

  read(read: MetadataRead): MetadataReply {
    const result = this.machine.query(encodeMetadataRead(read), 0, SLOT)
    assert(result.kind === 'reply', 'local metadata: a read that needs a tick')
    return decodeMetadataReply(result.reply).reply
  }
}

/** A call on its way: in the order of the calls, each answered by an event of its own. */
interface Call {
  readonly kind: 'read' | 'write' | 'close'
  /** Runs it on the server; returns how to answer. */
  run(): () => void
  fail(error: MetadataError): void
  /** Decided before its turn came. */
  outcome: MetadataError | null
}

export class LocalMetadataStore implements MetadataStore {
  readonly #server: LocalMetadata
  readonly #defer: Defer
  readonly #watches: WatchTable
  readonly #stateListeners = new Set<(state: SessionState) => void>()
  readonly #queued: Call[] = []
  readonly #late: (() => void)[] = []
  #state: SessionState = 'connecting'
  #session = 0
  #sequence = 0
  #closing = false
  #answersToLose = 0
  #lostFate: LostFate = 'done'

  constructor(server: LocalMetadata, defer: Defer, open: MetadataWrite) {
    this.#server = server
    this.#defer = defer
    this.#watches = new WatchTable(defer)
    defer(() => {
      const reply = server.write(0, 0, open)
      assert(reply.kind === 'opened', 'local metadata: the session was refused')
      this.#session = reply.session
      this.#become('connected')
    })
  }

  get state(): SessionState {
    return this.#state
  }

  get sessionId(): string | null {
    return this.#session === 0 ? null : String(this.#session)
  }

  get session(): number {
    return this.#session
  }

  // --- what a test does to it ---------------------------------------------------------------------------------

  /** The connection goes. What is under way is unanswered: reads answer `unavailable`, writes `unknown`, whatever became of them. */
  suspend(fate: LostFate = 'done'): void {
    assert(this.#state === 'connected', `local metadata: ${this.#state} before suspend`)
    for (const call of this.#queued) {
      if (call.outcome !== null) continue
      if (call.kind === 'write') this.#lose(call, fate)
      else if (call.kind === 'read') call.outcome = failure('unavailable', 'the connection was lost')
    }
    this.#become('suspended')
  }

  /** The connection comes back, and with it the news of what became of the session. */
  resume(): void {
    assert(this.#state === 'suspended', `local metadata: ${this.#state} before resume`)
    if (!this.#server.machine.hasSession(this.#session)) return this.#expired()
    this.#become('connected')
    this.#watches.everythingChanged()
  }

  /** The next `count` writes answer `unknown`. */
  loseAnswers(count: number, fate: LostFate): void {
    this.#answersToLose = count
    this.#lostFate = fate
  }

  /** Does the writes that were lost as `late`, in their order. */
  deliverLate(): void {
    for (const run of this.#late.splice(0)) run()
  }

  // --- what the server tells ----------------------------------------------------------------------------------

  treeChanged(change: TreeChange): void {
    if (this.#state === 'connected') this.#watches.changed(change)
  }

  everythingChanged(): void {
    if (this.#state === 'connected') this.#watches.everythingChanged()
  }

  sessionEnded(session: number): void {
    if (session !== this.#session) return
    this.#defer(() => {
      if (this.#state === 'connected' && !this.#closing) this.#expired()
    })
  }

  // --- the port -----------------------------------------------------------------------------------------------

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
    const call = this.#call('write', done, () => {
      const reply = this.#server.write(this.#session, ++this.#sequence, { kind: 'multi', operations })
      return answer(reply, done, reply.kind === 'results' ? reply.results : undefined)
    })
    if (this.#answersToLose === 0 || call.outcome !== null) return
    this.#answersToLose--
    this.#lose(call, this.#lostFate)
  }

  sync(done: Done<true>): void {
    this.#call('read', done, () => () => done(null, true))
  }

  watchNode(path: MetadataPath, listener: () => void): StopWatching {
    return this.#isOver ? () => {} : this.#watches.watch('node', path, listener)
  }

  watchChildren(path: MetadataPath, listener: () => void): StopWatching {
    return this.#isOver ? () => {} : this.#watches.watch('children', path, listener)
  }

  watchTree(path: MetadataPath, listener: () => void): StopWatching {
    return this.#isOver ? () => {} : this.#watches.watch('tree', path, listener)
  }

  close(done: () => void): void {
    if (this.#isOver) return this.#defer(done)
    const call = () => () => {
      // Without a connection nobody can be told: the session ends when its time is over.
      if (this.#state === 'connected') this.#server.write(this.#session, 0, { kind: 'close' })
      this.#become('closed')
      done()
    }
    this.#call('close', () => done(), call)
    this.#closing = true
    this.#watches.stopAll()
  }

  // --- inside -------------------------------------------------------------------------------------------------

  get #isOver(): boolean {
    return this.#closing || this.#state === 'expired'
  }

  #read<T>(
    kind: MetadataRead['kind'],
    path: MetadataPath,
    done: Done<T>,
    pick: (reply: MetadataReply) => T | null | undefined,
  ): void {
    this.#call('read', done, () => {
      const reply = this.#server.read({ kind, session: this.#session, path })
      return answer(reply, done, pick(reply))
    })
  }

  #call<T>(kind: Call['kind'], done: Done<T>, run: () => () => void): Call {
    const outcome = kind === 'close' ? null : this.#refusal()
    const call: Call = { kind, run, fail: (error) => done(error, null), outcome }
    this.#queued.push(call)
    this.#defer(() => {
      assert(this.#queued.shift() === call, 'local metadata: calls out of order')
      if (call.outcome === null && this.#state === 'expired' && kind !== 'close') call.outcome = this.#refusal()
      if (call.outcome === null) call.run()()
      else call.fail(call.outcome)
    })
    return call
  }

  #refusal(): MetadataError | null {
    if (this.#closing) return failure('closed', 'the session was closed')
    if (this.#state === 'expired') return failure('session-expired', `session ${this.#session} is over`)
    if (this.#state === 'suspended') return failure('unavailable', 'no connection')
    return null
  }

  #lose(call: Call, fate: LostFate): void {
    if (fate === 'done') call.run()
    if (fate === 'late') this.#late.push(() => call.run())
    call.outcome = failure('unknown', 'the answer was lost')
  }

  #expired(): void {
    this.#watches.stopAll()
    this.#become('expired')
  }

  #become(state: SessionState): void {
    if (this.#state === state) return
    this.#state = state
    this.#defer(() => {
      for (const listener of [...this.#stateListeners]) if (this.#stateListeners.has(listener)) listener(state)
    })
  }
}

function failure(code: MetadataErrorCode, message: string): MetadataError {
  return { code, message, operation: -1 }
}

/** How to answer a call with this reply. */
function answer<T>(reply: MetadataReply, done: Done<T>, result: T | null | undefined): () => void {
  if (reply.kind === 'error') return () => done(reply.error, null)
  assert(result !== undefined, `local metadata: a reply of kind ${reply.kind}`)
  return () => done(null, result)
}
