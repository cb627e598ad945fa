/**
 * The other end of group-command-calls.ts, at the nodes that lead groups. A command is an entry of the group's log, whatever the drivers are about: the log
 * decides, and they see in applied state what came of it. A question is answered from applied state behind a read barrier, so that what a deposed
 * leader knew is never taken for the group's last word.
 */
import type { GroupId, NodeId } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { destinationStandingOf, sourceStandingOf } from '../../master/group-standing.ts'
import type { Logger } from '../../ports/logger.ts'
import { CALL_METHODS, type NodeCalls } from '../../ports/node-calls.ts'
import { decodeMoveReply } from '../../protocol/move-command.ts'
import { OUTCOME_REPLY, OUTCOME_UNKNOWN, type RequestOutcome } from '../../protocol/request-message.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import {
  decodeGroupRequest,
  encodeGroupReply,
  type GroupReply,
  type GroupRequest,
  type MasterCommand,
} from './group-command-codec.ts'
import { movePayload } from './move-payload.ts'

/** An error's text instead of a move's reply: the log did not take the entry. */
const ERROR_TYPE = 0x2d

type Answer = (reply: GroupReply) => void
type Question = Exclude<GroupRequest, { kind: 'command' }>

export interface ServedGroups {
  replica(group: GroupId): RaftReplica | undefined
  /** As far as known here; null: unknown. */
  leaderOf(group: GroupId): NodeId | null
}

export function serveGroupCommands(calls: NodeCalls, groups: ServedGroups, logger: Logger): void {
  calls.serve(CALL_METHODS.groupCommand, (from, body, reply) => {
    const answer: Answer = (given) => reply(encodeGroupReply(given))
    let request: GroupRequest
    try {
      request = decodeGroupRequest(body)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      logger.warn('a group command does not decode', { from, error: error.message })
      return answer({ kind: 'elsewhere', leader: null })
    }
    const replica = groups.replica(request.group)
    if (replica === undefined || !replica.isLeader) {
      return answer({ kind: 'elsewhere', leader: replica?.leaderNode ?? groups.leaderOf(request.group) })
    }
    if (!(replica.machine instanceof KvStateMachine)) {
      logger.warn('a group command for a group without slots', { from, group: request.group })
      return answer({ kind: 'elsewhere', leader: null })
    }
    if (request.kind === 'command') propose(replica, request.command, answer)
    else ask(replica, request, answer)
  })
}

function propose(replica: RaftReplica, command: MasterCommand, answer: Answer): void {
  const settle = (outcome: RequestOutcome, reply: Uint8Array): void => {
    if (outcome === OUTCOME_UNKNOWN) answer({ kind: 'unknown' })
    else if (outcome !== OUTCOME_REPLY || reply[0] === ERROR_TYPE) answer(elsewhere(replica))
    else answer({ kind: 'applied', reply: decodeMoveReply(reply) })
  }
  if (!replica.propose(movePayload(command), { settle })) answer(elsewhere(replica))
}

function ask(replica: RaftReplica, { kind, reconfigId, slots }: Question, answer: Answer): void {
  const settle = (outcome: RequestOutcome): void => {
    const { machine } = replica
    if (outcome !== OUTCOME_REPLY || !(machine instanceof KvStateMachine)) return answer(elsewhere(replica))
    const standing = (kind === 'source' ? sourceStandingOf : destinationStandingOf)(machine, reconfigId, slots)
    answer({ kind: 'standing', standing })
  }
  if (!replica.barrier({ settle })) answer(elsewhere(replica))
}

/** This one cannot, for now. */
function elsewhere(replica: RaftReplica): GroupReply {
  return { kind: 'elsewhere', leader: replica.isLeader ? null : replica.leaderNode }
}
