/**
 * The RESP door: takes Redis clients' connections and runs their commands on the router. Promises: replies leave in request order;
 * commands of one connection keep their order within a slot; what a client can make this process hold is bounded (see
 * connection.ts); a client's malformed bytes harm its own connection only. Replies of one turn leave in one write a connection.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MessageBus } from '../../ports/message-bus.ts'
import type { Connection, ListenError, Listener, Network } from '../../ports/network.ts'
import type { Random } from '../../ports/random.ts'
import type { RequestRouter } from '../../ports/request-router.ts'
import { ClusterDoor } from './cluster/cluster-door.ts'
import { ClusterShape } from './cluster/cluster-shape.ts'
import { CommandBuilder } from './command-builder.ts'
import { makeCommands } from './commands.ts'
import { RespConnection } from './connection.ts'
import { CommandTable, Dispatcher } from './dispatcher.ts'
import {
  DEFAULT_RESP_OPTIONS,
  type Door,
  type DoorCommand,
  type RespServerOptions,
  type RespServerStats,
} from './door.ts'
import { type DoorConfig, newDoorConfig } from './door-config.ts'
import { TOO_MANY_CLIENTS } from './errors.ts'
import { Gates } from './gates.ts'
import { listenByFlags } from './keyspace-notifications.ts'
import { Measures } from './measures.ts'
import type { NodeInfo } from './node-info.ts'
import { OutputBuffer } from './output.ts'
import { RequestPool } from './request.ts'
import { Subscriptions } from './subscriptions.ts'

export type { RespServerOptions, RespServerStats } from './door.ts'
export type { NodeInfo } from './node-info.ts'

/** Address and node are the caller's to say; the rest has defaults. */
export type RespServerSettings = Partial<RespServerOptions> & { readonly address: string; readonly nodeInfo: NodeInfo }

/** Redis 6's bound on a request's words. */
const MAX_WORDS = 1024 * 1024
const IDLE_CHECK_MS = 1000
/** How often a connection is asked again that waits for room which nobody announces. */
const ROOM_POLL_MS = 10

export class RespServer implements Door {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly router: RequestRouter
  readonly bus: MessageBus
  readonly subscriptions: Subscriptions
  readonly shape: ClusterShape | null
  readonly cluster: ClusterDoor | null
  readonly builder = new CommandBuilder()
  readonly pool = new RequestPool()
  readonly output = new OutputBuffer()
  readonly startedAtMs: number
  readonly runId: string
  readonly config: DoorConfig
  readonly requestLimits: { maxRequestBytes: number; readonly maxWords: number }
  readonly measures: Measures
  readonly gates: Gates
  readonly commands: readonly DoorCommand[] = makeCommands()
  stats: RespServerStats = newStats()

  readonly #network: Network
  readonly #table: CommandTable
  readonly #dispatcher: Dispatcher
  readonly #connections = new Set<RespConnection>()
  #options: RespServerOptions
  #listener: Listener | null = null
  #nextClientId = 1
  #dirty: RespConnection[] = []
  #flushScheduled = false
  #awaitingRoom: RespConnection[] = []
  #roomTimer: Timer | null = null
  #stopped: (() => void) | null = null
  #idleTimer: Timer | null = null
  #graceTimer: Timer | null = null
  #stopping = false
  /** They share its settings. */
  readonly #others: Door[] = []
  readonly #flushAll = (): void => this.#flushDirty()

  constructor(
    network: Network,
    clock: Clock,
    random: Random,
    router: RequestRouter,
    bus: MessageBus,
    logger: Logger,
    settings: RespServerSettings,
  ) {
    this.#network = network
    this.clock = clock
    this.random = random
    this.router = router
    this.bus = bus
    this.logger = logger
    this.#options = { ...DEFAULT_RESP_OPTIONS, ...settings }
    const { view, places, beside } = this.#options
    this.subscriptions = beside?.subscriptions ?? new Subscriptions()
    if (beside === null) bus.setReceiver((...message) => this.#receive(...message))
    this.config = beside?.config ?? newDoorConfig(this.#options)
    assert(places === null || view !== null, 'RespServer: Redis Cluster without a cluster')
    this.shape = view === null ? null : (beside?.shape ?? new ClusterShape(view))
    this.cluster = places === null || view === null ? null : new ClusterDoor(this, view, places)
    this.requestLimits = { maxRequestBytes: this.config.maxRequestBytes, maxWords: MAX_WORDS }
    this.startedAtMs = clock.monotonicMs()
    this.measures = new Measures(this)
    this.gates = new Gates(this)
    this.runId = Array.from({ length: 5 }, () => random.u32().toString(16).padStart(8, '0')).join('')
    this.#table = new CommandTable(this.commands)
    this.#dispatcher = new Dispatcher(this, this.#table)
    if (beside === null) this.configChanged()
    else {
      beside.addDoor(this)
      this.settingsChanged()
    }
  }

  get options(): RespServerOptions {
    return this.#options
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Where it listens, with the port that port 0 became. */
  get address(): string {
    return this.#options.address
  }

  start(done: (error: { readonly code: ListenError; readonly message: string } | null) => void): void {
    assert(this.#listener === null && !this.#stopping, 'RespServer.start: started before')
    this.#network.listen(
      this.#options.address,
      (connection) => this.#accept(connection),
      (error, listener) => {
        if (listener !== null) {
          this.#options = { ...this.#options, address: listener.address }
          this.#listener = listener
          if (this.#stopping) listener.close(() => {})
        }
        done(error)
      },
    )
  }

  /** Takes no more requests, answers those that it has taken (for stopGraceMs at most), then closes all connections. */
  stop(done: () => void): void {
    assert(!this.#stopping, 'RespServer.stop: stopped before')
    this.#stopping = true
    this.gates.close()
    this.cluster?.close()
    this.#idleTimer?.cancel()
    const closeConnections = (): void => {
      this.#stopped = done
      for (const connection of this.#connections) connection.closeAfterReplies()
      this.#graceTimer = this.clock.setTimer(this.#options.stopGraceMs, () => {
        for (const connection of this.#connections) connection.closeNow()
      })
      this.#stopWhenEmpty()
    }
    if (this.#listener === null) closeConnections()
    else this.#listener.close(closeConnections)
  }

  // --- For the connections ----------------------------------------------------------------------------------

  markDirty(connection: RespConnection): void {
    if (connection.dirty) return
    connection.dirty = true
    this.#dirty.push(connection)
    this.scheduleFlush()
  }

  scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.clock.defer(this.#flushAll)
  }

  awaitRoom(connection: RespConnection): void {
    if (connection.awaitsRoom) return
    connection.awaitsRoom = true
    this.#awaitingRoom.push(connection)
    this.#roomTimer ??= this.clock.setTimer(ROOM_POLL_MS, () => this.#askAgain())
  }

  findCommand(bytes: Uint8Array, from: number, to: number): DoorCommand | null {
    return this.#table.find(bytes, from, to)
  }

  forget(connection: RespConnection): void {
    this.#connections.delete(connection)
    this.#stopWhenEmpty()
  }

  connections(): Iterable<RespConnection> {
    return this.#connections
  }

  resetStats(): void {
    this.stats = newStats()
    this.measures.reset()
  }

  configChanged(): void {
    const { beside } = this.#options
    if (beside !== null) return beside.configChanged()
    this.settingsChanged()
    for (const door of this.#others) door.settingsChanged()
    listenByFlags(this)
  }

  addDoor(door: Door): void {
    this.#others.push(door)
  }

  settingsChanged(): void {
    this.requestLimits.maxRequestBytes = this.config.maxRequestBytes
    this.measures.configChanged()
    this.gates.configChanged()
    this.#watchIdle()
  }

  /** Connections are looked through once a second, and only while idle ones are to be closed. */
  #watchIdle(): void {
    this.#idleTimer?.cancel()
    this.#idleTimer = null
    if (this.config.timeoutSeconds === 0 || this.#stopping) return
    this.#idleTimer = this.clock.setTimer(IDLE_CHECK_MS, () => {
      const nowMs = this.measures.tick()
      for (const connection of this.#connections) connection.closeIfIdle(nowMs, this.config.timeoutSeconds * 1000)
      this.scheduleFlush()
      this.#watchIdle()
    })
  }

  #receive(channel: Uint8Array, message: Uint8Array, sharded: boolean): number {
    return sharded ? this.subscriptions.deliverSharded(channel, message) : this.subscriptions.deliver(channel, message)
  }

  #accept(socket: Connection): void {
    this.stats.connectionsReceived++
    if (this.#stopping || this.#connections.size >= this.config.maxClients) {
      this.stats.connectionsRejected++
      socket.setHandlers({ onData() {}, onClose() {} })
      if (!this.#stopping) socket.write(TOO_MANY_CLIENTS)
      socket.end()
      return
    }
    const connection = new RespConnection(this, this.#dispatcher, socket, this.#nextClientId++)
    this.#connections.add(connection)
    socket.setKeepAlive(this.config.tcpKeepaliveSeconds)
    socket.setHandlers(connection)
  }

  #flushDirty(): void {
    this.#flushScheduled = false
    const dirty = this.#dirty
    this.#dirty = []
    this.measures.tick()
    for (const connection of dirty) {
      connection.dirty = false
      connection.flush()
    }
    this.measures.turnEnded()
  }

  #askAgain(): void {
    this.#roomTimer = null
    const waiting = this.#awaitingRoom
    this.#awaitingRoom = []
    for (const connection of waiting) {
      connection.awaitsRoom = false
      connection.proceed()
    }
  }

  #stopWhenEmpty(): void {
    if (this.#stopped === null || this.#connections.size > 0) return
    const stopped = this.#stopped
    this.#stopped = null
    this.#graceTimer?.cancel()
    this.#roomTimer?.cancel()
    stopped()
  }
}

function newStats(): RespServerStats {
  return {
    connectionsReceived: 0,
    connectionsRejected: 0,
    commandsProcessed: 0,
    bytesReceived: 0,
    bytesSent: 0,
    errorReplies: 0,
    protocolErrors: 0,
    outputLimitDisconnections: 0,
    queryLimitDisconnections: 0,
    reads: 0,
    writes: 0,
  }
}
