/**
 * What the leader proposes on its own: removing keys that have expired, and the keys of dead generations. Conditional in apply,
 * so a command that comes late, twice, or from a deposed leader does no harm.
 */

import { latin1Bytes } from '../../base/bytes.ts'
import type { Generation } from '../../ports/key-space.ts'
import { type Command, encodeCommand } from '../../protocol/command.ts'
import { OPCODE_DROP_GENERATION, OPCODE_PURGE_EXPIRED } from '../../protocol/command-table.ts'
import { errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { parseInteger } from '../integer-text.ts'
import { EVENT_EXPIRED } from '../key-events.ts'
import { notResponsibleReply } from '../refusals.ts'
import { unknownOpcode } from './registry.ts'

const MALFORMED_REPLY = errorReply('ERR malformed housekeeping command')

/** Keys with the modification index that each had when the leader saw it expired. */
export function encodePurge(
  keys: readonly { readonly key: Uint8Array; readonly modificationIndex: number }[],
): Uint8Array {
  const args: Uint8Array[] = []
  for (const { key, modificationIndex } of keys) args.push(key, latin1Bytes(String(modificationIndex)))
  return encodeCommand(OPCODE_PURGE_EXPIRED, args)
}

export function encodeDropGeneration(generation: Generation, maxKeys: number): Uint8Array {
  return encodeCommand(OPCODE_DROP_GENERATION, [latin1Bytes(String(generation)), latin1Bytes(String(maxKeys))])
}

/** Dead generations are removed of slots that have gone, too; keys expire where they are served. */
export function runHousekeeping(context: ExecutionContext, command: Command): Uint8Array {
  if (command.opcode === OPCODE_PURGE_EXPIRED) {
    return context.slots.owns(context.slot) ? purge(context, command.args) : notResponsibleReply(context.slot)
  }
  if (command.opcode === OPCODE_DROP_GENERATION) return drop(context, command.args)
  return errorReply(unknownOpcode(command.opcode))
}

/** Reply: how many keys went. */
function purge(context: ExecutionContext, args: readonly Uint8Array[]): Uint8Array {
  if (args.length % 2 !== 0) return MALFORMED_REPLY
  let removed = 0
  for (let i = 0; i < args.length; i += 2) {
    const index = parseInteger(args[i + 1])
    const stored = context.keySpace.get(context.slot, context.generation, args[i])
    if (stored === null || !mayPurge(context, stored.modificationIndex === index, stored.expiresAtMs)) continue
    context.remove(args[i], EVENT_EXPIRED)
    removed++
  }
  return integerReply(removed)
}

function mayPurge(context: ExecutionContext, sameIndex: boolean, expiresAtMs: number): boolean {
  if (context.mutations.purgeUnconditional) return true
  return sameIndex && expiresAtMs !== 0 && expiresAtMs <= context.logTimeMs
}

/** Reply: 1 once no key of it is left, else 0. Only the slot's oldest dead generation is touched, never a live one. */
function drop(context: ExecutionContext, args: readonly Uint8Array[]): Uint8Array {
  const generation = args.length === 2 ? parseInteger(args[0]) : null
  const maxKeys = args.length === 2 ? parseInteger(args[1]) : null
  if (typeof generation !== 'number' || typeof maxKeys !== 'number' || maxKeys < 1) return MALFORMED_REPLY
  if (context.slots.oldestDead(context.slot) !== generation) return integerReply(0)
  const dead = generation as Generation
  if (!context.keySpace.dropGeneration(context.slot, dead, maxKeys)) return integerReply(0)
  context.slots.forgetDead(context.slot, dead)
  return integerReply(1)
}
