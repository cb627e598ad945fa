/**
 * The host of one process: opens the log, recovers or makes its replicas, and wires the rooms together. Many groups, one engine
 * loop, one write-ahead log. Promise: nothing acts on the network before all it may rest on has been read back from the disk.
 */
import { assert, present } from '../base/assert.ts'
import {
  asGroupId,
  asLogIndex,
  asNodeId,
  asReplicaId,
  asTerm,
  type GroupId,
  type NodeId,
  type ReplicaId,
  type SlotId,
} from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import type { Timer } from '../ports/clock.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import { LANE_CONSENSUS, LANE_IMAGES, type Lane } from '../ports/peer-channel.ts'
import type { RequestRouter } from '../ports/request-router.ts'
import { encodePayload, PAYLOAD_HOUSEKEEPING } from '../protocol/command.ts'
import { decodeImageMessage } from '../protocol/image-message.ts'
import type { Membership } from '../protocol/membership.ts'
import { decodeRaftMessage, encodeRaftMessage } from '../protocol/raft-codec.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { decodeRequestMessage } from '../protocol/request-message.ts'
import { NO_MUTATIONS } from '../raft/mutations.ts'
import { RaftCore } from '../raft/raft-core.ts'
import type { RaftConfig } from '../raft/ready.ts'
import { RaftReplica, type ReplicaHost, type ReplicaState } from '../replication/raft/raft-replica.ts'
import { ReplicaStore } from '../store/store.ts'
import { PeerTransport } from '../transport/peer-transport.ts'
import { openWriteAheadLog, WAL_DEFAULTS, type WriteAheadLog } from '../wal/write-ahead-log.ts'
import { Engine } from './engine.ts'
import type { GroupGenesisConfig, NodeConfig, NodeError, NodePorts } from './node-config.ts'
import { type NodeStatus, statusOf } from './node-status.ts'
import { PassedRequests } from './passed-requests.ts'
import { QuorumClocks } from './quorum-clocks.ts'
import { recoverReplica } from './recover-replica.ts'
import { Router } from './request-router.ts'

/** Ticks made up at most after the process stood still: a pause must not turn into a burst of elections. */
const CATCH_UP_TICKS_MAX = 2
const HOUSEKEEPING_KEYS = 256
const ELECTION_TICKS_FLOOR = 2

export class QuorateNode {
  readonly config: NodeConfig
  readonly #ports: NodePorts
  readonly #self: NodeId
  readonly #clocks: QuorumClocks
  readonly #replicas = new Map<GroupId, RaftReplica>()
  readonly #genesis = new Map<GroupId, GroupGenesisConfig>()
  readonly #slotGroups: GroupId[]
  #log: WriteAheadLog | null = null
  #transport: PeerTransport | null = null
  #engine: Engine | null = null
  #router: Router | null = null
  #passed: PassedRequests | null = null
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
    this.#slotGroups = new Array<GroupId>(config.slotCount)
    for (const group of config.groups) {
      this.#genesis.set(asGroupId(group.groupId), group)
      for (const [first, last] of group.slots) this.#slotGroups.fill(asGroupId(group.groupId), first, last + 1)
    }
    for (let slot = 0; slot < config.slotCount; slot++) {
      assert(this.#slotGroups[slot] !== undefined, `slot ${slot} has no group in the configuration`)
    }
  }

  get router(): RequestRouter {
    return present(this.#router, 'the node has not started')
  }

  /** Free room for writes: false once the disk holds only what is kept for hard state and deletes. */
  get acceptsGrowth(): boolean {
    return this.#log !== null && !this.#log.lowOnSpace
  }

  status(): NodeStatus {
    return statusOf(this.config, this.#replicas, (group) => this.#genesis.get(group))
  }

  replica(group: GroupId): RaftReplica | undefined {
    return this.#replicas.get(group)
  }

  replicas(): IterableIterator<RaftReplica> {
    return this.#replicas.values()
  }

  /** Calls back once the node serves its peers; its groups elect their leaders afterwards. */
  start(done: (error: NodeError | null) => void): void {
    const { disk, clock, logger } = this.#ports
    const { config } = this
    const options = {
      directory: `${config.dataDirectory}/wal`,
      ...WAL_DEFAULTS,
      segmentBytes: config.limits.segmentBytes,
      logId: this.#ports.random.u32(),
      mutations: config.mutations?.wal,
    }
    // None while the replica is being opened or gives way: the log asks again.
    const liveEntries = (group: GroupId, from: number, to: number) =>
      this.#replicas.get(group)?.core.entries(asLogIndex(from), asLogIndex(to)) ?? []
    openWriteAheadLog(
      disk,
      clock,
      logger,
      options,
      liveEntries,
      (message) => this.#fatal(message),
      (result) => {
        if (result.kind !== 'opened') return done(openError(result, config.dataDirectory))
        this.#log = result.log
        this.#makeGenesis(result.groups, (error, groups) => {
          if (error !== null) return done(error)
          this.#wire(result.log)
          this.#openReplicas(groups, (failure) => {
            if (failure !== null)
              return done({
                code: 'corrupt',
                message: failure,
                mend: 'take this replica out and let it join again as a new one',
              })
            this.#begin(done)
          })
        })
      },
    )
  }

  /**
   * This node's replica of the group, which its members have removed, gives way to a new one under an id that was never used: it knows nothing,
   * belongs to nothing until a leader adds it as a learner, and gets everything from there. One durable write makes the change.
   */
  rejoinAs(group: GroupId, replicaId: ReplicaId, done: (error: string | null) => void): void {
    const old = present(this.#replicas.get(group), `group ${group}: no replica here to give way`)
    const log = present(this.#log, 'rejoin needs the log')
    assert(old.replicaId !== replicaId, 'a replica id is never used again')
    const fresh = newReplica(group, replicaId)
    old.close(() => {
      if (this.#stopped) return
      this.#replicas.delete(group)
      log.forget(group)
      log.append({ group, replicaId, hardState: fresh.hardState })
      log.flush(() => {
        this.#openReplica(fresh, (error) => {
          if (error === null) this.#removeOldReplica(group, old.replicaId)
          done(error)
        })
      })
    })
  }

  #removeOldReplica(group: GroupId, replicaId: ReplicaId): void {
    this.#ports.disk.removeTree(this.#replicaPath(group, replicaId), (error) => {
      if (error !== null)
        this.#ports.logger.warn('the old replica stays on disk', { group, replicaId, error: error.message })
    })
  }

  /** In good order: no new work, one last sync, everything closed. */
  stop(done: () => void): void {
    if (this.#stopped) return done()
    this.#stopped = true
    this.#tickTimer?.cancel()
    this.#housekeepingTimer?.cancel()
    this.#router?.stop()
    this.#engine?.stop()
    const replicas = [...this.#replicas.values()]
    let open = replicas.length
    const closeRest = (): void => {
      const closeLog = (): void => (this.#log === null ? done() : this.#log.close(done))
      if (this.#transport === null) closeLog()
      else this.#transport.stop(closeLog)
    }
    if (open === 0) return closeRest()
    for (const replica of replicas) {
      replica.close(() => {
        open--
        if (open === 0) closeRest()
      })
    }
  }

  /** A genesis voter's record is durable before it may vote; then, once, the genesis is marked as made. */
  #makeGenesis(
    recovered: readonly RecoveredGroup[],
    done: (error: NodeError | null, groups: readonly RecoveredGroup[]) => void,
  ): void {
    const { config } = this
    const log = present(this.#log, 'genesis needs the log')
    const known = new Set(recovered.map((group) => group.group))
    const missing: RecoveredGroup[] = []
    for (const genesis of config.groups) {
      const own = genesis.replicas.find((replica) => replica.nodeId === config.nodeId)
      const group = asGroupId(genesis.groupId)
      if (own === undefined || known.has(group)) continue
      missing.push(newReplica(group, asReplicaId(own.replicaId)))
    }
    if (config.genesis === 'made' && missing.length > 0) {
      return done(
        {
          code: 'wiped',
          message: `${config.dataDirectory} has lost the log of group ${missing[0].group}, in which this node has voted`,
          mend: 'a wiped replica must not vote again: replace this node by a new one with a new id',
        },
        [],
      )
    }
    if (config.genesis === 'made') return done(null, recovered)
    for (const { group, replicaId, hardState } of missing) log.append({ group, replicaId, hardState })
    log.flush(() => {
      this.#ports.markGenesisMade((error) => {
        if (error === null) return done(null, [...recovered, ...missing])
        done({ code: 'data-directory', message: error, mend: 'check that the directory can be written' }, [])
      })
    })
  }

  #wire(log: WriteAheadLog): void {
    const { ports, config } = { ports: this.#ports, config: this.config }
    const peers = new Map(config.peers.map((peer) => [asNodeId(peer.nodeId), peer.peerAddress]))
    const options = {
      clusterId: hexBytes(config.clusterId),
      nodeId: this.#self,
      incarnation: config.incarnation,
      listenAddress: config.peerAddress,
      peers,
      authToken: new Uint8Array(0),
    }
    const transport = new PeerTransport(ports.network, ports.clock, ports.random, ports.logger, options, {
      onMessage: (from, lane, stream, bytes) => this.#onMessage(from, lane, stream, bytes),
      onStreamOpen: (to, lane) => this.#onRoom(to, lane),
      onStreamClosed: (to, lane) => {
        if (lane === LANE_CONSENSUS || lane === LANE_IMAGES) return
        this.#router?.onStreamClosed(to)
        this.#passed?.onStreamClosed(to)
      },
      onWritable: (to, lane) => this.#onRoom(to, lane),
      onPeerClock: (from, wallMs) => this.#clocks.sample(from, wallMs),
    })
    const engine = new Engine(ports.clock, log, transport)
    this.#transport = transport
    this.#engine = engine
    this.#passed = new PassedRequests(
      transport,
      (group) => this.#replicas.get(group),
      () => engine.schedule(),
    )
    this.#router = new Router(
      {
        self: this.#self,
        slotCount: config.slotCount,
        incarnation: config.incarnation,
        requestDeadlineMs: config.timings.requestDeadlineMs,
        maxUnanswered: config.limits.maxUnansweredRequests,
      },
      ports.clock,
      transport,
      {
        groupOf: (slot: SlotId) => this.#slotGroups[slot],
        replica: (group) => this.#replicas.get(group),
        nodesOf: (group) => (this.#genesis.get(group)?.replicas ?? []).map((replica) => asNodeId(replica.nodeId)),
      },
      () => engine.schedule(),
    )
  }

  #openReplicas(groups: readonly RecoveredGroup[], done: (error: string | null) => void): void {
    const [first, ...rest] = groups
    if (first === undefined) return done(null)
    this.#openReplica(first, (error) => {
      if (error !== null) return done(error)
      this.#openReplicas(rest, done)
    })
  }

  #openReplica(recovered: RecoveredGroup, done: (error: string | null) => void): void {
    const { group, replicaId, baseDirectory } = recovered
    this.#ports.disk.makeDirectory(this.#replicaPath(group, replicaId), (error) => {
      if (error !== null) return done(error.message)
      this.#openState(group, replicaId, baseDirectory, (failure, state) => {
        if (state === null) return done(failure ?? `group ${group}: its base file does not open`)
        done(this.#addReplica(recovered, state))
      })
    })
  }

  #addReplica(recovered: RecoveredGroup, state: ReplicaState): string | null {
    const { config } = this
    const { group, replicaId } = recovered
    const genesisMembership = this.#genesisMembership(group)
    const restored = recoverReplica(recovered, state.store.meta, genesisMembership)
    if (restored.kind === 'corrupt') return restored.message
    if (restored.compactTo !== null) this.#log?.append({ group, compaction: restored.compactTo })
    const mutations = { ...NO_MUTATIONS, ...config.mutations?.raft }
    const core = new RaftCore(group, this.#raftConfig(recovered), restored.state, this.#ports.random, mutations)
    const replica = new RaftReplica(
      {
        group,
        replicaId,
        path: this.#replicaPath(group, replicaId),
        baseDirectory: recovered.baseDirectory,
        genesisMembership,
        limits: config.limits.compaction,
        maxPendingProposals: config.limits.maxUnansweredRequests * 2,
        maxPendingReads: config.limits.maxUnansweredRequests * 2,
      },
      this.#replicaHost(replicaId),
      core,
      state,
    )
    this.#replicas.set(group, replica)
    return null
  }

  #replicaHost(replicaId: ReplicaId): ReplicaHost {
    const { clock, logger, baseFiles } = this.#ports
    const engine = present(this.#engine, 'replicas need the engine')
    const transport = present(this.#transport, 'replicas need the transport')
    const writer = new BytesWriter(64 * 1024)
    return {
      clock,
      logger,
      baseFiles,
      log: present(this.#log, 'replicas need the log'),
      sendConsensus: (to: NodeId, message: RaftMessage) => {
        if (to === this.#self) return
        writer.reset()
        encodeRaftMessage(writer, message)
        transport.send(to, LANE_CONSENSUS, writer.copy())
        engine.schedule()
      },
      sendImage: (to, bytes) => {
        const sent = transport.send(to, LANE_IMAGES, bytes)
        engine.schedule()
        return sent
      },
      wake: (replica) => engine.wake(replica),
      statusChanged: (replica) => {
        this.#router?.leaderChanged(replica.group, replica.leaderNode)
      },
      stampMs: (membership) => this.#clocks.stampMs(membership),
      openState: (group, directory, done) => this.#openState(group, replicaId, directory, done),
      acceptsGrowth: () => this.acceptsGrowth,
      fatal: (message) => this.#fatal(message),
    }
  }

  #openState(
    group: GroupId,
    replicaId: ReplicaId,
    directory: number,
    done: (error: string | null, state: ReplicaState | null) => void,
  ): void {
    const { config } = this
    const options = { hashKey: hexBytes(config.hashKey), group }
    ReplicaStore.open(
      this.#ports.baseFiles,
      this.#replicaPath(group, replicaId),
      directory,
      options,
      (error, store) => {
        if (store === null) return done(error === null ? 'the base file does not open' : error.message, null)
        const machine = new KvStateMachine(store, {
          slotCount: config.slotCount,
          ownedSlots: this.#genesis.get(group)?.slots ?? [],
          maxKeyBytes: config.limits.maxKeyBytes,
          maxValueBytes: config.limits.maxValueBytes,
          mutations: config.mutations?.kv,
        })
        try {
          machine.restore(store.meta?.state ?? null)
        } catch (failure) {
          if (!(failure instanceof DecodeError)) throw failure
          return done(`group ${group}: the checkpoint's state does not decode: ${failure.message}`, null)
        }
        done(null, { store, machine })
      },
    )
  }

  #begin(done: (error: NodeError | null) => void): void {
    const transport = present(this.#transport, 'begin needs the transport')
    transport.start((error) => {
      if (error !== null) {
        const mend =
          error.code === 'address-in-use' ? 'stop what listens there, or choose another port' : 'check the host name'
        return done({ code: error.code, message: error.message, mend })
      }
      this.#router?.start()
      this.#lastTickMs = this.#ports.clock.monotonicMs()
      this.#scheduleTick()
      this.#scheduleHousekeeping()
      for (const replica of this.#replicas.values()) this.#engine?.wake(replica)
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
    for (const { slot, command } of machine.housekeeping(
      HOUSEKEEPING_KEYS,
      this.#clocks.stampMs(replica.core.membership),
    )) {
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

  #onMessage(from: NodeId, lane: Lane, stream: number, bytes: Uint8Array): void {
    if (this.#stopped) return
    try {
      const reader = new BytesReader(bytes)
      if (lane === LANE_CONSENSUS) {
        const message = decodeRaftMessage(reader)
        // The log's queue is full: dropped, as if lost on the way. The leader sends it again.
        if (message.type === 'appendRequest' && message.entries.length > 0 && this.#log?.hasRoom === false) return
        this.#replicas.get(message.group)?.step(from, message)
      } else if (lane === LANE_IMAGES) {
        const message = decodeImageMessage(reader)
        this.#replicas.get(message.group)?.onImageMessage(from, message)
      } else {
        const message = decodeRequestMessage(reader)
        if (message.type === 'request') this.#passed?.onRequest(from, stream, message)
        else this.#router?.onResponse(message)
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#ports.logger.warn('message does not decode', { from, lane, error: error.message })
    }
  }

  #onRoom(to: NodeId, lane: Lane): void {
    if (this.#stopped || lane === LANE_CONSENSUS) return
    if (lane === LANE_IMAGES) {
      for (const replica of this.#replicas.values()) replica.onImagesWritable(to)
      return
    }
    this.#passed?.onWritable(to)
    this.#router?.onWritable(to)
  }

  #raftConfig(recovered: RecoveredGroup): RaftConfig {
    const { timings, limits } = this.config
    const ticks = (ms: number): number => Math.max(1, Math.round(ms / timings.tickMs))
    const electionTicksMin = Math.max(ELECTION_TICKS_FLOOR, ticks(timings.electionMsMin))
    return {
      replicaId: recovered.replicaId,
      heartbeatTicks: ticks(timings.heartbeatMs),
      electionTicksMin,
      electionTicksMax: Math.max(electionTicksMin + 1, ticks(timings.electionMsMax)),
      maxInflightMessages: 256,
      maxInflightBytes: limits.maxInflightBytes,
      maxMessageBytes: limits.maxMessageBytes,
      maxEntryBytes: limits.maxValueBytes + 1024 * 1024,
      maxUncommittedBytes: limits.maxUncommittedBytes,
      maxApplyBytes: 4 * 1024 * 1024,
      maxPendingReads: 10_000,
    }
  }

  #genesisMembership(group: GroupId): Membership {
    const replicas = this.#genesis.get(group)?.replicas ?? []
    const members = replicas.map((replica) => ({
      replicaId: asReplicaId(replica.replicaId),
      nodeId: asNodeId(replica.nodeId),
      role: 'voter' as const,
    }))
    return { members: members.sort((a, b) => a.replicaId - b.replicaId) }
  }

  /** A replica id is never used again, so neither is its directory. */
  #replicaPath(group: GroupId, replicaId: ReplicaId): string {
    return `${this.config.dataDirectory}/group-${group}-replica-${replicaId}`
  }

  #fatal(message: string): void {
    if (this.#failed) return
    this.#failed = true
    this.#stopped = true
    this.#engine?.stop()
    this.#ports.onFatal(message)
  }
}

/** A replica that has neither voted nor heard of anything. */
function newReplica(group: GroupId, replicaId: ReplicaId): RecoveredGroup {
  return {
    group,
    replicaId,
    hardState: { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) },
    compaction: { index: asLogIndex(0), term: asTerm(0) },
    baseDirectory: 0,
    entries: [],
  }
}

function openError(result: { readonly kind: string; readonly message: string }, directory: string): NodeError {
  if (result.kind === 'corrupt') {
    const mend =
      'no replica of this node may serve or vote: replace the node by a new one with a new id and an empty directory'
    return { code: 'corrupt', message: `${directory}: ${result.message}`, mend }
  }
  if (result.kind === 'newer-format') {
    return {
      code: 'newer-format',
      message: `${directory}: ${result.message}`,
      mend: 'run the Quorate version that wrote it, or a later one',
    }
  }
  return {
    code: 'data-directory',
    message: `${directory}: ${result.message}`,
    mend: 'check the disk and the permissions',
  }
}

function hexBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
