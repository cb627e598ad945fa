/**
 * The ShardMaster on one node: stands for election, and while it leads makes the cluster's reconfigs and sees them through. Any one answers reads, from the
 * tree; only the active one writes, the others answer `not-active` and who is. Every call is answered once.
 */
import { assert } from '../base/assert.ts'
import type { GroupId, NodeId, ReplicaId, SlotId } from '../base/brand.ts'
import { slotOf } from '../base/slot.ts'
import type { Clock } from '../ports/clock.ts'
import type { GroupCommands } from '../ports/group-commands.ts'
import type { MetadataStore } from '../ports/metadata-store.ts'
import { ActiveMaster, type JobPlan } from './active-master.ts'
import { fenceOf } from './cluster-epoch.ts'
import { type ClusterSnapshot, openReconfigs, readSnapshot } from './cluster-snapshot.ts'
import {
  createGroupPlan,
  drainPlan,
  type GroupAnswer,
  registerNodePlan,
  removeGroupPlan,
  setWeightPlan,
  updateNodePlan,
} from './group-changes.ts'
import { type ElectionState, MasterElection } from './master-election.ts'
import { type MasterDone, type MasterError, masterError } from './master-error.ts'
import {
  joinPlan,
  leavePlan,
  type MemberAnswer,
  removeNodePlan,
  renewReplicaPlan,
  replacePlan,
} from './member-changes.ts'
import type { MasterMutations } from './mutations.ts'
import { DEFAULT_ORCHESTRATION, Orchestrator, type OrchestratorSettings } from './orchestrator.ts'
import { cancelPlan, type MoveWhat, type RebalancePlan, rebalancePlan, reconfigPlan } from './reconfig-changes.ts'
import { lookUpReconfig, type ReconfigAnswer, type ReconfigView, viewOf } from './reconfig-lookup.ts'
import { decodeElectionNode, type NodeRegistration } from './registrations.ts'
import { decodeSlotTable, type SlotTable } from './slot-table.ts'
import { MASTER_PREFIX, MASTERS, SLOTS } from './tree-layout.ts'
import { TreeReads } from './tree-reads.ts'

export interface ShardMasterOptions {
  readonly nodeId: NodeId
  /** Part of every fence (cluster-epoch.ts). */
  readonly clusterEpoch: number
  readonly clock: Clock
  readonly commands: GroupCommands
  openSession(): MetadataStore
  readonly orchestration?: Partial<OrchestratorSettings>
  readonly mutations?: MasterMutations
}

export interface KeyGroup {
  readonly slot: SlotId
  readonly group: GroupId
  /** Of the slot table. */
  readonly version: number
}

export class ShardMaster {
  readonly #options: ShardMasterOptions
  readonly #election: MasterElection
  readonly #settings: OrchestratorSettings
  readonly #mutations: MasterMutations
  #active: ActiveMaster | null = null
  #orchestrator: Orchestrator | null = null

  constructor(options: ShardMasterOptions) {
    this.#options = options
    this.#settings = { ...DEFAULT_ORCHESTRATION, ...options.orchestration }
    this.#mutations = options.mutations ?? {}
    const { clock } = options
    const changed = (state: ElectionState): void => this.#electionChanged(state)
    const openSession = (): MetadataStore => options.openSession()
    const { leadsWhileSuspended } = this.#mutations
    this.#election = new MasterElection(options.nodeId, { clock, openSession, changed }, leadsWhileSuspended)
  }

  start(): void {
    this.#election.start()
  }

  stop(done: () => void): void {
    this.#election.stop(done)
  }

  /** It has taken over and may write. */
  get isActive(): boolean {
    return this.#orchestrator !== null && this.#active?.isOver === false
  }

  get electionState(): ElectionState {
    return this.#election.state
  }

  // --- reads: any master --------------------------------------------------------------------------------------------

  getKeyGroup(key: Uint8Array, done: MasterDone<KeyGroup>): void {
    this.slotTable((error, table) => {
      if (table === null) return done(error, null)
      const slot = slotOf(key, table.groups.length)
      done(null, { slot, group: table.groups[slot], version: table.version })
    })
  }

  slotTable(done: MasterDone<SlotTable>): void {
    const store = this.#store(done)
    if (store === null) return
    const reads = new TreeReads(store)
    let table: SlotTable | null = null
    reads.end((error) => done(error, error === null ? table : null))
    reads.sync(() => {
      reads.get(SLOTS, decodeSlotTable, ({ value }) => {
        table = value
      })
    })
  }

  getReconfig(reconfigId: number, done: MasterDone<ReconfigAnswer>): void {
    const store = this.#store(done)
    if (store === null || lookUpReconfig(store, reconfigId, done)) return
    const error = masterError('malformed-id', `${reconfigId} is no reconfig id`, 'ids are whole numbers from 1 on')
    this.#options.clock.defer(() => done(error, null))
  }

  /** Those that are not over, rising by id. */
  openReconfigs(done: MasterDone<readonly ReconfigView[]>): void {
    this.snapshot((error, snapshot) => done(error, snapshot === null ? null : openReconfigs(snapshot).map(viewOf)))
  }

  /** Groups, nodes, slots, reconfigs: everything that the tree says. */
  snapshot(done: MasterDone<ClusterSnapshot>): void {
    const store = this.#store(done)
    if (store !== null) readSnapshot(store, done)
  }

  /** Why a reconfig under way does not get on, as far as this master knows; empty where it does, or where this is not the active one. */
  problemOf(reconfigId: number): string {
    return this.#orchestrator?.problem(reconfigId) ?? ''
  }

  // --- writes: the active master ------------------------------------------------------------------------------------

  /** Answers when it is committed, not when the keys have moved. No ids: the slots are there already. One for each group that owns some of them. */
  reconfig(what: MoveWhat, destination: GroupId, done: MasterDone<{ readonly reconfigIds: readonly number[] }>): void {
    this.#write((snapshot) => reconfigPlan(snapshot, what, destination), done)
  }

  /** `cancelling`: its source's log decides whether it still can be; its outcome tells. */
  cancel(reconfigId: number, done: MasterDone<{ readonly status: 'cancelled' | 'cancelling' }>): void {
    this.#write((snapshot) => cancelPlan(snapshot, reconfigId), done)
  }

  /** A dry run is a read: any master answers it. */
  rebalance(dryRun: boolean, done: MasterDone<RebalancePlan>): void {
    if (!dryRun) return this.#write((snapshot) => rebalancePlan(snapshot, false), done)
    this.snapshot((error, snapshot) => {
      if (snapshot === null) return done(error, null)
      const plan = rebalancePlan(snapshot, true)
      if (plan.kind === 'refuse') done(plan.error, null)
      else done(null, plan.answer)
    })
  }

  /** No nodes: three of the least loaded workers, or fewer. */
  createGroup(weight: number, nodes: readonly NodeId[], done: MasterDone<GroupAnswer>): void {
    this.#write((snapshot) => createGroupPlan(snapshot, weight, nodes), done)
  }

  setWeight(group: GroupId, weight: number, done: MasterDone<GroupAnswer>): void {
    this.#write((snapshot) => setWeightPlan(snapshot, group, weight), done)
  }

  /** False: it takes slots again. */
  drain(group: GroupId, draining: boolean, done: MasterDone<GroupAnswer>): void {
    this.#write((snapshot) => drainPlan(snapshot, group, draining), done)
  }

  removeGroup(group: GroupId, done: MasterDone<GroupAnswer>): void {
    this.#write((snapshot) => removeGroupPlan(snapshot, group), done)
  }

  /** As desired, group 0 for the masters' own: the group's leader carries it out and reports (group-report.ts). */
  join(group: GroupId, node: NodeId, done: MasterDone<MemberAnswer>): void {
    this.#write((snapshot) => joinPlan(snapshot, group, node), done)
  }

  leave(group: GroupId, node: NodeId, done: MasterDone<GroupAnswer>): void {
    this.#write((snapshot) => leavePlan(snapshot, group, node), done)
  }

  /** The node's replica `replica` is lost: it is to be a new one. Answers the id that it is to have. */
  renewReplica(group: GroupId, nodeId: NodeId, replicaId: ReplicaId, done: MasterDone<MemberAnswer>): void {
    this.#write((snapshot) => renewReplicaPlan(snapshot, group, { nodeId, replicaId }), done)
  }

  /** `next` takes `old`'s place in every group, the masters' own among them. */
  replace(old: NodeId, next: NodeId, done: MasterDone<{ readonly groups: readonly MemberAnswer[] }>): void {
    this.#write((snapshot) => replacePlan(snapshot, old, next), done)
  }

  registerNode(node: NodeRegistration, done: MasterDone<{ readonly node: NodeId }>): void {
    this.#write((snapshot) => registerNodePlan(snapshot, node), done)
  }

  updateNode(nodeId: NodeId, node: NodeRegistration, done: MasterDone<{ readonly node: NodeId }>): void {
    this.#write((snapshot) => updateNodePlan(snapshot, nodeId, node), done)
  }

  /** Only one that is a member of no group. */
  removeNode(nodeId: NodeId, done: MasterDone<{ readonly node: NodeId }>): void {
    this.#write((snapshot) => removeNodePlan(snapshot, nodeId), done)
  }

  // --- inside -------------------------------------------------------------------------------------------------------

  #write<T>(plan: (snapshot: ClusterSnapshot) => JobPlan<T>, done: MasterDone<T>): void {
    const active = this.#active
    if (active === null || active.isOver) return this.#notActive(done)
    active.submit(plan, (error, answer) => {
      if (error?.code === 'not-active') return this.#notActive(done)
      if (error === null) this.#orchestrator?.wake()
      done(error, answer)
    })
  }

  #notActive<T>(done: MasterDone<T>): void {
    const fail = (activeMaster: NodeId | null): void => {
      const { nodeId } = this.#options
      const error: MasterError = masterError(
        'not-active',
        `node ${nodeId} is not the active master`,
        'ask the active one',
      )
      done({ ...error, activeMaster }, null)
    }
    const { store } = this.#election
    if (store === null) return this.#options.clock.defer(() => fail(null))
    const reads = new TreeReads(store)
    let active: NodeId | null = null
    reads.end(() => fail(active))
    reads.children(MASTERS, (names) => {
      const first = names.find((name) => name.startsWith(MASTER_PREFIX))
      if (first === undefined) return
      reads.find(`${MASTERS}/${first}`, decodeElectionNode, (node) => {
        active = node?.value ?? null
      })
    })
  }

  #store(done: MasterDone<never>): MetadataStore | null {
    const { store } = this.#election
    if (store !== null) return store
    this.#options.clock.defer(() => done(masterError('unavailable', 'not started', 'try again'), null))
    return null
  }

  #electionChanged(state: ElectionState): void {
    this.#orchestrator?.stop()
    this.#orchestrator = null
    this.#active?.end()
    this.#active = null
    if (state.kind !== 'leading') return
    const { clock, clusterEpoch, commands } = this.#options
    const { electionPath, creationId, episode, store } = state
    const fence = fenceOf(clusterEpoch, creationId)
    const unchecked = this.#mutations.writesUnchecked
    const options = { electionPath, fence, episode, unchecked }
    const active = new ActiveMaster(store, clock, options, {
      ready: () => {
        assert(this.#active === active && this.#orchestrator === null, 'master: took over out of turn')
        this.#orchestrator = new Orchestrator(active, commands, clock, this.#settings, this.#mutations)
        this.#orchestrator.start()
      },
      deposed: () => this.#election.deposed(),
    })
    this.#active = active
  }
}
