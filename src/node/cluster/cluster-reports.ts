/** What the tree and the nodes say, as the JSON that administration calls answer. */
import type { GroupId, NodeId } from '../../base/brand.ts'
import type { ClusterSnapshot, SnapshotGroup } from '../../master/cluster-snapshot.ts'
import { openReconfigs } from '../../master/cluster-snapshot.ts'
import { type ReconfigView, viewOf } from '../../master/reconfig-lookup.ts'
import { tableRanges } from '../../master/slot-table.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import { mergeMoves } from '../moves/move-report.ts'
import type { MastersStatus } from '../node-status.ts'
import type { NodeReport } from './node-questions.ts'

export type Reports = ReadonlyMap<NodeId, NodeReport | null>

export function slotsReport({ slots }: ClusterSnapshot): object {
  const { version, groups } = slots.value
  const ranges = tableRanges(groups).map(({ range: [first, last], group }) => [first, last, group])
  return { version, slotCount: groups.length, ranges }
}

/** Those that are kept and were read: the ones under way, and the newest. */
export function reconfigsReport({ buckets, migrations }: ClusterSnapshot): object {
  const all = [...buckets.values()].flatMap(({ value }) => value)
  const reconfigs = all.sort((a, b) => a.reconfigId - b.reconfigId).map((reconfig) => reconfigReport(viewOf(reconfig)))
  return { last: migrations.value.last, reconfigs }
}

export function reconfigReport({
  reconfigId,
  source,
  destination,
  slots,
  phase,
  reason,
  isClean,
}: ReconfigView): object {
  const ranges = slots.map(({ first, last }) => [first, last])
  return { reconfigId, from: source, to: destination, slots: ranges, phase, reason, clean: isClean }
}

/** The reconfigs under way, with what the groups' leaders say of them; and how those ended that a leader still remembers. */
export function migrationsReport(snapshot: ClusterSnapshot, reports: Reports): object[] {
  const moves = [...reports.values()].flatMap((report) => report?.moves ?? [])
  const progress = new Map(mergeMoves(moves).map((merged) => [merged.reconfigId, merged]))
  const open = new Set(openReconfigs(snapshot).map(({ reconfigId }) => reconfigId))
  const known = [...snapshot.buckets.values()].flatMap(({ value }) => value)
  const shown = known.filter(({ reconfigId }) => open.has(reconfigId) || progress.has(reconfigId))
  shown.sort((a, b) => a.reconfigId - b.reconfigId)
  return shown.map((reconfig) => {
    const view = viewOf(reconfig)
    const seen = progress.get(reconfig.reconfigId)
    // The tree knows how it ended, and that it has not begun; in between the groups know more.
    const phase = view.phase === 'copying' ? (seen?.phase ?? 'copying') : view.phase
    return {
      ...reconfigReport(view),
      phase,
      keys: seen?.keys ?? 0,
      bytes: seen?.bytes ?? 0,
      bytesPerSecond: seen?.bytesPerSecond ?? 0,
      secondsLeft: seen?.secondsLeft ?? null,
      attempts: Math.max(seen?.source?.attempts ?? 0, seen?.destination?.attempts ?? 0),
    }
  })
}

export interface NodeEntry {
  readonly id: NodeId
  readonly peer: string
  readonly resp: string
  readonly cluster: string
  readonly roles: readonly string[]
  readonly leaving: boolean
  readonly away: boolean
  readonly version: string | null
  /** With a replica there, by the node's own word; group 0 is the masters'. Null: it is away. */
  readonly groups: readonly number[] | null
  readonly leads: readonly number[] | null
}

export function nodesReport({ nodes }: ClusterSnapshot, reports: Reports): NodeEntry[] {
  return [...nodes]
    .sort(([a], [b]) => a - b)
    .map(([node, { value }]) => {
      const status = reports.get(node)?.status ?? null
      const { peer, resp, cluster, roles, leaving } = value
      const replicas = status === null ? null : replicasOf(status)
      return {
        id: node,
        peer,
        resp,
        cluster,
        roles,
        leaving,
        away: status === null,
        version: status?.version ?? null,
        groups: replicas?.map(([id]) => id) ?? null,
        leads: replicas?.filter(([, { role }]) => role === 'leader').map(([id]) => id) ?? null,
      }
    })
}

function replicasOf({ groups, masters }: NodeReport['status']): [number, MastersStatus][] {
  const all = groups.map((group): [number, MastersStatus] => [group.id, group])
  return masters === null ? all : [[MASTERS_GROUP, masters], ...all]
}

export interface MemberEntry {
  readonly node: NodeId
  readonly replica: number
  /** `joining`: desired, and not yet a member. `leaving`: a member, and no longer desired. */
  readonly standing: 'voter' | 'learner' | 'joining' | 'leaving'
  /** leader, follower, ...; null: its node is away, or has no replica. */
  readonly role: string | null
  readonly applied: number | null
}

export interface GroupEntry {
  readonly id: GroupId
  readonly weight: number
  readonly draining: boolean
  readonly slots: number
  readonly leader: NodeId | null
  /** The nodes that vote, rising. */
  readonly replicas: readonly NodeId[]
  readonly members: readonly MemberEntry[]
  /** Members are as desired, and vote. */
  readonly settled: boolean
  /** Why not, by its leader; else empty. */
  readonly problem: string
}

export function groupsReport(snapshot: ClusterSnapshot, reports: Reports): GroupEntry[] {
  const slots = new Map<GroupId, number>()
  for (const group of snapshot.slots.value.groups) slots.set(group, (slots.get(group) ?? 0) + 1)
  return [...snapshot.groups]
    .sort(([a], [b]) => a - b)
    .map(([group, known]) => groupReport(group, known, slots.get(group) ?? 0, reports))
}

export function groupReport(group: GroupId, known: SnapshotGroup, slots: number, reports: Reports): GroupEntry {
  const { weight, draining } = known.value
  const leader = leaderOf(group, reports)
  const members = membersOf(group, known, reports)
  const problem = leader === null ? '' : (reports.get(leader)?.problems[group] ?? '')
  const settled = members.every(({ standing }) => standing === 'voter')
  const replicas = members.filter(({ standing }) => standing === 'voter').map(({ node }) => node)
  replicas.sort((a, b) => a - b)
  return { id: group, weight, draining, slots, leader, replicas, members, settled, problem }
}

/** By the nodes' own words; of two that say they lead, the one of the later term. */
function leaderOf(group: GroupId, reports: Reports): NodeId | null {
  let leader: NodeId | null = null
  let term = -1
  for (const [node, report] of reports) {
    const replica = replicaOn(group, report)
    if (replica === null || replica.role !== 'leader' || replica.term <= term) continue
    leader = node
    term = replica.term
  }
  return leader
}

function replicaOn(group: GroupId, report: NodeReport | null | undefined): MastersStatus | null {
  if (report === null || report === undefined) return null
  return group === MASTERS_GROUP ? report.status.masters : (report.status.groups.find(({ id }) => id === group) ?? null)
}

function membersOf(group: GroupId, { value, genesis, report }: SnapshotGroup, reports: Reports): MemberEntry[] {
  const voters = new Set((report?.value.members ?? genesis?.value.replicas ?? []).map(({ replicaId }) => replicaId))
  const learners = new Set((report?.value.learners ?? []).map(({ replicaId }) => replicaId))
  const desired = new Set(value.members.map(({ replicaId }) => replicaId))
  const gone = [...(report?.value.members ?? []), ...(report?.value.learners ?? [])].filter(
    ({ replicaId }) => !desired.has(replicaId),
  )
  return [...value.members, ...gone]
    .sort((a, b) => a.nodeId - b.nodeId || a.replicaId - b.replicaId)
    .map(({ nodeId: node, replicaId: replica }) => {
      const there = replicaOn(group, reports.get(node))
      const own = there?.replicaId === replica ? there : null
      const standing = !desired.has(replica)
        ? 'leaving'
        : voters.has(replica)
          ? 'voter'
          : learners.has(replica)
            ? 'learner'
            : 'joining'
      return { node, replica, standing, role: own?.role ?? null, applied: own?.applied ?? null }
    })
}

/** In words, for people; empty: all is well. */
export function healthProblems(
  nodes: readonly NodeEntry[],
  groups: readonly GroupEntry[],
  activeMaster: NodeId | null,
): string[] {
  const problems: string[] = []
  for (const { id, away } of nodes) if (away) problems.push(`node ${id} does not answer`)
  if (activeMaster === null) problems.push('no master is active: the cluster serves, but cannot be changed')
  for (const { id: group, leader, members, settled, problem } of groups) {
    const name = group === MASTERS_GROUP ? "the masters' group" : `group ${group}`
    const away = members.filter(({ role }) => role === null)
    if (leader === null) problems.push(`${name} has no leader`)
    if (away.length > 0) {
      problems.push(`${name} misses its replica(s) on node ${away.map(({ node }) => node).join(', ')}`)
    }
    if (!settled && problem !== '') problems.push(`${name}: ${problem}`)
  }
  return problems
}
