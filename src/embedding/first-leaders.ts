/**
 * Spares nodes that start together in one process the wait for an election time-out: while a group has no leader, its most promising
 * replica stands for election at once. An aid to speed only: whether it wins is Raft's to say, and where it does not the time-outs do it.
 */
import { asGroupId } from '../base/brand.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { NodeHost } from './node-host.ts'

/** Long enough for a round of questions and answers, on connections that may just be opening. */
const STAND_EVERY_MS = 10

/** Until the returned function is called. */
export function hurryElections(hosts: readonly NodeHost[]): () => void {
  const groups = hosts[0]?.identity?.groups.map(({ groupId }) => groupId) ?? []
  const look = (): void => {
    for (const group of groups) standFor(hosts, group)
  }
  look()
  const timer = setInterval(look, STAND_EVERY_MS)
  return () => clearInterval(timer)
}

function standFor(hosts: readonly NodeHost[], group: number): void {
  let best: { readonly host: NodeHost; readonly replica: RaftReplica } | null = null
  // From another node on for each group, so that of equals not the same one leads them all.
  for (let i = 0; i < hosts.length; i++) {
    const host = hosts[(Math.max(group, 1) - 1 + i) % hosts.length]
    const replica = host.node?.replica(asGroupId(group))
    if (replica === undefined) continue
    // A campaign that is past the first question is left alone: to stand again would be to start over.
    if (replica.core.role === 'leader' || replica.core.role === 'candidate') return
    if (best === null || isAhead(replica, best.replica)) best = { host, replica }
  }
  if (best === null) return
  const { host, replica } = best
  host.run(() => replica.campaign())
}

/** The longer log, as voters see it. */
function isAhead({ core: one }: RaftReplica, { core: other }: RaftReplica): boolean {
  const terms = (one.termAt(one.lastIndex) ?? 0) - (other.termAt(other.lastIndex) ?? 0)
  return terms !== 0 ? terms > 0 : one.lastIndex > other.lastIndex
}
