/**
 * Gives this node the replicas that the tree says it is to have, and takes those away that nobody will ask for again (membership/replica-plan.ts), one change of a
 * group at a time. What does not work out is tried again after the next reading of the tree, and every few seconds.
 */
import type { GroupId, NodeId, ReplicaId } from '../../base/brand.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import type { GroupGenesis } from '../../master/registrations.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import { markMade } from '../membership/mark-made.ts'
import { heldReplica, planReplicas, type ReplicaOpening } from '../membership/replica-plan.ts'
import type { GroupGenesisConfig, NodeError } from '../node-config.ts'
import type { ReplicaSet } from '../replica-set.ts'

const AGAIN_MS = 3_000
const MARK_AGAIN_MS = 200

export interface ReplicaUpkeepPorts {
  readonly self: NodeId
  readonly clock: Clock
  readonly logger: Logger
  readonly replicas: ReplicaSet
  store(): MetadataStore | null
  /** The replica takes part from now on. */
  opened(replica: RaftReplica): void
  /** Before it closes. */
  closing(group: GroupId): void
  /** This node has lost a replica that began with its group: it needs another id. */
  lost(group: GroupId, replicaId: ReplicaId): void
}

export class ReplicaUpkeep {
  readonly #ports: ReplicaUpkeepPorts
  #snapshot: ClusterSnapshot | null = null
  /** Groups of which something is under way. */
  readonly #busy = new Set<GroupId>()
  /** Marked in the tree, as far as this process knows. */
  readonly #marked = new Set<GroupId>()
  #timer: Timer | null = null
  #stopped = false

  constructor(ports: ReplicaUpkeepPorts) {
    this.#ports = ports
  }

  read(snapshot: ClusterSnapshot): void {
    this.#snapshot = snapshot
    this.#step()
  }

  /** The tree is over; the next one is not read yet. */
  forget(): void {
    this.#snapshot = null
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #step(): void {
    const snapshot = this.#snapshot
    if (this.#stopped || snapshot === null) return
    const { self, replicas } = this.#ports
    const held = [...replicas.values()].map(heldReplica)
    const plan = planReplicas(self, held, snapshot, (group, replicaId) => replicas.wasHere(group, replicaId))
    replicas.openRest((replica) => this.#ports.opened(replica))
    for (const { group } of plan.forget) if (this.#mayBegin(group)) this.#forget(group)
    for (const opening of plan.open) if (this.#mayBegin(opening.group)) this.#open(opening)
    // One that is being opened, or could not be so far, only looks lost.
    for (const { group, replicaId } of plan.lost) if (this.#mayBegin(group)) this.#ports.lost(group, replicaId)
    for (const { group, replicaId } of replicas.values()) this.#mark(snapshot, group, replicaId)
    if (plan.open.length + plan.forget.length + plan.lost.length > 0) this.#again()
  }

  #again(): void {
    this.#timer ??= this.#ports.clock.setTimer(AGAIN_MS, () => {
      this.#timer = null
      this.#step()
    })
  }

  #mayBegin(group: GroupId): boolean {
    const { replicas } = this.#ports
    return !this.#busy.has(group) && !replicas.isChanging(group) && !replicas.isUnopened(group)
  }

  #open({ group, replicaId, kind, genesis }: ReplicaOpening): void {
    const { replicas, logger, opened } = this.#ports
    this.#busy.add(group)
    const mayOpen = (answer: (isOurs: boolean) => void): void => {
      if (kind === 'joiner') answer(true)
      else this.#markThen(group, replicaId, false, answer)
    }
    replicas.create(configOf(group, genesis), group, replicaId, mayOpen, (error) => {
      this.#ended(group, 'a replica was not opened', error)
      const replica = replicas.get(group)
      if (error !== null || replica === undefined) return
      logger.info('a replica was opened', { group, replicaId, kind })
      opened(replica)
      this.#step()
    })
  }

  /** A genesis voter says so in the tree before it votes. What stands there already was said by an earlier life of this disk, unless an answer was lost here. */
  #markThen(group: GroupId, replicaId: ReplicaId, mayBeOurs: boolean, answer: (isOurs: boolean) => void): void {
    if (this.#stopped) return
    const again = (isSent: boolean): void => {
      this.#ports.clock.setTimer(MARK_AGAIN_MS, () => this.#markThen(group, replicaId, mayBeOurs || isSent, answer))
    }
    const store = this.#ports.store()
    if (store === null) return again(false)
    markMade(store, group, replicaId, (result) => {
      if (result === 'retry') return again(true)
      this.#marked.add(group)
      answer(result === 'made' || (result === 'was-made' && mayBeOurs))
    })
  }

  #forget(group: GroupId): void {
    const { replicas, logger, closing } = this.#ports
    this.#busy.add(group)
    this.#marked.delete(group)
    closing(group)
    replicas.remove(group, (error) => {
      this.#ended(group, 'a replica that has left was not removed', error)
      if (error === null) logger.info('a replica that has left was removed', { group })
      this.#step()
    })
  }

  #ended(group: GroupId, what: string, error: NodeError | null): void {
    this.#busy.delete(group)
    if (error !== null) this.#ports.logger.warn(what, { group, error: error.message })
  }

  /** A genesis voter says in the tree, too, that its record is in its log. */
  #mark({ masters, groups }: ClusterSnapshot, group: GroupId, replicaId: ReplicaId): void {
    const known = group === 0 ? masters : groups.get(group)
    const own = known?.genesis?.value.replicas.find((replica) => replica.nodeId === this.#ports.self)
    const store = this.#ports.store()
    if (own === undefined || own.made || own.replicaId !== replicaId || store === null || this.#marked.has(group))
      return
    this.#marked.add(group)
    markMade(store, group, replicaId, (result) => {
      if (result !== 'retry') return
      this.#marked.delete(group)
      this.#again()
    })
  }
}

function configOf(group: GroupId, { slots, replicas }: GroupGenesis): GroupGenesisConfig {
  return {
    groupId: group,
    replicas: replicas.map(({ replicaId, nodeId }) => ({ replicaId, nodeId })),
    slots,
    weight: 0,
    made: false,
  }
}
