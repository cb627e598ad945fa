/** Hands a group's leadership over as an operator asked, and answers what came of it. It outlives the leadership that it gives away. */
import type { NodeId } from '../../base/brand.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'

export interface TransferError {
  readonly code: 'not-leader' | 'malformed-argument' | 'busy' | 'unavailable' | 'uncertain'
  readonly message: string
  /** What to do about it. */
  readonly mend: string
}

/** Null: the node leads. */
export type TransferDone = (error: TransferError | null) => void

const LOOK_EVERY_MS = 20
const DEADLINE_MS = 10_000

export function transferLeadership(replica: RaftReplica, node: NodeId, clock: Clock, done: TransferDone): void {
  const { group, core } = replica
  const refuse = (code: TransferError['code'], message: string, mend: string): void => {
    clock.defer(() => done({ code, message, mend }))
  }
  if (!replica.isLeader) return refuse('not-leader', `this node does not lead group ${group}`, 'ask the leader')
  const voters = replica.appliedMembership.members.filter(({ role }) => role === 'voter')
  const target = voters.find(({ nodeId }) => nodeId === node)
  if (target === undefined) {
    const nodes = voters.map(({ nodeId }) => nodeId).join(', ')
    return refuse('malformed-argument', `node ${node} has no vote in group ${group}`, `name one of ${nodes}`)
  }
  if (target.replicaId === replica.replicaId) return clock.defer(() => done(null))
  if (core.membershipIndex > replica.applied) {
    return refuse('busy', `the members of group ${group} are being changed`, 'try again in a second')
  }
  if (!replica.transferLeadership(target.replicaId)) {
    return refuse('busy', `group ${group} is being handed over to another node`, 'try again in a second')
  }
  watch(replica, node, clock, done)
}

function watch(replica: RaftReplica, node: NodeId, clock: Clock, done: TransferDone): void {
  const { group, core } = replica
  const { term } = core
  const deadlineMs = clock.monotonicMs() + DEADLINE_MS
  const look = (): void => {
    if (replica.leaderNode === node) return done(null)
    const hasGivenUp = replica.isLeader && core.term === term && core.transferTarget === 0
    if (hasGivenUp) {
      const message = `node ${node} did not take group ${group} over in time`
      return done({ code: 'unavailable', message, mend: 'see whether it is up and its replica has caught up' })
    }
    const { leaderNode } = replica
    if (leaderNode !== null && !replica.isLeader) {
      const message = `node ${leaderNode} was elected to lead group ${group} meanwhile`
      return done({ code: 'unavailable', message, mend: 'ask it' })
    }
    if (clock.monotonicMs() >= deadlineMs) {
      const message = `nobody is known to lead group ${group}`
      return done({ code: 'uncertain', message, mend: 'look who leads in a second' })
    }
    clock.setTimer(LOOK_EVERY_MS, look)
  }
  clock.setTimer(LOOK_EVERY_MS, look)
}
