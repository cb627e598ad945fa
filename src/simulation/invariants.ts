/**
 * What must hold after every step, whatever was done to the cluster (Raft paper, figure 3): election safety, leader completeness,
 * state-machine safety at every applied index; log matching over whole logs now and then. Looks at the replicas' own state, so it
 * sees a violation long before a client does.
 */
import { asLogIndex, type GroupId } from '../base/brand.ts'
import { crc32c } from '../base/crc32c.ts'
import { epochOfReplica } from '../master/cluster-epoch.ts'
import { MASTERS_GROUP } from '../master/tree-layout.ts'
import type { Entry } from '../protocol/entry.ts'
import type { RaftCore } from '../raft/raft-core.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { SimCluster, SimHost } from './sim-cluster.ts'

interface Applied {
  readonly term: number
  readonly crc: number
  /** The term of whoever applied it first: it was committed in this term or before. */
  readonly knownInTerm: number
}

interface Seen {
  applied: number
  leaderTerm: number
  firstIndex: number
}

/** A log's own number: the masters' group begins a new one with each cluster epoch (node/recovery/), all others have one for good. */
export function lineageOf({ group, replicaId }: Pick<RaftReplica, 'group' | 'replicaId'>): number {
  return group === MASTERS_GROUP ? -epochOfReplica(replicaId) : group
}

export interface LeaderWatcher {
  /** Of each new leadership. */
  onLeader(nodeId: number, group: GroupId): void
  onLeaderApplied(nodeId: number, group: GroupId): void
}

/** A replica has applied more, or begun again from its checkpoint. */
export type AppliedWatcher = (host: SimHost, replica: RaftReplica) => void

export class Invariants {
  readonly violations: string[] = []
  readonly coverage: Record<string, number> = {}
  readonly #cluster: SimCluster
  readonly #watcher: LeaderWatcher
  readonly #onApplied: AppliedWatcher
  /** By log: what was applied at each index, by the first replica that applied it. */
  readonly #history = new Map<number, Applied[]>()
  readonly #leaders = new Map<string, number>()
  /** The newest core of each replica, by node, group and replica id. */
  readonly #cores = new Map<string, RaftCore>()
  readonly #seen = new WeakMap<RaftReplica, Seen>()

  constructor(cluster: SimCluster, watcher: LeaderWatcher, onApplied: AppliedWatcher = () => {}) {
    this.#cluster = cluster
    this.#watcher = watcher
    this.#onApplied = onApplied
  }

  /** Cheap: runs after every event. */
  check(): void {
    for (const host of this.#cluster.hosts) {
      if (host.node === null) continue
      for (const replica of host.node.replicas()) this.#checkReplica(host, replica)
    }
  }

  #checkReplica(host: SimHost, replica: RaftReplica): void {
    const { core, group } = replica
    let seen = this.#seen.get(replica)
    if (seen === undefined) {
      seen = { applied: 0, leaderTerm: -1, firstIndex: core.firstIndex }
      this.#cores.set(`${host.nodeId}/${group}/${replica.replicaId}`, core)
      this.#seen.set(replica, seen)
    }
    if (core.role === 'leader' && seen.leaderTerm !== core.term) {
      seen.leaderTerm = core.term
      this.#newLeader(host.nodeId, replica)
    }
    if (core.firstIndex !== seen.firstIndex) {
      seen.firstIndex = core.firstIndex
      this.#count('compactions')
    }
    if (replica.applied !== seen.applied) {
      this.#applied(`${host.nodeId}/${group}`, seen.applied, replica)
      seen.applied = replica.applied
      this.#onApplied(host, replica)
      if (core.role === 'leader') this.#watcher.onLeaderApplied(host.nodeId, group)
    }
  }

  /** Equal index and term mean equal entries, and equal logs before them. Costly: now and then. */
  checkLogMatching(): void {
    const logs = [...this.#cluster.replicas()]
    for (let i = 0; i < logs.length; i++) {
      for (let j = i + 1; j < logs.length; j++) {
        const a = logs[i]
        const b = logs[j]
        if (lineageOf(a.replica) !== lineageOf(b.replica)) continue
        const from = asLogIndex(Math.max(a.replica.core.firstIndex, b.replica.core.firstIndex))
        const to = asLogIndex(Math.min(a.replica.core.lastIndex, b.replica.core.lastIndex))
        const left = a.replica.core.entries(from, to)
        const right = b.replica.core.entries(from, to)
        let agreed = false
        for (let at = left.length - 1; at >= 0; at--) {
          if (left[at].term === right[at].term) agreed = true
          else if (agreed) {
            this.#violated(
              `log matching: group ${a.group} differs at ${left[at].index} between nodes ${a.host.nodeId} and ${b.host.nodeId}`,
            )
          }
          if (left[at].term === right[at].term && crc32c(left[at].payload) !== crc32c(right[at].payload)) {
            this.#violated(`log matching: group ${a.group} entry ${left[at].index} has two payloads`)
          }
        }
      }
    }
  }

  /** The highest index that any replica of this one's log has applied. */
  appliedMax(replica: RaftReplica): number {
    return this.#historyOf(lineageOf(replica)).length - 1
  }

  #historyOf(lineage: number): Applied[] {
    const known = this.#history.get(lineage)
    if (known !== undefined) return known
    const fresh: Applied[] = []
    this.#history.set(lineage, fresh)
    return fresh
  }

  #newLeader(nodeId: number, replica: RaftReplica): void {
    const { group, core } = replica
    const lineage = lineageOf(replica)
    this.#count('elections')
    this.#watcher.onLeader(nodeId, group)
    const key = `${lineage}:${core.term}`
    const other = this.#leaders.get(key)
    if (other !== undefined && other !== nodeId) {
      this.#violated(`election safety: nodes ${other} and ${nodeId} lead group ${group} in term ${core.term}`)
    }
    this.#leaders.set(key, nodeId)
    const history = this.#historyOf(lineage)
    // A leader of an older term may show late (its votes were under way for long): it owes nothing of what newer terms committed.
    let index = history.length - 1
    while (index > 0 && (history[index] === undefined || history[index].knownInTerm >= core.term)) index--
    if (index >= core.firstIndex && core.termAt(asLogIndex(index)) !== history[index].term) {
      this.#violated(
        `leader completeness: node ${nodeId} leads group ${group} in term ${core.term} without entry ${index}`,
      )
    }
  }

  /** Whoever applies an entry first: by then the disks of a majority of its voters have it. */
  #checkDurable(name: string, replica: RaftReplica, entry: Entry): void {
    const voters = replica.core.membership.members.filter((member) => member.role === 'voter')
    let holding = 0
    for (const voter of voters) {
      // Also of a node that is down now: what it had synced is on its disk.
      const core = this.#cores.get(`${voter.nodeId}/${replica.group}/${voter.replicaId}`)
      if (core === undefined || core.durableIndex < entry.index) continue
      if (entry.index <= core.compaction.index || core.termAt(entry.index) === entry.term) holding++
    }
    if (holding * 2 <= voters.length) {
      this.#violated(
        `durability: ${name} applied ${entry.index} of term ${entry.term} with ${holding} of ${voters.length} disks holding it`,
      )
    }
  }

  #applied(name: string, before: number, replica: RaftReplica): void {
    const { core: log, applied: now } = replica
    if (now < before) return this.#violated(`state machine: ${name} went back from ${before} to ${now}`)
    const history = this.#historyOf(lineageOf(replica))
    if (before > 0 && now >= log.firstIndex && before + 1 < log.firstIndex) this.#count('imagesInstalled')
    else if (before > 0 && now < log.firstIndex) this.#count('imagesInstalled')
    for (const entry of log.entries(asLogIndex(before + 1), asLogIndex(now))) {
      const crc = crc32c(entry.payload)
      const first = history[entry.index]
      if (first === undefined) {
        history[entry.index] = { term: entry.term, crc, knownInTerm: log.term }
        this.#checkDurable(name, replica, entry)
      } else if (first.term !== entry.term || first.crc !== crc) {
        this.#violated(
          `state-machine safety: ${name} applied another entry at ${entry.index} (term ${entry.term}, before ${first.term})`,
        )
      }
    }
  }

  #count(what: string): void {
    this.coverage[what] = (this.coverage[what] ?? 0) + 1
  }

  #violated(message: string): void {
    if (this.violations.length < 20) this.violations.push(message)
  }
}
