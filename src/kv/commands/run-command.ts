/** One command from its arguments to its reply, every check included. */
import { errorReply } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { checkCommand, type RegisteredCommand, strayKey } from './registry.ts'

/** A key outside the slot is the caller's bug: it is answered with an error and nothing is done, on every replica alike. */
export const STRAY_KEY_REPLY: Uint8Array = errorReply(
  'ERR internal: a key lies outside the slot that the request names',
)

export function runCommand(
  context: ExecutionContext,
  command: RegisteredCommand,
  args: readonly Uint8Array[],
): Uint8Array {
  const error = checkCommand(command, args, context.limits)
  if (error !== null) return errorReply(error)
  if (strayKey(command, args, context.slot, context.slots.slotCount) !== null) return STRAY_KEY_REPLY
  return command.handler.execute(context, args)
}
