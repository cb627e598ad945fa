/**
 * Node-to-node messages over a Network: one outgoing connection a peer and lane carries this node's messages, the
 * connections that peers open carry theirs. Order holds within a stream; nothing is repeated and nothing is
 * acknowledged here. The formats stand in protocol/frame.ts, the whole story in docs/transport.md.
 *
 * Promises: a slow, silent or foreign peer costs bounded memory and its own connection; a half-open connection ends
 * within the silence time-out; handlers run as events of their own, never inside send or flush.
 */
import { assert } from '../base/assert.ts'
import type { NodeId } from '../base/brand.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Connection, ListenError, Listener, Network } from '../ports/network.ts'
import type { Lane, PeerChannel, PeerHandlers } from '../ports/peer-channel.ts'
import type { Random } from '../ports/random.ts'
import { CLUSTER_ID_BYTES, MAX_MESSAGE_BYTES } from '../protocol/frame.ts'
import { IncomingStream } from './incoming-stream.ts'
import { OutgoingLink, type TransportContext } from './outgoing-link.ts'
import {
  DEFAULT_TRANSPORT_LIMITS,
  LANES,
  newTransportCounters,
  type PeerTransportOptions,
  type TransportCounters,
} from './transport-options.ts'

export interface TransportStartError {
  readonly code: ListenError
  readonly message: string
}

export class PeerTransport implements PeerChannel {
  readonly counters: TransportCounters = newTransportCounters()
  readonly #context: TransportContext
  readonly #peers: Map<NodeId, readonly OutgoingLink[]> = new Map()
  #dirtyLinks: OutgoingLink[] = []
  readonly #incoming: IncomingStream[] = []
  #listener: Listener | null = null
  #tickTimer: Timer | null = null
  #lastTickMs = 0
  #lastStream = 0
  #phase: 'new' | 'starting' | 'running' | 'stopped' = 'new'

  constructor(
    network: Network,
    clock: Clock,
    random: Random,
    logger: Logger,
    options: PeerTransportOptions,
    handlers: PeerHandlers,
  ) {
    assert(options.clusterId.length === CLUSTER_ID_BYTES, 'transport: the cluster id has 16 bytes')
    this.#context = {
      network,
      clock,
      random,
      logger,
      options,
      limits: { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits },
      handlers,
      counters: this.counters,
      nextStream: () => ++this.#lastStream,
      isPeer: (node) => this.#peers.has(node),
      markDirty: (link) => this.#dirtyLinks.push(link),
    }
    assert(this.#context.limits.frameTargetBytes <= MAX_MESSAGE_BYTES, 'transport: frameTargetBytes is too large')
    for (const [node, address] of options.peers) this.setPeer(node, address)
  }

  /** Where it listens, with the real port; null before it does. */
  get address(): string | null {
    return this.#listener === null ? null : this.#listener.address
  }

  /** Listens, then calls every peer. Peers that are away are called again and again: that is no error. */
  start(done: (error: TransportStartError | null) => void): void {
    assert(this.#phase === 'new', 'transport: starts once')
    this.#phase = 'starting'
    const { network, options } = this.#context
    network.listen(
      options.listenAddress,
      (connection) => this.#onConnection(connection),
      (error, listener) => {
        if (this.#phase === 'stopped') {
          listener?.close(() => {})
          return
        }
        if (listener === null) {
          this.#phase = 'stopped'
          done(error ?? { code: 'failed', message: `cannot listen on ${options.listenAddress}` })
          return
        }
        this.#listener = listener
        this.#phase = 'running'
        this.#lastTickMs = this.#context.clock.monotonicMs()
        this.#armTick()
        for (const links of this.#peers.values()) for (const link of links) link.dial()
        done(null)
      },
    )
  }

  /** What was flushed still goes out; no handler runs any more. */
  stop(done: () => void): void {
    const listener = this.#listener
    this.flush()
    this.#phase = 'stopped'
    this.#tickTimer?.cancel()
    this.#tickTimer = null
    this.#listener = null
    this.#dirtyLinks = []
    for (const links of this.#peers.values()) for (const link of links) link.retire(true)
    this.#peers.clear()
    for (const stream of this.#incoming.slice()) stream.retire()
    if (listener === null) this.#context.clock.defer(done)
    else listener.close(done)
  }

  /** A new peer, or a known one's new address. */
  setPeer(node: NodeId, address: string): void {
    assert(node !== this.#context.options.nodeId, 'transport: a node is no peer of itself')
    if (this.#phase === 'stopped') return
    const known = this.#peers.get(node)
    if (known !== undefined) {
      for (const link of known) link.setAddress(address)
      return
    }
    const links = LANES.map((lane) => new OutgoingLink(this.#context, node, lane, address))
    this.#peers.set(node, links)
    if (this.#phase === 'running') for (const link of links) link.dial()
  }

  isPeer(node: NodeId): boolean {
    return this.#peers.has(node)
  }

  /** Closes what it had with the node, without onStreamClosed. */
  removePeer(node: NodeId): void {
    const links = this.#peers.get(node)
    if (links === undefined) return
    this.#peers.delete(node)
    for (const link of links) link.retire(false)
    for (const stream of this.#incoming.slice()) if (stream.isOpen && stream.from === node) stream.close('peer removed')
  }

  send(to: NodeId, lane: Lane, bytes: Uint8Array): boolean {
    const links = this.#peers.get(to)
    if (links !== undefined) return links[lane].send(bytes)
    assert(to !== this.#context.options.nodeId, 'transport: a message to the node itself')
    return false
  }

  flush(): void {
    const links = this.#dirtyLinks
    if (links.length === 0) return
    this.#dirtyLinks = []
    const wallMs = this.#context.clock.wallMs()
    for (const link of links) link.flush(wallMs)
  }

  isConnected(to: NodeId, lane: Lane): boolean {
    return this.#peers.get(to)?.[lane].isOpen ?? false
  }

  queuedBytes(to: NodeId, lane: Lane): number {
    return this.#peers.get(to)?.[lane].queuedBytes ?? 0
  }

  #onConnection(connection: Connection): void {
    let strangers = 0
    for (const stream of this.#incoming) if (!stream.isOpen) strangers++
    if (this.#phase !== 'running' || strangers >= this.#context.limits.maxStrangers) {
      connection.setHandlers({ onData() {}, onClose() {} })
      connection.destroy()
      return
    }
    const owner = {
      onIdentified: (stream: IncomingStream) => this.#onIdentified(stream),
      onEnded: (stream: IncomingStream) => this.#onEnded(stream),
    }
    this.#incoming.push(new IncomingStream(this.#context, owner, connection))
  }

  /** The newest connection of a peer and lane counts: an older one is a half-open leftover, or that of a dead process. */
  #onIdentified(stream: IncomingStream): void {
    for (const other of this.#incoming.slice()) {
      if (other === stream || !other.isOpen || other.from !== stream.from) continue
      if (other.lane === stream.lane) other.close('replaced by a newer connection')
      else if (other.incarnation !== stream.incarnation) other.close('the peer is a new process')
    }
    for (const link of this.#peers.get(stream.from) ?? []) link.dialAtOnce()
  }

  #onEnded(stream: IncomingStream): void {
    const position = this.#incoming.indexOf(stream)
    assert(position >= 0, 'transport: an unknown stream ended')
    this.#incoming.splice(position, 1)
  }

  #armTick(): void {
    this.#tickTimer = this.#context.clock.setTimer(this.#tickMs(), () => {
      this.#armTick()
      this.#onTick()
    })
  }

  #tickMs(): number {
    return this.#context.limits.pingIntervalMs / 2
  }

  #onTick(): void {
    const nowMs = this.#context.clock.monotonicMs()
    const stoodStill = nowMs - this.#lastTickMs > this.#context.limits.silenceTimeoutMs / 2
    this.#lastTickMs = nowMs
    for (const links of this.#peers.values()) {
      for (const link of links) {
        if (stoodStill) link.excuse(nowMs)
        link.tick(nowMs)
      }
    }
    for (const stream of this.#incoming.slice()) {
      if (stoodStill) stream.excuse(nowMs)
      stream.tick(nowMs)
    }
  }
}
