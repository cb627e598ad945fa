/**
 * One direction of a simulated TCP connection: what the application has written and the kernel not taken, what is on
 * the wire, and the window that bounds both. Bytes come whole and in order, cut at random places, after a seeded
 * latency; behind a partition they stall and come after it.
 */
import { assert } from '../base/assert.ts'
import { BoundedDeque } from '../base/deque.ts'
import { HIGH_WATER_BYTES } from '../ports/network.ts'
import type { Scheduler } from './scheduler.ts'

export interface PipeConditions {
  readonly latencyMinMs: number
  readonly latencyMaxMs: number
  /** A segment that takes much longer than usual. */
  readonly spikeProbability: number
  readonly spikeMaxMs: number
  /** A segment that ends at a random byte. */
  readonly splitProbability: number
  /** Bytes taken by the kernel and not yet read by the other side. */
  readonly windowBytes: number
}

/** What the pipe needs of the network around it. */
export interface PipeNetwork {
  readonly scheduler: Scheduler
  readonly conditions: PipeConditions
  isBlocked(from: number, to: number): boolean
}

export type SegmentKind = 'data' | 'fin' | 'reset'

export interface Segment {
  readonly kind: SegmentKind
  readonly bytes: Uint8Array
  dropped: boolean
}

const MAX_SEGMENT_BYTES = 64 * 1024
/** Arrays in one queue of one connection: a run that reaches it has lost its way. */
export const MAX_QUEUED = 1_000_000
const NOTHING = new Uint8Array(0)
/** A stalled connection sends again so long after a partition has healed. */
const RETRANSMIT_MAX_MS = 200

export function latencyMs(network: PipeNetwork): number {
  const { latencyMinMs, latencyMaxMs, spikeProbability, spikeMaxMs } = network.conditions
  const random = network.scheduler.random
  const usualMs = latencyMinMs + (latencyMaxMs - latencyMinMs) * random.unit()
  return random.chance(spikeProbability) ? usualMs + spikeMaxMs * random.unit() : usualMs
}

export class SimPipe {
  readonly #network: PipeNetwork
  readonly #from: number
  readonly #to: number
  readonly #label: string
  readonly #receive: (segment: Segment) => void
  readonly #drained: () => void
  readonly #unsent = new BoundedDeque<Uint8Array>(MAX_QUEUED)
  /** Bytes of the first unsent array that are on their way. */
  #unsentOffset = 0
  #unsentBytes = 0
  #stoodHigh = false
  #windowUsedBytes = 0
  /** Read by the other side, but its word of it is behind a partition. */
  #stalledAckBytes = 0
  readonly #wire = new BoundedDeque<Segment>(MAX_QUEUED)
  readonly #stalled = new BoundedDeque<Segment>(MAX_QUEUED)
  #lastArrivalMs = 0
  #finishing = false
  #closed = false

  constructor(
    network: PipeNetwork,
    from: number,
    to: number,
    receive: (segment: Segment) => void,
    drained: () => void,
  ) {
    this.#network = network
    this.#from = from
    this.#to = to
    this.#label = `net ${from}>${to}`
    this.#receive = receive
    this.#drained = drained
  }

  get unsentBytes(): number {
    return this.#unsentBytes
  }

  /** Nothing arrives before this: the connection itself is still being made. */
  startAt(atMs: number): void {
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, atMs)
  }

  write(bytes: Uint8Array): void {
    if (this.#closed || this.#finishing || bytes.length === 0) return
    assert(this.#unsent.push(bytes), 'SimPipe: too many writes queued')
    this.#unsentBytes += bytes.length
    if (this.#unsentBytes >= HIGH_WATER_BYTES) this.#stoodHigh = true
    this.#pump()
  }

  /** The end follows all that was written. */
  finish(): void {
    if (this.#closed || this.#finishing) return
    this.#finishing = true
    this.#pump()
  }

  /** The end follows what the kernel has taken; the rest is lost with the process. */
  cutOff(): void {
    this.#dropUnsent()
    this.finish()
  }

  /** A reset follows; what is on the wire may be lost with it. */
  reset(loseWire: boolean): void {
    this.#dropUnsent()
    this.#closed = true
    if (loseWire) this.#loseWire()
    this.#send('reset', NOTHING)
  }

  /** Nothing follows: the sender's machine is gone. */
  silence(): void {
    this.#dropUnsent()
    this.#closed = true
    this.#loseWire()
  }

  #dropUnsent(): void {
    this.#unsent.clear()
    this.#unsentOffset = 0
    this.#unsentBytes = 0
  }

  #loseWire(): void {
    for (let segment = this.#wire.shift(); segment !== undefined; segment = this.#wire.shift()) segment.dropped = true
    this.#stalled.clear()
  }

  /** The other side has read so many bytes. */
  consumed(bytes: number): void {
    if (this.#network.isBlocked(this.#to, this.#from)) {
      this.#stalledAckBytes += bytes
      return
    }
    this.#windowUsedBytes -= bytes
    assert(this.#windowUsedBytes >= 0, 'SimPipe: more was read than sent')
    this.#pump()
  }

  /** A partition has gone: what stalled is sent again before long. */
  onHealed(): void {
    if (this.#stalled.length === 0 && this.#stalledAckBytes === 0) return
    const delayMs = RETRANSMIT_MAX_MS * this.#network.scheduler.random.unit()
    this.#network.scheduler.after(delayMs, `${this.#label} retransmit`, () => {
      this.#deliverArrived()
      if (this.#network.isBlocked(this.#to, this.#from)) return
      const bytes = this.#stalledAckBytes
      this.#stalledAckBytes = 0
      this.consumed(bytes)
    })
  }

  #pump(): void {
    const { random } = this.#network.scheduler
    const conditions = this.#network.conditions
    for (;;) {
      const head = this.#unsent.peek()
      if (head === undefined || this.#windowUsedBytes >= conditions.windowBytes) break
      const left = head.length - this.#unsentOffset
      let count = Math.min(left, MAX_SEGMENT_BYTES, conditions.windowBytes - this.#windowUsedBytes)
      if (count > 1 && random.chance(conditions.splitProbability)) count = random.between(1, count - 1)
      this.#windowUsedBytes += count
      this.#unsentBytes -= count
      this.#send('data', head.subarray(this.#unsentOffset, this.#unsentOffset + count))
      this.#unsentOffset += count
      if (count === left) {
        this.#unsent.shift()
        this.#unsentOffset = 0
      }
    }
    if (this.#unsentBytes > 0) return
    if (this.#stoodHigh) {
      this.#stoodHigh = false
      this.#network.scheduler.after(0, `${this.#label} drain`, this.#drained)
    }
    if (!this.#finishing || this.#closed) return
    this.#closed = true
    this.#send('fin', NOTHING)
  }

  #send(kind: SegmentKind, bytes: Uint8Array): void {
    const scheduler = this.#network.scheduler
    const segment: Segment = { kind, bytes, dropped: false }
    const arrivalMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + latencyMs(this.#network))
    this.#lastArrivalMs = arrivalMs
    assert(this.#wire.push(segment), 'SimPipe: too many segments on the wire')
    scheduler.after(Math.max(0, arrivalMs - scheduler.nowMs), this.#label, () => {
      if (segment.dropped) return
      assert(this.#wire.shift() === segment, 'SimPipe: segments arrive in order')
      assert(this.#stalled.push(segment), 'SimPipe: too many segments behind a partition')
      this.#deliverArrived()
    })
  }

  #deliverArrived(): void {
    while (this.#stalled.length > 0 && !this.#network.isBlocked(this.#from, this.#to)) {
      const segment = this.#stalled.shift()
      if (segment !== undefined) this.#receive(segment)
    }
  }
}
