/**
 * A whole cluster on one scheduler: each host with its clock, disk and base files, which outlive its processes, and on it the same
 * server that runs for real (server/server-node.ts), RESP bytes included.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, asNodeId, type GroupId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import { genesisMembers, genesisOwners } from '../master/cluster-genesis.ts'
import { tableRanges } from '../master/slot-table.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import {
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
  type GroupGenesisConfig,
  type IdentityChange,
  type KnownNode,
  type MastersPlace,
  type NodeConfig,
  type NodeLimits,
  type NodeMutations,
  type NodeTimings,
} from '../node/node-config.ts'
import type { QuorateNode } from '../node/quorate-node.ts'
import { type Logger, SILENT_LOGGER } from '../ports/logger.ts'
import type { Network } from '../ports/network.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { ServerNode } from '../server/server-node.ts'
import { gateBaseFiles, gateDisk } from './process-gate.ts'
import type { Scheduler } from './scheduler.ts'
import { SimBaseFileStore } from './sim-base-file.ts'
import { SimClock } from './sim-clock.ts'
import { SimDisk } from './sim-disk.ts'
import type { SimNetwork } from './sim-network.ts'
import { SIM_PROCESS_USAGE } from './sim-process-usage.ts'

export interface SimClusterOptions {
  readonly nodes: number
  readonly groups: number
  readonly replicas: number
  readonly slotCount: number
  /** Nodes that are masters, the first ones; 0: nobody is, and slots and groups stay as they begin. */
  readonly masters?: number
  /** Nodes with a master's role, the first ones; as many as are masters where it is left out. */
  readonly masterRoles?: number
  readonly timings?: Partial<NodeTimings>
  readonly limits?: Partial<NodeLimits>
  readonly mutations?: NodeMutations
  readonly checkpointNotAtomic?: boolean
  /** Hosts boot with clocks up to this far apart, and run up to `clockDrift` fast or slow. */
  readonly clockSpreadMs: number
  readonly clockDrift: number
  readonly logger?: Logger
}

/** Of every node, and the token of those that join. */
export const SIM_SECRET = 'ffeeddccbbaa99887766554433221100'
export const DATA_DIRECTORY = '/data'
/** The largest value must fit half of a log segment, and simulated segments are small. */
const SIM_MAX_VALUE_BYTES = 64 * 1024
const GENESIS_WEIGHT = 10
/** Hosts with higher numbers than the nodes' are clients'. */
export const FIRST_CLIENT_HOST = 1_000

export type HostState = 'up' | 'starting' | 'down' | 'paused'

/** Ended by its own word: a broken invariant, a failed sync, corruption. */
export interface NodeEnd {
  readonly nodeId: number
  readonly atMs: number
  readonly message: string
}

export interface PlacedReplica {
  readonly host: SimHost
  readonly group: GroupId
  readonly replica: RaftReplica
}

/** What of a host outlives its processes, beside its files. */
interface SimIdentity {
  readonly nodes: readonly KnownNode[]
  readonly groups: readonly GroupGenesisConfig[]
  readonly masters?: MastersPlace
}

interface UnsavedChange {
  readonly change: IdentityChange
  readonly done: (error: string | null) => void
}

/** About as long as a file takes to be written, synced and renamed. */
const SAVE_MS = 1

export class SimHost {
  readonly nodeId: number
  readonly disk: SimDisk
  readonly baseFiles: SimBaseFileStore
  clock: SimClock
  state: HostState = 'down'
  server: ServerNode | null = null
  incarnation = 0
  #identity: SimIdentity
  #unsaved: UnsavedChange[] = []

  constructor(nodeId: number, clock: SimClock, disk: SimDisk, baseFiles: SimBaseFileStore, identity: SimIdentity) {
    this.nodeId = nodeId
    this.clock = clock
    this.disk = disk
    this.baseFiles = baseFiles
    this.#identity = identity
  }

  get identity(): SimIdentity {
    return this.#identity
  }

  /** Durable by the time of `done`, in the order of the calls. */
  saveIdentity(change: IdentityChange, done: (error: string | null) => void): void {
    this.#unsaved.push({ change, done })
    if (this.#unsaved.length === 1) this.#saveNext()
  }

  /** The process ends: what it was about to save is saved or not. */
  loseUnsaved(random: Prng): void {
    for (const { change } of this.#unsaved.splice(0)) {
      if (random.chance(0.5)) break
      this.#identity = { ...this.#identity, ...change }
    }
  }

  #saveNext(): void {
    this.clock.setTimer(SAVE_MS, () => {
      const saved = this.#unsaved.shift()
      if (saved === undefined) return
      this.#identity = { ...this.#identity, ...saved.change }
      if (this.#unsaved.length > 0) this.#saveNext()
      saved.done(null)
    })
  }

  get node(): QuorateNode | null {
    return this.server === null ? null : this.server.node
  }
}

export class SimCluster {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly #hosts: SimHost[] = []
  /** Nodes that ended themselves, in order. The nemesis decides whether that was expected. */
  readonly ends: NodeEnd[] = []
  readonly #options: SimClusterOptions

  constructor(scheduler: Scheduler, network: SimNetwork, options: SimClusterOptions) {
    this.scheduler = scheduler
    this.network = network
    this.#options = options
    const nodes = Array.from({ length: options.nodes }, (_, i) => this.knownNode(i + 1))
    const identity = { nodes, groups: genesisGroups(options) }
    for (const { nodeId } of nodes) this.addHost(nodeId, identity)
  }

  get hosts(): readonly SimHost[] {
    return this.#hosts
  }

  /** A machine that runs nothing yet. */
  addHost(nodeId: number, identity: SimIdentity): SimHost {
    const { clockSpreadMs, clockDrift, checkpointNotAtomic } = this.#options
    const { random } = this.scheduler
    const clock = new SimClock(this.scheduler, {
      label: `n${nodeId}`,
      monotonicStartMs: random.below(1_000_000),
      wallStartMs: 1_767_225_600_000 + random.below(clockSpreadMs + 1),
      rate: 1 + (random.unit() * 2 - 1) * clockDrift,
    })
    const files = new SimBaseFileStore(this.scheduler, { checkpointNotAtomic })
    const host = new SimHost(nodeId, clock, new SimDisk(this.scheduler, random.fork()), files, identity)
    this.#hosts.push(host)
    return host
  }

  /** As the cluster's records have it. */
  knownNode(nodeId: number): KnownNode {
    const { masters = 0, masterRoles = masters } = this.#options
    const host = hostName(nodeId)
    return {
      nodeId,
      peer: `${host}:7383`,
      resp: `${host}:7379`,
      cluster: `${host}:7380`,
      roles: nodeId <= masterRoles || nodeId > this.#options.nodes ? ['master', 'worker'] : ['worker'],
    }
  }

  get groupCount(): number {
    return this.#options.groups
  }

  respAddress(nodeId: number): string {
    return this.knownNode(nodeId).resp
  }

  clientNetwork(client: number): Network {
    return this.network.forNode(FIRST_CLIENT_HOST + client)
  }

  startAll(): void {
    for (const host of this.hosts) this.start(host)
  }

  start(host: SimHost): void {
    assert(host.state === 'down', 'a host that is not down cannot be started')
    if (!host.clock.alive) host.clock = host.clock.successor()
    host.incarnation++
    host.state = 'starting'
    const { random } = this.scheduler
    const server = new ServerNode(
      {
        clock: host.clock,
        disk: gateDisk(host.disk, host.clock),
        network: this.network.forNode(host.nodeId, host.clock),
        baseFiles: gateBaseFiles(host.baseFiles, host.clock),
        random: new Prng(random.u32()),
        usage: SIM_PROCESS_USAGE,
        logger: this.#options.logger ?? SILENT_LOGGER,
        saveIdentity: (change, done) => host.saveIdentity(change, done),
        onFatal: (message) => this.#ended(host, message),
      },
      this.#configOf(host),
    )
    host.server = server
    gateDisk(host.disk, host.clock).makeDirectory(DATA_DIRECTORY, () => {
      server.start((error) => {
        if (host.server !== server || host.state === 'down') return
        if (error !== null) this.#ended(host, `${error.code}: ${error.message}`)
        else if (host.state === 'starting') host.state = 'up'
      })
    })
  }

  /** SIGKILL, or the power: what was not synced may be gone. */
  crash(host: SimHost): void {
    assert(host.state !== 'down', 'a host that is down cannot crash')
    host.state = 'down'
    host.server = null
    host.clock.kill()
    host.loseUnsaved(this.scheduler.random)
    host.disk.crash()
    host.baseFiles.crash()
    this.network.killNode(host.nodeId)
  }

  pause(host: SimHost): void {
    assert(host.state === 'up', 'only a running host can be paused')
    host.state = 'paused'
    host.clock.pause()
  }

  resume(host: SimHost): void {
    assert(host.state === 'paused', 'only a paused host can go on')
    host.state = 'up'
    host.clock.resume()
  }

  /** Runs code of the node; a broken assertion ends that node as it would end the process, and is a finding. */
  #ended(host: SimHost, message: string): void {
    this.ends.push({ nodeId: host.nodeId, atMs: this.scheduler.nowMs, message })
    // As an event of its own: the node's own code is still on the stack.
    this.scheduler.after(0, `n${host.nodeId} ends`, () => {
      if (host.state !== 'down') this.crash(host)
    })
  }

  #configOf(host: SimHost): NodeConfig {
    const { slotCount, timings, limits, mutations } = this.#options
    const self = this.knownNode(host.nodeId)
    return {
      dataDirectory: DATA_DIRECTORY,
      host: hostName(host.nodeId),
      nodeId: host.nodeId,
      clusterId: '00112233445566778899aabbccddeeff',
      slotCount,
      respAddress: self.resp,
      clusterAddress: self.cluster,
      peerAddress: self.peer,
      roles: self.roles,
      secret: SIM_SECRET,
      nodes: host.identity.nodes,
      groups: host.identity.groups,
      masters: host.identity.masters,
      hashKey: '0123456789abcdef',
      incarnation: host.incarnation,
      timings: { ...DEFAULT_TIMINGS, ...timings },
      limits: { ...DEFAULT_LIMITS, maxValueBytes: SIM_MAX_VALUE_BYTES, ...limits },
      mutations,
    }
  }

  /** All replicas that run now. */
  replicas(): readonly PlacedReplica[] {
    const placed: PlacedReplica[] = []
    for (const host of this.hosts) {
      if (host.node === null) continue
      for (const replica of host.node.replicas()) placed.push({ host, group: replica.group, replica })
    }
    return placed
  }

  host(nodeId: number): SimHost {
    return present(
      this.#hosts.find((one) => one.nodeId === nodeId),
      `no host ${nodeId}`,
    )
  }
}

function hostName(nodeId: number): string {
  return `10.0.0.${nodeId}`
}

function genesisGroups(options: SimClusterOptions): readonly GroupGenesisConfig[] {
  const { groups, slotCount, nodes, replicas, masters = 0 } = options
  if (masters > 0) return genesisWithMasters(options, masters)
  return Array.from({ length: groups }, (_, g) => {
    const first = Math.floor((g * slotCount) / groups)
    const last = Math.floor(((g + 1) * slotCount) / groups) - 1
    const members = Array.from({ length: replicas }, (_, r) => ({ replicaId: r + 1, nodeId: ((g + r) % nodes) + 1 }))
    return { groupId: g + 1, replicas: members, slots: [[first, last] as const], weight: 10, made: false }
  })
}

/** What the tree of a new cluster says of its groups (master/cluster-genesis.ts). */
function genesisWithMasters(
  { groups, slotCount, nodes, replicas }: SimClusterOptions,
  masters: number,
): readonly GroupGenesisConfig[] {
  const weights = Array.from({ length: groups }, (_, g) => ({ groupId: asGroupId(g + 1), weight: GENESIS_WEIGHT }))
  const ranges = tableRanges(genesisOwners(slotCount, weights))
  const membersOn = (nodeIds: readonly number[]) => genesisMembers(0, nodeIds.map(asNodeId))
  const data = weights.map(({ groupId, weight }) => {
    const on = Array.from({ length: replicas }, (_, r) => ((groupId - 1 + r) % nodes) + 1)
    const slots = ranges.filter(({ group }) => group === groupId).map(({ range }) => range)
    return { groupId, weight, slots, replicas: membersOn(on), made: false }
  })
  const own = membersOn(Array.from({ length: masters }, (_, i) => i + 1))
  return [{ groupId: MASTERS_GROUP, weight: 0, slots: [], replicas: own, made: false }, ...data]
}
