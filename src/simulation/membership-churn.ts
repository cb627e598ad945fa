/**
 * Replaces replicas while everything else goes wrong: a leader removes one, the node takes a new replica id for the group, a leader adds it
 * as a learner and promotes it once it has caught up. Every step asks whoever leads now, and is repeated until it shows.
 */
import { asNodeId, asReplicaId, type GroupId, type NodeId, type ReplicaId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import type { Member } from '../protocol/membership.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimCluster } from './sim-cluster.ts'

const STEP_MS = 150
/** The simulator's replica ids of genesis are below. */
const FIRST_NEW_REPLICA = 100

interface Replacement {
  readonly group: GroupId
  readonly nodeId: NodeId
  readonly oldReplica: ReplicaId
  readonly newReplica: ReplicaId
  step: 'remove' | 'rejoin' | 'rejoining' | 'add' | 'promote'
}

export class MembershipChurn {
  readonly #scheduler: Scheduler
  readonly #cluster: SimCluster
  readonly #random: Prng
  #nextReplica = FIRST_NEW_REPLICA
  /** One at a time, over all groups: several nodes could otherwise be without a voter at once. */
  #current: Replacement | null = null

  constructor(scheduler: Scheduler, cluster: SimCluster, random: Prng) {
    this.#scheduler = scheduler
    this.#cluster = cluster
    this.#random = random
  }

  begin(): void {
    if (this.#current !== null) return
    const leaders = this.#cluster.replicas().filter(({ replica }) => replica.isLeader)
    if (leaders.length === 0) return
    const { replica } = this.#random.pick(leaders)
    const { members } = replica.core.membership
    if (members.length < 3 || members.some((member) => member.role !== 'voter')) return
    const member = this.#random.pick(members)
    this.#current = {
      group: replica.group,
      nodeId: asNodeId(member.nodeId),
      oldReplica: member.replicaId,
      newReplica: asReplicaId(this.#nextReplica++),
      step: 'remove',
    }
    this.#next()
  }

  #next(): void {
    this.#scheduler.after(STEP_MS * (0.5 + this.#random.unit()), 'membership', () => {
      const current = this.#current
      if (current === null) return
      this.#step(current)
      this.#next()
    })
  }

  #step(current: Replacement): void {
    const leader = this.#leaderOf(current.group)
    switch (current.step) {
      case 'remove':
        if (leader === null) return
        if (memberOf(leader, current.oldReplica) === null) current.step = 'rejoin'
        else this.#propose(leader, 'remove', current.oldReplica, current.nodeId)
        return
      case 'rejoin':
        return this.#rejoin(current)
      case 'rejoining':
        return
      case 'add':
        if (leader === null) return
        if (memberOf(leader, current.newReplica) !== null) current.step = 'promote'
        else this.#propose(leader, 'addLearner', current.newReplica, current.nodeId)
        return
      case 'promote':
        if (leader === null) return
        if (memberOf(leader, current.newReplica)?.role === 'voter') this.#current = null
        else this.#propose(leader, 'promote', current.newReplica, current.nodeId)
    }
  }

  #rejoin(current: Replacement): void {
    const host = this.#cluster.host(current.nodeId)
    if (host.state !== 'up') return
    const replica = host.node?.replica(current.group)
    if (replica === undefined) return
    // A crash may have come between the durable change and our hearing of it.
    if (replica.replicaId === current.newReplica) {
      current.step = 'add'
      return
    }
    current.step = 'rejoining'
    const { incarnation } = host
    host.node?.rejoinAs(current.group, current.newReplica, () => {
      current.step = 'add'
    })
    this.#scheduler.after(2_000, 'rejoin check', () => {
      if (current.step === 'rejoining' && (host.incarnation !== incarnation || host.state !== 'paused'))
        current.step = 'rejoin'
    })
  }

  #propose(leader: RaftReplica, kind: 'addLearner' | 'promote' | 'remove', replicaId: ReplicaId, nodeId: NodeId): void {
    leader.changeMembership({ kind, replicaId, nodeId })
  }

  /** Whoever leads in the highest term, and can be asked. */
  #leaderOf(group: GroupId): RaftReplica | null {
    let best: RaftReplica | null = null
    for (const { host, replica } of this.#cluster.replicas()) {
      if (replica.group !== group || !replica.isLeader || host.state !== 'up') continue
      if (best === null || replica.core.term > best.core.term) best = replica
    }
    return best
  }
}

/** As committed. */
function memberOf(leader: RaftReplica, replicaId: ReplicaId): Member | null {
  return leader.appliedMembership.members.find((member) => member.replicaId === replicaId) ?? null
}
