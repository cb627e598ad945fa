/**
 * One connection that another node opened: checks its HELLO, answers with this node's own (or with the reason why
 * not), then hands up its messages in their order. Whatever is wrong with what comes in ends this connection only; that holds
 * for a DecodeError out of the message handler too.
 */

import { assert } from '../base/assert.ts'
import { asNodeId, type NodeId } from '../base/brand.ts'
import { DecodeError } from '../base/bytes.ts'
import { type Connection, HIGH_WATER_BYTES } from '../ports/network.ts'
import { LANE_CONSENSUS, type Lane } from '../ports/peer-channel.ts'
import {
  decodeFrameClock,
  decodeHello,
  encodeHelloFrame,
  encodeRefusalFrame,
  FRAME_HELLO,
  FRAME_MESSAGES,
  FRAME_PING,
  FrameDecoder,
  MAX_FRAME_BYTES,
  MAX_HELLO_FRAME_BYTES,
  PONG_FRAME,
  PROTOCOL_VERSION,
  type Refusal,
  visitMessages,
} from '../protocol/frame.ts'
import { refusalFor } from './handshake.ts'
import type { TransportContext } from './outgoing-link.ts'
import { LANE_NAMES } from './transport-options.ts'

export interface IncomingStreamOwner {
  /** The stream has introduced itself. */
  onIdentified(stream: IncomingStream): void
  /** Once; the stream is no more. */
  onEnded(stream: IncomingStream): void
}

type StreamState = 'stranger' | 'open' | 'ended'

export class IncomingStream {
  readonly #context: TransportContext
  readonly #owner: IncomingStreamOwner
  readonly #connection: Connection
  readonly #decoder = new FrameDecoder(MAX_HELLO_FRAME_BYTES)
  readonly #visitFrame = (kind: number, payload: Uint8Array): boolean => this.#onFrame(kind, payload)
  readonly #visitMessage = (message: Uint8Array): boolean => this.#onMessage(message)
  #openedMs: number
  #state: StreamState = 'stranger'
  #lastAliveMs: number
  #pongDue = false
  from: NodeId = asNodeId(0)
  lane: Lane = LANE_CONSENSUS
  incarnation = 0
  stream = 0

  constructor(context: TransportContext, owner: IncomingStreamOwner, connection: Connection) {
    this.#context = context
    this.#owner = owner
    this.#connection = connection
    this.#openedMs = context.clock.monotonicMs()
    this.#lastAliveMs = this.#openedMs
    connection.setHandlers({
      onData: (bytes) => this.#onData(bytes),
      onClose: (reason) => this.#ended(reason),
    })
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  #onData(bytes: Uint8Array): void {
    if (this.#state === 'ended') return
    this.#lastAliveMs = this.#context.clock.monotonicMs()
    const error = this.#decoder.push(bytes, this.#visitFrame)
    if (this.#pongDue) this.#pong()
    if (error === null) return
    this.#context.counters.framesRejected++
    if (error.code === 'version') this.#refuse({ code: 'version', text: error.message })
    else this.close(`bad frame: ${error.message}`)
  }

  #onFrame(kind: number, payload: Uint8Array): boolean {
    try {
      if (this.#state === 'open' && (kind === FRAME_MESSAGES || kind === FRAME_PING)) this.#onCarried(kind, payload)
      else if (this.#state === 'stranger' && kind === FRAME_HELLO) this.#onHello(payload)
      else this.#refuse({ code: 'protocol', text: `unexpected frame of kind ${kind}` })
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#context.counters.framesRejected++
      this.close(`bad frame: ${error.message}`)
    }
    return this.#state === 'open'
  }

  #onCarried(kind: number, payload: Uint8Array): void {
    const wallMs = decodeFrameClock(payload)
    if (this.lane === LANE_CONSENSUS) this.#context.handlers.onPeerClock?.(this.from, wallMs)
    if (this.#state !== 'open') return
    if (kind === FRAME_MESSAGES) visitMessages(payload, this.#visitMessage)
    else this.#pongDue = true
  }

  /** One for all PINGs of a read; a peer that pings and does not read gets no more: nothing may pile up here. */
  #pong(): void {
    this.#pongDue = false
    if (this.#state !== 'open' || this.#connection.bufferedBytes >= HIGH_WATER_BYTES) return
    this.#connection.write(PONG_FRAME)
  }

  #onMessage(message: Uint8Array): boolean {
    this.#context.counters.messagesReceived++
    this.#context.handlers.onMessage(this.from, this.lane, this.stream, message)
    return this.#state === 'open'
  }

  #onHello(payload: Uint8Array): void {
    const context = this.#context
    const { clusterId, authToken, nodeId, incarnation } = context.options
    const hello = decodeHello(payload)
    const refusal = refusalFor(hello, {
      clusterId,
      authToken,
      self: nodeId,
      from: null,
      lane: null,
      isPeer: (node) => context.isPeer(node),
    })
    if (refusal !== null) {
      this.#refuse(refusal)
      return
    }
    this.from = hello.from
    this.lane = hello.lane as Lane
    this.incarnation = hello.incarnation
    this.stream = context.nextStream()
    this.#state = 'open'
    this.#decoder.maxFrameBytes = MAX_FRAME_BYTES
    this.#connection.write(
      encodeHelloFrame({
        protocolVersion: PROTOCOL_VERSION,
        lane: this.lane,
        from: nodeId,
        to: this.from,
        clusterId,
        incarnation,
        authentication: authToken,
      }),
    )
    this.#owner.onIdentified(this)
  }

  /** Tells the other side why, then closes. */
  #refuse(refusal: Refusal): void {
    assert(this.#state !== 'ended', 'transport: a stream that has ended refuses nothing')
    this.#context.counters.connectionsRefused++
    const fields = { from: this.#connection.remoteAddress, code: refusal.code, reason: refusal.text }
    this.#context.logger.warn('peer connection refused', fields)
    this.#connection.write(encodeRefusalFrame(refusal))
    this.#connection.end()
    this.#ended(refusal.text)
  }

  close(reason: string): void {
    if (this.#state === 'ended') return
    this.#context.logger.warn('peer connection closed', { ...this.#describe(), reason })
    this.#connection.destroy()
    this.#ended(reason)
  }

  /** At the transport's end: no log, no handler. */
  retire(): void {
    if (this.#state === 'ended') return
    this.#connection.end()
    this.#ended('stopped')
  }

  tick(nowMs: number): void {
    const { handshakeTimeoutMs, silenceTimeoutMs } = this.#context.limits
    if (this.#state === 'stranger' && nowMs - this.#openedMs >= handshakeTimeoutMs) {
      this.close(`no HELLO in ${handshakeTimeoutMs} ms`)
    } else if (this.#state === 'open' && nowMs - this.#lastAliveMs >= silenceTimeoutMs) {
      this.close(`silent for ${silenceTimeoutMs} ms`)
    }
  }

  excuse(nowMs: number): void {
    this.#lastAliveMs = nowMs
    this.#openedMs = nowMs
  }

  #ended(reason: string): void {
    if (this.#state === 'ended') return
    const wasOpen = this.#state === 'open'
    this.#state = 'ended'
    if (wasOpen) this.#context.logger.info('peer stream ended', { ...this.#describe(), reason })
    this.#owner.onEnded(this)
  }

  #describe(): Record<string, unknown> {
    if (this.stream === 0) return { from: this.#connection.remoteAddress }
    return { from: this.from, lane: LANE_NAMES[this.lane], stream: this.stream }
  }
}
