/** A step of a move as a log entry's payload. */
import { asSlotId } from '../../base/brand.ts'
import { encodePayload, PAYLOAD_MOVE } from '../../protocol/command.ts'
import { encodeMove, type MoveCommand } from '../../protocol/move-command.ts'

const HEADER = {
  kind: PAYLOAD_MOVE,
  slot: asSlotId(0),
  stampMs: 0,
  session: 0,
  sequence: 0,
  lowestUnanswered: 0,
  retryUntilMs: 0,
} as const

export function movePayload(command: MoveCommand): Uint8Array {
  return encodePayload(HEADER, encodeMove(command))
}
