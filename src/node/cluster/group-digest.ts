/**
 * Do a group's replicas hold the same? Each is asked for the digest of its state at one index of the log: the highest that any has applied. Where writes go on
 * one may be past it by then; then a newer index is agreed on, a bounded number of times.
 */
import type { GroupId, NodeId } from '../../base/brand.ts'
import type { DigestRun } from '../../kv/digest.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import type { Clock } from '../../ports/clock.ts'
import type { AdminError } from '../../ports/cluster-admin.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { CallError } from './call-message.ts'

const ROUNDS = 20
const KEYS_A_STEP = 500
/** For a replica that lags behind. */
const CATCH_UP_MS = 1_500
const LOOK_EVERY_MS = 5

/** `past`: it has applied more, and the state of that index is gone. `behind`: it did not come as far in time. */
export type ReplicaDigest =
  | { readonly kind: 'digest'; readonly index: number; readonly digest: string; readonly keys: number }
  | { readonly kind: 'past' | 'behind'; readonly index: number }

/** On the node that holds the replica: waits a bounded time until `index` is applied, then walks over the keys in small steps. */
export function digestHere(
  replica: RaftReplica,
  index: number,
  clock: Clock,
  done: (error: AdminError | null, answer: ReplicaDigest | null) => void,
): void {
  const { machine } = replica
  if (!(machine instanceof KvStateMachine)) {
    const message = `group ${replica.group} holds no keys`
    return clock.defer(() => done({ code: 'unknown-group', message, mend: 'name a data group' }, null))
  }
  // It closes, or goes on from an image in another store, between any two steps: nothing may be read in the old one any more.
  const isGone = (): boolean => replica.isClosed || replica.machine !== machine
  const giveUpMs = clock.monotonicMs() + CATCH_UP_MS
  const step = (run: DigestRun): void => {
    if (isGone()) return done(null, { kind: 'behind', index: replica.applied })
    const answer = run.step(KEYS_A_STEP)
    if (answer.kind === 'more') return clock.defer(() => step(run))
    if (answer.kind === 'stale') return done(null, { kind: 'past', index: machine.appliedIndex })
    done(null, { kind: 'digest', index, digest: answer.digest, keys: answer.keys })
  }
  const look = (): void => {
    if (isGone()) return done(null, { kind: 'behind', index: replica.applied })
    if (machine.appliedIndex > index) return done(null, { kind: 'past', index: machine.appliedIndex })
    if (machine.appliedIndex === index) return step(machine.beginDigest())
    if (clock.monotonicMs() >= giveUpMs) return done(null, { kind: 'behind', index: machine.appliedIndex })
    clock.setTimer(LOOK_EVERY_MS, look)
  }
  clock.defer(look)
}

export interface DigestOf {
  readonly node: NodeId
  /** Null: the node does not answer, or its replica lags far behind. */
  readonly digest: string | null
  readonly keys: number | null
}

export interface GroupDigest {
  readonly group: GroupId
  readonly index: number
  /** Of all replicas that answered. */
  readonly same: boolean
  readonly replicas: readonly DigestOf[]
}

/** Asks one node; null: it does not answer. */
export type AskDigest = (
  node: NodeId,
  index: number,
  done: (error: CallError | null, answer: ReplicaDigest | null) => void,
) => void

/** `index`: where to begin: what a replica has applied. Bounded in rounds; `overMs`: no further round begins after that, by the monotonic clock. */
export function digestGroup(
  group: GroupId,
  nodes: readonly NodeId[],
  ask: AskDigest,
  until: { readonly clock: Clock; readonly overMs: number },
  done: (error: AdminError | null, answer: GroupDigest | null) => void,
): void {
  const round = (index: number, number: number): void => {
    const answers = new Map<NodeId, ReplicaDigest | null>()
    const answered = (node: NodeId, answer: ReplicaDigest | null): void => {
      answers.set(node, answer)
      if (answers.size < nodes.length) return
      const all = [...answers.values()]
      const newer = all.reduce((most, one) => (one?.kind === 'past' ? Math.max(most, one.index) : most), index)
      if (newer === index) return done(null, summary(group, index, nodes, answers))
      if (number < ROUNDS && until.clock.monotonicMs() < until.overMs) return round(newer, number + 1)
      const message = `group ${group} changed under each of ${number} digests`
      done({ code: 'busy', message, mend: 'ask again when fewer writes come in' }, null)
    }
    for (const node of nodes) ask(node, index, (_error, answer) => answered(node, answer))
  }
  if (nodes.length > 0) return round(0, 1)
  until.clock.defer(() =>
    done({ code: 'unavailable', message: `group ${group} has no members yet`, mend: 'ask again later' }, null),
  )
}

function summary(
  group: GroupId,
  index: number,
  nodes: readonly NodeId[],
  answers: ReadonlyMap<NodeId, ReplicaDigest | null>,
): GroupDigest {
  const replicas = nodes.map((node): DigestOf => {
    const answer = answers.get(node) ?? null
    if (answer?.kind !== 'digest') return { node, digest: null, keys: null }
    return { node, digest: answer.digest, keys: answer.keys }
  })
  const digests = new Set(replicas.flatMap(({ digest }) => (digest === null ? [] : [digest])))
  return { group, index, same: digests.size === 1, replicas }
}
