/**
 * What CONFIG SET can change about a door, with what it begins. Values, not behaviour: config-parameters.ts reads and writes them as text,
 * the door acts on them. Nothing here may be changed in place: a failed CONFIG SET puts the former values back.
 */
import type { RespServerOptions } from './door.ts'

/** What a class of clients may leave unread. */
export interface OutputLimit {
  /** Above it the connection is closed at once. */
  readonly hardBytes: number
  /** Above it for softSeconds on end the connection is closed; 0: no such limit. */
  readonly softBytes: number
  readonly softSeconds: number
}

export interface DoorConfig {
  maxClients: number
  /** A client that says nothing for so long is closed; 0: never. */
  timeoutSeconds: number
  /** Of connections made from now on; 0: no keep-alive. */
  tcpKeepaliveSeconds: number
  /** Above it commands that may use more memory are refused; 0: no limit. */
  maxMemoryBytes: number
  /** Of one request, its words together. */
  maxRequestBytes: number
  /** Of what a client has sent and is not yet a whole request. */
  queryBufferBytes: number
  normalOutput: OutputLimit
  pubsubOutput: OutputLimit
  /** -1: nothing is logged. */
  slowerThanUs: number
  slowlogMaxLength: number
  /** 0: nothing is sampled. */
  latencyThresholdMs: number
  latencyTracking: boolean
  /** Of INFO latencystats, 0 to 100. */
  latencyPercentiles: readonly number[]
  /** NOTIFY_ flags of keyspace-events.ts. */
  keyspaceEvents: number
  /** Texts of the parameters that are kept for those who set them, and on which nothing hangs here. */
  kept: ReadonlyMap<string, string>
}

/** Redis's own beginnings where nothing of Quorate's says otherwise. */
export function newDoorConfig(options: RespServerOptions): DoorConfig {
  return {
    maxClients: options.maxClients,
    timeoutSeconds: 0,
    tcpKeepaliveSeconds: 300,
    maxMemoryBytes: 0,
    maxRequestBytes: options.maxRequestBytes,
    queryBufferBytes: 1024 ** 3,
    normalOutput: { hardBytes: options.hardOutputBytes, softBytes: 0, softSeconds: 0 },
    pubsubOutput: { hardBytes: 32 * 1024 ** 2, softBytes: 8 * 1024 ** 2, softSeconds: 60 },
    slowerThanUs: 10_000,
    slowlogMaxLength: 128,
    latencyThresholdMs: 0,
    latencyTracking: true,
    latencyPercentiles: [50, 99, 99.9],
    keyspaceEvents: 0,
    kept: new Map(),
  }
}
