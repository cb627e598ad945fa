/**
 * The way to one peer in one lane: dials, introduces itself, keeps what was sent until the flush, and dials again
 * when the connection is gone. One flush makes one frame and one write, whatever the number of messages (a frame
 * costs a system call here and one there; messages in it cost 0.4-1.3 us).
 *
 *   backoff -> connecting -> handshaking -> open -> closing -> backoff ...        retired: for good
 *
 * Memory stays bounded: what waits for the flush plus what the kernel has not taken is at most the lane's bound, or
 * one message. Messages that were queued when a stream ended are gone: the streams' users repeat or fail.
 */
import { assert } from '../base/assert.ts'
import type { NodeId } from '../base/brand.ts'
import { DecodeError } from '../base/bytes.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { type Connection, HIGH_WATER_BYTES, type Network } from '../ports/network.ts'
import type { Lane, PeerHandlers } from '../ports/peer-channel.ts'
import type { Random } from '../ports/random.ts'
import {
  decodeHello,
  decodeRefusal,
  encodeHelloFrame,
  encodePingFrame,
  FRAME_HELLO,
  FRAME_PONG,
  FRAME_REFUSAL,
  FrameDecoder,
  MAX_HELLO_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  MESSAGE_OVERHEAD_BYTES,
  MESSAGES_OVERHEAD_BYTES,
  PROTOCOL_VERSION,
  writeMessagesFrame,
} from '../protocol/frame.ts'
import { refusalFor } from './handshake.ts'
import {
  LANE_NAMES,
  type PeerTransportOptions,
  type TransportCounters,
  type TransportLimits,
} from './transport-options.ts'

/** What all links and streams of one transport share. */
export interface TransportContext {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly options: PeerTransportOptions
  readonly limits: TransportLimits
  readonly handlers: PeerHandlers
  readonly counters: TransportCounters
  nextStream(): number
  isPeer(node: NodeId): boolean
  /** The link has its first message since the last flush. */
  markDirty(link: OutgoingLink): void
}

type LinkState = 'backoff' | 'connecting' | 'handshaking' | 'open' | 'closing' | 'retired'

/** Frames up to this size are cut from a slab of the link's own, so that few small frames pin little memory. */
const SLAB_BYTES = 32 * 1024
const SLAB_FRAME_MAX_BYTES = 4 * 1024

export class OutgoingLink {
  readonly to: NodeId
  readonly lane: Lane
  dirty = false
  readonly #context: TransportContext
  readonly #maxQueuedBytes: number
  #address: string
  #state: LinkState = 'backoff'
  #connection: Connection | null = null
  /** Tells this attempt's callbacks from those of earlier ones. */
  #attempt = 0
  #failures = 0
  #retryTimer: Timer | null = null
  #stream = 0
  #messages: Uint8Array[] = []
  /** Wire bytes of #messages. */
  #queuedBytes = 0
  /** The connection's bufferedBytes when last asked; it only falls until the next write. */
  #bufferedBytes = 0
  /** A send was refused and its sender waits for onWritable. */
  #refused = false
  #writableDue = false
  #slab = new Uint8Array(0)
  #slabUsed = 0
  #stateSinceMs = 0
  #lastAliveMs = 0
  #lastPingMs = 0
  /** Since the stream opened: bytes written, and how many of them the kernel had taken at the last tick. */
  #writtenBytes = 0
  #takenBytes = 0
  #closeDue = false
  #lastFailure = ''

  constructor(context: TransportContext, to: NodeId, lane: Lane, address: string) {
    assert(to !== context.options.nodeId, 'transport: a node has no link to itself')
    this.#context = context
    this.to = to
    this.lane = lane
    this.#address = address
    this.#maxQueuedBytes = context.limits.maxQueuedBytes[lane]
    assert(this.#maxQueuedBytes >= 2 * HIGH_WATER_BYTES, 'transport: a lane must hold twice the high-water mark')
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get queuedBytes(): number {
    if (this.#state !== 'open') return 0
    this.#bufferedBytes = this.#connection === null ? 0 : this.#connection.bufferedBytes
    return this.#queuedBytes + this.#bufferedBytes
  }

  send(bytes: Uint8Array): boolean {
    assert(bytes.length <= MAX_MESSAGE_BYTES, 'transport: message is larger than MAX_MESSAGE_BYTES')
    const wireBytes = MESSAGE_OVERHEAD_BYTES + bytes.length
    if (this.#state !== 'open' || !this.#hasRoomFor(wireBytes)) {
      this.#refused = true
      this.#context.counters.sendsRefused++
      return false
    }
    this.#messages.push(bytes)
    this.#queuedBytes += wireBytes
    if (!this.dirty) {
      this.dirty = true
      this.#context.markDirty(this)
    }
    return true
  }

  #hasRoomFor(wireBytes: number): boolean {
    if (this.#queuedBytes + this.#bufferedBytes + wireBytes <= this.#maxQueuedBytes) return true
    const used = this.queuedBytes
    return used === 0 || used + wireBytes <= this.#maxQueuedBytes
  }

  /** Everything queued goes to the connection in one write. */
  flush(wallMs: number): void {
    const messages = this.#messages
    const connection = this.#connection
    this.dirty = false
    if (messages.length === 0 || connection === null || this.#state !== 'open') return
    const counters = this.#context.counters
    counters.messagesSent += messages.length
    if (this.#queuedBytes <= this.#context.limits.frameTargetBytes) {
      const frame = this.#frame(messages, 0, messages.length, this.#queuedBytes, wallMs)
      counters.framesSent++
      this.#writtenBytes += frame.length
      connection.write(frame)
    } else {
      const frames = this.#frames(messages, wallMs)
      counters.framesSent += frames.length
      for (const frame of frames) this.#writtenBytes += frame.length
      connection.writeMany(frames)
    }
    this.#messages = []
    this.#queuedBytes = 0
    this.#bufferedBytes = connection.bufferedBytes
    if (this.#refused) this.#announceRoom()
  }

  #frames(messages: readonly Uint8Array[], wallMs: number): Uint8Array[] {
    const frames: Uint8Array[] = []
    const targetBytes = this.#context.limits.frameTargetBytes
    let from = 0
    let bytes = 0
    for (let i = 0; i < messages.length; i++) {
      const wireBytes = MESSAGE_OVERHEAD_BYTES + messages[i].length
      if (i > from && bytes + wireBytes > targetBytes) {
        frames.push(this.#frame(messages, from, i, bytes, wallMs))
        from = i
        bytes = 0
      }
      bytes += wireBytes
    }
    frames.push(this.#frame(messages, from, messages.length, bytes, wallMs))
    return frames
  }

  #frame(messages: readonly Uint8Array[], from: number, to: number, wireBytes: number, wallMs: number): Uint8Array {
    const frameBytes = MESSAGES_OVERHEAD_BYTES + wireBytes
    if (frameBytes > SLAB_FRAME_MAX_BYTES) {
      const bytes = new Uint8Array(frameBytes)
      const end = writeMessagesFrame(bytes, 0, messages, from, to, wallMs)
      assert(end === frameBytes, 'transport: miscounted a frame')
      return bytes
    }
    // A slab is never written twice where it was handed to the network.
    if (this.#slab.length - this.#slabUsed < frameBytes) {
      this.#slab = new Uint8Array(SLAB_BYTES)
      this.#slabUsed = 0
    }
    const start = this.#slabUsed
    this.#slabUsed = writeMessagesFrame(this.#slab, start, messages, from, to, wallMs)
    assert(this.#slabUsed - start === frameBytes, 'transport: miscounted a frame')
    return this.#slab.subarray(start, this.#slabUsed)
  }

  /** Tells a refused sender, as an event of its own, once half of the bound is free; else the drain will. */
  #announceRoom(): void {
    if (this.#writableDue || this.queuedBytes * 2 > this.#maxQueuedBytes) return
    this.#writableDue = true
    this.#context.clock.defer(() => {
      this.#writableDue = false
      if (this.#state !== 'open' || !this.#refused) return
      this.#refused = false
      this.#context.handlers.onWritable(this.to, this.lane)
    })
  }

  /** First call, and each later attempt. */
  dial(): void {
    assert(this.#state === 'backoff', 'transport: a link dials only from back-off')
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    this.#enter('connecting')
    const attempt = ++this.#attempt
    this.#context.network.connect(this.#address, this.#context.limits.connectTimeoutMs, (error, connection) => {
      if (this.#state !== 'connecting' || attempt !== this.#attempt) {
        connection?.destroy()
        return
      }
      if (connection === null) this.#retryLater(error ?? 'no connection')
      else this.#introduce(connection)
    })
  }

  /** The peer has just called: it is up, so there is no reason to wait longer, nor for a SYN sent while it was away. */
  dialAtOnce(): void {
    const { clock, limits } = this.#context
    const stuck = this.#state === 'connecting' && clock.monotonicMs() - this.#stateSinceMs >= limits.backoffMinMs
    if (stuck) this.#state = 'backoff'
    if (this.#state === 'backoff') this.dial()
  }

  #enter(state: LinkState): void {
    this.#state = state
    this.#stateSinceMs = this.#context.clock.monotonicMs()
  }

  #introduce(connection: Connection): void {
    const options = this.#context.options
    this.#connection = connection
    this.#enter('handshaking')
    this.#lastAliveMs = this.#stateSinceMs
    const decoder = new FrameDecoder(MAX_HELLO_FRAME_BYTES)
    const visit = (kind: number, payload: Uint8Array): boolean => this.#onFrame(kind, payload)
    connection.setHandlers({
      onData: (bytes) => {
        if (this.#connection !== connection || this.#state === 'closing') return
        this.#lastAliveMs = this.#context.clock.monotonicMs()
        const error = decoder.push(bytes, visit)
        if (error === null) return
        this.#context.counters.framesRejected++
        this.#give(`bad frame: ${error.message}`)
      },
      onClose: (reason) => {
        if (this.#connection === connection) this.#onClosed(reason)
      },
      onDrain: () => {
        if (this.#refused && this.#state === 'open') this.#announceRoom()
      },
    })
    connection.write(
      encodeHelloFrame({
        protocolVersion: PROTOCOL_VERSION,
        lane: this.lane,
        from: options.nodeId,
        to: this.to,
        clusterId: options.clusterId,
        incarnation: options.incarnation,
        authentication: options.authToken,
      }),
    )
  }

  /** The accepting side sends HELLO or REFUSAL, then PONGs only. */
  #onFrame(kind: number, payload: Uint8Array): boolean {
    if (this.#state === 'open' && kind === FRAME_PONG) return true
    if (this.#state === 'handshaking' && (kind === FRAME_HELLO || kind === FRAME_REFUSAL)) {
      try {
        if (kind === FRAME_HELLO) this.#onHello(payload)
        else this.#give(`refused by the peer: ${decodeRefusal(payload).text}`)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        this.#give(`bad handshake: ${error.message}`)
      }
    } else this.#give(`unexpected frame of kind ${kind}`)
    return this.#state === 'open'
  }

  #onHello(payload: Uint8Array): void {
    const context = this.#context
    const { clusterId, authToken, nodeId } = context.options
    const refusal = refusalFor(decodeHello(payload), {
      clusterId,
      authToken,
      self: nodeId,
      from: this.to,
      lane: this.lane,
      isPeer: (node) => context.isPeer(node),
    })
    if (refusal !== null) {
      context.counters.connectionsRefused++
      this.#give(`peer refused: ${refusal.text}`)
      return
    }
    this.#enter('open')
    this.#stream = context.nextStream()
    this.#lastPingMs = this.#stateSinceMs
    this.#writtenBytes = 0
    this.#takenBytes = 0
    this.#lastFailure = ''
    context.counters.streamsOpened++
    context.logger.info('peer connected', { to: this.to, lane: LANE_NAMES[this.lane], stream: this.#stream })
    context.handlers.onStreamOpen(this.to, this.lane, this.#stream)
    if (this.#refused) this.#announceRoom()
  }

  /** From the transport's timer: ends a handshake that stalls and a connection that is silent, and pings. */
  tick(nowMs: number): void {
    const limits = this.#context.limits
    const connection = this.#connection
    if (connection === null) return
    if (this.#state === 'handshaking' && nowMs - this.#stateSinceMs >= limits.handshakeTimeoutMs) {
      this.#give(`no answer to HELLO in ${limits.handshakeTimeoutMs} ms`)
    }
    if (this.#state !== 'open') return
    this.#bufferedBytes = connection.bufferedBytes
    const takenBytes = this.#writtenBytes - this.#bufferedBytes
    // A PONG may stand behind megabytes on a slow path: as long as the kernel takes more of a backlog, the peer lives.
    if (this.#bufferedBytes > 0 && takenBytes > this.#takenBytes) this.#lastAliveMs = nowMs
    this.#takenBytes = takenBytes
    if (nowMs - this.#lastAliveMs >= limits.silenceTimeoutMs) {
      this.#give(`silent for ${limits.silenceTimeoutMs} ms`)
      return
    }
    if (this.#refused) this.#announceRoom()
    if (nowMs - this.#lastPingMs < limits.pingIntervalMs || this.#bufferedBytes > HIGH_WATER_BYTES) return
    this.#lastPingMs = nowMs
    const ping = encodePingFrame(this.#context.clock.wallMs())
    this.#writtenBytes += ping.length
    connection.write(ping)
  }

  /** This node itself stood still (stopped, or out of processor time): the peers' silence then proves nothing. */
  excuse(nowMs: number): void {
    this.#lastAliveMs = nowMs
    if (this.#state === 'handshaking') this.#stateSinceMs = nowMs
  }

  setAddress(address: string): void {
    if (address === this.#address || this.#state === 'retired') return
    this.#address = address
    this.#failures = 0
    if (this.#state === 'backoff') this.dial()
    else if (this.#state === 'connecting') {
      this.#state = 'backoff'
      this.dial()
    } else if (this.#state !== 'closing') this.#give('the peer has a new address')
  }

  /** For good: no handler is called any more. `graceful` lets go out what the connection already has. */
  retire(graceful: boolean): void {
    const connection = this.#connection
    this.#enter('retired')
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    this.#connection = null
    this.#dropQueue()
    if (graceful) connection?.end()
    else connection?.destroy()
  }

  /** Gives the connection up; its onClose, an event of its own, does the rest. */
  #give(reason: string): void {
    const connection = this.#connection
    assert(connection !== null, 'transport: no connection to give up')
    if (this.#state === 'closing' || this.#state === 'retired') return
    const wasOpen = this.#state === 'open'
    const livedMs = this.#context.clock.monotonicMs() - this.#stateSinceMs
    this.#enter('closing')
    this.#closeDue = wasOpen
    this.#dropQueue()
    this.#noteFailure(reason, wasOpen, livedMs)
    connection.destroy()
  }

  #onClosed(reason: string): void {
    const state = this.#state
    this.#connection = null
    if (state !== 'closing') {
      assert(state === 'handshaking' || state === 'open', 'transport: a connection closed in an unexpected state')
      this.#closeDue = state === 'open'
      this.#dropQueue()
      this.#noteFailure(reason, state === 'open', this.#context.clock.monotonicMs() - this.#stateSinceMs)
    }
    this.#waitAndDial()
    if (!this.#closeDue) return
    this.#closeDue = false
    this.#context.handlers.onStreamClosed(this.to, this.lane, this.#stream)
  }

  #retryLater(reason: string): void {
    this.#noteFailure(reason, false, 0)
    this.#waitAndDial()
  }

  /** Each new reason is logged once, not with every attempt. */
  #noteFailure(reason: string, wasOpen: boolean, livedMs: number): void {
    if (wasOpen && livedMs >= this.#context.limits.stableAfterMs) this.#failures = 0
    if (reason === this.#lastFailure && !wasOpen) return
    this.#lastFailure = reason
    const fields = { to: this.to, lane: LANE_NAMES[this.lane], address: this.#address, reason }
    this.#context.logger.warn(wasOpen ? 'peer connection lost' : 'peer not reachable', fields)
  }

  /** Exponential back-off, the upper half of it random: nodes that lost the same peer do not come back in step. */
  #waitAndDial(): void {
    const { backoffMinMs, backoffMaxMs } = this.#context.limits
    this.#enter('backoff')
    const fullMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failures, 16))
    this.#failures++
    const delayMs = fullMs / 2 + (fullMs / 2) * this.#context.random.unit()
    this.#retryTimer = this.#context.clock.setTimer(delayMs, () => {
      this.#retryTimer = null
      if (this.#state === 'backoff') this.dial()
    })
  }

  #dropQueue(): void {
    this.#messages = []
    this.#queuedBytes = 0
    this.#bufferedBytes = 0
  }
}
