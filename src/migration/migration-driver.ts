/**
 * What the drivers of both sides have in common: where their inputs come from and their outputs go. A driver lives at a group's leader, as long as
 * that leads and the move is open; all that it knows beyond applied state may be lost at any moment, and its successor starts from applied state.
 */
import type { GroupId, NodeId, SlotId } from '../base/brand.ts'
import type { OpenMove, SlotMover } from '../ports/slot-mover.ts'
import type { MigrationMessage, MoveStanding, PeerNode } from '../protocol/migration-message.ts'
import type { MoveCommand, MoveReply } from '../protocol/move-command.ts'

/** What the node is to do, in this order. Parts in a proposed command are views of the message that brought them: encode it at once. */
export type MigrationAction =
  /** The address is empty where the node is one that has just spoken. */
  | { readonly kind: 'send'; readonly to: PeerNode; readonly message: MigrationMessage }
  /** Into the group's own log; the answer comes with the same number. */
  | { readonly kind: 'propose'; readonly proposal: number; readonly command: MoveCommand }

/** What became of a proposal. Each has exactly one answer. */
export type ProposalResult =
  | { readonly kind: 'applied'; readonly reply: MoveReply }
  /** Not in the log, and never will be: too large, too busy, disk full, not the leader. */
  | { readonly kind: 'refused' }
  /** It may have been applied, or may still be. */
  | { readonly kind: 'unknown' }

/** Known bugs that the tests put back in, to show that their checks catch them. */
export interface MigrationMutations {
  readonly enableBeforeLastStage?: boolean
  readonly forgetWithoutAsking?: boolean
  readonly dropWithoutAsking?: boolean
  readonly disableWhileCopying?: boolean
  readonly predictionsKeptAfterRefusal?: boolean
}

export interface MigrationSettings {
  /** About what one STAGE entry holds; a larger value goes alone. At most 1 MiB, and below what a log entry may hold. */
  readonly maxStageBytes: number
  /** What a destination pulls at most for one move; 0: no limit. Looked at before each pull: it may change (`settingsChanged`). */
  readonly bytesPerSecond: number
  readonly mutations?: MigrationMutations
}

export interface DriverContext {
  readonly group: GroupId
  readonly mover: SlotMover
  readonly settings: MigrationSettings
  send(to: PeerNode, message: MigrationMessage): void
  /** Returns the proposal's number. */
  propose(command: MoveCommand): number
  nextRequestId(): number
}

/** What a driver is told. Each call may bring about actions, and sets `dueMs` anew: when `tick` is to be called at the latest. */
export interface MoveDriver {
  readonly reconfigId: number
  readonly dueMs: number
  receive(from: NodeId, message: MigrationMessage, nowMs: number): void
  settled(proposal: number, result: ProposalResult, nowMs: number): void
  /** No connection to that node, or it broke. */
  unreachable(node: NodeId, nowMs: number): void
  tick(nowMs: number): void
  /** The move is over, by applied state; nothing follows. */
  ended(): void
}

/** Proposals are answered in the end; one that is not for so long counts as unknown. */
export const PROPOSAL_PATIENCE_MS = 10_000

export function openMove(mover: SlotMover, reconfigId: number, role: OpenMove['role']): OpenMove | null {
  return mover.moves.find((move) => move.reconfigId === reconfigId && move.role === role) ?? null
}

export function slotsOf(move: OpenMove): SlotId[] {
  return move.slots.map(({ slot }) => slot)
}

/** From applied state alone. */
export function standingOf(move: OpenMove): MoveStanding {
  return { kind: move.phase, disableIndex: move.disableIndex }
}
