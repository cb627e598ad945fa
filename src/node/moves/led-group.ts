/**
 * The moves of one group at the node that leads it: carries out what its drivers (migration/) want, through the replica's log and the wire, and stands
 * between clients' writes and their replies while slots leave. It lives for one term of one replica; whatever it knows may be lost.
 */
import type { LogIndex, NodeId, SlotId, Term } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import type { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { GroupMigration } from '../../migration/group-migration.ts'
import type { MigrationSettings, ProposalResult } from '../../migration/migration-driver.ts'
import type { MoveProgress } from '../../migration/move-progress.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { MigrationMessage, PeerNode } from '../../protocol/migration-message.ts'
import { decodeMoveReply, type MoveCommand } from '../../protocol/move-command.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY, type RequestOutcome } from '../../protocol/request-message.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import type { WriteGate } from '../../replication/raft/write-gate.ts'
import { movePayload } from './move-payload.ts'
import { ThrottledWrites } from './throttled-writes.ts'

/** An error's text instead of a move's reply: the log did not take the entry. */
const ERROR_TYPE = 0x2d

export interface LedGroupPorts {
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: MigrationSettings
  /** False: no way to that node. */
  send(to: PeerNode, message: MigrationMessage): boolean
  /** `dueMs` may have changed. */
  changed(led: LedGroup): void
}

export class LedGroup implements WriteGate {
  readonly replica: RaftReplica
  readonly #term: Term
  readonly #machine: KvStateMachine
  readonly #ports: LedGroupPorts
  readonly #migration: GroupMigration
  readonly #throttle: ThrottledWrites
  #hadMoves = false

  constructor(replica: RaftReplica, machine: KvStateMachine, ports: LedGroupPorts) {
    this.replica = replica
    this.#term = replica.core.term
    this.#machine = machine
    this.#ports = ports
    this.#migration = new GroupMigration(replica.group, machine, ports.settings, this.#nowMs)
    this.#throttle = new ThrottledWrites({
      bytesPerSecond: (slot, nowMs) => this.#migration.admittedBytesPerSecond(slot, nowMs),
      proceed: (ordinal) => replica.unpark(ordinal),
    })
    this.#movesChanged()
    this.#carryOut()
  }

  /** It still leads, in the same term, over the same state. */
  get isCurrent(): boolean {
    const { replica } = this
    return replica.isLeader && replica.core.term === this.#term && replica.machine === this.#machine
  }

  /** When `tick` is to be called at the latest; Infinity while nothing moves. */
  get dueMs(): number {
    return Math.min(this.#migration.dueMs, this.#throttle.dueMs)
  }

  /** Entries were applied. */
  applied(): void {
    // All there is to it while nothing moves.
    if (this.#machine.moves.length === 0 && !this.#hadMoves) return
    this.#migration.applied(this.#nowMs)
    this.#movesChanged()
    this.#carryOut()
  }

  receive(from: NodeId, message: MigrationMessage): void {
    this.#migration.receive(from, message, this.#nowMs)
    this.#carryOut()
  }

  unreachable(node: NodeId): void {
    if (!this.#hadMoves) return
    this.#migration.unreachable(node, this.#nowMs)
    this.#carryOut()
  }

  tick(): void {
    this.#migration.tick(this.#nowMs)
    this.#carryOut()
  }

  settingsChanged(): void {
    this.#migration.settingsChanged(this.#nowMs)
    this.#carryOut()
  }

  refuse(reconfigId: number): boolean {
    const isKnown = this.#migration.refuse(reconfigId, this.#nowMs)
    this.#carryOut()
    return isKnown
  }

  progress(): MoveProgress[] {
    return this.#migration.progress(this.#nowMs)
  }

  // --- between writes and their replies -----------------------------------------------------------------------

  admits(slot: SlotId, bytes: number): boolean {
    return this.#throttle.admits(slot, bytes, this.#nowMs)
  }

  parked(slot: SlotId, bytes: number, ordinal: number): void {
    this.#throttle.parked(slot, bytes, ordinal, this.#nowMs)
    this.#ports.changed(this)
  }

  holdsReply(slot: SlotId, index: LogIndex, bytes: number): boolean {
    const holds = this.#migration.holdsReply(slot, index, bytes, this.#nowMs)
    if (holds) this.#ports.changed(this)
    return holds
  }

  // --- inside -------------------------------------------------------------------------------------------------

  get #nowMs(): number {
    return this.#ports.clock.monotonicMs()
  }

  #movesChanged(): void {
    const { moves } = this.#machine
    this.#hadMoves = moves.length > 0
    const leaving = moves.filter(({ role }) => role === 'source')
    this.#throttle.setMoves(leaving)
    // What is held of moves that are over is among the released replies.
    if (leaving.length > 0) this.replica.setWriteGate(this)
  }

  #carryOut(): void {
    this.#refuseWithoutRoom()
    for (const action of this.#migration.takeActions()) {
      if (action.kind === 'send') this.#send(action.to, action.message)
      else this.#propose(action.proposal, action.command)
    }
    const nowMs = this.#nowMs
    for (const index of this.#migration.takeReleasedReplies(nowMs)) this.replica.releaseReply(index)
    this.#throttle.pump(nowMs)
    if (!this.#machine.moves.some(({ role }) => role === 'source')) this.replica.setWriteGate(null)
    this.#ports.changed(this)
  }

  /** Nothing more comes in while the disk has no room for it. */
  #refuseWithoutRoom(): void {
    if (!this.#hadMoves || this.replica.acceptsGrowth) return
    for (const { role, phase, reconfigId } of this.#machine.moves) {
      if (role === 'destination' && phase === 'staging') this.#migration.refuse(reconfigId, this.#nowMs)
    }
  }

  #send(to: PeerNode, message: MigrationMessage): void {
    if (this.#ports.send(to, message)) return
    // As an event of its own: what the drivers do about it may be to send again.
    this.#ports.clock.defer(() => {
      if (this.isCurrent) this.unreachable(to.nodeId)
    })
  }

  #propose(proposal: number, command: MoveCommand): void {
    const settle = (outcome: RequestOutcome, reply: Uint8Array): void => {
      this.#settled(proposal, this.#resultOf(command, outcome, reply))
    }
    if (this.replica.propose(movePayload(command), { settle })) return
    this.#ports.clock.defer(() => this.#settled(proposal, { kind: 'refused' }))
  }

  #settled(proposal: number, result: ProposalResult): void {
    if (!this.isCurrent) return
    this.#migration.settled(proposal, result, this.#nowMs)
    this.#movesChanged()
    this.#carryOut()
  }

  #resultOf({ kind, reconfigId }: MoveCommand, outcome: RequestOutcome, reply: Uint8Array): ProposalResult {
    if (outcome === OUTCOME_REFUSED) return { kind: 'refused' }
    if (outcome !== OUTCOME_REPLY) return { kind: 'unknown' }
    if (reply[0] === ERROR_TYPE) return { kind: 'refused' }
    try {
      return { kind: 'applied', reply: decodeMoveReply(reply) }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      const { group } = this.replica
      this.#ports.logger.error("a move step's reply does not decode", { group, reconfigId, kind, error: error.message })
      return { kind: 'unknown' }
    }
  }
}
