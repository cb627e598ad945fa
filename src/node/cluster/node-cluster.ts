/**
 * This node's part in the cluster: keeps the mirror of the metadata tree, and does what it asks of this node: knows the other nodes' addresses, has the
 * replicas that it is to have, keeps the members of the groups that it leads, and, where it is a master, stands for election. Groups need nothing of it to
 * serve: without masters everything stays as it is.
 */
import { asGroupId, asNodeId, asReplicaId, type GroupId, type NodeId, type ReplicaId } from '../../base/brand.ts'
import { epochOfReplica } from '../../master/cluster-epoch.ts'
import { type Genesis, genesisOperations } from '../../master/cluster-genesis.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import { ShardMaster } from '../../master/shard-master.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { Timer } from '../../ports/clock.ts'
import type { ClusterAdmin } from '../../ports/cluster-admin.ts'
import { LANE_CONSENSUS } from '../../ports/peer-channel.ts'
import type { MetadataOperation } from '../../protocol/metadata-operation.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { PeerTransport } from '../../transport/peer-transport.ts'
import type { PeerCalls } from '../calls/peer-calls.ts'
import { GroupKeepers } from '../membership/group-keepers.ts'
import { GroupCommandCalls } from '../moves/group-command-calls.ts'
import { serveGroupCommands } from '../moves/group-command-service.ts'
import type { GroupMoves } from '../moves/group-moves.ts'
import type { GroupGenesisConfig, MastersPlace, NodeConfig, NodePorts } from '../node-config.ts'
import { NodeRecovery } from '../recovery/node-recovery.ts'
import type { ReplicaSet } from '../replica-set.ts'
import type { SlotRoutes } from '../slot-routes.ts'
import { ClusterCalls } from './cluster-calls.ts'
import { ClusterMirror } from './cluster-mirror.ts'
import { NodeMetadata } from './node-metadata.ts'
import { PeerUpkeep } from './peer-upkeep.ts'
import { ReplicaUpkeep } from './replica-upkeep.ts'

/** Members of groups are looked after this often. */
const KEEP_EVERY_MS = 100
/** A refusal may come at once. */
const REGISTER_AGAIN_MS = 3_000
/** And peers after so many times. */
const PEERS_EVERY = 50

export interface NodeClusterParts {
  readonly ports: NodePorts
  readonly config: NodeConfig
  readonly transport: PeerTransport
  readonly replicas: ReplicaSet
  readonly routes: SlotRoutes
  readonly calls: PeerCalls
  readonly moves: GroupMoves
  /** As the identity and the log have it. */
  readonly masters: MastersPlace
  flushSoon(): void
  /** A replica that was opened gets its first turn. */
  opened(replica: RaftReplica): void
}

export class NodeCluster {
  readonly view: ClusterMirror
  readonly admin: ClusterAdmin
  readonly metadata: NodeMetadata
  readonly #parts: NodeClusterParts
  readonly #self: NodeId
  readonly #peers: PeerUpkeep
  readonly #upkeep: ReplicaUpkeep
  readonly #keepers: GroupKeepers
  readonly #commands: GroupCommandCalls
  readonly #recovery: NodeRecovery
  #master: ShardMaster | null = null
  #timer: Timer | null = null
  #kept = 0
  #updating = false
  #stopped = false

  constructor(parts: NodeClusterParts) {
    const { ports, config, replicas, transport, calls } = parts
    const { clock, logger } = ports
    this.#parts = parts
    this.#self = asNodeId(config.nodeId)
    this.metadata = this.#makeMetadata()
    this.view = this.#makeMirror()
    const places = {
      replica: (group: GroupId) => replicas.get(group),
      leaderOf: (group: GroupId) => this.view.leaderOf(group),
      membersOf: (group: GroupId) => this.view.group(group)?.members ?? [],
    }
    this.#commands = new GroupCommandCalls(calls, places, clock, logger)
    serveGroupCommands(calls, places, logger)
    this.#peers = new PeerUpkeep(
      {
        self: this.#self,
        logger,
        transport,
        replicas,
        saveIdentity: (change, done) => ports.saveIdentity(change, done),
      },
      config.nodes,
    )
    this.#upkeep = this.#makeUpkeep()
    this.#keepers = new GroupKeepers(this.#self, {
      clock,
      logger,
      store: () => this.view.store,
      isConnected: (node) => node === this.#self || transport.isConnected(node, LANE_CONSENSUS),
    })
    this.#recovery = new NodeRecovery({
      ...parts,
      view: this.view,
      opened: (replica) => parts.opened(replica),
      epochEnded: () => this.#epochEnded(),
    })
    this.admin = this.#makeAdmin()
  }

  start(): void {
    this.view.start()
    this.#recovery.epoch.start()
    this.#keepSoon()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#keepers.stop()
    this.#upkeep.stop()
    this.#recovery.epoch.stop()
    this.view.stop()
    this.#master?.stop(() => {})
    this.metadata.stop()
  }

  /** Requests can be sent to it from now on. */
  connected(node: NodeId): void {
    this.#recovery.epoch.onConnected(node)
  }

  /** Of a replica on this node: its role, its leader or its term. */
  statusChanged(replica: RaftReplica): void {
    if (replica.group === MASTERS_GROUP) this.metadata.roleChanged()
    this.#keepers.statusChanged(replica)
  }

  #keepSoon(): void {
    this.#timer = this.#parts.ports.clock.setTimer(KEEP_EVERY_MS, () => {
      this.#keepers.tick()
      this.#recovery.dropOldReplica()
      if (++this.#kept % PEERS_EVERY === 0) this.#peers.tryOutdated()
      this.#keepSoon()
    })
  }

  #makeMetadata(): NodeMetadata {
    const { ports, config, transport, replicas, flushSoon } = this.#parts
    const { clock, random, logger } = ports
    const metadataPorts = {
      clock,
      random,
      logger,
      self: this.#self,
      peers: transport,
      flushSoon,
      replica: () => replicas.get(MASTERS_GROUP),
      masters: () => this.#masters(),
      agrees: (node: NodeId) => this.#recovery.epoch.agrees(node),
    }
    return new NodeMetadata(metadataPorts, config.timings.masterSessionMs)
  }

  #makeMirror(): ClusterMirror {
    const { ports, config, routes, replicas } = this.#parts
    const mirrorPorts = {
      clock: ports.clock,
      logger: ports.logger,
      routes,
      openSession: () => this.metadata.openSession(),
      epoch: () => this.#recovery.epoch.epoch,
      genesis: () => (this.#recovery.epoch.epoch === 0 ? genesisOf(config) : null),
      leaderHere: (group: GroupId) => replicas.get(group)?.leaderNode ?? null,
      read: (snapshot: ClusterSnapshot) => this.#read(snapshot),
    }
    return new ClusterMirror(mirrorPorts, config)
  }

  #makeUpkeep(): ReplicaUpkeep {
    const { ports, replicas, moves } = this.#parts
    return new ReplicaUpkeep({
      self: this.#self,
      clock: ports.clock,
      logger: ports.logger,
      replicas,
      store: () => this.view.store,
      opened: (replica) => this.#parts.opened(replica),
      closing: (group) => moves.closed(group),
      lost: (group, replica) => this.#renew(group, replica),
    })
  }

  #makeAdmin(): ClusterAdmin {
    const { ports, config, calls, replicas, moves } = this.#parts
    return new ClusterCalls({
      config,
      clock: ports.clock,
      view: this.view,
      calls,
      replicas,
      store: () => this.view.store,
      lastSnapshot: () => this.view.snapshot,
      master: () => this.#master,
      progress: () => moves.progress(),
      keepers: this.#keepers,
      recover: (wish, done) => this.#recovery.recover(wish, done),
    })
  }

  /**
   * The nodes with a replica of the masters' group: by the word of this node's own, of the tree, of the identity, in this order; and those that may be masters, as a node
   * that was one knows nothing else of them when it starts again. Each may be old: who is none refuses, and the next is asked.
   */
  #masters(): readonly NodeId[] {
    const { epoch, masters: known } = this.#recovery.epoch
    const replica = this.#parts.replicas.get(MASTERS_GROUP)
    const isOld = replica === undefined || epochOfReplica(replica.replicaId) !== epoch
    const own = isOld ? [] : replica.core.membership.members
    const snapshot = this.view.snapshot?.config.value.clusterEpoch === epoch ? this.view.snapshot : null
    const tree = snapshot?.masters.report?.value.members ?? snapshot?.masters.value.members ?? []
    const named = [...own, ...tree].map(({ nodeId }) => asNodeId(nodeId))
    return [...new Set([...named, ...known])]
  }

  /** The masters were recovered: nothing of what the old ones wished is done any more, and nobody here speaks for them. */
  #epochEnded(): void {
    this.#keepers.forget()
    this.#upkeep.forget()
    this.#master?.stop(() => {})
    this.#master = null
    this.metadata.endSessions()
    if (!this.#stopped) this.view.readSoon()
  }

  #read(snapshot: ClusterSnapshot): void {
    this.#recovery.read(snapshot)
    this.#peers.read(snapshot)
    this.#keepers.read(snapshot)
    this.#upkeep.read(snapshot)
    this.#updateRegistration(snapshot)
    this.#updateMaster(snapshot)
  }

  /** Where this node listens may be elsewhere than last time. */
  #updateRegistration({ nodes }: ClusterSnapshot): void {
    const { peerAddress: peer, respAddress: resp, clusterAddress: cluster, roles } = this.#parts.config
    const registered = nodes.get(this.#self)?.value
    const isRight =
      registered === undefined ||
      (registered.peer === peer &&
        registered.resp === resp &&
        registered.cluster === cluster &&
        [...registered.roles].sort().join() === [...roles].sort().join())
    if (isRight || this.#updating) return
    this.#updating = true
    this.admin.call('update-node', { node: this.#self, peer, resp, cluster, roles }, (error) => {
      const again = (): void => {
        this.#updating = false
        if (error !== null && !this.#stopped) this.view.readSoon()
      }
      if (error === null || this.#stopped) return again()
      this.#parts.ports.logger.warn('the registration was not updated', { error: error.message })
      this.#parts.ports.clock.setTimer(REGISTER_AGAIN_MS, again)
    })
  }

  #updateMaster({ config }: ClusterSnapshot): void {
    const { ports, config: own, replicas } = this.#parts
    const isMaster = own.roles.includes('master') && replicas.get(MASTERS_GROUP) !== undefined
    if (isMaster === (this.#master !== null) || this.#stopped) return
    if (!isMaster) {
      this.#master?.stop(() => {})
      this.#master = null
      return
    }
    this.#master = new ShardMaster({
      nodeId: this.#self,
      clusterEpoch: config.value.clusterEpoch,
      clock: ports.clock,
      commands: this.#commands,
      openSession: () => this.metadata.openSession(),
      mutations: own.mutations?.master,
    })
    this.#master.start()
  }

  #renew(group: GroupId, replica: ReplicaId): void {
    const { logger } = this.#parts.ports
    logger.warn('this node has lost a replica that began here: it gets a new one', { group, replica })
    this.admin.call('renew-replica', { group, node: this.#self, replica }, (error) => {
      if (error !== null) logger.warn('the lost replica has no successor yet', { group, error: error.message })
    })
  }
}

/** The tree of a cluster that began with this node's identity; null: it has joined later. */
function genesisOf({ groups, nodes, slotCount }: NodeConfig): MetadataOperation[] | null {
  const rising = [...nodes].sort((a, b) => a.nodeId - b.nodeId)
  if (!rising.every(({ nodeId }, i) => nodeId === i + 1)) return null
  const dataGroups = groups.filter(({ groupId }) => groupId !== MASTERS_GROUP).sort((a, b) => a.groupId - b.groupId)
  const masters = groups.find(({ groupId }) => groupId === MASTERS_GROUP)
  const owned = dataGroups.flatMap(({ slots }) => slots).reduce((sum, [first, last]) => sum + last - first + 1, 0)
  if (masters === undefined || owned < slotCount) return null
  if (!dataGroups.every(({ groupId }, i) => groupId === i + 1)) return null
  const genesis: Genesis = {
    clusterEpoch: 0,
    slotCount,
    masters: membersOf(masters),
    groups: dataGroups.map((group) => ({
      groupId: asGroupId(group.groupId),
      weight: group.weight,
      members: membersOf(group),
    })),
    nodes: rising.map(({ peer, resp, cluster, roles }) => ({ peer, resp, cluster, roles })),
  }
  return genesisOperations(genesis)
}

function membersOf({ replicas }: GroupGenesisConfig): Genesis['masters'] {
  const members = replicas.map(({ replicaId, nodeId }) => {
    return { nodeId: asNodeId(nodeId), replicaId: asReplicaId(replicaId) }
  })
  return members.sort((a, b) => a.nodeId - b.nodeId)
}
