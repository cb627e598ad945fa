/**
 * The tree of a new cluster epoch, after a majority of the masters was lost. Registrations come from the newest copy of the old tree that anybody has, and may be
 * old; who owns which slots, and which moves are open, comes from the groups' applied state alone. Pure.
 *
 * The groups were read twice. Before `first` each group's log was closed to the old masters (the `fence` of protocol/move-command.ts), so that no move begins any
 * more; those that are open go on by themselves, and the new masters must know each of them, or they would give its slots to somebody else. Of one that a group
 * still has open, `first` and `last` together tell whether it had an outcome by the time of the fence:
 *
 *   its destination has committed (last)                                        done: a later reconfig may rest on it
 *   its source was over with it in `first`, and the destination has not (last)  failed: the slots stayed with the source
 *   else                                                                        begun: the master asks the groups, as ever
 *
 * A source that was over by `first` because all had come through would show in `last` as committed at the destination: that came before. So what is left as begun has
 * no successor, and can be published late without taking back anything.
 */
import type { GroupId, NodeId, ReplicaId } from '../base/brand.ts'
import { asGroupId, asNodeId, asSlotId } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { type MetadataOperation, type MetadataPath, PERSISTENT } from '../protocol/metadata-operation.ts'
import type { SlotRun } from '../protocol/move-command.ts'
import { firstTableVersion, reconfigIdOf, replicaIdOf } from './cluster-epoch.ts'
import { type ClusterSnapshot, encodeMigrations } from './cluster-snapshot.ts'
import { type MasterError, masterError } from './master-error.ts'
import { encodeBucket, type Reconfig } from './reconfig.ts'
import {
  encodeConfig,
  encodeCounter,
  encodeGenesis,
  encodeGroup,
  encodeJournal,
  encodeNode,
  encodeReport,
  encodeWorkers,
  type GroupGenesis,
  type GroupMember,
  type GroupRegistration,
  type NodeRegistration,
} from './registrations.ts'
import { encodeSlotTable } from './slot-table.ts'
import {
  bucketOf,
  bucketPath,
  ELECTION,
  genesisPath,
  groupPath,
  KV,
  MASTERS,
  MASTERS_GROUP,
  MIGRATIONS,
  NODES,
  nodePath,
  reportPath,
  SLOTS,
  VERSION,
  WORKER_ID,
  WORKERS,
} from './tree-layout.ts'

/** Of a group that no copy of the tree knows. */
const UNKNOWN_WEIGHT = 10
const OVER = 'it was over before the masters were recovered'

/** One group by its own log, at one index of it. */
export interface GroupStanding {
  readonly group: GroupId
  readonly index: number
  readonly fence: number
  readonly leader: NodeId
  readonly members: readonly GroupMember[]
  readonly learners: readonly GroupMember[]
  /** All slots, rising. */
  readonly slots: readonly SlotStanding[]
  readonly moves: readonly OpenMove[]
}

export interface SlotStanding {
  readonly first: number
  readonly last: number
  readonly owned: boolean
  readonly lastReconfig: number
}

export interface OpenMove {
  readonly reconfigId: number
  readonly role: 'source' | 'destination'
  readonly peer: GroupId
  /** Predecessors count in the source's only. */
  readonly slots: readonly SlotRun[]
}

export interface KnownGroup {
  readonly genesis: GroupGenesis
  readonly weight: number
}

export interface RecoveryFacts {
  readonly clusterEpoch: number
  /** The only master to begin with. */
  readonly self: NodeId
  readonly slotCount: number
  /** Null: nobody has one. */
  readonly copy: ClusterSnapshot | null
  /** All that are known. */
  readonly nodes: ReadonlyMap<NodeId, NodeRegistration>
  /** How groups began, as nodes remember it. */
  readonly groups: ReadonlyMap<GroupId, KnownGroup>
  readonly first: ReadonlyMap<GroupId, GroupStanding>
  readonly last: ReadonlyMap<GroupId, GroupStanding>
  /** For good: an operator says so. */
  readonly lost: ReadonlySet<GroupId>
}

export interface RecoveredTree {
  readonly operations: readonly MetadataOperation[]
  readonly slotsOfLost: number
  readonly open: readonly Reconfig[]
  /** Reconfigs that had been planned and not begun: forgotten. */
  readonly dropped: number
}

export function planRecovery(facts: RecoveryFacts): { readonly error: MasterError } | RecoveredTree {
  const reconfigs = openReconfigsOf(facts)
  const table = tableOf(facts, reconfigs)
  if ('error' in table) return table
  const planned = plannedIn(facts.copy)
  const rebalance = facts.lost.size === 0 && (facts.copy?.rebalance.value === true || planned.some((r) => r.byWeight))
  const operations = [
    create(KV, encodeConfig({ clusterEpoch: facts.clusterEpoch, slotCount: facts.slotCount })),
    create(MASTERS, encodeJournal({ fence: 0, episode: 0, write: 0 })),
    ...mastersOperations(facts),
    create(WORKERS, encodeWorkers(rebalance)),
    ...groupIds(facts).flatMap((group) => groupOperations(facts, group)),
    create(SLOTS, encodeSlotTable({ ...table, version: firstTableVersion(facts.clusterEpoch) })),
    create(VERSION, encodeCounter('version', firstTableVersion(facts.clusterEpoch))),
    ...migrationOperations(facts, reconfigs),
    create(WORKER_ID, encodeCounter('next', nextGroupOf(facts))),
    // Ids of the new epoch lie above all others.
    create(NODES, encodeCounter('next', 1)),
    ...nodeOperations(facts),
    create(ELECTION, EMPTY_BYTES),
  ]
  const slotsOfLost = table.groups.filter((group) => facts.lost.has(group)).length
  return { operations, slotsOfLost, open: reconfigs, dropped: planned.length }
}

/** Those that a copy of the tree or a node knows of, and those that have answered. */
function groupIds({ copy, groups, last, lost }: Pick<RecoveryFacts, 'copy' | 'groups' | 'last' | 'lost'>): GroupId[] {
  const ids = new Set<GroupId>([...(copy?.groups.keys() ?? []), ...groups.keys(), ...last.keys(), ...lost])
  ids.delete(MASTERS_GROUP)
  return [...ids].sort((a, b) => a - b)
}

// --- slots ----------------------------------------------------------------------------------------------------------

interface Table {
  readonly groups: readonly GroupId[]
  readonly reconfigIds: readonly number[]
}

/** An owner that another follows by a later reconfig was read too early. What nobody owns is handed over just now: it is the source's until the outcome is published. */
function tableOf(facts: RecoveryFacts, reconfigs: readonly Reconfig[]): { readonly error: MasterError } | Table {
  const { slotCount, last, lost, copy } = facts
  const groups = new Array<GroupId>(slotCount).fill(MASTERS_GROUP)
  const reconfigIds = new Array<number>(slotCount).fill(-1)
  const take = (slot: number, group: GroupId, reconfigId: number): void => {
    groups[slot] = group
    reconfigIds[slot] = reconfigId
  }
  for (const { group, slots } of last.values()) {
    for (const run of slots) {
      for (let slot = run.first; run.owned && slot <= run.last; slot++) {
        if (run.lastReconfig > reconfigIds[slot]) take(slot, group, run.lastReconfig)
      }
    }
  }
  const owned = reconfigIds.map((id) => id >= 0)
  for (const { source, slots, status } of reconfigs) {
    if (status !== 'begun') continue
    for (const run of slots) {
      for (let slot: number = run.first; slot <= run.last; slot++) if (!owned[slot]) take(slot, source, run.predecessor)
    }
  }
  const [someLost] = lost
  const unowned: number[] = []
  for (let slot = 0; slot < slotCount; slot++) {
    if (reconfigIds[slot] >= 0) continue
    const former = copy?.slots.value.groups[slot]
    if (former !== undefined && lost.has(former)) take(slot, former, copy?.slots.value.reconfigIds[slot] ?? 0)
    else if (someLost !== undefined) take(slot, someLost, 0)
    else unowned.push(slot)
  }
  if (unowned.length === 0) return { groups, reconfigIds }
  const text = `${unowned.length} slots, ${unowned[0]} the first, are owned by no group that answers`
  return { error: masterError('unowned-slots', text, 'start the nodes of their group, or name it with --lost') }
}

// --- moves ----------------------------------------------------------------------------------------------------------

function openReconfigsOf(facts: RecoveryFacts): Reconfig[] {
  const sides = new Map<number, { source: [GroupId, OpenMove] | null; destination: [GroupId, OpenMove] | null }>()
  for (const { group, moves } of facts.last.values()) {
    for (const move of moves) {
      const known = sides.get(move.reconfigId) ?? { source: null, destination: null }
      known[move.role] = [group, move]
      sides.set(move.reconfigId, known)
    }
  }
  const reconfigs: Reconfig[] = []
  for (const [reconfigId, { source, destination }] of sides) {
    const from = source?.[0] ?? destination?.[1].peer
    const to = destination?.[0] ?? source?.[1].peer
    if (from === undefined || to === undefined) continue
    const slots = source?.[1].slots ?? withPredecessors(facts, from, destination?.[1].slots ?? [])
    reconfigs.push(reconfigOf(facts, { reconfigId, source: from, destination: to, slots }))
  }
  return reconfigs.sort((a, b) => a.reconfigId - b.reconfigId)
}

function reconfigOf(
  facts: RecoveryFacts,
  move: Pick<Reconfig, 'reconfigId' | 'source' | 'destination' | 'slots'>,
): Reconfig {
  const { reconfigId, source, destination, slots } = move
  const known = facts.copy?.buckets.get(bucketOf(reconfigId))?.value.find((other) => other.reconfigId === reconfigId)
  const { byWeight = false, callOff = 'no', reason = '' } = known ?? {}
  const common = { ...move, byWeight, callOff, reason, isClean: false }
  if (isBehind(facts.last.get(destination), reconfigId, slots)) return { ...common, status: 'done', reason: '' }
  const early = facts.first.get(source)
  const hadItOpen = early?.moves.some((other) => other.reconfigId === reconfigId && other.role === 'source') ?? true
  if (!hadItOpen && isBehind(early, reconfigId, slots)) {
    return { ...common, status: callOff === 'cancel' ? 'cancelled' : 'failed', reason: reason === '' ? OVER : reason }
  }
  return { ...common, status: 'begun' }
}

/** Every slot was last touched there by this reconfig or a later one (CheckCommit). */
function isBehind(standing: GroupStanding | undefined, reconfigId: number, slots: readonly SlotRun[]): boolean {
  if (standing === undefined) return false
  return slots.every(({ first, last }) => {
    return standing.slots.every((run) => run.last < first || run.first > last || run.lastReconfig >= reconfigId)
  })
}

/** The source has not begun it: what it would follow there. */
function withPredecessors({ last, copy }: RecoveryFacts, source: GroupId, wanted: readonly SlotRun[]): SlotRun[] {
  const standing = last.get(source)
  const lastOf = (slot: number): number => {
    const run = standing?.slots.find(({ first, last: end }) => first <= slot && slot <= end)
    return run?.lastReconfig ?? copy?.slots.value.reconfigIds[slot] ?? 0
  }
  const runs: SlotRun[] = []
  for (const { first, last: end } of wanted) {
    for (let slot: number = first; slot <= end; slot++) {
      const predecessor = lastOf(slot)
      const run = runs.at(-1)
      if (run !== undefined && run.last === slot - 1 && run.predecessor === predecessor) {
        runs[runs.length - 1] = { ...run, last: asSlotId(slot) }
      } else runs.push({ first: asSlotId(slot), last: asSlotId(slot), predecessor })
    }
  }
  return runs
}

function plannedIn(copy: ClusterSnapshot | null): Reconfig[] {
  return [...(copy?.buckets.values() ?? [])].flatMap(({ value }) => value).filter(({ status }) => status === 'planned')
}

/** Pruning begins in the new epoch: a bucket of an old one stays. */
function migrationOperations({ clusterEpoch }: RecoveryFacts, reconfigs: readonly Reconfig[]): MetadataOperation[] {
  const buckets = new Map<number, Reconfig[]>()
  for (const reconfig of reconfigs) {
    const bucket = bucketOf(reconfig.reconfigId)
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), reconfig])
  }
  const last = reconfigIdOf(clusterEpoch, 0)
  const open = [...buckets.keys()].sort((a, b) => a - b)
  const index = encodeMigrations({ last, first: bucketOf(last), open })
  const contents = [...buckets].map(([bucket, list]) => create(bucketPath(bucket), encodeBucket(list)))
  return [create(MIGRATIONS, index), ...contents]
}

// --- groups and nodes -----------------------------------------------------------------------------------------------

function mastersOperations({ clusterEpoch, self }: RecoveryFacts): MetadataOperation[] {
  const own = firstMaster(clusterEpoch, self)
  const registration = { weight: 0, draining: false, members: [own], nextReplica: 2 }
  return [
    create(groupPath(MASTERS_GROUP), encodeGroup(registration)),
    create(genesisPath(MASTERS_GROUP), encodeGenesis({ slots: [], replicas: [{ ...own, made: true }] })),
  ]
}

/** The new masters' group begins with this one replica. */
export function firstMaster(clusterEpoch: number, nodeId: NodeId): GroupMember {
  return { nodeId, replicaId: firstMasterId(clusterEpoch) }
}

export const firstMasterId = (clusterEpoch: number): ReplicaId => replicaIdOf(clusterEpoch, 1)

function groupOperations(facts: RecoveryFacts, group: GroupId): MetadataOperation[] {
  const { copy, last, groups, lost } = facts
  const known = copy?.groups.get(group)
  const told = groups.get(group)
  const standing = last.get(group)
  const registration: GroupRegistration = {
    // Nobody gives slots to one that is gone.
    weight: lost.has(group) ? 0 : (known?.value.weight ?? told?.weight ?? UNKNOWN_WEIGHT),
    draining: known?.value.draining ?? false,
    members: standing === undefined ? (known?.value.members ?? []) : oneOfEachNode(standing),
    nextReplica: 1,
  }
  const operations = [create(groupPath(group), encodeGroup(registration))]
  const genesis = known?.genesis?.value ?? told?.genesis
  if (genesis !== undefined) {
    // One that never was made gets a new id like one that was lost: the other way round it could vote twice.
    const replicas = genesis.replicas.map((replica) => ({ ...replica, made: true }))
    operations.push(create(genesisPath(group), encodeGenesis({ ...genesis, replicas })))
  }
  if (standing !== undefined) operations.push(create(reportPath(group), encodeReport(standing)))
  return operations
}

/** As the group's log has them. Where a node has two, the later one is to follow the other. */
function oneOfEachNode({ members, learners }: GroupStanding): GroupMember[] {
  const newest = new Map<NodeId, GroupMember>()
  for (const member of [...members, ...learners]) {
    const known = newest.get(member.nodeId)
    if (known === undefined || known.replicaId < member.replicaId) newest.set(member.nodeId, member)
  }
  return [...newest.values()].sort((a, b) => a.nodeId - b.nodeId)
}

function nodeOperations({ nodes, copy }: RecoveryFacts): MetadataOperation[] {
  const rising = [...nodes].sort(([a], [b]) => a - b)
  return rising.map(([nodeId, { peer, resp, cluster, roles }]) => {
    const leaving = copy?.nodes.get(asNodeId(nodeId))?.value.leaving ?? false
    return create(nodePath(nodeId), encodeNode({ peer, resp, cluster, roles, leaving }))
  })
}

function nextGroupOf(facts: RecoveryFacts): number {
  const highest = groupIds(facts).at(-1) ?? asGroupId(0)
  return Math.max(facts.copy?.nextGroup.value ?? 1, highest + 1)
}

function create(path: MetadataPath, data: Uint8Array): MetadataOperation {
  return { kind: 'create', path, data, options: PERSISTENT }
}
