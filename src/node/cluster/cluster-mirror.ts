/**
 * What the metadata tree says of the cluster, kept up to date on this node: one session, watches on what matters, and after each call of a watch the whole is
 * read again. ports/cluster-view.ts over it. Before the first reading, and without any master, it shows what the node knew when it last ran.
 */
import { asGroupId, asNodeId, type GroupId, type NodeId, type SlotId } from '../../base/brand.ts'
import { type ClusterSnapshot, readSnapshot, type SnapshotGroup } from '../../master/cluster-snapshot.ts'
import { KV, MASTERS_GROUP_PATH, NODES, SLOTS, WORKERS } from '../../master/tree-layout.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { ClusterView, GroupView, NodeView } from '../../ports/cluster-view.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MetadataStore, StopWatching } from '../../ports/metadata-store.ts'
import type { MetadataOperation } from '../../protocol/metadata-operation.ts'
import type { NodeConfig } from '../node-config.ts'
import type { SlotRoutes } from '../slot-routes.ts'

const RETRY_MS = 200
/** Between two readings, so that many changes become one: the first, plus this much for each group. */
const PAUSE_MS = 5
const PAUSE_PER_GROUP_MS = 0.5
const PAUSE_MAX_MS = 1_000

export interface ClusterMirrorPorts {
  readonly clock: Clock
  readonly logger: Logger
  readonly routes: SlotRoutes
  openSession(): MetadataStore
  /** That this node has come to: a tree of another one is not believed. */
  epoch(): number
  /** The tree of a new cluster; null: this node does not know how the cluster began. */
  genesis(): MetadataOperation[] | null
  /** Who leads, by this node's own replica; null: none here, or unknown. */
  leaderHere(group: GroupId): NodeId | null
  /** The tree was read, everything that was committed before included. */
  read(snapshot: ClusterSnapshot): void
}

export class ClusterMirror implements ClusterView {
  readonly self: NodeId
  readonly clusterId: string
  readonly slotCount: number
  readonly #ports: ClusterMirrorPorts
  readonly #changedAt: Float64Array
  readonly #listeners = new Set<() => void>()
  #groups: ReadonlyMap<GroupId, GroupView>
  #nodes: ReadonlyMap<NodeId, NodeView>
  #reported = new Map<GroupId, NodeId>()
  #store: MetadataStore | null = null
  #snapshot: ClusterSnapshot | null = null
  #tableVersion = 0
  #stopWatching: readonly StopWatching[] = []
  #reading: 'no' | 'yes' | 'again' = 'no'
  #timer: Timer | null = null
  #complaint = ''
  #stopped = false

  constructor(ports: ClusterMirrorPorts, config: NodeConfig) {
    this.#ports = ports
    this.self = asNodeId(config.nodeId)
    this.clusterId = config.clusterId
    this.slotCount = config.slotCount
    this.#changedAt = new Float64Array(config.slotCount)
    const groups = config.groups.filter(({ groupId }) => groupId > 0).map(genesisView)
    this.#groups = new Map(groups.map((group) => [group.group, group]))
    const nodes = config.nodes.map((node): [NodeId, NodeView] => {
      const nodeId = asNodeId(node.nodeId)
      return [nodeId, { ...node, nodeId }]
    })
    this.#nodes = new Map(nodes.sort(([a], [b]) => a - b))
  }

  start(): void {
    this.#open()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    for (const stop of this.#stopWatching) stop()
    this.#listeners.clear()
    this.#store?.close(() => {})
  }

  /** The session with the tree; null: none yet. */
  get store(): MetadataStore | null {
    return this.#store
  }

  /** As last read; null: not yet. */
  get snapshot(): ClusterSnapshot | null {
    return this.#snapshot
  }

  get tableVersion(): number {
    return this.#tableVersion
  }

  groupOf(slot: SlotId): GroupId {
    return this.#ports.routes.groupOf(slot)
  }

  changedAt(slot: SlotId): number {
    return this.#changedAt[slot]
  }

  leaderOf(group: GroupId): NodeId | null {
    return this.#ports.leaderHere(group) ?? this.#reported.get(group) ?? null
  }

  groups(): readonly GroupView[] {
    return [...this.#groups.values()]
  }

  group(group: GroupId): GroupView | undefined {
    return this.#groups.get(group)
  }

  nodes(): readonly NodeView[] {
    return [...this.#nodes.values()]
  }

  /** All nodes but this one. */
  others(): readonly NodeId[] {
    return [...this.#nodes.keys()].filter((node) => node !== this.self)
  }

  node(nodeId: NodeId): NodeView | undefined {
    return this.#nodes.get(nodeId)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #open(): void {
    const store = this.#ports.openSession()
    this.#store = store
    store.onStateChange((state) => {
      if (state !== 'expired' || this.#stopped || store !== this.#store) return
      for (const stop of this.#stopWatching) stop()
      this.#open()
    })
    const look = (): void => this.readSoon()
    this.#stopWatching = [
      store.watchNode(KV, look),
      store.watchNode(SLOTS, look),
      store.watchTree(WORKERS, look),
      store.watchTree(MASTERS_GROUP_PATH, look),
      store.watchTree(NODES, look),
    ]
  }

  /** The tree may have changed. */
  readSoon(): void {
    if (this.#stopped) return
    if (this.#reading !== 'no') {
      this.#reading = 'again'
      return
    }
    this.#reading = 'yes'
    this.#after(Math.min(PAUSE_MS + PAUSE_PER_GROUP_MS * this.#groups.size, PAUSE_MAX_MS), () => this.#read())
  }

  #read(): void {
    const store = this.#store
    if (store === null) return
    // What comes from here on may be in this reading or not.
    this.#reading = 'yes'
    store.exists(KV, (error, stat) => {
      if (this.#stopped) return
      if (error !== null) return this.#readAgain()
      if (stat === null) return this.#writeGenesis(store)
      readSnapshot(store, (failure, snapshot) => {
        if (this.#stopped) return
        if (snapshot === null) {
          if (failure?.code === 'malformed-tree') this.#complain('the tree does not read', failure.message)
          return this.#readAgain()
        }
        if (snapshot.config.value.clusterEpoch !== this.#ports.epoch()) return this.#readAgain()
        this.#take(snapshot)
        const again = this.#reading === 'again'
        this.#reading = 'no'
        if (again) this.readSoon()
      })
    })
  }

  /** Whoever comes first writes it, in one write; the others find it there. */
  #writeGenesis(store: MetadataStore): void {
    const operations = this.#ports.genesis()
    if (operations === null) return this.#readAgain()
    store.multi(operations, (error) => {
      if (this.#stopped) return
      if (error !== null && error.code !== 'node-exists') {
        this.#complain("the cluster's first tree was not written", error.message)
      }
      this.#readAgain()
    })
  }

  /** It is tried again and again, and said once. */
  #complain(what: string, error: string): void {
    if (this.#complaint === error) return
    this.#complaint = error
    this.#ports.logger.warn(what, { error })
  }

  #readAgain(): void {
    this.#after(RETRY_MS, () => this.#read())
  }

  #after(delayMs: number, run: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#ports.clock.setTimer(delayMs, () => {
      this.#timer = null
      if (!this.#stopped) run()
    })
  }

  #take(snapshot: ClusterSnapshot): void {
    this.#takeTable(snapshot)
    this.#snapshot = snapshot
    const groups: GroupView[] = []
    this.#reported = new Map()
    for (const [group, known] of snapshot.groups) {
      groups.push(viewOf(group, known))
      if (known.report !== null && known.report.value.leader !== 0) {
        this.#reported.set(group, known.report.value.leader)
      }
    }
    groups.sort((a, b) => a.group - b.group)
    this.#groups = new Map(groups.map((view) => [view.group, view]))
    const nodes = [...snapshot.nodes].map(([nodeId, { value }]): [NodeId, NodeView] => {
      const { peer, resp, cluster, roles } = value
      return [nodeId, { nodeId, peer, resp, cluster, roles }]
    })
    this.#nodes = new Map(nodes.sort(([a], [b]) => a - b))
    this.#ports.read(snapshot)
    for (const listener of [...this.#listeners]) listener()
  }

  #takeTable({ slots: { value: table } }: ClusterSnapshot): void {
    const last = this.#snapshot?.slots.value
    if (table.version <= this.#tableVersion) return
    for (let slot = 0; slot < this.slotCount; slot++) {
      const group = table.groups[slot]
      const reconfigId = table.reconfigIds[slot]
      // When each slot changed before the first reading is not known here: the latest that it can be.
      if (last === undefined || last.groups[slot] !== group) this.#changedAt[slot] = table.version
      this.#ports.routes.publish(slot as SlotId, group, reconfigId)
    }
    this.#tableVersion = table.version
  }
}

function genesisView({ groupId, weight, replicas }: NodeConfig['groups'][number]): GroupView {
  const members = replicas.map(({ nodeId }) => asNodeId(nodeId)).sort((a, b) => a - b)
  return { group: asGroupId(groupId), weight, draining: false, members }
}

/** Its own word on its members, else what is desired. */
function viewOf(group: GroupId, { value, report }: SnapshotGroup): GroupView {
  const members = (report?.value.members ?? value.members).map(({ nodeId }) => nodeId)
  const { weight, draining } = value
  return { group, weight, draining, members: members.sort((a, b) => a - b) }
}
