/**
 * The host of one process: wires the rooms together, opens what the disk holds, and gives its replicas their time. Many groups, one engine
 * loop, one write-ahead log. Promise: nothing acts on the network before all it may rest on has been read back from the disk.
 */
import { assert, present } from '../base/assert.ts'
import {
  asGroupId,
  asLogIndex,
  asNodeId,
  type GroupId,
  type NodeId,
  type ReplicaId,
  type SlotId,
} from '../base/brand.ts'
import { BytesWriter } from '../base/bytes.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import type { Timer } from '../ports/clock.ts'
import type { NodeLog, RecoveredGroup } from '../ports/log.ts'
import type { MessageBus } from '../ports/message-bus.ts'
import { LANE_CONSENSUS, LANE_IMAGES } from '../ports/peer-channel.ts'
import type { RequestRouter } from '../ports/request-router.ts'
import { encodePayload, PAYLOAD_HEADER_BYTES, PAYLOAD_HOUSEKEEPING } from '../protocol/command.ts'
import { encodeRaftMessage } from '../protocol/raft-codec.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import type { RaftReplica, ReplicaHost } from '../replication/raft/raft-replica.ts'
import { SlabPool } from '../store/store.ts'
import { PeerTransport } from '../transport/peer-transport.ts'
import type { WriteAheadLog } from '../wal/write-ahead-log.ts'
import { checkLimits, maxEntryBytesOf } from './check-limits.ts'
import { Engine } from './engine.ts'
import { hexBytes } from './hex-bytes.ts'
import type { GroupGenesisConfig, NodeConfig, NodeError, NodePorts } from './node-config.ts'
import { NodeKeyEvents } from './node-key-events.ts'
import { type NodeStatus, statusOf } from './node-status.ts'
import { newReplica, openNodeLog } from './open-node-log.ts'
import { openReplica, openState, type ReplicaOpening, replicaPath } from './open-replica.ts'
import { PassedRequests } from './passed-requests.ts'
import { PeerMessages } from './peer-messages.ts'
import { PublishedMessages } from './published-messages.ts'
import { QuorumClocks } from './quorum-clocks.ts'
import { Router } from './request-router.ts'
import { SlotRoutes } from './slot-routes.ts'

/** Ticks made up at most after the process stood still: a pause must not turn into a burst of elections. */
const CATCH_UP_TICKS_MAX = 2
const HOUSEKEEPING_KEYS = 256
const SLAB_BYTES = 1024 * 1024
/** Slabs that dropped memtables gave back and later ones use again. */
const SLAB_POOL_BYTES = 64 * SLAB_BYTES
/** A buffer that one large message made grow is not kept. */
const KEPT_MESSAGE_BUFFER_BYTES = 1024 * 1024

const STOPPED: NodeError = { code: 'stopped', message: 'the node was stopped while it started', mend: 'start it again' }

/** What there is once the log is open. */
interface Wiring {
  readonly log: WriteAheadLog
  readonly transport: PeerTransport
  readonly engine: Engine
  readonly router: Router
  readonly published: PublishedMessages
  readonly keyEvents: NodeKeyEvents
  readonly opening: ReplicaOpening
}

export class QuorateNode {
  readonly config: NodeConfig
  readonly #ports: NodePorts
  readonly #self: NodeId
  readonly #clocks: QuorumClocks
  readonly #slabs = new SlabPool(SLAB_BYTES, SLAB_POOL_BYTES)
  readonly #replicas = new Map<GroupId, RaftReplica>()
  readonly #genesis = new Map<GroupId, GroupGenesisConfig>()
  readonly #routes: SlotRoutes
  #wiring: Wiring | null = null
  #tickTimer: Timer | null = null
  #housekeepingTimer: Timer | null = null
  #lastTickMs = 0
  #stopped = false
  #failed = false

  constructor(ports: NodePorts, config: NodeConfig) {
    this.#ports = ports
    this.config = config
    this.#self = asNodeId(config.nodeId)
    this.#clocks = new QuorumClocks(ports.clock, this.#self)
    const slotGroups = new Array<GroupId>(config.slotCount)
    for (const group of config.groups) {
      this.#genesis.set(asGroupId(group.groupId), group)
      for (const [first, last] of group.slots) slotGroups.fill(asGroupId(group.groupId), first, last + 1)
    }
    for (let slot = 0; slot < config.slotCount; slot++) {
      assert(slotGroups[slot] !== undefined, `slot ${slot} has no group in the configuration`)
    }
    this.#routes = new SlotRoutes(slotGroups)
  }

  get router(): RequestRouter {
    return present(this.#wiring, 'the node has not started').router
  }

  get bus(): MessageBus {
    const { published, keyEvents } = present(this.#wiring, 'the node has not started')
    return {
      publish: (channel, message, done) => published.publish(channel, message, done),
      setReceiver: (receive) => published.setReceiver(receive),
      listenToKeys: (listener) => keyEvents.listen(listener),
    }
  }

  /** Free room for writes: false once the disk holds only what is kept for hard state and deletes. */
  get acceptsGrowth(): boolean {
    return this.#wiring !== null && !this.#wiring.log.lowOnSpace
  }

  status(): NodeStatus {
    return statusOf(this.config, this.#replicas, (group) => this.#genesis.get(group))
  }

  replica(group: GroupId): RaftReplica | undefined {
    return this.#replicas.get(group)
  }

  /** Keys of the groups that this node has a replica of, as applied here: for people, not for decisions. Counts every slot. */
  keyCount(): number {
    let keys = 0
    for (const { machine } of this.#replicas.values()) if (machine instanceof KvStateMachine) keys += machine.keyCount()
    return keys
  }

  replicas(): IterableIterator<RaftReplica> {
    return this.#replicas.values()
  }

  /** Calls back once the node serves its peers; its groups elect their leaders afterwards. After an error nothing of it runs on. */
  start(done: (error: NodeError | null) => void): void {
    const misfit = checkLimits(this.config.limits)
    if (misfit !== null) return this.#ports.clock.defer(() => done(misfit))
    // None while the replica is being opened or gives way: the log asks again.
    const liveEntries = (group: GroupId, from: number, to: number) =>
      this.#replicas.get(group)?.core.entries(asLogIndex(from), asLogIndex(to)) ?? []
    const fatal = (message: string): void => this.#fatal(message)
    openNodeLog(this.#ports, this.config, liveEntries, fatal, (result) => {
      if (result.kind === 'failed') {
        if (result.log === null) done(result.error)
        else result.log.close(() => done(result.error))
        return
      }
      if (this.#stopped) return result.log.close(() => done(STOPPED))
      const wiring = this.#wire(result.log)
      this.#wiring = wiring
      const failed = (error: NodeError): void => this.stop(() => done(error))
      this.#openReplicas(wiring, result.groups, (failure) => {
        if (this.#stopped) return done(STOPPED)
        if (failure !== null) return failed(failure)
        this.#begin(wiring, (error) => {
          if (error === null) done(null)
          else failed(error)
        })
      })
    })
  }

  /**
   * This node's replica of the group, which its members have removed, gives way to a new one under an id that was never used: it knows nothing,
   * belongs to nothing until a leader adds it as a learner, and gets everything from there. One durable write makes the change.
   */
  rejoinAs(group: GroupId, replicaId: ReplicaId, done: (error: string | null) => void): void {
    const old = present(this.#replicas.get(group), `group ${group}: no replica here to give way`)
    const { log, opening } = present(this.#wiring, 'rejoin needs the log')
    assert(old.replicaId !== replicaId, 'a replica id is never used again')
    const fresh = newReplica(group, replicaId)
    old.close(() => {
      if (this.#stopped) return
      this.#replicas.delete(group)
      log.forget(group)
      log.append({ group, replicaId, hardState: fresh.hardState })
      log.flush(() => {
        if (this.#stopped) return
        this.#openReplica(opening, fresh, (error) => {
          if (error === null) this.#removeOldReplica(group, old.replicaId)
          done(error === null ? null : error.message)
        })
      })
    })
  }

  #removeOldReplica(group: GroupId, replicaId: ReplicaId): void {
    this.#ports.disk.removeTree(replicaPath(this.config, group, replicaId), (error) => {
      if (error !== null)
        this.#ports.logger.warn('the old replica stays on disk', { group, replicaId, error: error.message })
    })
  }

  /** In good order, at any point of its life: no new work, one last sync, everything closed. */
  stop(done: () => void): void {
    if (this.#stopped) return done()
    this.#stopped = true
    this.#tickTimer?.cancel()
    this.#housekeepingTimer?.cancel()
    const wiring = this.#wiring
    // A log that is being opened is closed by `start`.
    if (wiring === null) return done()
    wiring.router.stop()
    wiring.published.stop()
    wiring.engine.stop()
    const replicas = [...this.#replicas.values()]
    let open = replicas.length
    const closeRest = (): void => wiring.transport.stop(() => wiring.log.close(done))
    if (open === 0) return closeRest()
    for (const replica of replicas) {
      replica.close(() => {
        open--
        if (open === 0) closeRest()
      })
    }
  }

  #wire(log: WriteAheadLog): Wiring {
    const { network, clock, random, logger } = this.#ports
    const { config } = this
    const options = {
      clusterId: hexBytes(config.clusterId),
      nodeId: this.#self,
      incarnation: config.incarnation,
      listenAddress: config.peerAddress,
      peers: new Map(config.peers.map((peer) => [asNodeId(peer.nodeId), peer.peerAddress])),
      authToken: new Uint8Array(0),
    }
    const transport: PeerTransport = new PeerTransport(network, clock, random, logger, options, {
      onMessage: (from, lane, stream, bytes) => {
        if (!this.#stopped) messages.onMessage(from, lane, stream, bytes)
      },
      onStreamOpen: (to, lane) => {
        if (!this.#stopped) messages.onStreamOpen(to, lane)
      },
      onStreamClosed: (to, lane) => messages.onStreamClosed(to, lane),
      onWritable: (to, lane) => {
        if (!this.#stopped) messages.onRoom(to, lane)
      },
      onPeerClock: (from, wallMs) => this.#clocks.sample(from, wallMs),
    })
    const engine = new Engine(clock, log, transport)
    const replicaOf = (group: GroupId): RaftReplica | undefined => this.#replicas.get(group)
    const flushSoon = (): void => engine.schedule()
    const passed = new PassedRequests(transport, replicaOf, flushSoon)
    const router = this.#makeRouter(transport, flushSoon)
    const published = this.#makePublished(transport, flushSoon)
    const keyEvents = this.#makeKeyEvents(transport, flushSoon)
    const messages = new PeerMessages(log, logger, this.#replicas, passed, router, published, keyEvents)
    const opening: ReplicaOpening = {
      ports: this.#ports,
      config,
      slabs: this.#slabs,
      log,
      genesisOf: (group) => this.#genesis.get(group),
      keyEventsOf: (group) => keyEvents.sinkOf(group),
      hostOf: (group, replicaId) => this.#replicaHost(group, replicaId, log, engine, transport, opening),
    }
    return { log, transport, engine, router, published, keyEvents, opening }
  }

  #makeRouter(transport: PeerTransport, flushSoon: () => void): Router {
    const { slotCount, incarnation, timings, limits } = this.config
    const options = {
      self: this.#self,
      slotCount,
      incarnation,
      requestDeadlineMs: timings.requestDeadlineMs,
      maxUnanswered: limits.maxUnansweredRequests,
      maxUnansweredBytes: limits.maxUnansweredBytes,
      maxCommandBytes: maxEntryBytesOf(limits) - PAYLOAD_HEADER_BYTES,
    }
    const groups = {
      groupOf: (slot: SlotId) => this.#routes.groupOf(slot),
      epochOf: (slot: SlotId) => this.#routes.epochOf(slot),
      learned: (slot: SlotId, group: GroupId, reconfigId: number, serves: boolean) => {
        // A group that this node has never heard of cannot be asked.
        if (this.#genesis.has(group)) this.#routes.learned(slot, group, reconfigId, serves)
      },
      doubted: (slot: SlotId) => this.#routes.doubted(slot),
      replica: (group: GroupId) => this.#replicas.get(group),
      nodesOf: (group: GroupId) =>
        (this.#genesis.get(group)?.replicas ?? []).map((replica) => asNodeId(replica.nodeId)),
    }
    return new Router(options, this.#ports.clock, transport, groups, flushSoon)
  }

  #makePublished(transport: PeerTransport, flushSoon: () => void): PublishedMessages {
    const { peers, incarnation } = this.config
    const others = peers.map((peer) => asNodeId(peer.nodeId))
    return new PublishedMessages(this.#ports.clock, transport, others, incarnation * 2 ** 32 + 1, flushSoon)
  }

  #makeKeyEvents(transport: PeerTransport, flushSoon: () => void): NodeKeyEvents {
    const others = this.config.peers.map((peer) => asNodeId(peer.nodeId))
    const places = {
      leads: (group: GroupId) => this.#replicas.get(group)?.isLeader ?? false,
      hasReplica: (group: GroupId, node: NodeId) =>
        this.#replicas.get(group)?.core.membership.members.some((member) => member.nodeId === node) ?? false,
    }
    return new NodeKeyEvents(transport, others, places, flushSoon)
  }

  #openReplicas(wiring: Wiring, groups: readonly RecoveredGroup[], done: (error: NodeError | null) => void): void {
    const [first, ...rest] = groups
    if (first === undefined || this.#stopped) return done(null)
    this.#openReplica(wiring.opening, first, (error) => {
      if (error !== null) return done(error)
      this.#openReplicas(wiring, rest, done)
    })
  }

  #openReplica(opening: ReplicaOpening, recovered: RecoveredGroup, done: (error: NodeError | null) => void): void {
    openReplica(opening, recovered, (error, replica) => {
      if (replica === null) return done(error)
      if (this.#stopped) return replica.close(() => done(STOPPED))
      this.#replicas.set(recovered.group, replica)
      done(null)
    })
  }

  #replicaHost(
    group: GroupId,
    replicaId: ReplicaId,
    log: NodeLog,
    engine: Engine,
    transport: PeerTransport,
    opening: ReplicaOpening,
  ): ReplicaHost {
    const { clock, logger, baseFiles } = this.#ports
    let writer = new BytesWriter(64 * 1024)
    return {
      clock,
      logger,
      baseFiles,
      log,
      sendConsensus: (to: NodeId, message: RaftMessage) => {
        if (to === this.#self) return
        writer.reset()
        encodeRaftMessage(writer, message)
        transport.send(to, LANE_CONSENSUS, writer.copy())
        if (writer.bytes.length > KEPT_MESSAGE_BUFFER_BYTES) writer = new BytesWriter(64 * 1024)
        engine.schedule()
      },
      sendImage: (to, bytes) => {
        const sent = transport.send(to, LANE_IMAGES, bytes)
        engine.schedule()
        return sent
      },
      wake: (replica) => engine.wake(replica),
      statusChanged: (replica) => this.#wiring?.router.leaderChanged(group, replica.leaderNode),
      stampMs: (membership) => this.#clocks.stampMs(membership),
      openState: (_group, directory, done) =>
        openState(opening, group, replicaId, directory, (error, state) => done(error?.message ?? null, state)),
      acceptsGrowth: () => this.acceptsGrowth,
      fatal: (message) => this.#fatal(message),
    }
  }

  #begin({ transport, router, engine }: Wiring, done: (error: NodeError | null) => void): void {
    transport.start((error) => {
      if (error !== null) {
        const taken = error.code === 'address-in-use'
        const mend = taken ? 'stop what listens there, or choose another port' : 'check the host name'
        return done({ code: error.code, message: error.message, mend })
      }
      router.start()
      this.#lastTickMs = this.#ports.clock.monotonicMs()
      this.#scheduleTick()
      this.#scheduleHousekeeping()
      for (const replica of this.#replicas.values()) engine.wake(replica)
      done(null)
    })
  }

  #scheduleTick(): void {
    const { tickMs } = this.config.timings
    this.#tickTimer = this.#ports.clock.setTimer(tickMs, () => {
      const nowMs = this.#ports.clock.monotonicMs()
      const due = Math.floor((nowMs - this.#lastTickMs) / tickMs)
      const ticks = Math.max(1, Math.min(due, CATCH_UP_TICKS_MAX))
      this.#lastTickMs = due > CATCH_UP_TICKS_MAX ? nowMs : this.#lastTickMs + ticks * tickMs
      for (let i = 0; i < ticks; i++) for (const replica of this.#replicas.values()) replica.tick()
      this.#scheduleTick()
    })
  }

  #scheduleHousekeeping(): void {
    this.#housekeepingTimer = this.#ports.clock.setTimer(this.config.timings.housekeepingMs, () => {
      for (const replica of this.#replicas.values()) if (replica.isLeader) this.#housekeep(replica)
      this.#scheduleHousekeeping()
    })
  }

  /** What has expired or died is removed through the log, in bounded steps, one step under way at a time. */
  #housekeep(replica: RaftReplica): void {
    if (replica.housekeeping) return
    const { machine } = replica
    if (!(machine instanceof KvStateMachine)) return
    const stampMs = this.#clocks.stampMs(replica.core.membership)
    for (const { slot, command } of machine.housekeeping(HOUSEKEEPING_KEYS, stampMs)) {
      const header = {
        kind: PAYLOAD_HOUSEKEEPING,
        slot,
        stampMs: 0,
        session: 0,
        sequence: 0,
        lowestUnanswered: 0,
        retryUntilMs: 0,
      } as const
      replica.keepHouse(encodePayload(header, command))
    }
  }

  #fatal(message: string): void {
    if (this.#failed) return
    this.#failed = true
    this.#stopped = true
    this.#tickTimer?.cancel()
    this.#housekeepingTimer?.cancel()
    this.#wiring?.router.stop()
    this.#wiring?.engine.stop()
    this.#ports.onFatal(message)
  }
}
