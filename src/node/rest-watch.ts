/**
 * Watches over the nodes of groups at rest (raft/rest.ts), in place of a heartbeat a group. At every second heartbeat a node tells every other which resting
 * groups with a replica there it leads, and the other answers. So two messages a pair of nodes do, however many the groups.
 *
 *   a follower wakes   when its leader's node has said nothing for the shortest election time-out, as if it had counted all along: elections after a
 *                      crash begin as early as without rest; and at once when that node speaks, but no longer of this group and term
 *   a leader wakes     when a member's node has not answered for so long: then it looks for its quorum as ever
 *
 * Silence is counted in ticks, not by the clock: a process that stood still must not take that for everybody else's silence.
 */
import type { GroupId, NodeId, Term } from '../base/brand.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RestBeat } from '../protocol/rest-beat.ts'

/** What it asks of a replica (RaftReplica). */
export interface WatchedReplica {
  readonly group: GroupId
  readonly resting: boolean
  readonly isLeader: boolean
  readonly leaderNode: NodeId | null
  readonly core: { readonly term: Term; readonly membership: Membership }
  wakeFromRest(silentTicks: number, silentNode: NodeId): void
}

export interface RestWatchOptions {
  readonly self: NodeId
  readonly heartbeatTicks: number
  readonly electionTicksMin: number
  /** Somebody is about to be woken. */
  waking(): void
  /** Lost where the peer is away: the next follows. */
  send(to: NodeId, beat: RestBeat): void
}

/** Ticks since a node was last heard, of those that matter to somebody here. */
type Silence = Map<NodeId, number>

const ANSWER: RestBeat = { type: 'answer' }

export class RestWatch {
  readonly #options: RestWatchOptions
  readonly #replicas: { values(): Iterable<WatchedReplica> }
  /** Of nodes with leaders of followers that rest here, since their last beat. */
  #leaders: Silence = new Map()
  /** Of nodes with members of groups that rest here under their leader, since their last answer. */
  #members: Silence = new Map()
  #ticks = 0
  readonly #beatTicks: number

  constructor(options: RestWatchOptions, replicas: { values(): Iterable<WatchedReplica> }) {
    this.#options = options
    const { heartbeatTicks, electionTicksMin } = options
    // Half as often as a group's own would do, and still three within any time-out.
    this.#beatTicks = Math.max(1, Math.min(heartbeatTicks * 2, Math.floor(electionTicksMin / 3)))
    this.#replicas = replicas
  }

  /** After the replicas' own. */
  tick(): void {
    this.#count(this.#leaders, (replica, node) => !replica.isLeader && replica.leaderNode === node)
    this.#count(this.#members, (replica, node) => replica.isLeader && hasMemberOn(replica, node))
    if (++this.#ticks < this.#beatTicks) return
    this.#ticks = 0
    this.#beat()
  }

  onBeat(from: NodeId, beat: RestBeat): void {
    if (beat.type === 'answer') {
      if (this.#members.has(from)) this.#members.set(from, 0)
      return
    }
    this.#leaders.set(from, 0)
    for (const replica of this.#replicas.values()) {
      if (!replica.resting || replica.isLeader || replica.leaderNode !== from) continue
      if (beat.groups.get(replica.group) !== replica.core.term) this.#wake(replica, 0, from)
    }
    this.#options.send(from, ANSWER)
  }

  /** How long the node of a resting follower's leader has been silent. */
  silentTicks(leader: NodeId | null): number {
    return leader === null ? 0 : (this.#leaders.get(leader) ?? 0)
  }

  #count(silence: Silence, concerns: (replica: WatchedReplica, node: NodeId) => boolean): void {
    for (const [node, before] of silence) {
      const ticks = before + 1
      silence.set(node, ticks)
      if (ticks < this.#options.electionTicksMin) continue
      for (const replica of this.#replicas.values()) {
        if (replica.resting && concerns(replica, node)) this.#wake(replica, ticks, node)
      }
    }
  }

  #wake(replica: WatchedReplica, silentTicks: number, node: NodeId): void {
    this.#options.waking()
    replica.wakeFromRest(silentTicks, node)
  }

  /** Speaks to whom it matters, and forgets who matters no longer. */
  #beat(): void {
    const { self } = this.#options
    const leaders: Silence = new Map()
    const led = new Map<NodeId, Map<GroupId, Term>>()
    for (const replica of this.#replicas.values()) {
      if (!replica.resting) continue
      if (!replica.isLeader) {
        const { leaderNode } = replica
        if (leaderNode !== null) leaders.set(leaderNode, this.#leaders.get(leaderNode) ?? 0)
        continue
      }
      for (const { nodeId } of replica.core.membership.members) {
        if (nodeId === self) continue
        const groups = led.get(nodeId) ?? new Map<GroupId, Term>()
        led.set(nodeId, groups)
        groups.set(replica.group, replica.core.term)
      }
    }
    this.#leaders = leaders
    const members: Silence = new Map()
    for (const [node, groups] of led) {
      members.set(node, this.#members.get(node) ?? 0)
      this.#options.send(node, { type: 'beat', groups })
    }
    this.#members = members
  }
}

function hasMemberOn(replica: WatchedReplica, node: NodeId): boolean {
  return replica.core.membership.members.some(({ nodeId }) => nodeId === node)
}
