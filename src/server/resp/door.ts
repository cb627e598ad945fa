/** What all connections of one RESP door share, and the shape of a command as the door runs it. */

import type { Clock } from '../../ports/clock.ts'
import type { ClusterAdmin } from '../../ports/cluster-admin.ts'
import type { ClusterView } from '../../ports/cluster-view.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MessageBus } from '../../ports/message-bus.ts'
import type { Random } from '../../ports/random.ts'
import type { RequestRouter } from '../../ports/request-router.ts'
import type { SlotPlaces } from '../../ports/slot-places.ts'
import type { CommandSpec } from '../../protocol/command-table.ts'
import type { RequestWords, RespParserLimits } from '../../protocol/resp-parser.ts'
import type { ClientState } from './client-state.ts'
import type { ClusterDoor } from './cluster/cluster-door.ts'
import type { ClusterShape } from './cluster/cluster-shape.ts'
import type { CommandBuilder } from './command-builder.ts'
import type { CommandStats } from './command-stats.ts'
import type { RespConnection } from './connection.ts'
import type { DoorConfig } from './door-config.ts'
import type { Gates } from './gates.ts'
import type { Measures } from './measures.ts'
import type { NodeInfo } from './node-info.ts'
import type { OutputBuffer } from './output.ts'
import type { RequestPool } from './request.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface RespServerOptions {
  /** "host:port". */
  readonly address: string
  readonly nodeInfo: NodeInfo
  /** Null: there is no cluster around it. */
  readonly view: ClusterView | null
  /** Takes KV.MASTER; null: there is no cluster around it. */
  readonly admin: ClusterAdmin | null
  /** Set: the door speaks Redis Cluster, and sends clients to the leaders; it needs a view. */
  readonly places: SlotPlaces | null
  /** The node's other door, with which it shares subscriptions and settings; null: it is the first. */
  readonly beside: Door | null
  /** Connections beyond are told so and closed. */
  readonly maxClients: number
  readonly maxKeyBytes: number
  readonly maxValueBytes: number
  /** Bound on a request's words together, and on a transaction's queue. */
  readonly maxRequestBytes: number
  /** Unanswered requests of one connection, parts counted; above it the connection is not read. */
  readonly maxPipelined: number
  /** Unanswered requests on the router, from wherever; above it no connection is read. Well below what the router refuses with -BUSY. */
  readonly maxOutstanding: number
  /** Reply bytes that wait for a slow reader; above the first the connection is not read, above the second it is closed. */
  readonly softOutputBytes: number
  readonly hardOutputBytes: number
  /** How long `stop` lets connections finish what they asked for. */
  readonly stopGraceMs: number
}

export const DEFAULT_RESP_OPTIONS: Omit<RespServerOptions, 'address' | 'nodeInfo'> = {
  view: null,
  admin: null,
  places: null,
  beside: null,
  maxClients: 10_000,
  maxKeyBytes: 1024,
  maxValueBytes: 8 * 1024 * 1024,
  maxRequestBytes: 64 * 1024 * 1024,
  maxPipelined: 1024,
  maxOutstanding: 50_000,
  softOutputBytes: 1024 * 1024,
  hardOutputBytes: 256 * 1024 * 1024,
  stopGraceMs: 1000,
}

export interface RespServerStats {
  connectionsReceived: number
  connectionsRejected: number
  commandsProcessed: number
  bytesReceived: number
  bytesSent: number
  errorReplies: number
  protocolErrors: number
  outputLimitDisconnections: number
  queryLimitDisconnections: number
  reads: number
  writes: number
}

export interface Door {
  readonly options: RespServerOptions
  readonly router: RequestRouter
  readonly bus: MessageBus
  readonly subscriptions: Subscriptions
  /** The cluster in Redis Cluster's words; null: there is none around it. */
  readonly shape: ClusterShape | null
  /** Null: it answers for all slots, wherever they are led. */
  readonly cluster: ClusterDoor | null
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly stats: RespServerStats
  readonly config: DoorConfig
  readonly measures: Measures
  readonly gates: Gates
  /** The table's; subcommands are inside. */
  readonly commands: readonly DoorCommand[]
  /** By a name in any case; a container's own row. */
  findCommand(bytes: Uint8Array, from: number, to: number): DoorCommand | null
  /** Of every parser; CONFIG SET changes them in place. */
  readonly requestLimits: RespParserLimits
  readonly builder: CommandBuilder
  readonly pool: RequestPool
  readonly output: OutputBuffer
  readonly startedAtMs: number
  /** 40 hexadecimal digits, new at each start. */
  readonly runId: string
  readonly connectionCount: number
  /** Bounded by maxclients. */
  connections(): Iterable<RespConnection>
  /** The connection has replies to send: before the tick is over, and with others. */
  markDirty(connection: RespConnection): void
  /** Ends the turn's batch even where no connection has something to send. */
  scheduleFlush(): void
  /** The connection waits for something that calls nobody: it is asked again soon. */
  awaitRoom(connection: RespConnection): void
  forget(connection: RespConnection): void
  resetStats(): void
  /** Values of `config` are others now, for the node's other doors, too. */
  configChanged(): void
  /** The same, heard from the first door. */
  settingsChanged(): void
  /** Another door of the node shares this one's settings from now on. */
  addDoor(door: Door): void
}

/** False: not now; ask again when all earlier requests of the connection have been answered. */
export type Handler = (door: Door, connection: RespConnection, command: DoorCommand) => boolean

/** A command that the door answers by itself, also inside EXEC. */
export type DoorReply = (door: Door, client: ClientState, words: RequestWords) => Uint8Array

export interface DoorCommand {
  readonly spec: CommandSpec
  /** As errors name it: `get`, `client|id`. */
  readonly fullName: string
  readonly arity: number
  readonly handler: Handler
  readonly reply: DoorReply | null
  readonly write: boolean
  /** CLIENT PAUSE WRITE holds it. */
  readonly mayWrite: boolean
  readonly denyOutOfMemory: boolean
  /** The door runs it at once, and it may take long: it is timed by itself. */
  readonly timedAlone: boolean
  readonly stats: CommandStats
  /** With this many words there is nothing that could be wrong with its syntax; 0: any number; -1: always look. */
  readonly uncheckedWords: number
  /** What MULTI does with it: run it now, queue it for the slot or for the door, refuse it. */
  readonly inMulti: 'now' | 'slot' | 'door' | 'refused'
  readonly subcommands: ReadonlyMap<string, DoorCommand> | null
}
