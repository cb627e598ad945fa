/**
 * A group of real replicas whose members change, with the metadata tree in one process: each node reads it, keeps the members of what it leads, and opens and
 * forgets its replica by the plan. Invariants are looked at with every change of a replica's state, and every acknowledged write is read back at the end.
 */
import { assert, present } from '../../base/assert.ts'
import { asGroupId, asNodeId, type NodeId, type ReplicaId } from '../../base/brand.ts'
import type { JobPlan } from '../../master/active-master.ts'
import { genesisMembers, genesisOperations } from '../../master/cluster-genesis.ts'
import { type ClusterSnapshot, readSnapshot } from '../../master/cluster-snapshot.ts'
import type { MasterError } from '../../master/master-error.ts'
import type { NodeRegistration } from '../../master/registrations.ts'
import { LocalMetadata } from '../../metadata/tree/local-metadata.testkit.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { ENTRY_MEMBERSHIP } from '../../protocol/entry.ts'
import type { Member } from '../../protocol/membership.ts'
import { OUTCOME_REPLY } from '../../protocol/request-message.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import {
  type Outcome,
  ReplicaWorld,
  WORLD_GROUP,
  type WorldNode,
  type WorldOptions,
} from '../../replication/raft/replica-world.testkit.ts'
import { GroupKeepers } from './group-keepers.ts'
import { markMade } from './mark-made.ts'
import { KEEPER_DEFAULTS, type KeeperSettings } from './membership-keeper.ts'
import { heldReplica, planReplicas, type ReplicaPlan } from './replica-plan.ts'

const TICK_MS = 100
const OK = '+OK\r\n'
const SETTINGS: KeeperSettings = { ...KEEPER_DEFAULTS, settleMs: 2_000 }
/** Balance would move leadership about: off, unless a test is about it. */
const NO_OFFERS: KeeperSettings = { ...SETTINGS, maxOffers: 0 }
const REGISTRATION: NodeRegistration = { peer: 'a:1', resp: 'a:2', cluster: 'a:3', roles: ['master', 'worker'] }

/** One process of a node. */
class Life {
  readonly keepers: GroupKeepers
  readonly node: WorldNode
  readonly store: MetadataStore
  /** A replica is being opened or forgotten. */
  isBusy = false

  constructor(world: MembershipWorld, node: WorldNode, settings: KeeperSettings) {
    this.node = node
    this.store = world.metadata.open()
    const { clock } = node
    const ports = {
      clock,
      logger: { info() {}, warn() {}, error() {} },
      store: () => (world.hasTree ? this.store : null),
      isConnected: (id: NodeId) => world.isConnected(node, id),
    }
    this.keepers = new GroupKeepers(node.nodeId, ports, settings)
  }
}

export class MembershipWorld {
  readonly group: ReplicaWorld
  readonly metadata: LocalMetadata
  readonly lives: Life[] = []
  /** False: no node reaches the masters. */
  hasTree = true
  readonly #hung = new Set<WorldNode>()
  readonly #leaders = new Map<number, ReplicaId>()
  readonly #operator: MetadataStore
  readonly #writes: { readonly key: string; readonly value: string; readonly outcome: Outcome }[] = []
  readonly #settings: KeeperSettings
  /** Called with each membership entry that a leader has appended. */
  onAppended: (leader: WorldNode) => void = () => {}
  #appended = 0
  changes = 0

  constructor(options: WorldOptions & { readonly voters: number }, offers = false) {
    this.group = new ReplicaWorld(options)
    this.#settings = offers ? SETTINGS : NO_OFFERS
    const { scheduler } = this.group
    this.metadata = new LocalMetadata((callback) => scheduler.after(0.2, 'tree', callback))
    this.#operator = this.metadata.open()
    this.group.runUntil(() => this.#operator.state === 'connected', 'a session')
    const ids = this.group.nodes.map(({ nodeId }) => nodeId)
    const members = genesisMembers(0, ids.slice(0, options.voters))
    const genesis = genesisOperations({
      ...{ clusterEpoch: 0, slotCount: 16, nodes: ids.map(() => REGISTRATION) },
      ...{ groups: [{ groupId: WORLD_GROUP, weight: 1, members }], masters: genesisMembers(0, [asNodeId(1)]) },
    })
    let isMade = false
    this.#operator.multi(genesis, (error) => {
      assert(error === null, `genesis: ${error?.message}`)
      isMade = true
    })
    this.group.runUntil(() => isMade, 'genesis')
    for (const { replicaId } of members) this.#mark(replicaId)
    for (const node of this.group.nodes) this.#live(node)
  }

  // --- wishes -----------------------------------------------------------------------------------------------------------

  wish(plan: (snapshot: ClusterSnapshot) => JobPlan<unknown>): void {
    const refusal = this.tryWish(plan)
    assert(refusal === null, `refused: ${refusal?.message}`)
  }

  /** Null: written. */
  tryWish(plan: (snapshot: ClusterSnapshot) => JobPlan<unknown>): MasterError | null {
    const planned = plan(this.snapshot())
    if (planned.kind === 'refuse') return planned.error
    if (planned.operations.length === 0) return null
    let isDone = false
    this.#operator.multi(planned.operations, (error) => {
      assert(error === null, `${error?.message}`)
      isDone = true
    })
    this.group.runUntil(() => isDone, 'the wish is written')
    return null
  }

  snapshot(): ClusterSnapshot {
    let found: ClusterSnapshot | null = null
    readSnapshot(this.#operator, (error, snapshot) => {
      assert(error === null, `${error?.message}`)
      found = snapshot
    })
    this.group.runUntil(() => found !== null, 'reading')
    return present(found as ClusterSnapshot | null, 'snapshot')
  }

  desired(): string[] {
    const { groups } = this.snapshot()
    return (groups.get(WORLD_GROUP)?.value.members ?? [])
      .map(({ nodeId, replicaId }) => `${nodeId}:${replicaId}`)
      .sort()
  }

  // --- nodes ------------------------------------------------------------------------------------------------------------

  node(id: number): WorldNode {
    return present(this.group.nodes[id - 1], `no node ${id}`)
  }

  crash(node: WorldNode): void {
    this.group.crash(node)
    this.lives[node.nodeId - 1].keepers.stop()
  }

  restart(node: WorldNode): void {
    this.group.restart(node)
    this.#live(node)
  }

  /** The machine stands still: nothing comes from it, and nobody is told, for its connections stay open. */
  hang(node: WorldNode): void {
    this.group.cut(node)
    this.#hung.add(node)
  }

  goOn(node: WorldNode): void {
    this.group.mend(node)
    this.#hung.delete(node)
  }

  isConnected(from: WorldNode, to: NodeId): boolean {
    const target = this.node(to)
    if (this.#hung.has(target)) return true
    return target.engine !== null && !this.group.isCut(from) && !this.group.isCut(target)
  }

  /** Whoever leads in the highest term and is reachable. */
  get leader(): WorldNode | null {
    let best: WorldNode | null = null
    for (const node of this.group.nodes) {
      if (node.engine === null || node.held?.isLeader !== true || this.group.isCut(node)) continue
      if (best === null || node.replica.core.term > best.replica.core.term) best = node
    }
    return best
  }

  voters(): string[] {
    return this.#applied('voter')
  }

  learners(): string[] {
    return this.#applied('learner')
  }

  #applied(role: Member['role']): string[] {
    const members = this.leader?.replica.appliedMembership.members ?? []
    return members
      .filter((member) => member.role === role)
      .map(({ nodeId, replicaId }) => `${nodeId}:${replicaId}`)
      .sort()
  }

  // --- writes -----------------------------------------------------------------------------------------------------------

  write(): void {
    const { leader } = this
    if (leader === null) return
    const key = `k${this.#writes.length}`
    const value = `v${this.#writes.length}`
    this.#writes.push({ key, value, outcome: this.group.write(leader, 'SET', key, value) })
  }

  get acknowledged(): number {
    return this.#writes.filter(({ outcome }) => outcome.outcome === OUTCOME_REPLY && outcome.reply === OK).length
  }

  /** Each is read from whoever leads now. */
  checkWrites(): void {
    for (const { key, value, outcome } of this.#writes) {
      assert(outcome.times <= 1, `${key} was answered ${outcome.times} times`)
      if (outcome.outcome !== OUTCOME_REPLY || outcome.reply !== OK) continue
      const reply = this.group.done(this.group.read(this.group.leader(), false, 'GET', key))
      assert(reply === `$${value.length}\r\n${value}\r\n`, `${key} was acknowledged, and is ${JSON.stringify(reply)}`)
    }
  }

  // --- to an end ----------------------------------------------------------------------------------------------------------

  /** The members are as desired, all vote, the report says so, and who is no member has nothing left. */
  settle(withinMs = 60_000): void {
    const desired = this.desired()
    const isDone = (): boolean =>
      this.voters().join() === desired.join() && this.learners().length === 0 && this.#reported() === desired.join()
    this.group.runUntil(isDone, `desired ${desired}, there ${this.describe(isDone)}`, withinMs)
    const isClean = (): boolean =>
      this.group.nodes.every(
        ({ engine, held, nodeId }) =>
          engine === null || held === null || desired.includes(`${nodeId}:${held.replicaId}`),
      )
    this.group.runUntil(isClean, 'those that left have forgotten', withinMs)
  }

  /** Looked at when it is asked for. */
  describe(isDone: () => boolean): { toString(): string } {
    return {
      toString: () =>
        `${isDone()} voters ${this.voters()} learners ${this.learners()} leader ${this.leader?.nodeId} report ${this.#reported()}` +
        ` "${this.leader === null ? '' : this.lives[this.leader.nodeId - 1].keepers.problemOf(WORLD_GROUP)}"`,
    }
  }

  #reported(): string {
    const reply = this.metadata.read({ kind: 'get', session: 0, path: '/kv/workers/1/report' })
    if (reply.kind !== 'node' || reply.node === null) return ''
    const report = JSON.parse(String.fromCharCode(...reply.node.data))
    if (report.learners.length > 0 || report.leader !== this.leader?.nodeId) return ''
    const members: { node: number; replica: number }[] = report.members
    return members
      .map(({ node, replica }) => `${node}:${replica}`)
      .sort()
      .join()
  }

  // --- inside -------------------------------------------------------------------------------------------------------------

  #mark(replicaId: ReplicaId): void {
    let result = ''
    markMade(this.#operator, WORLD_GROUP, replicaId, (made) => {
      result = made
    })
    this.group.runUntil(() => result !== '', 'marking')
    assert(result === 'made', result)
  }

  #live(node: WorldNode): void {
    const life = new Life(this, node, this.#settings)
    this.lives[node.nodeId - 1] = life
    const status = (): void => {
      if (node.held === null || this.lives[node.nodeId - 1] !== life) return
      this.#check(node, node.held)
      life.keepers.statusChanged(node.held)
    }
    node.onStatus = status
    const loop = (): void => {
      node.clock.setTimer(TICK_MS, loop)
      // Not started yet.
      if (node.engine === null) return
      status()
      life.keepers.tick()
      status()
      if (this.hasTree && !this.group.isCut(node)) this.#read(life)
    }
    loop()
  }

  #read(life: Life): void {
    readSnapshot(life.store, (error, snapshot) => {
      const { node } = life
      if (error !== null || snapshot === null || this.lives[node.nodeId - 1] !== life || node.engine === null) return
      life.keepers.read(snapshot)
      if (life.isBusy) return
      const held = node.held === null ? [] : [heldReplica(node.held)]
      // The masters' group is not part of this world.
      const plan = planReplicas(node.nodeId, held, { ...snapshot, masters: { ...snapshot.masters, genesis: null } })
      this.#carryOut(life, plan)
    })
  }

  #carryOut(life: Life, { open, forget, lost }: ReplicaPlan): void {
    const { node } = life
    const done = (): void => {
      life.isBusy = false
    }
    const [first] = open
    if (forget.length > 0) {
      life.isBusy = true
      this.group.forget(node, done)
    } else if (first !== undefined && first.group === asGroupId(1)) {
      life.isBusy = true
      this.group.open(node, first.replicaId, done)
    }
    // Its process is opening what its log holds.
    assert(lost.length === 0 || node.held === null, 'a replica that is here is not lost')
  }

  #check(node: WorldNode, { core, replicaId }: RaftReplica): void {
    assert(node.fatals.length === 0, node.fatals.join())
    if (core.role !== 'leader') return
    const other = this.#leaders.get(core.term)
    assert(other === undefined || other === replicaId, `term ${core.term}: replicas ${other} and ${replicaId} lead`)
    this.#leaders.set(core.term, replicaId)
    const open = core
      .entries(core.commitIndex, core.lastIndex)
      .filter(({ kind, index, term }) => kind === ENTRY_MEMBERSHIP && index > core.commitIndex && term === core.term)
    assert(open.length <= 1, `replica ${replicaId}: ${open.length} changes at once`)
    const index = open.length === 0 ? 0 : open[0].index
    if (index === 0 || core.term * 2 ** 32 + index === this.#appended) return
    this.#appended = core.term * 2 ** 32 + index
    this.changes++
    this.onAppended(node)
  }
}
