/** Asks all nodes and all groups what a recovery of the masters has to know. Questions are repeated within their time: a node may be calling back just now, a group electing. */
import { asNodeId, type GroupId, type NodeId } from '../../base/brand.ts'
import type { GroupStanding } from '../../master/recovery-plan.ts'
import type { Clock } from '../../ports/clock.ts'
import { CALL_METHODS, type NodeCalls } from '../../ports/node-calls.ts'
import { decodeReply, encodeRequest } from '../cluster/call-message.ts'
import type { KnownNode } from '../node-config.ts'
import { standingOf } from './group-word.ts'
import { type NodeLook, parseGroupAnswer, parseLook } from './recovery-questions.ts'

const LOOK_WITHIN_MS = 1_500
const LOOK_AGAIN_MS = 500
/** A node that was found at the second look is asked once more; further ones would have been known to somebody before. */
const LOOKS = 3
const GROUP_WITHIN_MS = 6_000
const ASK_WITHIN_MS = 2_000
const ASK_AGAIN_MS = 100

export interface SurveyPorts {
  readonly self: NodeId
  readonly clock: Clock
  readonly calls: NodeCalls
  readonly slotCount: number
  nodes(): readonly KnownNode[]
  /** Calls it from now on, if it did not before. */
  knowNode(node: NodeId, address: string): void
}

export interface Looks {
  readonly answered: ReadonlyMap<NodeId, NodeLook>
  /** Everybody that anybody knows. */
  readonly nodes: ReadonlyMap<NodeId, KnownNode>
}

export type GroupOutcome =
  | { readonly kind: 'standing'; readonly standing: GroupStanding }
  /** Nobody answered for it; nothing was done. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'unknown' }

export class RecoverySurvey {
  readonly #ports: SurveyPorts

  constructor(ports: SurveyPorts) {
    this.#ports = ports
  }

  look(done: (looks: Looks) => void): void {
    const { nodes, self } = this.#ports
    const known = new Map<NodeId, KnownNode>(nodes().map((node) => [asNodeId(node.nodeId), node]))
    this.#look(new Map(), known, self, 1, done)
  }

  #look(
    answered: Map<NodeId, NodeLook>,
    known: Map<NodeId, KnownNode>,
    self: NodeId,
    round: number,
    done: (looks: Looks) => void,
  ): void {
    const missing = [...known.keys()].filter((node) => !answered.has(node))
    each(
      missing,
      (node, next) => this.#ask(node, 'look', {}, LOOK_WITHIN_MS, next),
      (answers) => {
        for (const [node, { answer }] of answers) {
          const look = parseLook(answer)
          if (look !== null) answered.set(node, look)
        }
        for (const [node, look] of answered) {
          for (const told of look.nodes) {
            const id = asNodeId(told.nodeId)
            // Of itself each node knows best.
            if (known.has(id) && id !== node) continue
            if (!known.has(id) && id !== self) this.#ports.knowNode(id, told.peer)
            known.set(id, told)
          }
        }
        if (answered.size === known.size || round === LOOKS) return done({ answered, nodes: known })
        this.#ports.clock.setTimer(LOOK_AGAIN_MS, () => this.#look(answered, known, self, round + 1, done))
      },
    )
  }

  /** `fence` null: only their word. `hosts`: nodes that may have a replica of the group. */
  groups(
    groups: readonly GroupId[],
    fence: number | null,
    hosts: (group: GroupId) => readonly NodeId[],
    done: (outcomes: ReadonlyMap<GroupId, GroupOutcome>) => void,
  ): void {
    const untilMs = this.#ports.clock.monotonicMs() + GROUP_WITHIN_MS
    const outcomes = new Map<GroupId, GroupOutcome>()
    if (groups.length === 0) return this.#ports.clock.defer(() => done(outcomes))
    for (const group of groups) {
      this.#group({ group, fence, hosts: hosts(group), untilMs }, 0, null, (outcome) => {
        outcomes.set(group, outcome)
        if (outcomes.size === groups.length) done(outcomes)
      })
    }
  }

  #group(errand: GroupErrand, turn: number, hint: NodeId | null, done: (outcome: GroupOutcome) => void): void {
    const { group, fence, hosts, untilMs } = errand
    const { clock, slotCount } = this.#ports
    if (hosts.length === 0 || clock.monotonicMs() >= untilMs) return clock.defer(() => done({ kind: 'silent' }))
    const node = hint ?? hosts[turn % hosts.length]
    const next = (leader: NodeId | null): void => {
      // A hint is followed at once, but not one after the other: two may point at each other.
      if (leader !== null && hint === null) this.#group(errand, turn + 1, leader, done)
      else clock.setTimer(ASK_AGAIN_MS, () => this.#group(errand, turn + 1, null, done))
    }
    const args = fence === null ? { group } : { group, fence }
    this.#ask(node, fence === null ? 'group' : 'fence', args, ASK_WITHIN_MS, ({ sent, answer }) => {
      const told = parseGroupAnswer(answer)
      // What was sent and not answered may have been done. To ask twice for a word does no harm.
      if (told === null) return sent && fence !== null ? done({ kind: 'unknown' }) : next(null)
      if (told.kind === 'fenced') return done({ kind: 'fenced' })
      if (told.kind === 'unknown') return fence !== null ? done({ kind: 'unknown' }) : next(null)
      if (told.kind === 'elsewhere') {
        const leader = told.leader === null || told.leader === 0 ? null : asNodeId(told.leader)
        return next(leader === node ? null : leader)
      }
      const standing = standingOf(told.word, group, slotCount)
      done(standing === null ? { kind: 'unknown' } : { kind: 'standing', standing })
    })
  }

  #ask(
    node: NodeId,
    question: string,
    args: Readonly<Record<string, unknown>>,
    withinMs: number,
    done: (answer: Answer) => void,
  ): void {
    this.#ports.calls.call(node, CALL_METHODS.recovery, encodeRequest(question, args), withinMs, (outcome) => {
      if (outcome.kind !== 'answered') return done({ sent: outcome.kind === 'unknown', answer: null })
      done({ sent: true, answer: decodeReply(outcome.reply)?.answer ?? null })
    })
  }
}

interface Answer {
  readonly sent: boolean
  readonly answer: unknown
}

interface GroupErrand {
  readonly group: GroupId
  readonly fence: number | null
  readonly hosts: readonly NodeId[]
  readonly untilMs: number
}

function each<Key>(
  keys: readonly Key[],
  ask: (key: Key, next: (answer: Answer) => void) => void,
  done: (answers: ReadonlyMap<Key, Answer>) => void,
): void {
  const answers = new Map<Key, Answer>()
  if (keys.length === 0) return done(answers)
  for (const key of keys) {
    ask(key, (answer) => {
      answers.set(key, answer)
      if (answers.size === keys.length) done(answers)
    })
  }
}
