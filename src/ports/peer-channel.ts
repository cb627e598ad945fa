/**
 * Messages to other nodes, in lanes: each lane is a stream of its own, so that an image never delays a heartbeat and a
 * passed-on request never delays a vote. transport/ implements it.
 */
import type { NodeId } from '../base/brand.ts'

/** consensus: dropped when the peer is slow or away (Raft repeats). requests, images: refused, the caller waits or fails. */
export const LANE_CONSENSUS = 0
export const LANE_REQUESTS = 1
export const LANE_IMAGES = 2
export const LANE_COUNT = 3
export type Lane = typeof LANE_CONSENSUS | typeof LANE_REQUESTS | typeof LANE_IMAGES

export interface PeerHandlers {
  /** One whole, checked message. `bytes` is the receiver's to keep. `stream` identifies the connection: order holds within one. */
  onMessage(from: NodeId, lane: Lane, stream: number, bytes: Uint8Array): void
  /** The outgoing stream of this lane to the peer is up; what was sent on an earlier stream may or may not have arrived. */
  onStreamOpen(to: NodeId, lane: Lane, stream: number): void
  /** The outgoing stream is gone. */
  onStreamClosed(to: NodeId, lane: Lane, stream: number): void
  /** There is room again after a refused send. */
  onWritable(to: NodeId, lane: Lane): void
  /** The peer's wall clock when it sent a frame on the consensus lane (older by the time on the way). Milliseconds since the Unix epoch. */
  onPeerClock?(from: NodeId, wallMs: number): void
}

export interface PeerChannel {
  /** Queues one message (copied or kept: it must not change) for the next flush. False: not connected, or the lane's queue is full; nothing was queued. */
  send(to: NodeId, lane: Lane, bytes: Uint8Array): boolean
  /** Puts all queued messages on the wire: one write a peer and lane. Called once an engine turn. */
  flush(): void
  isConnected(to: NodeId, lane: Lane): boolean
  /** Bytes queued and not yet taken by the kernel. */
  queuedBytes(to: NodeId, lane: Lane): number
}
