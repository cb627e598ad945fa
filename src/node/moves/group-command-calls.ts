/**
 * ports/group-commands.ts over calls between nodes: finds the node that leads the group, by what is known here, by what those say that are asked, else by
 * asking the members in turn. A command goes on to the next node only where it is certain that the last one did nothing; the master repeats.
 */
import type { GroupId, NodeId, SlotId } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import type { Clock } from '../../ports/clock.ts'
import type {
  DestinationStanding,
  GroupAnswer,
  GroupBegin,
  GroupCommands,
  SourceStanding,
} from '../../ports/group-commands.ts'
import type { Logger } from '../../ports/logger.ts'
import { CALL_METHODS, type CallOutcome, type NodeCalls } from '../../ports/node-calls.ts'
import {
  decodeGroupReply,
  encodeGroupRequest,
  type GroupReply,
  type GroupRequest,
  isDestinationStanding,
  isSourceStanding,
} from './group-command-codec.ts'

/** How often nodes may point at each other beside the turn through the members. */
const REDIRECTS_MAX = 4
/** A BEGIN waits for a commit; a leader that is cut off finds out within an election's time. */
const TIMEOUT_MS = 3_000

export interface GroupPlaces {
  /** As far as known here; null: unknown. */
  leaderOf(group: GroupId): NodeId | null
  /** The nodes with a replica, as far as known here. */
  membersOf(group: GroupId): readonly NodeId[]
}

type Ended = GroupReply | { readonly kind: 'unreachable' }

/** One command or question on its way from node to node. */
interface Errand {
  readonly body: Uint8Array
  /** A question may be asked again wherever; a command must not be where it may have been carried out. */
  readonly isQuestion: boolean
  readonly members: NodeId[]
  redirectsLeft: number
  readonly done: (ended: Ended) => void
}

export class GroupCommandCalls implements GroupCommands {
  readonly #calls: NodeCalls
  readonly #places: GroupPlaces
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(calls: NodeCalls, places: GroupPlaces, clock: Clock, logger: Logger) {
    this.#calls = calls
    this.#places = places
    this.#clock = clock
    this.#logger = logger
  }

  beginSource(group: GroupId, begin: GroupBegin, done: (answer: GroupAnswer) => void): void {
    this.#command({ kind: 'command', group, command: { kind: 'begin-source', ...begin } }, done)
  }

  beginDestination(group: GroupId, begin: GroupBegin, done: (answer: GroupAnswer) => void): void {
    this.#command({ kind: 'command', group, command: { kind: 'begin-destination', ...begin } }, done)
  }

  cancel(group: GroupId, reconfigId: number, fence: number, done: (answer: GroupAnswer) => void): void {
    this.#command({ kind: 'command', group, command: { kind: 'cancel', reconfigId, fence } }, done)
  }

  sourceStanding(
    group: GroupId,
    reconfigId: number,
    slots: readonly SlotId[],
    done: (standing: SourceStanding | null) => void,
  ): void {
    this.#run({ kind: 'source', group, reconfigId, slots }, (ended) => {
      done(ended.kind === 'standing' && isSourceStanding(ended.standing) ? ended.standing : null)
    })
  }

  checkCommit(
    group: GroupId,
    reconfigId: number,
    slots: readonly SlotId[],
    done: (standing: DestinationStanding | null) => void,
  ): void {
    this.#run({ kind: 'destination', group, reconfigId, slots }, (ended) => {
      done(ended.kind === 'standing' && isDestinationStanding(ended.standing) ? ended.standing : null)
    })
  }

  #command(request: GroupRequest, done: (answer: GroupAnswer) => void): void {
    this.#run(request, (ended) => {
      if (ended.kind === 'applied') done({ kind: 'applied', outcome: ended.reply.outcome })
      else if (ended.kind === 'unreachable' || ended.kind === 'elsewhere') done({ kind: 'unreachable' })
      else done({ kind: 'unknown' })
    })
  }

  #run(request: GroupRequest, done: (ended: Ended) => void): void {
    const { group, kind } = request
    const leader = this.#places.leaderOf(group)
    const members = this.#places.membersOf(group).filter((node) => node !== leader)
    if (leader !== null) members.unshift(leader)
    const errand: Errand = {
      body: encodeGroupRequest(request),
      isQuestion: kind !== 'command',
      members,
      redirectsLeft: REDIRECTS_MAX,
      done,
    }
    const first = members.shift()
    if (first === undefined) return this.#clock.defer(() => done({ kind: 'unreachable' }))
    this.#ask(errand, first)
  }

  #ask(errand: Errand, node: NodeId): void {
    this.#calls.call(node, CALL_METHODS.groupCommand, errand.body, TIMEOUT_MS, (outcome) => {
      const ended = this.#read(node, outcome)
      const goesOn =
        ended.kind === 'elsewhere' || ended.kind === 'unreachable' || (errand.isQuestion && ended.kind === 'unknown')
      if (!goesOn) return errand.done(ended)
      const next = this.#next(errand, node, ended)
      if (next === null) return errand.done(ended)
      this.#ask(errand, next)
    })
  }

  #next(errand: Errand, asked: NodeId, ended: Ended): NodeId | null {
    const hint = ended.kind === 'elsewhere' ? ended.leader : null
    if (hint === null || hint === asked || errand.redirectsLeft === 0) return errand.members.shift() ?? null
    errand.redirectsLeft--
    const at = errand.members.indexOf(hint)
    if (at >= 0) errand.members.splice(at, 1)
    return hint
  }

  #read(node: NodeId, outcome: CallOutcome): Ended {
    if (outcome.kind !== 'answered') return outcome
    try {
      return decodeGroupReply(outcome.reply)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#logger.warn('the answer to a group command does not decode', { node, error: error.message })
      return { kind: 'unknown' }
    }
  }
}
