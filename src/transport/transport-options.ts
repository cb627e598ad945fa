/** What a PeerTransport is told once: who it is, whom it talks to, and the bounds that it keeps. */
import type { NodeId } from '../base/brand.ts'
import type { Lane } from '../ports/peer-channel.ts'

export interface TransportLimits {
  /**
   * Per peer and lane (consensus, requests, images): bytes queued here plus bytes that the kernel has not taken. A
   * larger message still goes where nothing else waits. At least 2 * HIGH_WATER_BYTES each.
   */
  readonly maxQueuedBytes: readonly [number, number, number]
  /** A frame is closed once it holds this much, so that its first message need not wait for megabytes of later ones. */
  readonly frameTargetBytes: number
  readonly connectTimeoutMs: number
  /** From the connection to a checked HELLO. */
  readonly handshakeTimeoutMs: number
  readonly pingIntervalMs: number
  /** A connection on which nothing came, and nothing left, for this long is closed. */
  readonly silenceTimeoutMs: number
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
  /** A stream that lived this long resets the back-off. */
  readonly stableAfterMs: number
  /** Incoming connections without a checked HELLO; further ones are closed at once. */
  readonly maxStrangers: number
}

const MIB = 1024 * 1024

export const DEFAULT_TRANSPORT_LIMITS: TransportLimits = {
  maxQueuedBytes: [8 * MIB, 16 * MIB, 4 * MIB],
  frameTargetBytes: 256 * 1024,
  connectTimeoutMs: 2000,
  handshakeTimeoutMs: 3000,
  pingIntervalMs: 500,
  silenceTimeoutMs: 3000,
  backoffMinMs: 50,
  backoffMaxMs: 2000,
  stableAfterMs: 1000,
  maxStrangers: 128,
}

export interface PeerTransportOptions {
  /** 16 bytes. */
  readonly clusterId: Uint8Array
  readonly nodeId: NodeId
  /** Tells this process from the node's earlier ones; need not be ordered. */
  readonly incarnation: number
  /** "host:port"; port 0 takes a free one, see `address`. */
  readonly listenAddress: string
  readonly peers: ReadonlyMap<NodeId, string>
  /** Both sides must hold the same bytes; may be empty. */
  readonly authToken: Uint8Array
  readonly limits?: Partial<TransportLimits>
}

export const LANES: readonly Lane[] = [0, 1, 2]

export const LANE_NAMES: readonly string[] = ['consensus', 'requests', 'images']

/** Plain counts since the start, for metrics. */
export interface TransportCounters {
  framesSent: number
  messagesSent: number
  messagesReceived: number
  sendsRefused: number
  streamsOpened: number
  connectionsRefused: number
  framesRejected: number
}

export function newTransportCounters(): TransportCounters {
  return {
    framesSent: 0,
    messagesSent: 0,
    messagesReceived: 0,
    sendsRefused: 0,
    streamsOpened: 0,
    connectionsRefused: 0,
    framesRejected: 0,
  }
}
