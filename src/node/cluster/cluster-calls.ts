/**
 * ports/cluster-admin.ts: all calls by name. Reads are answered by any node, from the tree and from what the nodes say of themselves; a node that does not
 * answer in time is shown as away. Writes go to the active master (master-calls.ts). Every call is answered, within its deadline.
 */

import { asGroupId, asNodeId, asSlotId, type NodeId } from '../../base/brand.ts'
import { utf8Bytes } from '../../base/bytes.ts'
import { slotOf } from '../../base/slot.ts'
import { type ClusterSnapshot, readSnapshot } from '../../master/cluster-snapshot.ts'
import { leastLoadedNodes } from '../../master/member-changes.ts'
import { rebalancePlan } from '../../master/reconfig-changes.ts'
import { lookUpReconfig } from '../../master/reconfig-lookup.ts'
import type { ShardMaster } from '../../master/shard-master.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { AdminArguments, AdminDone, AdminError, ClusterAdmin } from '../../ports/cluster-admin.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { CallArguments, checkArguments, malformed, type Schema } from './call-arguments.ts'
import {
  type GroupEntry,
  groupReport,
  groupsReport,
  healthProblems,
  migrationsReport,
  nodesReport,
  type Reports,
  reconfigReport,
  reconfigsReport,
  slotsReport,
} from './cluster-reports.ts'
import { digestGroup, type ReplicaDigest } from './group-digest.ts'
import { MasterCalls } from './master-calls.ts'
import { MASTER_WRITES, withLastId } from './master-writes.ts'
import { NodeQuestions, type NodeQuestionsPorts } from './node-questions.ts'

const READ_DEADLINE_MS = 5_000
/** A digest walks over all keys of its replicas; a transfer waits until the other leads. */
const LONG_DEADLINE_MS = 30_000
const RECOVERY_DEADLINE_MS = 34_000
/** From the tree itself; then the mirror's copy has to do. */
const TREE_WITHIN_MS = 2_000
const REPORT_WITHIN_MS = 1_000
const DIGEST_WITHIN_MS = 10_000
const TRANSFER_WITHIN_MS = 12_000
const ASK_AGAIN_MS = 100

export interface ClusterCallsPorts extends NodeQuestionsPorts {
  /** This node's session with the tree. */
  store(): MetadataStore | null
  /** The tree as this node read it last; null: never. */
  lastSnapshot(): ClusterSnapshot | null
  /** This node's own, where it is a master. */
  master(): ShardMaster | null
  /** `recover-masters`: where a majority of the masters is gone for good. */
  recover(wish: { readonly yes: boolean; readonly lost: readonly number[] }, done: AdminDone): void
}

type Run = (args: CallArguments, done: AdminDone) => void

interface Read {
  readonly schema: Schema
  readonly deadlineMs?: number
  /** It acts: without an answer in time it may have been done. */
  readonly acts?: boolean
  readonly check?: (args: CallArguments) => AdminError | null
  readonly run: Run
}

const NO_TREE: AdminError = {
  code: 'unavailable',
  message: 'no master answers, and this node has never read the tree',
  mend: 'ask another node; see that most masters run',
}
const ID = { kind: 'id' } as const
const TEXT = { kind: 'text' } as const
const NOT_BUILT: ReadonlySet<string> = new Set(['repair', 'rolling-restart'])

export class ClusterCalls implements ClusterAdmin {
  readonly #ports: ClusterCallsPorts
  readonly #self: NodeId
  readonly #masters: MasterCalls
  readonly #nodes: NodeQuestions
  readonly #reads: ReadonlyMap<string, Read>

  constructor(ports: ClusterCallsPorts) {
    this.#ports = ports
    this.#self = asNodeId(ports.config.nodeId)
    const { clock, calls } = ports
    this.#masters = new MasterCalls({
      self: this.#self,
      clock,
      calls,
      store: () => ports.store(),
      master: () => ports.master(),
    })
    this.#nodes = new NodeQuestions(ports)
    this.#reads = new Map([...this.#treeReads(), ...this.#nodeReads(), ...this.#otherCalls()])
  }

  call(name: string, args: AdminArguments, done: AdminDone): void {
    const { clock } = this.#ports
    const refuse = (error: AdminError): void => clock.defer(() => done(error, null))
    const read = this.#reads.get(name)
    const write = MASTER_WRITES.get(name)
    const entry = name === 'rebalance' && args.dryRun === true ? this.#reads.get('rebalance-plan') : (write ?? read)
    if (entry === undefined) return refuse(this.#unknown(name))
    const checked = checkArguments(name, entry.schema, args)
    if (!(checked instanceof CallArguments)) return refuse(checked)
    const problem = entry.check?.(checked) ?? null
    if (problem !== null) return refuse(problem)
    if (name === 'group-create' && !checked.flag('anyway', false)) this.#createGroup(checked, done)
    else if (entry === write) this.#masters.write(name, args, done)
    else this.#read(name, entry as Read, checked, done)
  }

  #unknown(name: string): AdminError {
    if (NOT_BUILT.has(name))
      return { code: 'not-built', message: `${name} is not built yet`, mend: 'use a later version' }
    const names = [...this.#reads.keys(), ...MASTER_WRITES.keys()].sort()
    return { code: 'unknown-call', message: `there is no call ${name.slice(0, 100)}`, mend: `use ${names.join(', ')}` }
  }

  #read(
    name: string,
    { run, deadlineMs = READ_DEADLINE_MS, acts = false }: Read,
    args: CallArguments,
    done: AdminDone,
  ): void {
    let isOver = false
    const end: AdminDone = (error, answer) => {
      if (isOver) return
      isOver = true
      timer.cancel()
      done(error === null ? null : { code: error.code, message: error.message, mend: error.mend }, answer)
    }
    const timer = this.#ports.clock.setTimer(deadlineMs, () => {
      const message = `${name}: no answer within ${deadlineMs / 1000} s`
      if (acts)
        end({ code: 'uncertain', message: `${message}: it may have been done`, mend: 'look before asking again' }, null)
      else end({ code: 'unavailable', message, mend: 'try again; if it lasts, see that most masters run' }, null)
    })
    run(args, end)
  }

  // --- from the tree alone ----------------------------------------------------------------------------------------------

  #treeReads(): [string, Read][] {
    const bySnapshot = (answer: (snapshot: ClusterSnapshot) => unknown): Run => {
      return (_args, done) => this.#snapshot(done, (snapshot) => done(null, answer(snapshot)))
    }
    return [
      ['slots', { schema: {}, run: bySnapshot(slotsReport) }],
      ['reconfigs', { schema: {}, run: bySnapshot(reconfigsReport) }],
      ['reconfig', { schema: { reconfig: ID }, run: (args, done) => this.#reconfig(args.number('reconfig'), done) }],
      [
        'key-group',
        {
          schema: { key: { kind: 'text', optional: true }, slot: { kind: 'id', optional: true } },
          check: (args) =>
            args.has('key') === args.has('slot')
              ? malformed('key-group: whose group is not clear', 'give key or slot')
              : null,
          run: (args, done) => this.#keyGroup(args, done),
        },
      ],
      [
        'rebalance-plan',
        {
          schema: { dryRun: { kind: 'flag', optional: true } },
          run: (_args, done) =>
            this.#snapshot(done, (snapshot) => {
              const plan = rebalancePlan(snapshot, true)
              if (plan.kind === 'refuse') done(plan.error, null)
              else done(null, withLastId(plan.answer))
            }),
        },
      ],
    ]
  }

  #reconfig(id: number, done: AdminDone): void {
    const store = this.#store(done)
    if (store === null) return
    const known = lookUpReconfig(store, id, (error, answer) => {
      if (answer === null) done(error, null)
      else if (answer.upToDate) done(null, { upToDate: true, last: answer.last })
      else done(null, { upToDate: false, last: answer.last, ...reconfigReport(answer.reconfig) })
    })
    if (known) return
    const error = { code: 'malformed-id', message: `${id} is no reconfig id`, mend: 'ids are whole numbers from 1 on' }
    this.#ports.clock.defer(() => done(error, null))
  }

  #keyGroup(args: CallArguments, done: AdminDone): void {
    this.#snapshot(done, ({ slots: { value: table } }) => {
      const slotCount = table.groups.length
      const slot = args.has('slot') ? args.number('slot') : slotOf(utf8Bytes(args.text('key')), slotCount)
      if (slot < slotCount) return done(null, { slot, group: table.groups[asSlotId(slot)], version: table.version })
      done({ code: 'unknown-slot', message: `there is no slot ${slot}`, mend: `slots are 0-${slotCount - 1}` }, null)
    })
  }

  #snapshot(done: AdminDone, found: (snapshot: ClusterSnapshot) => void): void {
    const store = this.#store(done)
    if (store === null) return
    readSnapshot(store, (error, snapshot) => {
      if (snapshot === null) done(error, null)
      else found(snapshot)
    })
  }

  #store(done: AdminDone): MetadataStore | null {
    const store = this.#ports.store()
    if (store !== null) return store
    const message = 'this node has no session with the masters yet'
    this.#ports.clock.defer(() => done({ code: 'unavailable', message, mend: 'try again, or ask another node' }, null))
    return null
  }

  // --- from the nodes, too ------------------------------------------------------------------------------------------------

  #nodeReads(): [string, Read][] {
    const both = (answer: (snapshot: ClusterSnapshot, reports: Reports) => unknown): Run => {
      return (_args, done) =>
        this.#newest(done, (snapshot) => {
          this.#nodes.reports(REPORT_WITHIN_MS, (reports) => done(null, answer(snapshot, reports)))
        })
    }
    return [
      ['nodes', { schema: {}, run: both((snapshot, reports) => ({ nodes: nodesReport(snapshot, reports) })) }],
      ['groups', { schema: {}, run: both((snapshot, reports) => ({ groups: groupsReport(snapshot, reports) })) }],
      [
        'migrations',
        { schema: {}, run: both((snapshot, reports) => ({ migrations: migrationsReport(snapshot, reports) })) },
      ],
      ['status', { schema: {}, run: (_args, done) => this.#status(done) }],
    ]
  }

  #status(done: AdminDone): void {
    this.#newest(done, (snapshot, isCurrent) => {
      this.#nodes.reports(REPORT_WITHIN_MS, (reports) => {
        if (!isCurrent) return done(null, this.#statusOf(snapshot, reports, null))
        this.#masters.findActive((active) => done(null, this.#statusOf(snapshot, reports, active)))
      })
    })
  }

  /** The tree as it is; where the masters do not answer soon, as this node read it last: just then people want to look. */
  #newest(done: AdminDone, found: (snapshot: ClusterSnapshot, isCurrent: boolean) => void): void {
    const { clock, lastSnapshot } = this.#ports
    let isOver = false
    const end = (snapshot: ClusterSnapshot | null, isCurrent: boolean, error: AdminError | null): void => {
      if (isOver) return
      isOver = true
      timer.cancel()
      if (snapshot !== null) found(snapshot, isCurrent)
      else done(error ?? NO_TREE, null)
    }
    const timer = clock.setTimer(TREE_WITHIN_MS, () => end(lastSnapshot(), false, null))
    this.#snapshot(
      (error) => end(lastSnapshot(), false, error),
      (snapshot) => end(snapshot, true, null),
    )
  }

  #statusOf(snapshot: ClusterSnapshot, reports: Reports, active: NodeId | null): object {
    const { clusterId } = this.#ports.config
    const { version, groups: owners } = snapshot.slots.value
    const nodes = nodesReport(snapshot, reports)
    const groups = groupsReport(snapshot, reports)
    const masters: GroupEntry = groupReport(MASTERS_GROUP, snapshot.masters, 0, reports)
    return {
      clusterId,
      slotCount: owners.length,
      version,
      answeredBy: this.#self,
      activeMaster: active,
      masters: { leader: masters.leader, members: masters.members, settled: masters.settled },
      nodes,
      groups,
      migrations: migrationsReport(snapshot, reports),
      problems: healthProblems(nodes, [masters, ...groups], active),
    }
  }

  // --- the others ---------------------------------------------------------------------------------------------------------

  #otherCalls(): [string, Read][] {
    const { config, clock } = this.#ports
    return [
      ['token', { schema: {}, run: (_args, done) => clock.defer(() => done(null, { token: config.secret })) }],
      [
        'digest',
        {
          schema: { group: ID },
          deadlineMs: LONG_DEADLINE_MS,
          run: (args, done) => this.#digest(args.number('group'), done),
        },
      ],
      [
        'transfer',
        {
          schema: { group: ID, node: ID },
          deadlineMs: LONG_DEADLINE_MS,
          acts: true,
          run: (args, done) => this.#transfer(args.number('group'), args.number('node'), done),
        },
      ],
      [
        'recover-masters',
        {
          schema: { yes: { kind: 'flag', optional: true }, lost: { kind: 'nodes', optional: true } },
          deadlineMs: RECOVERY_DEADLINE_MS,
          acts: true,
          run: (args, done) => this.#ports.recover({ yes: args.flag('yes', false), lost: args.nodes('lost') }, done),
        },
      ],
      [
        'join-cluster',
        {
          schema: { token: TEXT, peer: TEXT, resp: TEXT, cluster: TEXT, roles: { kind: 'roles' } },
          deadlineMs: 2 * READ_DEADLINE_MS,
          acts: true,
          run: (args, done) => this.#joinCluster(args, done),
        },
      ],
    ]
  }

  #digest(group: number, done: AdminDone): void {
    const { clock } = this.#ports
    this.#snapshot(done, (snapshot) => {
      const known = snapshot.groups.get(asGroupId(group))
      if (known === undefined) return done(unknownGroup(group), null)
      const members = (known.report?.value.members ?? known.value.members).map(({ nodeId }) => nodeId)
      const ask = (
        node: NodeId,
        index: number,
        answered: (e: AdminError | null, a: ReplicaDigest | null) => void,
      ): void =>
        this.#nodes.ask(node, 'digest', { group, index }, DIGEST_WITHIN_MS, (error, answer) => {
          answered(error, error === null ? (answer as ReplicaDigest) : null)
        })
      const overMs = clock.monotonicMs() + LONG_DEADLINE_MS - DIGEST_WITHIN_MS
      digestGroup(
        asGroupId(group),
        members.sort((a, b) => a - b),
        ask,
        { clock, overMs },
        done,
      )
    })
  }

  /** Only a leader can hand over; who leads may change meanwhile. Nothing is repeated that a leader has begun. */
  #transfer(group: number, node: number, done: AdminDone): void {
    const { clock, view } = this.#ports
    const giveUpMs = clock.monotonicMs() + READ_DEADLINE_MS
    const again = (error: AdminError): void => {
      if (clock.monotonicMs() >= giveUpMs) return done(error, null)
      clock.setTimer(ASK_AGAIN_MS, attempt)
    }
    const attempt = (): void => {
      if (group !== MASTERS_GROUP && view.group(asGroupId(group)) === undefined) return done(unknownGroup(group), null)
      const leader = view.leaderOf(asGroupId(group))
      if (leader === null) {
        const message = `group ${group} has no leader that this node knows of`
        return again({ code: 'unavailable', message, mend: 'try again later' })
      }
      this.#nodes.ask(leader, 'transfer', { group, node }, TRANSFER_WITHIN_MS, (error) => {
        if (error === null) return done(null, { group, leader: node })
        if (error.code === 'not-leader' || error.code === 'unreachable') again(error)
        else done(error, null)
      })
    }
    clock.defer(attempt)
  }

  /**
   * A group whose nodes are away would have no leader, and slots that move to it would wait. Whom this node does not know yet, the masters judge. Without
   * names it chooses among the workers that answer.
   */
  #createGroup(args: CallArguments, done: AdminDone): void {
    const { view } = this.#ports
    const weight = args.number('weight')
    const known = view.nodes().map(({ nodeId }) => nodeId)
    const named = args.nodes('nodes').map(asNodeId)
    if (named.length > 0) {
      const asked = known.filter((node) => named.includes(node))
      return this.#nodes.away(asked, REPORT_WITHIN_MS, (away) => {
        if (away.length === 0) return this.#masters.write('group-create', { weight, nodes: named }, done)
        done(nodeAway(`node ${away.join(', ')} does not answer`), null)
      })
    }
    this.#nodes.away(known, REPORT_WITHIN_MS, (away) => {
      this.#newest(done, (snapshot) => {
        const nodes = leastLoadedNodes(snapshot, (node) => away.includes(node))
        if (nodes.length > 0) this.#masters.write('group-create', { weight, nodes }, done)
        else done(nodeAway('no node with the role worker answers'), null)
      })
    })
  }

  #joinCluster(args: CallArguments, done: AdminDone): void {
    const { config, clock } = this.#ports
    if (!sameText(args.text('token'), config.secret)) {
      const mend = '`quorate admin token` prints the right one'
      return clock.defer(() =>
        done({ code: 'wrong-token', message: 'the token is not that of this cluster', mend }, null),
      )
    }
    const addresses = { peer: args.text('peer'), resp: args.text('resp'), cluster: args.text('cluster') }
    this.#masters.write('register-node', { ...addresses, roles: args.roles('roles') }, (error, answer) => {
      if (error !== null) return done(error, null)
      this.#snapshot(done, (snapshot) => done(null, this.#newcomer(snapshot, (answer as { node: number }).node)))
    })
  }

  /** All that a node must know that joins. */
  #newcomer({ nodes, masters, config }: ClusterSnapshot, nodeId: number): object {
    const { clusterId, slotCount, hashKey, secret } = this.#ports.config
    const known = [...nodes].map(([id, { value }]) => {
      const { peer, resp, cluster, roles } = value
      return { nodeId: id, peer, resp, cluster, roles }
    })
    const replicas = (masters.genesis?.value.replicas ?? []).map(({ nodeId: node, replicaId }) => {
      return { replicaId, nodeId: node }
    })
    const groups = [{ groupId: MASTERS_GROUP, replicas, slots: [], weight: 0, made: false }]
    const place = {
      epoch: config.value.clusterEpoch,
      nodes: (masters.report?.value ?? masters.value).members.map((member) => member.nodeId),
    }
    const sorted = known.sort((a, b) => a.nodeId - b.nodeId)
    return { nodeId, clusterId, slotCount, hashKey, secret, nodes: sorted, groups, masters: place }
  }
}

function nodeAway(message: string): AdminError {
  const mend = 'start what is away, or name others (--nodes); --anyway makes the group all the same'
  return { code: 'node-away', message, mend }
}

function unknownGroup(group: number): AdminError {
  return { code: 'unknown-group', message: `there is no group ${group}`, mend: 'see `quorate admin groups`' }
}

/** Takes as long whatever the difference is. */
function sameText(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length
  for (let i = 0; i < secret.length; i++) difference |= secret.charCodeAt(i) ^ (given.charCodeAt(i % given.length) || 0)
  return difference === 0
}
