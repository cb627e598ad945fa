/**
 * One end of a simulated connection: the kernel's socket and the handlers of the process behind it. Handlers run as
 * events of their own and through the process's gate, so a paused process hears late and a dead one never. The bytes of a
 * read are overwritten after the handler has returned: who keeps a view of them is found out.
 */
import { assert } from '../base/assert.ts'
import { concatBytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { BoundedDeque } from '../base/deque.ts'
import type { Connection, ConnectionHandlers } from '../ports/network.ts'
import { type FrameChaosConditions, SimFrameChaos } from './sim-frame-chaos.ts'
import { MAX_QUEUED, type PipeConditions, type PipeNetwork, type Segment, SimPipe } from './sim-pipe.ts'

export interface ConnectionNetwork extends PipeNetwork {
  readonly conditions: PipeConditions & FrameChaosConditions
  countFault(fault: string): void
  /** False while the machine is off: then nobody answers for a dead process. */
  isHostUp(host: number): boolean
  onSideClosed(side: SimConnection): void
}

/** The process that an end belongs to. */
export interface ConnectionOwner {
  readonly host: number
  deliver(callback: () => void): void
}

const READ_BYTES = 64 * 1024
const OVERWRITTEN = 0xdd
/** As in the real network: one for all connections, valid while one read is being handled. */
const sharedReadBuffer = new Uint8Array(READ_BYTES)
/** As the real network does after end(). */
const LINGER_MS = 2000

export class SimConnection implements Connection {
  readonly id: number
  readonly owner: ConnectionOwner
  readonly remoteAddress: string
  readonly localAddress: string
  readonly descriptor = -1
  readonly #network: ConnectionNetwork
  readonly #label: string
  readonly #chaos: SimFrameChaos
  #peer: SimConnection | null = null
  #out: SimPipe | null = null
  #handlers: ConnectionHandlers | null = null
  #state: 'open' | 'ended' | 'closed' = 'open'
  #paused = false
  readonly #received = new BoundedDeque<Uint8Array>(MAX_QUEUED)
  #finReceived = false
  #readDue = false
  /** Set when the handlers have to hear of the end. */
  #closeReason: string | null = null

  constructor(
    network: ConnectionNetwork,
    id: number,
    owner: ConnectionOwner,
    remoteAddress: string,
    localAddress: string,
  ) {
    this.#network = network
    this.id = id
    this.owner = owner
    this.remoteAddress = remoteAddress
    this.localAddress = localAddress
    this.#label = `net ${owner.host}#${id}`
    this.#chaos = new SimFrameChaos(
      network.scheduler,
      () => network.conditions,
      (fault) => network.countFault(fault),
      (bytes) => this.#pipe().write(bytes),
    )
  }

  /** Ties both ends together. */
  static join(a: SimConnection, b: SimConnection): void {
    a.#attach(b)
    b.#attach(a)
  }

  #attach(peer: SimConnection): void {
    const receive = (segment: Segment): void => peer.#onSegment(segment)
    const drained = (): void => this.owner.deliver(() => this.#onDrained())
    this.#peer = peer
    this.#out = new SimPipe(this.#network, this.owner.host, peer.owner.host, receive, drained)
  }

  /** Nothing that this end sends arrives before. */
  startAt(atMs: number): void {
    this.#pipe().startAt(atMs)
  }

  #pipe(): SimPipe {
    assert(this.#out !== null, 'SimConnection: not joined')
    return this.#out
  }

  get peer(): SimConnection {
    assert(this.#peer !== null, 'SimConnection: not joined')
    return this.#peer
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  setHandlers(handlers: ConnectionHandlers): void {
    assert(this.#handlers === null, 'connection: handlers are set once')
    this.#handlers = handlers
    this.#network.scheduler.after(0, this.#label, () => this.#wake())
  }

  write(bytes: Uint8Array): void {
    if (this.#state === 'open') this.#chaos.write(bytes)
  }

  writeMany(parts: readonly Uint8Array[]): void {
    if (this.#state === 'open') this.#chaos.write(concatBytes(parts))
  }

  get bufferedBytes(): number {
    return this.#pipe().unsentBytes
  }

  /** Nobody is silent for so long in a simulation. */
  setKeepAlive(): void {}

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#network.scheduler.after(0, this.#label, () => this.#wake())
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#paused = false
    this.#chaos.finish()
    this.#pipe().finish()
    this.#network.scheduler.after(LINGER_MS, `${this.#label} linger`, () => {
      if (this.#state === 'ended') this.#abort('ended here', true)
    })
    this.#network.scheduler.after(0, this.#label, () => this.#wake())
  }

  destroy(): void {
    if (this.#state !== 'closed') this.#abort('closed here', this.#network.scheduler.random.chance(0.5))
  }

  /** Closes at once and tells the other end: with a reset, which overtakes what is on the wire, or after it. */
  #abort(reason: string, reset: boolean): void {
    if (reset) this.#pipe().reset(true)
    else this.#pipe().cutOff()
    this.#close(reason)
  }

  /** Fault: this end breaks by itself, and nobody tells the other (a connection timed out behind a partition). */
  breakSilently(reason: string): void {
    if (this.#state === 'closed') return
    this.#pipe().silence()
    this.#close(reason)
  }

  /** The process died; `silently`: with its machine. */
  orphan(silently: boolean): void {
    if (this.#state === 'closed') return
    if (silently) this.breakSilently('killed')
    else this.#abort('killed', this.#network.scheduler.random.chance(0.5))
  }

  /** One of the network's partitions has gone. */
  onHealed(): void {
    this.#pipe().onHealed()
  }

  #close(reason: string): void {
    assert(this.#state !== 'closed', 'SimConnection: closed twice')
    this.#state = 'closed'
    this.#received.clear()
    this.#closeReason = reason
    this.#chaos.abandon()
    this.#network.onSideClosed(this)
    this.#network.scheduler.after(0, this.#label, () => this.#wake())
  }

  #onSegment(segment: Segment): void {
    if (this.#state === 'closed') {
      // Nobody holds this end any more: a living machine says so.
      if (segment.kind !== 'reset' && !this.peer.isClosed && this.#network.isHostUp(this.owner.host)) {
        this.#pipe().reset(false)
      }
      return
    }
    if (segment.kind === 'reset') {
      this.#pipe().silence()
      this.#close('ECONNRESET')
      return
    }
    if (segment.kind === 'fin') this.#finReceived = true
    else assert(this.#received.push(segment.bytes), 'SimConnection: too many segments unread')
    this.#wake()
  }

  /** Only from scheduler events: lets the process read, or hear of the end. */
  #wake(): void {
    if (this.#readDue) return
    this.#readDue = true
    this.owner.deliver(() => {
      this.#readDue = false
      this.#readOnce()
    })
  }

  #readOnce(): void {
    const handlers = this.#handlers
    if (handlers === null) return
    if (this.#state === 'closed') {
      const reason = this.#closeReason
      this.#closeReason = null
      if (reason !== null) handlers.onClose(reason)
      return
    }
    if (this.#paused) return
    if (this.#received.length > 0) {
      this.#read(handlers)
      return
    }
    if (!this.#finReceived) return
    this.#chaos.finish()
    this.#pipe().finish()
    this.#close(this.#state === 'ended' ? 'ended here' : 'closed by the other side')
  }

  /** As a read of the kernel's buffer does: as much as is there, up to the size of the reader's. */
  #read(handlers: ConnectionHandlers): void {
    const bytes = sharedReadBuffer
    let total = 0
    for (;;) {
      const part = this.#received.peek()
      if (part === undefined || total + part.length > READ_BYTES) break
      this.#received.shift()
      bytes.set(part, total)
      total += part.length
    }
    this.peer.#pipe().consumed(total)
    this.#network.scheduler.trace(`${this.#label}:${total}:${crc32c(bytes, 0, total)}`)
    if (this.#state === 'open') handlers.onData(bytes.subarray(0, total))
    bytes.fill(OVERWRITTEN, 0, total)
    if (this.#received.length > 0 || this.#finReceived) {
      this.#network.scheduler.after(0, this.#label, () => this.#wake())
    }
  }

  #onDrained(): void {
    if (this.#state === 'open') this.#handlers?.onDrain?.()
  }
}
