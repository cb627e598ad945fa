/** The keepers of all groups that this node leads: made when it begins to lead one, thrown away when it no longer does. */
import type { GroupId, NodeId } from '../../base/brand.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import { allGroups } from '../../master/member-changes.ts'
import { type LedGroupWeight, preferredLeaders } from '../../master/preferred-leaders.ts'
import type { GroupMember } from '../../master/registrations.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { TransferDone } from './leadership-transfer.ts'
import { KEEPER_DEFAULTS, type KeeperPorts, type KeeperSettings, MembershipKeeper } from './membership-keeper.ts'

/** Nodes come and go without the tree: who should lead is asked so often. */
const PREFER_EVERY_MS = 1_000
/** Of a group at rest: with every so manyth tick. */
const RESTING_EVERY = 5

export class GroupKeepers {
  readonly #self: NodeId
  readonly #ports: KeeperPorts
  readonly #settings: KeeperSettings
  readonly #keepers = new Map<GroupId, MembershipKeeper>()
  #desired: ReadonlyMap<GroupId, readonly GroupMember[]> = new Map()
  #weights: readonly LedGroupWeight[] = []
  #preferAtMs = 0
  #ticks = 0

  constructor(self: NodeId, ports: KeeperPorts, settings: KeeperSettings = KEEPER_DEFAULTS) {
    this.#self = self
    this.#ports = ports
    this.#settings = settings
  }

  /** The tree was read. */
  read(snapshot: ClusterSnapshot): void {
    const groups = [...allGroups(snapshot)]
    this.#desired = new Map(groups.map(([group, { value }]) => [group, value.members]))
    this.#weights = weightsOf(snapshot)
    this.#preferAtMs = 0
    for (const [group, keeper] of this.#keepers) keeper.desiredChanged(this.#desired.get(group) ?? null)
  }

  /** The tree is over; until the next one is read, groups stay as they are. */
  forget(): void {
    this.#desired = new Map()
    this.#weights = []
    for (const keeper of this.#keepers.values()) keeper.desiredChanged(null)
  }

  /** The replica's role, term or members have changed. */
  statusChanged(replica: RaftReplica): void {
    const { group } = replica
    let keeper = this.#keepers.get(group)
    if (keeper !== undefined && (!keeper.isCurrent || keeper.replica !== replica)) {
      keeper.stop()
      this.#keepers.delete(group)
      keeper = undefined
    }
    if (keeper !== undefined || !replica.isLeader) return
    keeper = new MembershipKeeper(replica, this.#self, this.#ports, this.#settings)
    keeper.desiredChanged(this.#desired.get(group) ?? null)
    this.#keepers.set(group, keeper)
    this.#preferAtMs = 0
  }

  /** Every 100 ms or so. */
  tick(): void {
    if (this.#keepers.size === 0) return
    this.#prefer()
    const everybody = ++this.#ticks % RESTING_EVERY === 0
    for (const [group, keeper] of this.#keepers) {
      // In a group at rest nothing changes but what is wished for.
      if (!everybody && keeper.replica.resting) continue
      if (keeper.isCurrent) {
        keeper.tick()
        continue
      }
      keeper.stop()
      this.#keepers.delete(group)
      // It may lead again, in another term.
      this.statusChanged(keeper.replica)
    }
  }

  /** Why a group's members are not as desired yet; empty: nothing stands in the way, or this node does not lead it. */
  problemOf(group: GroupId): string {
    return this.#keepers.get(group)?.problem ?? ''
  }

  /** An operator's wish. Once it is true, leadership stays there for a minute, whatever the balance says. */
  transfer(group: GroupId, node: NodeId, done: TransferDone): void {
    const keeper = this.#keepers.get(group)
    if (keeper?.isCurrent === true) return keeper.transfer(node, done)
    const message = `this node does not lead group ${group}`
    this.#ports.clock.defer(() => done({ code: 'not-leader', message, mend: 'ask the leader' }))
  }

  stop(): void {
    for (const keeper of this.#keepers.values()) keeper.stop()
    this.#keepers.clear()
  }

  #prefer(): void {
    const nowMs = this.#ports.clock.monotonicMs()
    if (nowMs < this.#preferAtMs) return
    this.#preferAtMs = nowMs + PREFER_EVERY_MS
    const live = new Set<NodeId>([this.#self])
    for (const { members } of this.#weights) {
      for (const node of members) if (this.#ports.isConnected(node)) live.add(node)
    }
    const leaders = preferredLeaders(this.#weights, live)
    for (const [group, keeper] of this.#keepers) keeper.preferredChanged(leaders.get(group) ?? null)
  }
}

/** By slots. Only who votes can lead; who is on the way out is not to. */
function weightsOf(snapshot: ClusterSnapshot): LedGroupWeight[] {
  const slots = new Map<GroupId, number>()
  for (const group of snapshot.slots.value.groups) slots.set(group, (slots.get(group) ?? 0) + 1)
  return [...allGroups(snapshot)].map(([group, { value, report }]) => {
    const votes = ({ replicaId }: GroupMember): boolean =>
      report === null || report.value.members.some((member) => member.replicaId === replicaId)
    const members = value.members.filter(votes).map(({ nodeId }) => nodeId)
    return { group, weight: slots.get(group) ?? 0, members }
  })
}
