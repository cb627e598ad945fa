/**
 * Key events on their way to this node's door. Of the groups that it has a replica of, a node hears from its own replica, without a message. Of
 * the others their leaders' nodes send, as long as the node says that it wants to hear: unlogged, at most once, as PUBLISH.
 * A miss happens on one node alone, where the read runs; it goes to every node that wants to hear.
 */
import type { GroupId, NodeId } from '../base/brand.ts'
import type { KeyEvent, KeyEventSink } from '../kv/key-events.ts'
import type { KeyEventListener } from '../ports/message-bus.ts'
import { LANE_REQUESTS, type PeerChannel } from '../ports/peer-channel.ts'
import { encodeInterest, encodeKeyEvent, type PubSubMessage } from '../protocol/pubsub-message.ts'

export interface GroupPlaces {
  leads(group: GroupId): boolean
  hasReplica(group: GroupId, node: NodeId): boolean
}

export class NodeKeyEvents {
  readonly #peers: PeerChannel
  readonly #others: () => readonly NodeId[]
  readonly #places: GroupPlaces
  readonly #flushSoon: () => void
  readonly #interested = new Set<NodeId>()
  #listener: KeyEventListener | null = null

  constructor(peers: PeerChannel, others: () => readonly NodeId[], places: GroupPlaces, flushSoon: () => void) {
    this.#peers = peers
    this.#others = others
    this.#places = places
    this.#flushSoon = flushSoon
  }

  /** Null: nobody here listens any more. */
  listen(listener: KeyEventListener | null): void {
    const changed = (listener === null) !== (this.#listener === null)
    this.#listener = listener
    if (changed) for (const peer of this.#others()) this.#sayInterest(peer)
  }

  sinkOf(group: GroupId): KeyEventSink {
    const events = this
    return {
      get wanted(): boolean {
        return events.#listener !== null || events.#interested.size > 0
      },
      emit(event: KeyEvent, key: Uint8Array): void {
        events.#emit(group, event, key)
      },
    }
  }

  onMessage(from: NodeId, message: Extract<PubSubMessage, { type: 'interest' | 'keyEvent' }>): void {
    if (message.type === 'keyEvent') this.#listener?.(message.kind, message.name, message.key)
    else if (message.wanted) this.#interested.add(from)
    else this.#interested.delete(from)
  }

  /** The peer may be another process than before: it is told anew. */
  onStreamOpen(to: NodeId): void {
    if (this.#listener !== null) this.#sayInterest(to)
  }

  /** It says so again when it is back. */
  onStreamClosed(to: NodeId): void {
    this.#interested.delete(to)
  }

  #emit(group: GroupId, { kind, name }: KeyEvent, key: Uint8Array): void {
    this.#listener?.(kind, name, key)
    if (this.#interested.size === 0) return
    const missed = kind === 'miss'
    if (!missed && !this.#places.leads(group)) return
    let bytes: Uint8Array | null = null
    for (const peer of this.#interested) {
      if (!missed && this.#places.hasReplica(group, peer)) continue
      bytes ??= encodeKeyEvent(kind, name, key)
      if (this.#peers.send(peer, LANE_REQUESTS, bytes)) this.#flushSoon()
    }
  }

  #sayInterest(to: NodeId): void {
    if (this.#peers.send(to, LANE_REQUESTS, encodeInterest(this.#listener !== null))) this.#flushSoon()
  }
}
