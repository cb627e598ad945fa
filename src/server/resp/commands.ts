/** What the door does with each command of the table: how it runs, what MULTI makes of it, when its syntax needs a look. */
import { assert, present } from '../../base/assert.ts'
import { COMMAND_SPECS, type CommandSpec } from '../../protocol/command-table.ts'
import { runDbSize, runFlushAll } from './all-slots.ts'
import { CLIENT_REPLIES, runClientReply } from './client-command.ts'
import { CLUSTER_REPLIES } from './cluster/cluster-command.ts'
import { runCountKeysInSlot, runGetKeysInSlot } from './cluster/slot-keys.ts'
import { COMMAND_REPLIES, commandReply } from './command-command.ts'
import { CommandStats } from './command-stats.ts'
import { CONFIG_REPLIES } from './config-command.ts'
import type { DoorCommand, DoorReply, Handler } from './door.ts'
import {
  authReply,
  echoReply,
  pingReply,
  readLevelReply,
  runQuit,
  runReset,
  selectReply,
  statusReply,
  timeReply,
} from './door-commands.ts'
import { runFanOut } from './fan-out.ts'
import { FUNCTION_REPLIES } from './function-command.ts'
import { helloReply, runHello } from './hello.ts'
import { HELP_REPLIES } from './help.ts'
import { infoReply } from './info.ts'
import { runKvCall, sessionReply, tableReply } from './kv-call.ts'
import { LATENCY_REPLIES } from './latency-command.ts'
import { runMaster } from './master-command.ts'
import { MEMORY_REPLIES } from './memory-command.ts'
import {
  PUBSUB_REPLIES,
  publishReply,
  runPSubscribe,
  runPUnsubscribe,
  runPublish,
  runSPublish,
  runSSubscribe,
  runSUnsubscribe,
  runSubscribe,
  runUnsubscribe,
  spublishReply,
} from './pubsub.ts'
import { runKeys, runRandomKey, runScan } from './scan.ts'
import { runSingleSlot } from './single-slot.ts'
import { SLOWLOG_REPLIES } from './slowlog-command.ts'
import { runDiscard, runExec, runMulti, runUnwatch, runWatch, unwatchReply } from './transaction.ts'
import { runWait, waitReply } from './wait.ts'

/** By full name: `client|id`. */
export type NamedReplies = readonly (readonly [fullName: string, reply: DoorReply])[]

const runDoor: Handler = (door, connection, command) => {
  const reply = present(command.reply, `${command.fullName}: the door has no answer`)
  if (!command.timedAlone) {
    connection.answer(reply(door, connection.client, connection.words))
    return true
  }
  const startedMs = door.measures.tick()
  const bytes = reply(door, connection.client, connection.words)
  door.measures.tick()
  connection.answer(bytes, startedMs)
  return true
}

const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['multi', runMulti],
  ['exec', runExec],
  ['discard', runDiscard],
  ['watch', runWatch],
  ['unwatch', runUnwatch],
  ['quit', runQuit],
  ['hello', runHello],
  ['reset', runReset],
  ['client|reply', runClientReply],
  ['flushall', runFlushAll],
  ['flushdb', runFlushAll],
  ['dbsize', runDbSize],
  ['scan', runScan],
  ['keys', runKeys],
  ['randomkey', runRandomKey],
  ['wait', runWait],
  ['subscribe', runSubscribe],
  ['unsubscribe', runUnsubscribe],
  ['psubscribe', runPSubscribe],
  ['punsubscribe', runPUnsubscribe],
  ['publish', runPublish],
  ['ssubscribe', runSSubscribe],
  ['sunsubscribe', runSUnsubscribe],
  ['spublish', runSPublish],
  ['cluster|countkeysinslot', runCountKeysInSlot],
  ['cluster|getkeysinslot', runGetKeysInSlot],
  ['kv.call', runKvCall],
  ['kv.master', runMaster],
])

const DOOR_REPLIES: ReadonlyMap<string, DoorReply> = new Map<string, DoorReply>([
  ['ping', pingReply],
  ['echo', echoReply],
  ['select', selectReply],
  ['info', infoReply],
  ['hello', helloReply],
  ['command', commandReply],
  ['auth', authReply],
  ['time', timeReply],
  ['unwatch', unwatchReply],
  ['wait', waitReply],
  ['publish', publishReply],
  ['spublish', spublishReply],
  ['kv.read', readLevelReply],
  ['kv.session', sessionReply],
  ['kv.status', statusReply],
  ['kv.table', tableReply],
  ...HELP_REPLIES,
  ...CLIENT_REPLIES,
  ...CLUSTER_REPLIES,
  ...COMMAND_REPLIES,
  ...CONFIG_REPLIES,
  ...FUNCTION_REPLIES,
  ...LATENCY_REPLIES,
  ...MEMORY_REPLIES,
  ...PUBSUB_REPLIES,
  ...SLOWLOG_REPLIES,
])

const RUN_AT_ONCE: ReadonlySet<string> = new Set(['multi', 'exec', 'discard', 'watch', 'quit', 'reset'])

/** They answer with pushes, which have no place among EXEC's replies. */
const SUBSCRIPTION_COMMANDS: ReadonlySet<string> = new Set([
  'subscribe',
  'unsubscribe',
  'psubscribe',
  'punsubscribe',
  'ssubscribe',
  'sunsubscribe',
])
/** KV.CALL's writes have an identity of their own, and EXEC is one write; KV.MASTER waits for other nodes. */
const WITHOUT_MULTI: ReadonlySet<string> = new Set(['kv.call', 'kv.master'])
/** They walk over a slot. */
const SLOT_WALKS: ReadonlySet<string> = new Set(['cluster|countkeysinslot', 'cluster|getkeysinslot'])

/** Word counts with which nothing can be wrong but what the door checks itself; see DoorCommand.uncheckedWords. */
const UNCHECKED_WORDS: ReadonlyMap<string, number> = new Map([
  ['get', 0],
  ['set', 3],
  ['del', 0],
  ['exists', 0],
  ['incr', 0],
  ['decr', 0],
  ['append', 0],
  ['strlen', 0],
  ['mget', 0],
  ['ttl', 0],
  ['pttl', 0],
  ['persist', 0],
])

export function makeCommands(): DoorCommand[] {
  return COMMAND_SPECS.map((spec) => makeCommand(spec))
}

function makeCommand(spec: CommandSpec): DoorCommand {
  const reply = DOOR_REPLIES.get(spec.name) ?? null
  const inner = spec.subcommands.map(makeCommand)
  const handler =
    HANDLERS.get(spec.name) ?? (spec.scope === 'slot' ? runSingleSlot : spec.scope === 'fanout' ? runFanOut : runDoor)
  assert(handler !== runDoor || reply !== null || inner.length > 0, `${spec.name}: nothing answers it`)
  return {
    spec,
    fullName: spec.name,
    arity: spec.arity,
    handler,
    reply,
    write: spec.flags.includes('write'),
    mayWrite: spec.flags.includes('write') || spec.name === 'publish' || spec.name === 'spublish',
    denyOutOfMemory: spec.flags.includes('denyoom'),
    timedAlone: spec.scope === 'door' && !spec.flags.includes('fast'),
    stats: new CommandStats(),
    uncheckedWords: UNCHECKED_WORDS.get(spec.name) ?? -1,
    inMulti: inMulti(spec),
    subcommands:
      inner.length === 0
        ? null
        : new Map(inner.map((command) => [command.fullName.slice(spec.name.length + 1), command])),
  }
}

function inMulti(spec: CommandSpec): DoorCommand['inMulti'] {
  if (RUN_AT_ONCE.has(spec.name)) return 'now'
  if (SUBSCRIPTION_COMMANDS.has(spec.name) || WITHOUT_MULTI.has(spec.name) || SLOT_WALKS.has(spec.name))
    return 'refused'
  if (spec.scope === 'door') return 'door'
  // FLUSHALL and DBSIZE have no keys: they are about all slots, and a transaction is about one.
  return spec.firstKey === 0 ? 'refused' : 'slot'
}
