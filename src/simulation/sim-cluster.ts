/**
 * A whole cluster on one scheduler: each host with its clock, disk and base files, which outlive its processes, and on it the same
 * server that runs for real (server/server-node.ts), RESP bytes included.
 */
import { assert, present } from '../base/assert.ts'
import type { GroupId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import {
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
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
  readonly timings?: Partial<NodeTimings>
  readonly limits?: Partial<NodeLimits>
  readonly mutations?: NodeMutations
  readonly checkpointNotAtomic?: boolean
  /** Hosts boot with clocks up to this far apart, and run up to `clockDrift` fast or slow. */
  readonly clockSpreadMs: number
  readonly clockDrift: number
  readonly logger?: Logger
}

export const DATA_DIRECTORY = '/data'
/** The largest value must fit half of a log segment, and simulated segments are small. */
const SIM_MAX_VALUE_BYTES = 64 * 1024
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

export class SimHost {
  readonly nodeId: number
  readonly disk: SimDisk
  readonly baseFiles: SimBaseFileStore
  clock: SimClock
  state: HostState = 'down'
  server: ServerNode | null = null
  genesis: 'new' | 'made' = 'new'
  incarnation = 0

  constructor(nodeId: number, clock: SimClock, disk: SimDisk, baseFiles: SimBaseFileStore) {
    this.nodeId = nodeId
    this.clock = clock
    this.disk = disk
    this.baseFiles = baseFiles
  }

  get node(): QuorateNode | null {
    return this.server === null ? null : this.server.node
  }
}

export class SimCluster {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly hosts: readonly SimHost[]
  /** Nodes that ended themselves, in order. The nemesis decides whether that was expected. */
  readonly ends: NodeEnd[] = []
  readonly #options: SimClusterOptions
  readonly #configGroups: NodeConfig['groups']

  constructor(scheduler: Scheduler, network: SimNetwork, options: SimClusterOptions) {
    this.scheduler = scheduler
    this.network = network
    this.#options = options
    const { random } = scheduler
    this.hosts = Array.from({ length: options.nodes }, (_, i) => {
      const clock = new SimClock(scheduler, {
        label: `n${i + 1}`,
        monotonicStartMs: random.below(1_000_000),
        wallStartMs: 1_767_225_600_000 + random.below(options.clockSpreadMs + 1),
        rate: 1 + (random.unit() * 2 - 1) * options.clockDrift,
      })
      const files = new SimBaseFileStore(scheduler, { checkpointNotAtomic: options.checkpointNotAtomic })
      return new SimHost(i + 1, clock, new SimDisk(scheduler, random.fork()), files)
    })
    this.#configGroups = genesisGroups(options)
  }

  get groupCount(): number {
    return this.#options.groups
  }

  respAddress(nodeId: number): string {
    return `10.0.0.${nodeId}:7379`
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
        markGenesisMade: (done) => {
          host.clock.setTimer(1, () => {
            host.genesis = 'made'
            done(null)
          })
        },
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
    return {
      dataDirectory: DATA_DIRECTORY,
      host: `10.0.0.${host.nodeId}`,
      nodeId: host.nodeId,
      clusterId: '00112233445566778899aabbccddeeff',
      slotCount,
      respAddress: this.respAddress(host.nodeId),
      peerAddress: peerAddress(host.nodeId),
      peers: this.hosts
        .filter((other) => other !== host)
        .map((other) => ({ nodeId: other.nodeId, peerAddress: peerAddress(other.nodeId) })),
      groups: this.#configGroups,
      hashKey: '0123456789abcdef',
      incarnation: host.incarnation,
      genesis: host.genesis,
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
    return present(this.hosts[nodeId - 1], `no host ${nodeId}`)
  }
}

function peerAddress(nodeId: number): string {
  return `10.0.0.${nodeId}:7383`
}

function genesisGroups(options: SimClusterOptions): NodeConfig['groups'] {
  return Array.from({ length: options.groups }, (_, g) => {
    const first = Math.floor((g * options.slotCount) / options.groups)
    const last = Math.floor(((g + 1) * options.slotCount) / options.groups) - 1
    const replicas = Array.from({ length: options.replicas }, (_, r) => ({
      replicaId: r + 1,
      nodeId: ((g + r) % options.nodes) + 1,
    }))
    return { groupId: g + 1, replicas, slots: [[first, last] as const], weight: 10 }
  })
}
