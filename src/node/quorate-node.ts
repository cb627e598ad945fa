/**
 * The host of one process: wires the rooms together, opens what the disk holds, and gives its replicas their time. Many groups, one engine
 * loop, one write-ahead log. Promise: nothing acts on the network before all it may rest on has been read back from the disk.
 */
import { present } from '../base/assert.ts'
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
import type { ClusterAdmin } from '../ports/cluster-admin.ts'
import type { ClusterView } from '../ports/cluster-view.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import type { MessageBus } from '../ports/message-bus.ts'
import { LANE_CONSENSUS, LANE_IMAGES, LANE_REQUESTS } from '../ports/peer-channel.ts'
import type { RequestRouter } from '../ports/request-router.ts'
import type { SlotPlaces } from '../ports/slot-places.ts'
import { PAYLOAD_HEADER_BYTES } from '../protocol/command.ts'
import type { Membership } from '../protocol/membership.ts'
import { encodeRaftMessage } from '../protocol/raft-codec.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { encodeRestBeat, type RestBeat } from '../protocol/rest-beat.ts'
import type { RaftReplica, ReplicaHost } from '../replication/raft/raft-replica.ts'
import { SlabPool } from '../store/store.ts'
import { PeerTransport } from '../transport/peer-transport.ts'
import type { WriteAheadLog } from '../wal/write-ahead-log.ts'
import { PeerCalls } from './calls/peer-calls.ts'
import { checkLimits, maxEntryBytesOf } from './check-limits.ts'
import type { ClusterMirror } from './cluster/cluster-mirror.ts'
import { NodeCluster } from './cluster/node-cluster.ts'
import { Engine } from './engine.ts'
import { hexBytes } from './hex-bytes.ts'
import { GroupMoves } from './moves/group-moves.ts'
import type { MastersPlace, NodeConfig, NodeError, NodePorts } from './node-config.ts'
import { NodeKeyEvents } from './node-key-events.ts'
import { NodeSlotPlaces } from './node-slot-places.ts'
import { type NodeStatus, statusOf } from './node-status.ts'
import { openNodeLog } from './open-node-log.ts'
import { heartbeatAndElectionTicks, openState, type ReplicaOpening } from './open-replica.ts'
import { PassedRequests } from './passed-requests.ts'
import { PeerMessages } from './peer-messages.ts'
import { PublishedMessages } from './published-messages.ts'
import { QuorumClocks } from './quorum-clocks.ts'
import { ReplicaSet } from './replica-set.ts'
import { ReplicaTime } from './replica-time.ts'
import { NOBODY, Router } from './request-router.ts'
import { RestWatch } from './rest-watch.ts'
import { SlotRoutes } from './slot-routes.ts'

const SLAB_BYTES = 1024 * 1024
/** Slabs that dropped memtables gave back and later ones use again. */
const SLAB_POOL_BYTES = 64 * SLAB_BYTES
const MESSAGE_BUFFER_BYTES = 64 * 1024
/** A buffer that one large message made grow is not kept. */
const KEPT_MESSAGE_BUFFER_BYTES = 1024 * 1024

/** About what one entry of a move holds. */
const STAGE_BYTES = 512 * 1024
const STOPPED: NodeError = { code: 'stopped', message: 'the node was stopped while it started', mend: 'start it again' }

/** What there is once the log is open. */
interface Wiring {
  readonly log: WriteAheadLog
  readonly transport: PeerTransport
  readonly engine: Engine
  readonly router: Router
  readonly published: PublishedMessages
  readonly keyEvents: NodeKeyEvents
  readonly calls: PeerCalls
  readonly moves: GroupMoves
  readonly cluster: NodeCluster
}

export class QuorateNode {
  readonly config: NodeConfig
  readonly #ports: NodePorts
  readonly #self: NodeId
  readonly #clocks: QuorumClocks
  readonly #slabs = new SlabPool(SLAB_BYTES, SLAB_POOL_BYTES)
  readonly #replicas: ReplicaSet
  readonly #routes: SlotRoutes
  readonly #time: ReplicaTime
  readonly #rest: RestWatch
  /** Each message to another node is written here first. */
  #writer = new BytesWriter(MESSAGE_BUFFER_BYTES)
  #wiring: Wiring | null = null
  #stopped = false
  #failed = false

  constructor(ports: NodePorts, config: NodeConfig) {
    this.#ports = ports
    this.config = config
    this.#self = asNodeId(config.nodeId)
    this.#clocks = new QuorumClocks(ports.clock, this.#self)
    this.#replicas = new ReplicaSet(ports)
    this.#routes = new SlotRoutes(slotGroupsOf(config))
    const stampMs = (membership: Membership): number => this.#clocks.stampMs(membership)
    const send = (to: NodeId, beat: RestBeat): void => this.#sendConsensus(to, (writer) => encodeRestBeat(writer, beat))
    const waking = (): void => this.#time.lookAgain()
    this.#rest = new RestWatch({ self: this.#self, ...heartbeatAndElectionTicks(config), send, waking }, this.#replicas)
    this.#time = new ReplicaTime(ports.clock, config.timings, this.#replicas, stampMs, () => this.#rest.tick())
  }

  get router(): RequestRouter {
    return this.#started.router
  }

  /** The cluster as this node knows it. */
  get view(): ClusterView {
    return this.#started.cluster.view
  }

  /** Where slots are served, as this node's replicas know it. */
  get places(): SlotPlaces {
    const { transport } = this.#started
    return new NodeSlotPlaces(this.#replicas, this.#routes, (node) => transport.isConnected(node, LANE_REQUESTS))
  }

  get admin(): ClusterAdmin {
    return this.#started.cluster.admin
  }

  get bus(): MessageBus {
    const { published, keyEvents } = this.#started
    return {
      publish: (channel, message, sharded, done) => published.publish(channel, message, sharded, done),
      setReceiver: (receive) => published.setReceiver(receive),
      listenToKeys: (listener) => keyEvents.listen(listener),
    }
  }

  /** Free room for writes: false once the disk holds only what is kept for hard state and deletes. */
  get acceptsGrowth(): boolean {
    return this.#wiring !== null && !this.#wiring.log.lowOnSpace
  }

  status(): NodeStatus {
    return statusOf(this.config, this.#replicas, this.#wiring?.cluster.view ?? null)
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

  /** See ReplicaSet: for the simulator's own churn. */
  rejoinAs(group: GroupId, replicaId: ReplicaId, done: (error: string | null) => void): void {
    this.#replicas.replace(group, replicaId, (error) => done(error === null ? null : error.message))
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
      const wiring = this.#wire(result.log, result.masters)
      this.#wiring = wiring
      this.#replicas.learn(result.genesis)
      this.#open(wiring, result.groups, done)
    })
  }

  #open(wiring: Wiring, recovered: readonly RecoveredGroup[], done: (error: NodeError | null) => void): void {
    const failed = (error: NodeError): void => this.stop(() => done(error))
    this.#replicas.openAll(recovered, (failure) => {
      if (this.#stopped) return done(STOPPED)
      if (failure !== null) return failed(failure)
      this.#begin(wiring, (error) => {
        if (error === null) done(null)
        else failed(error)
      })
    })
  }

  /** In good order, at any point of its life: no new work, one last sync, everything closed. */
  stop(done: () => void): void {
    if (this.#stopped) return done()
    this.#stopped = true
    this.#time.stop()
    const wiring = this.#wiring
    // A log that is being opened is closed by `start`.
    if (wiring === null) return done()
    const { transport, engine, router, published, calls, moves, cluster, log } = wiring
    cluster.stop()
    moves.stop()
    calls.stop()
    router.stop()
    published.stop()
    engine.stop()
    this.#replicas.close(() => transport.stop(() => log.close(done)))
  }

  #wire(log: WriteAheadLog, masters: MastersPlace): Wiring {
    const { network, clock, random, logger } = this.#ports
    const { config } = this
    const others = config.nodes.filter(({ nodeId }) => nodeId !== config.nodeId)
    const options = {
      clusterId: hexBytes(config.clusterId),
      nodeId: this.#self,
      incarnation: config.incarnation,
      listenAddress: config.peerAddress,
      peers: new Map(others.map(({ nodeId, peer }) => [asNodeId(nodeId), peer])),
      authToken: hexBytes(config.secret),
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
    const wiring = this.#wireParts(log, transport, engine, masters)
    const passed = new PassedRequests(
      transport,
      (group) => this.#replicas.get(group),
      () => engine.schedule(),
    )
    const { metadata } = wiring.cluster
    const messages = new PeerMessages({
      ...wiring,
      logger,
      passed,
      metadata,
      replicas: this.#replicas,
      rest: this.#rest,
    })
    return wiring
  }

  #wireParts(log: WriteAheadLog, transport: PeerTransport, engine: Engine, masters: MastersPlace): Wiring {
    const { clock } = this.#ports
    const flushSoon = (): void => engine.schedule()
    const firstId = this.config.incarnation * 2 ** 32 + 1
    const others = (): readonly NodeId[] => cluster.view.others()
    const calls = new PeerCalls(this.#self, clock, transport, firstId, flushSoon)
    const published = new PublishedMessages(clock, transport, others, firstId, flushSoon)
    const keyEvents = this.#makeKeyEvents(transport, others, flushSoon)
    const router = this.#makeRouter(transport, flushSoon)
    const moves = this.#makeMoves(transport, flushSoon)
    const cluster = new NodeCluster({
      ports: this.#ports,
      config: this.config,
      transport,
      replicas: this.#replicas,
      routes: this.#routes,
      calls,
      moves,
      masters,
      flushSoon,
      opened: (replica) => engine.wake(replica),
    })
    const wiring = { log, transport, engine, router, published, keyEvents, calls, moves, cluster }
    const opening: ReplicaOpening = {
      ports: this.#ports,
      config: this.config,
      slabs: this.#slabs,
      log,
      genesisOf: (group) => this.#replicas.genesisOf(group),
      keyEventsOf: (group) => keyEvents.sinkOf(group),
      mastersMachine: () => cluster.metadata.makeMachine(),
      hostOf: (group, replicaId) => this.#replicaHost(group, replicaId, opening, wiring),
    }
    this.#replicas.begin(opening)
    return wiring
  }

  #makeMoves(transport: PeerTransport, flushSoon: () => void): GroupMoves {
    const { clock, logger } = this.#ports
    const { limits } = this.config
    const view = (): ClusterMirror => this.#started.cluster.view
    const ports = {
      self: this.#self,
      clock,
      logger,
      replica: (group: GroupId) => this.#replicas.get(group),
      send: (to: NodeId, bytes: Uint8Array) => {
        const sent = transport.send(to, LANE_REQUESTS, bytes)
        if (sent) flushSoon()
        return sent
      },
      knowNode: (node: NodeId, address: string) => {
        if (!transport.isPeer(node)) transport.setPeer(node, address)
      },
      leaderOf: (group: GroupId) => view().leaderOf(group),
      addressOf: (node: NodeId) => view().node(node)?.peer ?? null,
    }
    const maxStageBytes = Math.min(STAGE_BYTES, Math.floor(maxEntryBytesOf(limits) / 2))
    const { migration: mutations } = this.config.mutations ?? {}
    return new GroupMoves(ports, { maxStageBytes, bytesPerSecond: limits.migrationBytesPerSecond, mutations })
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
        // A group that this node has never heard of cannot be asked: the mirror will bring it.
        if (this.#nodesOf(group).length > 0) this.#routes.learned(slot, group, reconfigId, serves)
      },
      doubted: (slot: SlotId) => this.#routes.doubted(slot),
      // The masters' own group has no slots.
      replica: (group: GroupId) => (group === NOBODY ? undefined : this.#replicas.get(group)),
      nodesOf: (group: GroupId) => this.#nodesOf(group),
    }
    return new Router(options, this.#ports.clock, transport, groups, flushSoon)
  }

  /** All nodes with a replica of the group, as far as known. */
  #nodesOf(group: GroupId): readonly NodeId[] {
    return this.#started.cluster.view.group(group)?.members ?? []
  }

  #makeKeyEvents(transport: PeerTransport, others: () => readonly NodeId[], flushSoon: () => void): NodeKeyEvents {
    const places = {
      leads: (group: GroupId) => this.#replicas.get(group)?.isLeader ?? false,
      hasReplica: (group: GroupId, node: NodeId) =>
        this.#replicas.get(group)?.core.membership.members.some((member) => member.nodeId === node) ?? false,
    }
    return new NodeKeyEvents(transport, others, places, flushSoon)
  }

  #replicaHost(group: GroupId, replicaId: ReplicaId, opening: ReplicaOpening, wiring: Wiring): ReplicaHost {
    const { clock, logger, baseFiles } = this.#ports
    const { log, engine, transport, router, moves, cluster } = wiring
    return {
      clock,
      logger,
      baseFiles,
      log,
      sendConsensus: (to: NodeId, message: RaftMessage) => {
        if (to !== this.#self) this.#sendConsensus(to, (writer) => encodeRaftMessage(writer, message))
      },
      sendImage: (to, bytes) => {
        const sent = transport.send(to, LANE_IMAGES, bytes)
        engine.schedule()
        return sent
      },
      wake: (replica) => engine.wake(replica),
      statusChanged: (replica) => {
        router.leaderChanged(group, replica.leaderNode)
        moves.statusChanged(replica)
        cluster.statusChanged(replica)
      },
      applied: (replica) => moves.applied(replica),
      stampMs: (membership) => this.#clocks.stampMs(membership),
      silentTicks: ({ leaderNode }) => this.#rest.silentTicks(leaderNode),
      openState: (_group, directory, done) =>
        openState(opening, group, replicaId, directory, (error, state) => done(error?.message ?? null, state)),
      acceptsGrowth: () => this.acceptsGrowth,
      fatal: (message) => this.#fatal(message),
    }
  }

  #sendConsensus(to: NodeId, write: (writer: BytesWriter) => void): void {
    const { transport, engine } = this.#started
    this.#writer.reset()
    write(this.#writer)
    transport.send(to, LANE_CONSENSUS, this.#writer.copy())
    if (this.#writer.bytes.length > KEPT_MESSAGE_BUFFER_BYTES) this.#writer = new BytesWriter(MESSAGE_BUFFER_BYTES)
    engine.schedule()
  }

  #begin({ transport, router, engine, cluster }: Wiring, done: (error: NodeError | null) => void): void {
    transport.start((error) => {
      if (error !== null) {
        const taken = error.code === 'address-in-use'
        const mend = taken ? 'stop what listens there, or choose another port' : 'check the host name'
        return done({ code: error.code, message: error.message, mend })
      }
      router.start()
      this.#time.start()
      for (const replica of this.#replicas.values()) engine.wake(replica)
      cluster.start()
      done(null)
    })
  }

  get #started(): Wiring {
    return present(this.#wiring, 'the node has not started')
  }

  #fatal(message: string): void {
    if (this.#failed) return
    this.#failed = true
    this.#stopped = true
    this.#time.stop()
    this.#wiring?.cluster.stop()
    this.#wiring?.router.stop()
    this.#wiring?.engine.stop()
    this.#ports.onFatal(message)
  }
}

function slotGroupsOf({ groups, slotCount }: NodeConfig): readonly GroupId[] {
  const owners = new Array<GroupId>(slotCount).fill(NOBODY)
  for (const { groupId, slots } of groups) {
    for (const [first, last] of slots) owners.fill(asGroupId(groupId), first, last + 1)
  }
  return owners
}
