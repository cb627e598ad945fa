/**
 * EXEC: a whole transaction as one entry. First the watched versions: one that differs, and the reply is null and nothing is
 * done. Then the commands in order; one that fails does not stop the others, as in Redis.
 *
 * A key that expired since it was watched counts as changed, also in the one case where the two versions look the same:
 * an entry that deleted one key and wrote the watched one gave its own index to both.
 */
import { concatBytes } from '../../base/bytes.ts'
import { slotOf } from '../../base/slot.ts'
import { type Command, decodeWatches, type WatchedVersion } from '../../protocol/command.ts'
import { arrayHead, errorReply, NULL_REPLY } from '../../protocol/resp-reply.ts'
import type { ExecutionContext } from '../execution-context.ts'
import { MAX_REPLY_BYTES } from '../kv-options.ts'
import { commandAt } from '../payload-fields.ts'
import { commandOf } from './registry.ts'
import { runCommand, STRAY_KEY_REPLY } from './run-command.ts'

export interface Transaction {
  readonly watches: readonly WatchedVersion[]
  readonly commands: readonly Command[]
}

/** Whole, before anything runs. Throws DecodeError. */
export function decodeTransaction(args: readonly Uint8Array[]): Transaction | null {
  if (args.length === 0) return null
  const commands: Command[] = []
  for (let i = 1; i < args.length; i++) commands.push(commandAt(args[i], 0))
  return { watches: decodeWatches(args[0]), commands }
}

export function runTransaction(context: ExecutionContext, transaction: Transaction): Uint8Array {
  const { slotCount } = context.slots
  for (const { key } of transaction.watches) {
    if (slotOf(key, slotCount) !== context.slot) return STRAY_KEY_REPLY
  }
  if (!context.mutations.watchedVersionsIgnored) {
    for (const watch of transaction.watches) if (!unchanged(context, watch)) return NULL_REPLY
  }
  const parts: Uint8Array[] = [arrayHead(transaction.commands.length)]
  let bytes = 0
  for (const command of transaction.commands) {
    const reply = bytes > MAX_REPLY_BYTES ? TOO_MUCH_REPLY : runInside(context, command)
    bytes += reply.length
    parts.push(reply)
  }
  return concatBytes(parts)
}

const TOO_MUCH_REPLY = errorReply(
  `ERR not run: the transaction's replies are more than ${MAX_REPLY_BYTES} bytes already; split it`,
)

function unchanged(context: ExecutionContext, watch: WatchedVersion): boolean {
  const version = context.version(watch.key)
  if (version.generation !== watch.generation || version.index !== watch.index) return false
  const stored = context.keySpace.get(context.slot, context.generation, watch.key)
  const expired = stored !== null && stored.expiresAtMs !== 0 && stored.expiresAtMs <= context.logTimeMs
  return !expired || stored.modificationIndex !== watch.index
}

/** Commands without keys work on the whole slot and have no place in a transaction. */
function runInside(context: ExecutionContext, inner: Command): Uint8Array {
  const command = commandOf(inner.opcode)
  if (command === null || command.keyStep === 0) {
    return errorReply(`ERR '${command?.name ?? inner.opcode}' cannot run inside a transaction`)
  }
  return runCommand(context, command, inner.args)
}
