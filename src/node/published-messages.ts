/**
 * PUBLISH between nodes: each message goes to every peer that is connected, which hands it to its own subscribers and answers with
 * their number. Nobody is waited for longer than ANSWER_WITHIN_MS, and a peer that is away not at all.
 */
import { assert } from '../base/assert.ts'
import type { NodeId } from '../base/brand.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { MessageReceiver } from '../ports/message-bus.ts'
import { LANE_REQUESTS, type PeerChannel } from '../ports/peer-channel.ts'
import { encodeDelivered, encodePublish, type PubSubMessage } from '../protocol/pubsub-message.ts'

const ANSWER_WITHIN_MS = 500
const CHECK_EVERY_MS = 50
/** Messages whose receivers are being counted; beyond, they are sent and not counted. */
const MAX_COUNTED = 10_000

interface Counted {
  /** Peers that have not answered. */
  readonly waiting: Set<NodeId>
  readonly deadlineMs: number
  receivers: number
  readonly done: (receivers: number) => void
}

/** The part of ports/message-bus.ts that is about published messages. */
export class PublishedMessages {
  readonly #clock: Clock
  readonly #peers: PeerChannel
  readonly #others: () => readonly NodeId[]
  readonly #flushSoon: () => void
  /** In the order of their deadlines. */
  readonly #counted = new Map<number, Counted>()
  #nextId: number
  #timer: Timer | null = null
  #receive: MessageReceiver | null = null

  /** `firstId`: above all that an earlier process of this node used, whose answers may still come. */
  constructor(
    clock: Clock,
    peers: PeerChannel,
    others: () => readonly NodeId[],
    firstId: number,
    flushSoon: () => void,
  ) {
    this.#clock = clock
    this.#peers = peers
    this.#others = others
    this.#nextId = firstId
    this.#flushSoon = flushSoon
  }

  setReceiver(receive: MessageReceiver): void {
    assert(this.#receive === null, 'PublishedMessages: a second receiver')
    this.#receive = receive
  }

  publish(channel: Uint8Array, message: Uint8Array, sharded: boolean, done: (receivers: number) => void): void {
    const id = this.#nextId++
    const bytes = encodePublish(id, channel, message, sharded)
    const waiting = new Set<NodeId>()
    for (const peer of this.#others()) if (this.#peers.send(peer, LANE_REQUESTS, bytes)) waiting.add(peer)
    if (waiting.size === 0) return done(0)
    this.#flushSoon()
    if (this.#counted.size >= MAX_COUNTED) return done(0)
    const deadlineMs = this.#clock.monotonicMs() + ANSWER_WITHIN_MS
    this.#counted.set(id, { waiting, deadlineMs, receivers: 0, done })
    this.#timer ??= this.#clock.setTimer(CHECK_EVERY_MS, () => this.#giveUpLate())
  }

  onMessage(from: NodeId, message: Extract<PubSubMessage, { type: 'publish' | 'delivered' }>): void {
    if (message.type === 'delivered') return this.#onDelivered(from, message.id, message.receivers)
    const receivers = this.#receive?.(message.channel, message.message, message.sharded) ?? 0
    // Refused: the lane is full or gone, and the publisher's count falls short. The message has arrived.
    if (this.#peers.send(from, LANE_REQUESTS, encodeDelivered(message.id, receivers))) this.#flushSoon()
  }

  onStreamClosed(to: NodeId): void {
    for (const [id, counted] of this.#counted) if (counted.waiting.delete(to)) this.#settleIfDone(id, counted)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#counted.clear()
  }

  #onDelivered(from: NodeId, id: number, receivers: number): void {
    const counted = this.#counted.get(id)
    if (counted === undefined || !counted.waiting.delete(from)) return
    counted.receivers += receivers
    this.#settleIfDone(id, counted)
  }

  #settleIfDone(id: number, counted: Counted): void {
    if (counted.waiting.size > 0) return
    this.#counted.delete(id)
    counted.done(counted.receivers)
  }

  #giveUpLate(): void {
    this.#timer = null
    const nowMs = this.#clock.monotonicMs()
    for (const [id, counted] of this.#counted) {
      if (counted.deadlineMs > nowMs) break
      counted.waiting.clear()
      this.#settleIfDone(id, counted)
    }
    if (this.#counted.size > 0) this.#timer = this.#clock.setTimer(CHECK_EVERY_MS, () => this.#giveUpLate())
  }
}
