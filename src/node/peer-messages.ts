/** What comes from other nodes, taken apart and brought to whom it concerns. What does not decode costs itself and nothing else. */
import type { GroupId, NodeId } from '../base/brand.ts'
import { BytesReader, DecodeError } from '../base/bytes.ts'
import type { NodeLog } from '../ports/log.ts'
import type { Logger } from '../ports/logger.ts'
import { LANE_CONSENSUS, LANE_IMAGES, LANE_REQUESTS, type Lane } from '../ports/peer-channel.ts'
import { decodeImageMessage, type ImageMessage } from '../protocol/image-message.ts'
import { decodePubSubMessage, PUBLISH_TYPE, type PubSubMessage } from '../protocol/pubsub-message.ts'
import { decodeRaftMessage } from '../protocol/raft-codec.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { decodeRequestMessage, type PassedRequest, type PassedResponse } from '../protocol/request-message.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { NodeKeyEvents } from './node-key-events.ts'
import { ownBytes } from './own-bytes.ts'
import type { PassedRequests } from './passed-requests.ts'
import type { PublishedMessages } from './published-messages.ts'
import type { Router } from './request-router.ts'

type PeerMessage =
  | { readonly lane: 'consensus'; readonly message: RaftMessage }
  | { readonly lane: 'images'; readonly message: ImageMessage }
  | { readonly lane: 'requests'; readonly message: PassedRequest | PassedResponse }
  | { readonly lane: 'pubsub'; readonly message: PubSubMessage }

export class PeerMessages {
  readonly #log: NodeLog
  readonly #logger: Logger
  readonly #replicas: ReadonlyMap<GroupId, RaftReplica>
  readonly #passed: PassedRequests
  readonly #router: Router
  readonly #published: PublishedMessages
  readonly #keyEvents: NodeKeyEvents

  constructor(
    log: NodeLog,
    logger: Logger,
    replicas: ReadonlyMap<GroupId, RaftReplica>,
    passed: PassedRequests,
    router: Router,
    published: PublishedMessages,
    keyEvents: NodeKeyEvents,
  ) {
    this.#log = log
    this.#logger = logger
    this.#replicas = replicas
    this.#passed = passed
    this.#router = router
    this.#published = published
    this.#keyEvents = keyEvents
  }

  onMessage(from: NodeId, lane: Lane, stream: number, bytes: Uint8Array): void {
    const decoded = this.#decode(from, lane, bytes)
    if (decoded === null) return
    if (decoded.lane === 'consensus') {
      const { message } = decoded
      // The log's queue is full: dropped, as if lost on the way. The leader sends it again.
      if (message.type === 'appendRequest' && message.entries.length > 0 && !this.#log.hasRoom) return
      this.#replicas.get(message.group)?.step(from, message)
    } else if (decoded.lane === 'images') {
      this.#replicas.get(decoded.message.group)?.onImageMessage(from, decoded.message)
    } else if (decoded.lane === 'pubsub') this.#onPubSub(from, decoded.message)
    else if (decoded.message.type === 'request') this.#passed.onRequest(from, stream, decoded.message)
    else this.#router.onResponse(decoded.message)
  }

  #onPubSub(from: NodeId, message: PubSubMessage): void {
    if (message.type === 'publish' || message.type === 'delivered') this.#published.onMessage(from, message)
    else this.#keyEvents.onMessage(from, message)
  }

  #decode(from: NodeId, lane: Lane, bytes: Uint8Array): PeerMessage | null {
    try {
      if (lane === LANE_CONSENSUS) return { lane: 'consensus', message: decodeToKeep(bytes) }
      const reader = new BytesReader(bytes)
      if (lane === LANE_IMAGES) return { lane: 'images', message: decodeImageMessage(reader) }
      if (bytes.length > 0 && bytes[0] >= PUBLISH_TYPE) return { lane: 'pubsub', message: decodePubSubMessage(reader) }
      return { lane: 'requests', message: decodeRequestMessage(reader) }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#logger.warn('message does not decode', { from, lane, error: error.message })
      return null
    }
  }

  onRoom(to: NodeId, lane: Lane): void {
    if (lane === LANE_CONSENSUS) return
    if (lane === LANE_IMAGES) {
      for (const replica of this.#replicas.values()) replica.onImagesWritable(to)
      return
    }
    this.#passed.onWritable(to)
    this.#router.onWritable(to)
  }

  onStreamOpen(to: NodeId, lane: Lane): void {
    if (lane === LANE_REQUESTS) this.#keyEvents.onStreamOpen(to)
    this.onRoom(to, lane)
  }

  onStreamClosed(to: NodeId, lane: Lane): void {
    if (lane === LANE_CONSENSUS || lane === LANE_IMAGES) return
    this.#router.onStreamClosed(to)
    this.#passed.onStreamClosed(to)
    this.#published.onStreamClosed(to)
    this.#keyEvents.onStreamClosed(to)
  }
}

/** Entries stay in the log's memory until they are compacted away; the rest of their frame must not. */
function decodeToKeep(bytes: Uint8Array): RaftMessage {
  const message = decodeRaftMessage(new BytesReader(bytes))
  if (message.type !== 'appendRequest' || message.entries.length === 0) return message
  const own = ownBytes(bytes)
  return own === bytes ? message : decodeRaftMessage(new BytesReader(own))
}
