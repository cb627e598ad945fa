/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The types of the library, `import ... from 'quorate'`: all that its users see of it, and nothing that lies behind.
 */
import type { QuorateError } from './quorate-error.ts'

/** Structured logs: a short event in plain words, and fields. Called rarely, never once a request. */
export interface QuorateLogger {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}

/** One JSON line an event on stderr, from this level on; or none at all. */
export type QuorateLogLevel = 'silent' | 'error' | 'warn' | 'info'

/** How fast the nodes' clocks tick. All in milliseconds. All nodes of a cluster should agree. */
export interface QuorateTimings {
  /** The step in which a node measures the times below. Default: 20; in a local cluster 10. */
  readonly tickMs?: number
  /** How often a leader lets its followers hear from it. Default: 100; in a local cluster 40. */
  readonly heartbeatMs?: number
  /** A follower that hears nothing from a leader for a random time between these two stands for election. Default: 600 to 1200; in a local cluster 200 to 400. */
  readonly electionMsMin?: number
  readonly electionMsMax?: number
  /** After this time a request that could not be carried out is answered with an error. Default: 5000. */
  readonly requestDeadlineMs?: number
  /** How often a leader looks for expired keys to remove; they are invisible from their expiry on anyway. Default: 100. */
  readonly housekeepingMs?: number
}

/** What a node takes on, at most. */
export interface QuorateLimits {
  /** Longest key, in bytes. Default: 1024; at most 1962. */
  readonly maxKeyBytes?: number
  /** Longest value, in bytes. Default: 8388608 (8 MiB). */
  readonly maxValueBytes?: number
  /** Clients connected at once. Default: 10000. */
  readonly maxClients?: number
  /**
   * The write-ahead log is made of files of this many bytes, three or more a node, written in full when they are made. A multiple of 4096, at
   * least twice the longest value and 24 KiB. Default: 64 MiB; in a local cluster the least that `maxValueBytes` allows (about 16 MiB).
   */
  readonly segmentBytes?: number
}

/** What startNode and startLocalCluster have in common. */
export interface QuorateOptions {
  /** Where log lines go. Default: 'warn' of startNode, 'silent' of startLocalCluster. */
  readonly logger?: QuorateLogLevel | QuorateLogger
  readonly timings?: QuorateTimings
  readonly limits?: QuorateLimits
  /**
   * A node found a promise broken on which acknowledged writes rest: a sync that failed, a full or broken disk, a bug. It has stopped at
   * once, as if its process had been killed; its data is as after a crash, and nothing that was acknowledged is lost by stopping. Code: 'node-failed'.
   * Default: the error is thrown as an uncaught exception, which ends the process unless it handles those: to go on
   * as if nothing had happened must be somebody's decision.
   */
  readonly onFatal?: (error: QuorateError, nodeId: number) => void
  /** Gives up a start that is under way (code 'aborted'), leaving nothing behind. Without effect once the promise has resolved. */
  readonly signal?: AbortSignal
}

export interface StartNodeOptions extends QuorateOptions {
  /** The node's data directory: of `quorate dev`, DATA/node-1 and so on. One process at a time may use it. */
  readonly data: string
  /**
   * What to do where the directory is missing or empty. Default, false: fail (code 'no-node'), because an empty directory may also be one
   * that has lost its data. True or the settings of a new cluster: make a cluster of this one node there. A directory that holds a node is
   * opened as it is; settings that contradict it are an error (code 'other-shape').
   */
  readonly create?: boolean | CreateNodeOptions
  /**
   * The port for Redis clients. Default: the one that the directory has on record. Only a cluster of one node may use another (0: any free
   * one), for this start alone: the others of a larger one know the node by the port on record (code 'wrong-port').
   */
  readonly port?: number
}

export interface CreateNodeOptions {
  /** Groups, each with a log of its own and a share of the slots. Default: 1. */
  readonly groups?: number
  /** Hash slots: a power of two up to 16384. Default: 1024. */
  readonly slots?: number
  /** The address to listen on, kept on record. Default: '127.0.0.1'. */
  readonly host?: string
}

export interface StartLocalClusterOptions extends QuorateOptions {
  /** Default: 3. */
  readonly nodes?: number
  /** Data groups, over which the slots are spread evenly. Default: 2. */
  readonly groups?: number
  /** Copies of each group, on as many nodes. Default: 3, or as many as there are nodes. */
  readonly replicas?: number
  /** Hash slots: a power of two up to 16384. Default: 1024. */
  readonly slots?: number
  /**
   * The cluster's data directory, laid out as by `quorate dev`, which can go on with it. Made where it is missing; one that holds a cluster is
   * opened, with the shape that it was made with (other `nodes`, `groups`, `replicas` or `slots`: code 'other-shape').
   * Default: a fresh directory in the system's temporary one, removed by `close`.
   */
  readonly data?: string
  /** The address that all nodes listen on. Default: '127.0.0.1', or as recorded in `data`. */
  readonly host?: string
  /**
   * 0: every node takes free ports, which no other process can have. Else the first of the ports, as in `quorate dev`: node i listens for
   * clients on port + 10 * (i - 1). Default: 0.
   */
  readonly port?: number
  /** The start fails (code 'not-ready') if some group is not served by then. Default: 30000 ms. */
  readonly readyTimeoutMs?: number
}

/** One replica as its node sees it. */
export interface QuorateReplicaStatus {
  /** 'leader', 'follower', 'candidate' or 'preCandidate'. */
  readonly role: string
  /** Node id of the leader; null: unknown. */
  readonly leader: number | null
  readonly term: number
  /** Positions in the group's log: known to be on a majority's disks; carried out here; last one here. */
  readonly commit: number
  readonly applied: number
  readonly lastIndex: number
  /** Node ids of the members. */
  readonly replicas: readonly number[]
}

/** One group as one node sees it. */
export interface QuorateGroupStatus extends QuorateReplicaStatus {
  readonly id: number
  /** How many slots the group owns. */
  readonly slots: number
}

export interface QuorateNodeStatus {
  readonly nodeId: number
  readonly version: string
  readonly clusterId: string
  readonly slotCount: number
  /** The groups of which this node has a copy, by id. */
  readonly groups: readonly QuorateGroupStatus[]
  /** The masters' own group, which keeps the cluster's metadata; null: this node is no member of it. */
  readonly masters: QuorateReplicaStatus | null
}

/** 'failed': it has stopped by itself, see `failure`. */
export type QuorateNodeState = 'running' | 'stopped' | 'failed'

/** A node that runs in this process. */
export interface QuorateNode extends AsyncDisposable {
  /** Its id in the cluster, from 1. */
  readonly id: number
  /** Where it takes Redis clients: 'host:port'. */
  readonly address: string
  /** The same, for clients that want a URL: 'redis://host:port'. */
  readonly url: string
  /** Its data directory, as an absolute path. */
  readonly data: string
  readonly state: QuorateNodeState
  /** Why the node has stopped by itself; null: it has not. */
  readonly failure: QuorateError | null
  /** Null where it does not run. */
  status(): QuorateNodeStatus | null
  /** Stops in good order: answers what it has taken, syncs, closes every socket, file, timer and thread. May be called again, at any time. */
  close(): Promise<void>
}

/** A node of a local cluster: one that can also go away and come back. */
export interface LocalNode {
  readonly id: number
  readonly address: string
  readonly url: string
  readonly data: string
  readonly state: QuorateNodeState
  readonly failure: QuorateError | null
  status(): QuorateNodeStatus | null
  /** Stops in good order, as SIGTERM does to a process. Without effect on one that does not run. */
  stop(): Promise<void>
  /** Stops at once, as SIGKILL does to a process: no last sync, connections reset, the disk left as it is. */
  kill(): Promise<void>
  /**
   * Starts it again, on its old data and address; resolves once it takes clients. Without effect on one that runs. Rejects with a QuorateError:
   * for example 'port-taken', where another process has taken its port meanwhile.
   */
  start(): Promise<void>
}

export interface LocalCluster extends AsyncDisposable {
  /** Of all nodes, by id, whether they run or not: 'host:port'. Any Redis client may talk to any of them. */
  readonly addresses: readonly string[]
  /** The same as 'redis://host:port'. */
  readonly urls: readonly string[]
  /** The first node's. */
  readonly url: string
  /** By id: nodes[0] is node 1. */
  readonly nodes: readonly LocalNode[]
  /** The cluster's data directory, as an absolute path. */
  readonly data: string
  /** The node that leads the group, as far as is known; null: none at the moment. */
  leader(groupId: number): LocalNode | null
  /**
   * Resolves once every running node serves every group; at once where that is so. For example after `kill` of a leader; requests wait by
   * themselves, so this is for tests that measure or look. Rejects with code 'not-ready' after `timeoutMs` (default: 30000), 'closed' after `close`.
   */
  ready(timeoutMs?: number): Promise<void>
  /** Stops all nodes in good order, and removes the data where it is temporary. May be called again, at any time. */
  close(): Promise<void>
}
