/**
 * `recover-masters`: where a majority of the masters is gone for good, this node begins a new cluster epoch with itself as the only master (docs/operations.md, "When the
 * masters are gone"). What it does, in this order, and what a crash in between leaves:
 *
 *   look      asks everybody what is left: copies of the tree, epochs, groups. Nothing has changed.
 *   fence     closes each group's log to the masters of all older epochs, and reads what it owns. Without the rest: moves wait for the next try, in the epoch after.
 *   word      reads once more (master/recovery-plan.ts says why), and plans the new tree.
 *   begin     one write to this node's log: its old replica of the masters' group is over, and a new one, of the new epoch, begins with the tree in its log. From here on
 *             a restart goes on with the new epoch (open-node-log.ts).
 *   tell      the identity names the new masters; everybody is told (masters-epoch.ts), again and again.
 *
 * Of two nodes that do this at once, each group lets the first one's epoch through and refuses the other's.
 */
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asTerm, type GroupId, type NodeId } from '../../base/brand.ts'
import { epochOfFence, fenceOf, MAX_CLUSTER_EPOCH } from '../../master/cluster-epoch.ts'
import type { ClusterSnapshot } from '../../master/cluster-snapshot.ts'
import {
  firstMasterId,
  type GroupStanding,
  type KnownGroup,
  planRecovery,
  type RecoveredTree,
  type RecoveryFacts,
} from '../../master/recovery-plan.ts'
import { readTreeCopy } from '../../master/tree-copy.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { AdminDone, AdminError } from '../../ports/cluster-admin.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { NodeConfig } from '../node-config.ts'
import type { ReplicaSet } from '../replica-set.ts'
import type { MastersEpoch } from './masters-epoch.ts'
import { newerOf } from './recovery-questions.ts'
import { type GroupOutcome, type Looks, RecoverySurvey, type SurveyPorts } from './recovery-survey.ts'
import { seedEntries } from './seed-entries.ts'

const TREE_WITHIN_MS = 8_000
const TREE_LOOK_MS = 50

export interface MastersRecoveryPorts extends SurveyPorts {
  readonly config: NodeConfig
  readonly replicas: ReplicaSet
  readonly epoch: MastersEpoch
  /** Whether the masters answer this node's session now. */
  mastersAnswer(done: (answer: boolean) => void): void
  /** Of the tree that this node has read last. */
  treeEpoch(): number | null
  /** The replica takes part from now on. */
  opened(replica: RaftReplica): void
}

export interface RecoveryWish {
  /** False: only what would be done. */
  readonly yes: boolean
  readonly lost: readonly number[]
}

/** What one run knows, more with each step. */
interface Run {
  readonly looks: Looks
  readonly copy: ClusterSnapshot | null
  readonly groups: readonly GroupId[]
  readonly known: ReadonlyMap<GroupId, KnownGroup>
  readonly lost: ReadonlySet<GroupId>
  readonly done: AdminDone
}

type Standings = ReadonlyMap<GroupId, GroupStanding>

export class MastersRecovery {
  readonly #ports: MastersRecoveryPorts
  readonly #survey: RecoverySurvey
  #running = false

  constructor(ports: MastersRecoveryPorts) {
    this.#ports = ports
    this.#survey = new RecoverySurvey(ports)
  }

  run({ yes, lost }: RecoveryWish, done: AdminDone): void {
    const { clock, config, self } = this.#ports
    const refuse = (error: AdminError): void => clock.defer(() => done(error, null))
    if (this.#running) return refuse(problem('busy', 'a recovery is under way on this node', 'wait for its end'))
    if (!config.roles.includes('master')) {
      const mend = 'ask a node that has it: `quorate node --roles master,worker`'
      return refuse(problem('no-master-role', `node ${self} has not the role of a master`, mend))
    }
    this.#running = true
    const end: AdminDone = (error, answer) => {
      this.#running = false
      done(error, answer)
    }
    this.#ports.mastersAnswer((answer) => {
      const live = answer ? 'they answer this node' : null
      this.#survey.look((looks) => this.#looked(looks, new Set(lost.map(asGroupId)), live, yes, end))
    })
  }

  // --- look -----------------------------------------------------------------------------------------------------------

  #looked(looks: Looks, lost: ReadonlySet<GroupId>, answering: string | null, yes: boolean, done: AdminDone): void {
    const { epoch } = this.#ports.epoch
    for (const [node, look] of looks.answered) {
      if (look.epoch <= epoch) continue
      const mend = 'try again in a moment: this node is being told of it; or ask that one'
      return done(problem('newer-epoch', `node ${node} has come to cluster epoch ${look.epoch}`, mend), null)
    }
    const live = answering ?? votingMajority(looks)
    const copy = newestTree(looks)
    const groups = groupsIn(looks, copy)
    const known = genesisIn(looks, new Set([...groups, ...lost]))
    for (const group of lost) {
      if (groups.includes(group) || known.has(group)) continue
      return done(problem('unknown-group', `there is no group ${group}`, 'name groups that there were'), null)
    }
    const run: Run = { looks, copy, groups: groups.filter((group) => !lost.has(group)), known, lost, done }
    this.#survey.groups([...new Set([...groups, ...lost])], null, hostsIn(looks), (outcomes) => {
      if (live !== null && !isHalfDone(outcomes, epoch)) return done(mastersLive(live), null)
      for (const group of lost) {
        if (outcomes.get(group)?.kind !== 'standing') continue
        return done(problem('group-in-use', `group ${group} answers: it is not lost`, 'leave it out of --lost'), null)
      }
      const standings = standingsOf(run, outcomes)
      if ('code' in standings) return done(standings, null)
      this.#decide(run, standings, yes)
    })
  }

  #decide(run: Run, standings: Standings, yes: boolean): void {
    const epochs = [...run.looks.answered.values()].map((look) => look.epoch)
    const fences = [...standings.values()].map(({ fence }) => epochOfFence(fence))
    const clusterEpoch = Math.max(this.#ports.epoch.epoch, ...epochs, ...fences) + 1
    if (clusterEpoch > MAX_CLUSTER_EPOCH) {
      return run.done(problem('exhausted', 'no cluster epoch is left', 'copy the data to a new cluster'), null)
    }
    const facts = this.#factsOf(run, clusterEpoch, standings, standings)
    const tree = planRecovery(facts)
    if ('error' in tree) return run.done(tree.error, null)
    if (!yes) return run.done(null, { ...reportOf(run, facts, tree), done: false })
    this.#fence(run, clusterEpoch)
  }

  #factsOf(run: Run, clusterEpoch: number, first: Standings, last: Standings): RecoveryFacts {
    const { self, slotCount } = this.#ports
    const { looks, copy, known, lost } = run
    return { clusterEpoch, self, slotCount, copy, nodes: looks.nodes, groups: known, first, last, lost }
  }

  // --- from here on it is done ----------------------------------------------------------------------------------------

  #fence(run: Run, clusterEpoch: number): void {
    const { groups, looks, done } = run
    this.#survey.groups(groups, fenceOf(clusterEpoch, 0), hostsIn(looks), (fenced) => {
      const first = standingsOf(run, fenced)
      if ('code' in first) return done(first, null)
      this.#survey.groups(groups, null, hostsIn(looks), (read) => {
        const last = standingsOf(run, read)
        if ('code' in last) return done(last, null)
        const facts = this.#factsOf(run, clusterEpoch, first, last)
        const tree = planRecovery(facts)
        if ('error' in tree) return done(tree.error, null)
        this.#begin(run, facts, tree)
      })
    })
  }

  #begin(run: Run, facts: RecoveryFacts, tree: RecoveredTree): void {
    const { replicas, self, epoch, clock, opened } = this.#ports
    const { clusterEpoch } = facts
    if (replicas.isChanging(MASTERS_GROUP)) {
      return run.done(problem('busy', "this node's replica of the masters' group changes", 'try again'), null)
    }
    // Told of a later one meanwhile.
    if (epoch.epoch >= clusterEpoch) return run.done(problem('newer-epoch', 'there are new masters', 'look'), null)
    const replicaId = firstMasterId(clusterEpoch)
    // Above all terms of the old group: what remembers a term of that one takes none of the new one for it.
    const term = asTerm((replicas.get(MASTERS_GROUP)?.core.term ?? 0) + 1)
    const fresh = {
      group: MASTERS_GROUP,
      replicaId,
      hardState: { term, votedFor: replicaId, commit: asLogIndex(0) },
      compaction: { index: asLogIndex(0), term: asTerm(0) },
      baseDirectory: 0,
      entries: seedEntries(tree.operations, term, clock.wallMs()),
    }
    const place = { epoch: clusterEpoch, nodes: [self] }
    replicas.beginAnew(fresh, self, place, (error) => {
      const replica = replicas.get(MASTERS_GROUP)
      if (error !== null || replica === undefined) {
        const message = `the new masters are in the log, and were not opened: ${error?.message ?? 'the node stops'}`
        return run.done(problem('uncertain', message, 'start this node again: it goes on from there'), null)
      }
      epoch.began(place)
      opened(replica)
      this.#waitForTree(run, facts, tree, clock.monotonicMs() + TREE_WITHIN_MS)
    })
  }

  #waitForTree(run: Run, facts: RecoveryFacts, tree: RecoveredTree, untilMs: number): void {
    const { clock, treeEpoch } = this.#ports
    if (treeEpoch() === facts.clusterEpoch) return run.done(null, { ...reportOf(run, facts, tree), done: true })
    if (clock.monotonicMs() >= untilMs) {
      const message = `cluster epoch ${facts.clusterEpoch} has begun, and its tree was not read yet`
      return run.done(problem('uncertain', message, 'look: quorate admin status'), null)
    }
    clock.setTimer(TREE_LOOK_MS, () => this.#waitForTree(run, facts, tree, untilMs))
  }
}

// --- what the looks say -----------------------------------------------------------------------------------------------

/** By one of their replicas. Null: no majority answers. */
function votingMajority({ answered }: Looks): string | null {
  for (const { mastersVote } of answered.values()) {
    if (mastersVote === null) continue
    const there = mastersVote.filter((node) => (answered.get(asNodeId(node))?.mastersVote ?? null) !== null)
    if (2 * there.length > mastersVote.length) return `nodes ${there.join(', ')} are a majority of them`
  }
  return null
}

/** An earlier recovery has come as far as the groups, and ended there: they hear the masters no more, alive or not. It has to be done. */
function isHalfDone(outcomes: ReadonlyMap<GroupId, GroupOutcome>, epoch: number): boolean {
  return [...outcomes.values()].some((outcome) => {
    return outcome.kind === 'standing' && epochOfFence(outcome.standing.fence) > epoch
  })
}

function newestTree({ answered }: Looks): ClusterSnapshot | null {
  let newest: ClusterSnapshot | null = null
  for (const { tree } of answered.values()) {
    if (tree === null) continue
    readTreeCopy(tree, (_error, snapshot) => {
      newest = newerOf(newest, snapshot)
    })
  }
  return newest
}

/** Those of the tree, and later ones of which somebody has a replica. */
function groupsIn({ answered }: Looks, copy: ClusterSnapshot | null): GroupId[] {
  const groups = new Set<GroupId>(copy?.groups.keys() ?? [])
  const later = copy?.nextGroup.value ?? 0
  for (const { replicas } of answered.values()) {
    for (const group of replicas) if (group !== MASTERS_GROUP && group >= later) groups.add(asGroupId(group))
  }
  return [...groups].sort((a, b) => a - b)
}

function genesisIn({ answered }: Looks, wanted: ReadonlySet<GroupId>): Map<GroupId, KnownGroup> {
  const known = new Map<GroupId, KnownGroup>()
  for (const { genesis } of answered.values()) {
    for (const { groupId, replicas, slots, weight } of genesis) {
      const group = asGroupId(groupId)
      if (!wanted.has(group) || (known.get(group)?.weight ?? 0) > 0) continue
      const members = replicas.map(({ nodeId, replicaId }) => {
        return { nodeId: asNodeId(nodeId), replicaId: asReplicaId(replicaId) }
      })
      const rising = members.sort((a, b) => a.nodeId - b.nodeId).map((member) => ({ ...member, made: true }))
      known.set(group, { genesis: { slots, replicas: rising }, weight })
    }
  }
  return known
}

function hostsIn({ answered }: Looks): (group: GroupId) => readonly NodeId[] {
  return (group) => [...answered].filter(([, { replicas }]) => replicas.includes(group)).map(([node]) => node)
}

function standingsOf(run: Run, outcomes: ReadonlyMap<GroupId, GroupOutcome>): Standings | AdminError {
  const standings = new Map<GroupId, GroupStanding>()
  const silent: GroupId[] = []
  for (const group of run.groups) {
    const outcome = outcomes.get(group)
    if (outcome?.kind === 'standing') standings.set(group, outcome.standing)
    else if (outcome?.kind === 'fenced') {
      return problem(
        'newer-epoch',
        `group ${group} has heard of a later cluster epoch`,
        'see what others do; try again',
      )
    } else if (outcome?.kind === 'unknown') {
      return problem('unavailable', `group ${group} did not answer in time`, 'try again: nothing else was done')
    } else silent.push(group)
  }
  if (silent.length === 0) return standings
  const text = `of ${silent.map((group) => `group ${group}`).join(', ')} too few replicas answer`
  return problem('groups-silent', text, 'start their nodes; what is gone for good, name with --lost')
}

function reportOf({ looks, copy, lost, groups }: Run, facts: RecoveryFacts, tree: RecoveredTree): object {
  const silent = [...looks.nodes.keys()].filter((node) => !looks.answered.has(node))
  return {
    epoch: facts.clusterEpoch,
    master: facts.self,
    answered: [...looks.answered.keys()].sort((a, b) => a - b),
    silent: silent.sort((a, b) => a - b),
    /** Writes of the masters that are in the newest copy of the tree; null: there is no copy. */
    writes: copy?.journal.version ?? null,
    groups,
    lost: [...lost],
    slotsOfLost: tree.slotsOfLost,
    openReconfigs: tree.open.map(({ reconfigId }) => reconfigId),
    forgottenReconfigs: tree.dropped,
  }
}

function mastersLive(why: string): AdminError {
  const mend = 'nothing has to be recovered: see `quorate admin status`, and replace what is gone'
  return problem('masters-live', `a majority of the masters runs: ${why}`, mend)
}

function problem(code: string, message: string, mend: string): AdminError {
  return { code, message, mend }
}
