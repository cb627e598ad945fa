/**
 * Watches a cluster with masters: the ledger of slots over all groups, the steps of each move, and what must be true once everything has come to rest. Looks at
 * applied state, as the other invariants do.
 */
import { asSlotId, type GroupId, type NodeId, type SlotId } from '../base/brand.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { Generation } from '../ports/key-space.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import { ClusterTruth } from './cluster-truth.ts'
import { lineageOf } from './invariants.ts'
import { MoveSteps, type StepListener } from './move-steps.ts'
import type { SimCluster, SimHost } from './sim-cluster.ts'
import { SlotLedger } from './slot-ledger.ts'

export class ClusterWatch {
  readonly violations: string[] = []
  readonly #cluster: SimCluster
  readonly #slotCount: number
  readonly #ledger: SlotLedger
  readonly #steps: MoveSteps
  /** By group, slot and generation: lives that slots have had, and places where they were staged. */
  readonly #lives = new Map<
    string,
    { readonly group: GroupId; readonly slot: SlotId; readonly generation: Generation }
  >()
  /** Of the replicas of the masters' group that were looked at: the newest, as it was then. */
  #masters: Pick<RaftReplica, 'group' | 'replicaId' | 'applied'> | null = null
  #tableChange = -1

  constructor(cluster: SimCluster, slotCount: number, onStep: StepListener) {
    this.#cluster = cluster
    this.#slotCount = slotCount
    this.#ledger = new SlotLedger(slotCount, (message) => {
      if (this.violations.length < 20) this.violations.push(message)
    })
    this.#steps = new MoveSteps(onStep)
  }

  applied(host: SimHost, replica: RaftReplica): void {
    const { machine, group, applied } = replica
    if (machine instanceof KvStateMachine) {
      if (!this.#ledger.observe(`node ${host.nodeId} in group ${group}`, group, applied, machine)) return
      this.#noteLives(group, machine)
      this.#steps.observe(group, machine.moves, machine.slots)
    } else if (group === MASTERS_GROUP && (this.#masters === null || isNewer(replica, this.#masters))) {
      const { replicaId } = replica
      this.#masters = { group, replicaId, applied }
      this.#lookAtTable(new ClusterTruth(machine))
    }
  }

  /** The tree, by whichever master has applied most of it. */
  truth(): ClusterTruth | null {
    const newest = this.#newest(MASTERS_GROUP)
    return newest === null ? null : new ClusterTruth(newest.replica.machine)
  }

  /** The replica that leads the group in the highest term, at a host that runs. */
  leader(group: GroupId): { readonly host: SimHost; readonly replica: RaftReplica } | null {
    let best: { readonly host: SimHost; readonly replica: RaftReplica } | null = null
    for (const placed of this.#cluster.replicas()) {
      const { host, replica } = placed
      if (replica.group !== group || !replica.isLeader || host.state !== 'up') continue
      if (best === null || replica.core.term > best.replica.core.term) best = placed
    }
    return best
  }

  activeMaster(): SimHost | null {
    const node = this.truth()?.activeMaster() ?? null
    return node === null ? null : (this.#cluster.hosts.find(({ nodeId }) => nodeId === node) ?? null)
  }

  /** What is not as it must be once nobody wants anything any more; empty: everything is. */
  unsettled(): string[] {
    const truth = this.truth()
    const table = truth?.slotTable() ?? null
    if (truth === null || table === null) return ['there is no tree']
    const problems: string[] = []
    if (truth.wantsRebalance()) problems.push('a rebalance is wanted and not planned')
    for (const { reconfigId, status, source, destination, isClean } of truth.openReconfigs()) {
      problems.push(
        `reconfig ${reconfigId} from ${source} to ${destination} is ${status}${isClean ? '' : ', not clean'}`,
      )
    }
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const owner = this.#ledger.ownerOf(slot)
      if (owner !== table.groups[slot])
        problems.push(`slot ${slot}: group ${owner} owns it, the table names ${table.groups[slot]}`)
      else this.#checkEpoch(slot, owner, table.reconfigIds[slot], problems)
    }
    this.#checkMembers(truth, problems)
    // What an open move has staged is no leftover yet.
    if (problems.length === 0) this.#checkLeftovers(problems)
    this.#checkViews(table.version, table.groups, problems)
    return problems
  }

  #checkEpoch(slot: number, owner: GroupId, reconfigId: number, problems: string[]): void {
    const machine = this.#newest(owner)?.replica.machine
    if (!(machine instanceof KvStateMachine)) return
    const last = machine.slots.lastReconfig(asSlotId(slot))
    if (last !== reconfigId) problems.push(`slot ${slot}: owned by reconfig ${last}, the table says ${reconfigId}`)
  }

  #checkMembers(truth: ClusterTruth, problems: string[]): void {
    const wanted = truth.groups()
    for (const [group, { members }] of wanted) {
      const leader = this.leader(group)
      if (leader === null) {
        problems.push(`group ${group} has no leader`)
        continue
      }
      const now = leader.replica.appliedMembership.members.map((m) => `${m.nodeId}:${m.replicaId}:${m.role}`).sort()
      const desired = members.map(({ nodeId, replicaId }) => `${nodeId}:${replicaId}:voter`).sort()
      if (now.join() !== desired.join()) problems.push(`group ${group} is [${now}], to be [${desired}]`)
    }
    for (const { host, group, replica } of this.#cluster.replicas()) {
      const isWanted = wanted.get(group)?.members.some((member) => {
        return member.nodeId === (host.nodeId as NodeId) && member.replicaId === replica.replicaId
      })
      if (isWanted !== true)
        problems.push(`node ${host.nodeId} still has replica ${replica.replicaId} of group ${group}`)
    }
  }

  /** Open moves, dead lives, and keys of lives that are over. */
  #checkLeftovers(problems: string[]): void {
    for (const { host, group, replica } of this.#cluster.replicas()) {
      const { machine } = replica
      if (!(machine instanceof KvStateMachine)) continue
      for (const { reconfigId, role, phase } of machine.moves) {
        problems.push(`node ${host.nodeId}: group ${group} has move ${reconfigId} as ${role}, ${phase}`)
      }
      const dead = machine.slots.slotsWithDead()
      if (dead.length > 0) problems.push(`node ${host.nodeId}: group ${group} has dead lives of slots ${dead}`)
      for (const life of this.#lives.values()) {
        const { slot, generation } = life
        if (life.group !== group || (machine.slots.owns(slot) && machine.slots.generation(slot) === generation))
          continue
        const keys = machine.keySpace.count(slot, generation)
        if (keys > 0)
          problems.push(`node ${host.nodeId}: group ${group} keeps ${keys} keys of slot ${slot} in life ${generation}`)
      }
    }
  }

  #checkViews(version: number, owners: readonly GroupId[], problems: string[]): void {
    for (const host of this.#cluster.hosts) {
      const view = host.state === 'up' ? host.node?.view : undefined
      if (view === undefined) problems.push(`node ${host.nodeId} does not run`)
      else if (view.tableVersion !== version)
        problems.push(`node ${host.nodeId} knows table ${view.tableVersion}, the last one is ${version}`)
      else if (owners.some((owner, slot) => view.groupOf(asSlotId(slot)) !== owner))
        problems.push(`node ${host.nodeId} has another table than the masters`)
    }
  }

  #newest(group: GroupId): { readonly replica: RaftReplica } | null {
    let newest: { readonly replica: RaftReplica } | null = null
    for (const placed of this.#cluster.replicas()) {
      if (placed.group === group && (newest === null || isNewer(placed.replica, newest.replica))) newest = placed
    }
    return newest
  }

  #lookAtTable(truth: ClusterTruth): void {
    const change = truth.tableChange()
    if (change === this.#tableChange) return
    this.#tableChange = change
    const table = truth.slotTable()
    if (table !== null) this.#steps.table(table.reconfigIds)
  }

  #noteLives(group: GroupId, machine: KvStateMachine): void {
    const note = (slot: SlotId, generation: Generation): void => {
      const key = `${group}/${slot}/${generation}`
      if (generation !== 0 && !this.#lives.has(key)) this.#lives.set(key, { group, slot, generation })
    }
    for (let number = 0; number < this.#slotCount; number++) {
      const slot = asSlotId(number)
      note(slot, machine.slots.generation(slot))
    }
    for (const move of machine.moves) for (const { slot, generation } of move.slots) note(slot, generation)
  }
}

/** Of one group. The masters' group of a later cluster epoch is newer, however short its log is. */
function isNewer(
  a: Pick<RaftReplica, 'group' | 'replicaId' | 'applied'>,
  b: Pick<RaftReplica, 'group' | 'replicaId' | 'applied'>,
): boolean {
  const [lineageA, lineageB] = [lineageOf(a), lineageOf(b)]
  return lineageA === lineageB ? a.applied > b.applied : lineageA < lineageB
}
