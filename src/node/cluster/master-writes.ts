/** The calls that change the cluster, as an active ShardMaster takes them: by name, with what each takes and what it answers. */

import { asGroupId, asNodeId, asReplicaId, type GroupId } from '../../base/brand.ts'
import { utf8Bytes } from '../../base/bytes.ts'
import { type MasterDone, masterError } from '../../master/master-error.ts'
import type { NodeRegistration } from '../../master/registrations.ts'
import type { ShardMaster } from '../../master/shard-master.ts'
import { MASTERS_GROUP } from '../../master/tree-layout.ts'
import type { AdminError } from '../../ports/cluster-admin.ts'
import { type CallArguments, malformed, type Schema } from './call-arguments.ts'

type Answered = MasterDone<unknown>

export interface MasterWrite {
  readonly schema: Schema
  /** What a schema cannot say; null: nothing is wrong. */
  readonly check?: (args: CallArguments) => AdminError | null
  readonly run: (master: ShardMaster, args: CallArguments, done: Answered) => void
}

const ID = { kind: 'id' } as const
const WEIGHT = { kind: 'weight' } as const
const FLAG = { kind: 'flag', optional: true } as const
const TEXT = { kind: 'text' } as const
const GROUP_OR_MASTERS: Schema = { group: { kind: 'id', optional: true }, masters: FLAG, node: ID }
const ADDRESSES: Schema = { peer: TEXT, resp: TEXT, cluster: TEXT, roles: { kind: 'roles' } }

export const MASTER_WRITES: ReadonlyMap<string, MasterWrite> = new Map<string, MasterWrite>([
  [
    'move',
    {
      schema: { ranges: { kind: 'ranges', optional: true }, key: { kind: 'text', optional: true }, to: ID },
      check: (args) =>
        args.has('ranges') === args.has('key')
          ? malformed('move: what is to move is not clear', 'give ranges or key')
          : null,
      run: (master, args, done) => {
        const what = args.has('key') ? { key: utf8Bytes(args.text('key')) } : { slots: args.ranges('ranges') }
        master.reconfig(what, asGroupId(args.number('to')), answering(done, withLastId))
      },
    },
  ],
  [
    'rebalance',
    {
      schema: { dryRun: FLAG },
      run: (master, args, done) => master.rebalance(args.flag('dryRun', false), answering(done, withLastId)),
    },
  ],
  ['cancel', { schema: { reconfig: ID }, run: (master, args, done) => master.cancel(args.number('reconfig'), done) }],
  [
    'group-create',
    {
      // `anyway`: on nodes that do not answer, too. Whether they do, the node that is asked finds out (cluster-calls.ts).
      schema: { weight: WEIGHT, nodes: { kind: 'nodes', optional: true }, anyway: FLAG },
      run: (master, args, done) => master.createGroup(args.number('weight'), args.nodes('nodes').map(asNodeId), done),
    },
  ],
  [
    'group-weight',
    {
      schema: { group: ID, weight: WEIGHT },
      run: (master, args, done) => master.setWeight(groupOf(args), args.number('weight'), done),
    },
  ],
  [
    'group-drain',
    {
      schema: { group: ID, draining: FLAG },
      run: (master, args, done) => master.drain(groupOf(args), args.flag('draining', true), done),
    },
  ],
  ['group-remove', { schema: { group: ID }, run: (master, args, done) => master.removeGroup(groupOf(args), done) }],
  [
    'join',
    {
      schema: GROUP_OR_MASTERS,
      check: (args) => whichGroup('join', args),
      run: (master, args, done) => master.join(groupOf(args), asNodeId(args.number('node')), done),
    },
  ],
  [
    'leave',
    {
      schema: GROUP_OR_MASTERS,
      check: (args) => whichGroup('leave', args),
      run: (master, args, done) => master.leave(groupOf(args), asNodeId(args.number('node')), done),
    },
  ],
  [
    'renew-replica',
    {
      schema: { group: ID, node: ID, replica: ID },
      run: (master, args, done) =>
        master.renewReplica(groupOf(args), asNodeId(args.number('node')), asReplicaId(args.number('replica')), done),
    },
  ],
  [
    'replace',
    {
      schema: { old: ID, new: ID },
      run: (master, args, done) => master.replace(asNodeId(args.number('old')), asNodeId(args.number('new')), done),
    },
  ],
  [
    'register-node',
    { schema: ADDRESSES, run: (master, args, done) => master.registerNode(registrationOf(args), done) },
  ],
  [
    'update-node',
    {
      schema: { node: ID, ...ADDRESSES },
      run: (master, args, done) => master.updateNode(asNodeId(args.number('node')), registrationOf(args), done),
    },
  ],
  [
    'remove-node',
    { schema: { node: ID }, run: (master, args, done) => master.removeNode(asNodeId(args.number('node')), done) },
  ],
  [
    'problem',
    {
      schema: { reconfig: ID },
      run: (master, args, done) => {
        const reconfig = args.number('reconfig')
        if (master.isActive) return done(null, { reconfig, problem: master.problemOf(reconfig) })
        done(masterError('not-active', 'this node is not the active master', 'ask the active one'), null)
      },
    },
  ],
])

/** With `reconfigId`, the last of them: once that one is over, so are those before it, as far as they share a slot. */
export function withLastId<T extends { readonly reconfigIds: readonly number[] }>(answer: T): object {
  return { reconfigId: answer.reconfigIds.at(-1) ?? null, ...answer }
}

export function answering<T>(done: Answered, change: (answer: T) => unknown): MasterDone<T> {
  return (error, answer) => done(error, answer === null ? null : change(answer))
}

function groupOf(args: CallArguments): GroupId {
  return args.flag('masters', false) ? MASTERS_GROUP : asGroupId(args.number('group'))
}

function whichGroup(call: string, args: CallArguments): AdminError | null {
  if (args.has('group') !== args.flag('masters', false)) return null
  return malformed(`${call}: which group is not clear`, 'give group, or masters: true')
}

function registrationOf(args: CallArguments): NodeRegistration {
  return { peer: args.text('peer'), resp: args.text('resp'), cluster: args.text('cluster'), roles: args.roles('roles') }
}
