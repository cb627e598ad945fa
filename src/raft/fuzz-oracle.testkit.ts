/** What must hold after every step of the fuzz (paper, figure 3), told from outside, from what all replicas show. */
import type { ReplicaId } from '../base/brand.ts'
import { equalBytes } from '../base/bytes.ts'
import type { Entry } from '../protocol/entry.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { votersOf } from './membership-history.ts'
import { majorityOf } from './quorum.ts'
import type { Ready } from './ready.ts'
import { applyToHash, type TestReplica } from './replica.testkit.ts'

class Violation extends Error {
  override readonly name = 'Violation'
}

interface Committed {
  readonly entry: Entry
  /** The lowest term whose leader is known to have committed it. */
  readonly inTerm: number
}

export class FuzzOracle {
  readonly #replicas: ReadonlyMap<ReplicaId, TestReplica>
  /** Election safety. */
  readonly #leaders = new Map<number, ReplicaId>()
  /** One vote a term: "voter@term" -> candidate. */
  readonly #votes = new Map<string, ReplicaId>()
  /** Log matching: "index@term" -> the entry and the term before it. */
  readonly #entries = new Map<string, { readonly entry: Entry; readonly before: number }>()
  /** By index; 1 is the first. */
  readonly #committed: Committed[] = []
  /** Of all entries up to the index: the state that every replica must have there. */
  readonly #hashes: number[] = [0]
  readonly #reads = new Map<string, number>()
  readsServed = 0

  constructor(replicas: ReadonlyMap<ReplicaId, TestReplica>) {
    this.#replicas = replicas
  }

  get committedCount(): number {
    return this.#committed.length
  }

  onSend(message: RaftMessage): void {
    if (message.type === 'voteRequest') this.#onVote(message.from, message.term, message.from)
    if (message.type === 'voteResponse' && message.granted) this.#onVote(message.from, message.term, message.to)
  }

  #onVote(voter: ReplicaId, term: number, candidate: ReplicaId): void {
    const key = `${voter}@${term}`
    const before = this.#votes.get(key)
    if (before !== undefined && before !== candidate) {
      throw new Violation(`${voter} voted for ${before} and ${candidate} in term ${term}`)
    }
    this.#votes.set(key, candidate)
  }

  onReady(replica: TestReplica, ready: Ready): void {
    for (const entry of ready.entries) this.#onAppend(replica, entry)
    for (const { read, index } of ready.readStates) {
      const asked = this.#reads.get(`${replica.id}/${read}`)
      this.#reads.delete(`${replica.id}/${read}`)
      if (asked === undefined) throw new Violation(`${replica.id}: read ${read} answered and not asked, or twice`)
      if (index < asked) throw new Violation(`${replica.id}: a read asked at commit ${asked} was given index ${index}`)
      this.readsServed++
    }
    for (const read of ready.readsRefused) {
      if (!this.#reads.delete(`${replica.id}/${read}`))
        throw new Violation(`read ${read} refused and not asked, or twice`)
    }
    if (ready.installed !== null) this.#onCommitted(replica)
  }

  #onAppend(replica: TestReplica, entry: Entry): void {
    const before = replica.live.termAt((entry.index - 1) as typeof entry.index)
    if (before === null) return
    const key = `${entry.index}@${entry.term}`
    const known = this.#entries.get(key)
    if (known === undefined) {
      this.#entries.set(key, { entry, before })
      return
    }
    if (known.before !== before || !sameEntry(known.entry, entry)) throw new Violation(`log matching broken at ${key}`)
  }

  onApply(replica: TestReplica, entry: Entry): void {
    this.#onCommitted(replica)
    const committed = this.#committed[entry.index - 1]
    if (committed === undefined) throw new Violation(`${replica.id} applied ${entry.index}, which nobody has committed`)
    if (!sameEntry(committed.entry, entry)) throw new Violation(`${replica.id} applied another entry at ${entry.index}`)
    if (replica.machine.hash !== this.#hashes[entry.index])
      throw new Violation(`${replica.id}: state differs at ${entry.index}`)
  }

  onReadAsked(replica: TestReplica, read: number): void {
    this.#reads.set(`${replica.id}/${read}`, this.#committed.length)
  }

  onCrash(replica: TestReplica): void {
    for (const key of [...this.#reads.keys()]) if (key.startsWith(`${replica.id}/`)) this.#reads.delete(key)
  }

  /** Called after every step. */
  check(): void {
    for (const replica of this.#replicas.values()) {
      if (replica.core === null) continue
      this.#onCommitted(replica)
      if (replica.core.role === 'leader') this.#onLeader(replica)
    }
  }

  #onLeader(replica: TestReplica): void {
    const { term, role } = replica.live
    const known = this.#leaders.get(term)
    if (known === replica.id) return
    if (known !== undefined) throw new Violation(`two leaders in term ${term}: ${known} and ${replica.id}`)
    this.#leaders.set(term, replica.id)
    // Leader completeness: all that was committed in lower terms is in its log.
    for (let i = replica.live.firstIndex - 1; i < this.#committed.length; i++) {
      const { entry, inTerm } = this.#committed[i]
      if (inTerm < term && replica.live.termAt(entry.index) !== entry.term) {
        throw new Violation(`${role} ${replica.id} of term ${term} lacks ${entry.index}, committed in term ${inTerm}`)
      }
    }
  }

  /** Takes note of what this replica counts as committed, and compares it with what any other did. */
  #onCommitted(replica: TestReplica): void {
    const core = replica.live
    const { commitIndex, term } = core
    if (commitIndex <= this.#committed.length) {
      const newest = this.#committed[commitIndex - 1]
      const own = core.termAt(commitIndex)
      if (newest !== undefined && own !== null && own !== newest.entry.term) {
        throw new Violation(`${replica.id} has committed another entry at ${commitIndex}`)
      }
      return
    }
    const from = this.#committed.length + 1
    if (core.firstIndex > from) throw new Violation(`${replica.id} has an image of what nobody has committed`)
    for (const entry of core.entries(from as typeof commitIndex, commitIndex)) {
      this.#committed.push({ entry, inTerm: term })
      this.#hashes.push(applyToHash(this.#hashes[entry.index - 1], entry))
    }
    if (core.role === 'leader') this.#mustBeDurable(replica)
  }

  /**
   * What a leader counts as committed is on the disks of a majority: that is what an acknowledgement promises. (Of the membership
   * in force, or of the one before where the last entry committed changed it: the mutation "configurationLate" counts so, and must
   * be found by what follows from it.)
   */
  #mustBeDurable(leader: TestReplica): void {
    const core = leader.live
    const before = Math.max(core.commitIndex - 1, core.compaction.index) as typeof core.commitIndex
    const memberships = [core.membership, core.membershipAt(before)]
    if (memberships.some((membership) => this.#majorityHolds(leader, membership))) return
    throw new Violation(`${leader.id} committed ${core.commitIndex}, which no majority of disks holds`)
  }

  #majorityHolds(leader: TestReplica, membership: Membership): boolean {
    const { commitIndex } = leader.live
    const term = leader.live.termAt(commitIndex)
    const voters = votersOf(membership)
    let holding = 0
    for (const replicaId of voters) {
      const replica = this.#replicas.get(replicaId)
      if (replica === undefined) continue
      if (replica.durable.compaction.index >= commitIndex || replica.durableTermAt(commitIndex) === term) holding++
    }
    return holding >= majorityOf(voters.length)
  }
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.term === b.term && a.index === b.index && a.kind === b.kind && equalBytes(a.payload, b.payload)
}
