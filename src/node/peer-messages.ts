/** What comes from other nodes, taken apart and brought to whom it concerns. What does not decode costs itself and nothing else. */
import type { NodeId } from '../base/brand.ts'
import { BytesReader, DecodeError } from '../base/bytes.ts'
import type { NodeLog } from '../ports/log.ts'
import type { Logger } from '../ports/logger.ts'
import { LANE_CONSENSUS, LANE_IMAGES, LANE_REQUESTS, type Lane } from '../ports/peer-channel.ts'
import { decodeImageMessage, type ImageMessage } from '../protocol/image-message.ts'
import { METADATA_TYPE_MIN } from '../protocol/metadata-message.ts'
import { decodeNodeCall, MIGRATION_TYPE, type NodeCallMessage } from '../protocol/node-call.ts'
import { decodePubSubMessage, PUBLISH_TYPE, type PubSubMessage } from '../protocol/pubsub-message.ts'
import { decodeRaftMessage } from '../protocol/raft-codec.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { decodeRequestMessage, type PassedRequest, type PassedResponse } from '../protocol/request-message.ts'
import { decodeRestBeat, isRestBeat, type RestBeat } from '../protocol/rest-beat.ts'
import type { PeerCalls } from './calls/peer-calls.ts'
import type { NodeCluster } from './cluster/node-cluster.ts'
import type { NodeMetadata } from './cluster/node-metadata.ts'
import type { GroupMoves } from './moves/group-moves.ts'
import type { NodeKeyEvents } from './node-key-events.ts'
import { ownBytes } from './own-bytes.ts'
import type { PassedRequests } from './passed-requests.ts'
import type { PublishedMessages } from './published-messages.ts'
import type { ReplicaSet } from './replica-set.ts'
import type { Router } from './request-router.ts'
import type { RestWatch } from './rest-watch.ts'

type PeerMessage =
  | { readonly lane: 'consensus'; readonly message: RaftMessage }
  | { readonly lane: 'rest'; readonly beat: RestBeat }
  | { readonly lane: 'images'; readonly message: ImageMessage }
  | { readonly lane: 'requests'; readonly message: PassedRequest | PassedResponse }
  | { readonly lane: 'pubsub'; readonly message: PubSubMessage }
  | { readonly lane: 'calls'; readonly message: NodeCallMessage }
  /** They decode their own. */
  | { readonly lane: 'migration' | 'metadata'; readonly bytes: Uint8Array }

export interface PeerMessageParts {
  readonly log: NodeLog
  readonly logger: Logger
  readonly replicas: ReplicaSet
  readonly rest: RestWatch
  readonly passed: PassedRequests
  readonly router: Router
  readonly published: PublishedMessages
  readonly keyEvents: NodeKeyEvents
  readonly calls: PeerCalls
  readonly moves: GroupMoves
  readonly metadata: NodeMetadata
  readonly cluster: Pick<NodeCluster, 'connected'>
}

export class PeerMessages {
  readonly #parts: PeerMessageParts

  constructor(parts: PeerMessageParts) {
    this.#parts = parts
  }

  onMessage(from: NodeId, lane: Lane, stream: number, bytes: Uint8Array): void {
    const decoded = this.#decode(from, lane, bytes)
    if (decoded === null) return
    const { log, replicas, rest, passed, router, calls, moves, metadata } = this.#parts
    switch (decoded.lane) {
      case 'consensus': {
        const { message } = decoded
        // The log's queue is full: dropped, as if lost on the way. The leader sends it again.
        if (message.type === 'appendRequest' && message.entries.length > 0 && !log.hasRoom) return
        return replicas.get(message.group)?.step(from, message)
      }
      case 'rest':
        return rest.onBeat(from, decoded.beat)
      case 'images':
        return replicas.get(decoded.message.group)?.onImageMessage(from, decoded.message)
      case 'pubsub':
        return this.#onPubSub(from, decoded.message)
      case 'calls':
        return calls.onMessage(from, decoded.message)
      case 'migration':
        return moves.onMessage(from, decoded.bytes)
      case 'metadata':
        return metadata.onMessage(from, decoded.bytes)
      case 'requests':
        if (decoded.message.type === 'request') passed.onRequest(from, stream, decoded.message)
        else router.onResponse(decoded.message)
    }
  }

  #onPubSub(from: NodeId, message: PubSubMessage): void {
    const { published, keyEvents } = this.#parts
    if (message.type === 'publish' || message.type === 'delivered') published.onMessage(from, message)
    else keyEvents.onMessage(from, message)
  }

  #decode(from: NodeId, lane: Lane, bytes: Uint8Array): PeerMessage | null {
    try {
      const reader = new BytesReader(bytes)
      const first = bytes.length === 0 ? 0 : bytes[0]
      if (lane === LANE_CONSENSUS) {
        if (isRestBeat(first)) return { lane: 'rest', beat: decodeRestBeat(reader) }
        return { lane: 'consensus', message: decodeToKeep(bytes) }
      }
      if (lane === LANE_IMAGES) return { lane: 'images', message: decodeImageMessage(reader) }
      if (first < PUBLISH_TYPE) return { lane: 'requests', message: decodeRequestMessage(reader) }
      if (first < MIGRATION_TYPE) return { lane: 'pubsub', message: decodePubSubMessage(reader) }
      if (first === MIGRATION_TYPE) return { lane: 'migration', bytes }
      if (first < METADATA_TYPE_MIN) return { lane: 'calls', message: decodeNodeCall(reader) }
      return { lane: 'metadata', bytes }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#parts.logger.warn('message does not decode', { from, lane, error: error.message })
      return null
    }
  }

  onRoom(to: NodeId, lane: Lane): void {
    if (lane === LANE_CONSENSUS) return
    if (lane === LANE_IMAGES) {
      for (const replica of this.#parts.replicas.values()) replica.onImagesWritable(to)
      return
    }
    this.#parts.passed.onWritable(to)
    this.#parts.router.onWritable(to)
  }

  onStreamOpen(to: NodeId, lane: Lane): void {
    if (lane === LANE_REQUESTS) {
      this.#parts.keyEvents.onStreamOpen(to)
      this.#parts.cluster.connected(to)
    }
    this.onRoom(to, lane)
  }

  onStreamClosed(to: NodeId, lane: Lane): void {
    if (lane === LANE_CONSENSUS || lane === LANE_IMAGES) return
    this.#parts.router.onStreamClosed(to)
    this.#parts.passed.onStreamClosed(to)
    this.#parts.published.onStreamClosed(to)
    this.#parts.keyEvents.onStreamClosed(to)
    this.#parts.calls.onStreamClosed(to)
    this.#parts.moves.onStreamClosed(to)
  }
}

/** Entries stay in the log's memory until they are compacted away; the rest of their frame must not. */
function decodeToKeep(bytes: Uint8Array): RaftMessage {
  const message = decodeRaftMessage(new BytesReader(bytes))
  if (message.type !== 'appendRequest' || message.entries.length === 0) return message
  const own = ownBytes(bytes)
  return own === bytes ? message : decodeRaftMessage(new BytesReader(own))
}
