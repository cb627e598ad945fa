/** ports/node-calls.ts over the requests lane. */
import { assert } from '../../base/assert.ts'
import type { NodeId } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { CallHandler, CallMethod, CallOutcome, NodeCalls } from '../../ports/node-calls.ts'
import { LANE_REQUESTS, type PeerChannel } from '../../ports/peer-channel.ts'
import { MAX_MESSAGE_BYTES } from '../../protocol/frame.ts'
import { encodeNodeCall, NODE_CALL_HEADER_BYTES, type NodeCallMessage } from '../../protocol/node-call.ts'

const CHECK_EVERY_MS = 50
/** Calls without an answer; further ones are `unreachable`. */
const MAX_WAITING = 10_000

interface Waiting {
  readonly to: NodeId
  readonly deadlineMs: number
  readonly done: (outcome: CallOutcome) => void
}

export class PeerCalls implements NodeCalls {
  readonly #self: NodeId
  readonly #clock: Clock
  readonly #peers: PeerChannel
  readonly #flushSoon: () => void
  readonly #handlers = new Map<number, CallHandler>()
  readonly #waiting = new Map<number, Waiting>()
  #nextId: number
  #timer: Timer | null = null
  #stopped = false

  /** `firstId`: above all that an earlier process of this node used, whose answers may still come. */
  constructor(self: NodeId, clock: Clock, peers: PeerChannel, firstId: number, flushSoon: () => void) {
    this.#self = self
    this.#clock = clock
    this.#peers = peers
    this.#nextId = firstId
    this.#flushSoon = flushSoon
  }

  serve(method: CallMethod, handler: CallHandler): void {
    assert(!this.#handlers.has(method), `PeerCalls: a second handler for method ${method}`)
    this.#handlers.set(method, handler)
  }

  call(
    to: NodeId,
    method: CallMethod,
    body: Uint8Array,
    timeoutMs: number,
    done: (outcome: CallOutcome) => void,
  ): void {
    const id = this.#nextId++
    const fits = body.length <= MAX_MESSAGE_BYTES - NODE_CALL_HEADER_BYTES
    if (this.#stopped || !fits || this.#waiting.size >= MAX_WAITING) return this.#unreachable(done)
    if (to === this.#self) {
      this.#waits(id, { to, deadlineMs: this.#clock.monotonicMs() + timeoutMs, done })
      return this.#clock.defer(() => this.#onCall(this.#self, id, method, body))
    }
    if (!this.#peers.send(to, LANE_REQUESTS, encodeNodeCall({ type: 'call', id, method, body }))) {
      return this.#unreachable(done)
    }
    this.#flushSoon()
    this.#waits(id, { to, deadlineMs: this.#clock.monotonicMs() + timeoutMs, done })
  }

  onMessage(from: NodeId, message: NodeCallMessage): void {
    if (this.#stopped) return
    if (message.type === 'call') return this.#onCall(from, message.id, message.method, message.body.slice())
    this.#onAnswer(from, message.id, message.taken, message.body.slice())
  }

  /** The connection that carried the calls is gone. */
  onStreamClosed(to: NodeId): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.to !== to) continue
      this.#waiting.delete(id)
      this.#clock.defer(() => waiting.done({ kind: 'unknown' }))
    }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#waiting.clear()
  }

  #unreachable(done: (outcome: CallOutcome) => void): void {
    this.#clock.defer(() => {
      if (!this.#stopped) done({ kind: 'unreachable' })
    })
  }

  #waits(id: number, waiting: Waiting): void {
    this.#waiting.set(id, waiting)
    this.#timer ??= this.#clock.setTimer(CHECK_EVERY_MS, () => this.#giveUpLate())
  }

  #onCall(from: NodeId, id: number, method: number, body: Uint8Array): void {
    if (this.#stopped) return
    const handler = this.#handlers.get(method)
    if (handler === undefined) return this.#answer(from, id, false, EMPTY_BYTES)
    let answered = false
    handler(from, body, (reply) => {
      assert(!answered, `PeerCalls: method ${method} answered twice`)
      answered = true
      this.#answer(from, id, true, reply)
    })
  }

  #answer(to: NodeId, id: number, taken: boolean, body: Uint8Array): void {
    if (this.#stopped) return
    if (to === this.#self) return this.#clock.defer(() => this.#onAnswer(to, id, taken, body))
    assert(
      body.length <= MAX_MESSAGE_BYTES - NODE_CALL_HEADER_BYTES,
      'PeerCalls: the answer is too large for a message',
    )
    // Refused: the lane is full or gone; the asker's time-out finds out.
    if (this.#peers.send(to, LANE_REQUESTS, encodeNodeCall({ type: 'answer', id, taken, body }))) this.#flushSoon()
  }

  #onAnswer(from: NodeId, id: number, taken: boolean, reply: Uint8Array): void {
    const waiting = this.#waiting.get(id)
    if (this.#stopped || waiting === undefined || waiting.to !== from) return
    this.#waiting.delete(id)
    waiting.done(taken ? { kind: 'answered', reply } : { kind: 'unreachable' })
  }

  #giveUpLate(): void {
    this.#timer = null
    const nowMs = this.#clock.monotonicMs()
    for (const [id, waiting] of this.#waiting) {
      if (waiting.deadlineMs > nowMs) continue
      this.#waiting.delete(id)
      waiting.done({ kind: 'unknown' })
    }
    if (this.#waiting.size > 0 && !this.#stopped) {
      this.#timer = this.#clock.setTimer(CHECK_EVERY_MS, () => this.#giveUpLate())
    }
  }
}
