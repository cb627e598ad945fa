/** What nodes ask each other about themselves: their status, how far their moves are, digests of their replicas, and to hand over a group's lead. */
import { asGroupId, asNodeId, type NodeId } from '../../base/brand.ts'
import type { Clock } from '../../ports/clock.ts'
import type { AdminArguments } from '../../ports/cluster-admin.ts'
import type { ClusterView } from '../../ports/cluster-view.ts'
import { CALL_METHODS, type NodeCalls } from '../../ports/node-calls.ts'
import type { GroupKeepers } from '../membership/group-keepers.ts'
import type { NodeMove } from '../moves/move-report.ts'
import type { NodeConfig } from '../node-config.ts'
import { type NodeStatus, statusOf } from '../node-status.ts'
import type { ReplicaSet } from '../replica-set.ts'
import { CallArguments, checkArguments, type Schema } from './call-arguments.ts'
import { type CallError, decodeReply, decodeRequest, encodeReply, encodeRequest, isObject } from './call-message.ts'
import { digestHere } from './group-digest.ts'

type Answered = (error: CallError | null, answer: unknown) => void

/** What a node says of itself. */
export interface NodeReport {
  readonly status: NodeStatus
  readonly moves: readonly NodeMove[]
  /** Of groups that it leads: why their members are not as desired. */
  readonly problems: Readonly<Record<string, string>>
}

export interface NodeQuestionsPorts {
  readonly clock: Clock
  readonly config: NodeConfig
  readonly view: ClusterView
  readonly calls: NodeCalls
  readonly replicas: Pick<ReplicaSet, 'get' | 'entries'>
  readonly keepers: Pick<GroupKeepers, 'problemOf' | 'transfer'>
  progress(): readonly NodeMove[]
}

const ID = { kind: 'id' } as const
const ASK_AGAIN_MS = 100

interface Question {
  readonly schema: Schema
  readonly run: (args: CallArguments, done: Answered) => void
}

export class NodeQuestions {
  readonly #ports: NodeQuestionsPorts
  readonly #questions: ReadonlyMap<string, Question>

  constructor(ports: NodeQuestionsPorts) {
    this.#ports = ports
    this.#questions = new Map<string, Question>([
      ['report', { schema: {}, run: (_args, done) => done(null, this.#report()) }],
      ['digest', { schema: { group: ID, index: ID }, run: (args, done) => this.#digest(args, done) }],
      ['transfer', { schema: { group: ID, node: ID }, run: (args, done) => this.#transfer(args, done) }],
    ])
    ports.calls.serve(CALL_METHODS.node, (_from, body, answer) => {
      this.#onCall(body, (error, value) => answer(encodeReply(error, value)))
    })
  }

  /** `unknown-outcome` where it was sent and no answer came, `unreachable` where it was not. */
  ask(node: NodeId, question: string, args: AdminArguments, timeoutMs: number, done: Answered): void {
    const body = encodeRequest(question, args)
    this.#ports.calls.call(node, CALL_METHODS.node, body, timeoutMs, (outcome) => {
      const reply = outcome.kind === 'answered' ? decodeReply(outcome.reply) : null
      if (reply !== null) return done(reply.error, reply.answer)
      const code = outcome.kind === 'unreachable' ? 'unreachable' : 'uncertain'
      done({ code, message: `node ${node} does not answer`, mend: 'see that it runs' }, null)
    })
  }

  /** Of each node, itself included; null: it does not answer. */
  reports(timeoutMs: number, done: (reports: ReadonlyMap<NodeId, NodeReport | null>) => void): void {
    const nodes = this.#ports.view.nodes().map(({ nodeId }) => nodeId)
    const reports = new Map<NodeId, NodeReport | null>()
    for (const node of nodes) {
      this.ask(node, 'report', {}, timeoutMs, (_error, answer) => {
        reports.set(node, isReport(answer) ? answer : null)
        if (reports.size === nodes.length) done(reports)
      })
    }
  }

  /** Those of `nodes` that do not answer within `withinMs`; one that cannot be reached yet is asked again until then. */
  away(nodes: readonly NodeId[], withinMs: number, done: (away: readonly NodeId[]) => void): void {
    const { clock } = this.#ports
    const overMs = clock.monotonicMs() + withinMs
    const away = new Set<NodeId>()
    let open = nodes.length
    const answered = (): void => {
      if (--open === 0) done(nodes.filter((node) => away.has(node)))
    }
    const attempt = (node: NodeId): void => {
      const leftMs = Math.max(1, overMs - clock.monotonicMs())
      this.ask(node, 'report', {}, leftMs, (error, answer) => {
        const isLate = clock.monotonicMs() + ASK_AGAIN_MS >= overMs
        if (error?.code === 'unreachable' && !isLate) return void clock.setTimer(ASK_AGAIN_MS, () => attempt(node))
        if (!isReport(answer)) away.add(node)
        answered()
      })
    }
    if (nodes.length === 0) return clock.defer(() => done([]))
    for (const node of nodes) attempt(node)
  }

  #onCall(body: Uint8Array, done: Answered): void {
    const request = decodeRequest(body)
    const question = request === null ? undefined : this.#questions.get(request.call)
    if (request === null || question === undefined) {
      const message = 'this node does not know the question'
      return done({ code: 'unknown-call', message, mend: 'run the same version on all nodes' }, null)
    }
    const args = checkArguments(request.call, question.schema, request.args)
    if (args instanceof CallArguments) question.run(args, done)
    else done(args, null)
  }

  #report(): NodeReport {
    const { config, replicas, view, keepers } = this.#ports
    const problems: Record<string, string> = {}
    for (const [group] of replicas.entries()) {
      const problem = keepers.problemOf(group)
      if (problem !== '') problems[group] = problem
    }
    return { status: statusOf(config, replicas, view), moves: this.#ports.progress(), problems }
  }

  #digest(args: CallArguments, done: Answered): void {
    const group = asGroupId(args.number('group'))
    const replica = this.#ports.replicas.get(group)
    if (replica !== undefined) return digestHere(replica, args.number('index'), this.#ports.clock, done)
    done({ code: 'unknown-group', message: `this node has no replica of group ${group}`, mend: 'ask a member' }, null)
  }

  #transfer(args: CallArguments, done: Answered): void {
    this.#ports.keepers.transfer(asGroupId(args.number('group')), asNodeId(args.number('node')), (error) => {
      done(error, error === null ? {} : null)
    })
  }
}

function isReport(value: unknown): value is NodeReport {
  if (!isObject(value) || !isObject(value.status) || !Array.isArray(value.moves) || !isObject(value.problems))
    return false
  return Array.isArray(value.status.groups)
}
