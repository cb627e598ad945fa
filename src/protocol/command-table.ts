/**
 * The one table of commands: parsing, arity, key extraction, help, completion, COMMAND and the docs read it; command-docs.ts has its words.
 * Opcodes stand in the log: they never change and are never used again. Arity, flags and keys are Redis 7.0.15's where Redis has the command.
 */
import { assert } from '../base/assert.ts'
import { type CommandDoc, commandDoc } from './command-docs.ts'

/**
 * Where a command runs: `door` at the node that holds the connection; `slot` on the group of its key (all keys in one slot,
 * else -CROSSSLOT); `fanout` by slot over several groups, the replies joined by the door.
 */
export type CommandScope = 'door' | 'slot' | 'fanout'

const FLAGS = [
  'write',
  'readonly',
  'denyoom',
  'admin',
  'pubsub',
  'noscript',
  'loading',
  'stale',
  'no_async_loading',
  'skip_slowlog',
  'fast',
  'no_auth',
  'allow_busy',
] as const
export type CommandFlag = (typeof FLAGS)[number]

/** Which of a command's words are keys. */
export interface CommandKeys {
  /** 0: none. Positions in the words, the name being 0; a negative last key counts from the end. */
  readonly firstKey: number
  readonly lastKey: number
  readonly keyStep: number
  /** What is done with them, as COMMAND INFO's key specifications and COMMAND GETKEYSANDFLAGS say it. */
  readonly keyFlags: readonly string[]
  /** Of the keys behind the first, where something else is done with them; else null. */
  readonly otherKeyFlags: readonly string[] | null
}

export interface CommandSpec extends CommandKeys {
  /** Lower case, as COMMAND prints it; a subcommand's with its container's: `client|id`. */
  readonly name: string
  /** 0: never logged nor passed on. */
  readonly opcode: number
  /** Redis's: the exact number of words, the name included; negative: at least. */
  readonly arity: number
  readonly flags: readonly CommandFlag[]
  readonly scope: CommandScope
  readonly doc: CommandDoc
  /** A container's; one without any has none. */
  readonly subcommands: readonly CommandSpec[]
}

const NO_KEYS: CommandKeys = { firstKey: 0, lastKey: 0, keyStep: 0, keyFlags: [], otherKeyFlags: null }

function keys(firstKey: number, lastKey: number, keyStep: number, flags: string, otherFlags?: string): CommandKeys {
  return { firstKey, lastKey, keyStep, keyFlags: flags.split(' '), otherKeyFlags: otherFlags?.split(' ') ?? null }
}

function isFlag(word: string): word is CommandFlag {
  return (FLAGS as readonly string[]).includes(word)
}

function flagsOf(text: string): CommandFlag[] {
  const words = text === '' ? [] : text.split(' ')
  const flags = words.filter(isFlag)
  assert(flags.length === words.length, `command table: unknown flag in '${text}'`)
  return flags
}

function spec(
  name: string,
  opcode: number,
  arity: number,
  scope: CommandScope,
  flags: string,
  at: CommandKeys = NO_KEYS,
  subcommands: readonly CommandSpec[] = [],
): CommandSpec {
  return { name, opcode, arity, flags: flagsOf(flags), ...at, scope, doc: commandDoc(name), subcommands }
}

export const COMMAND_SPECS: readonly CommandSpec[] = [
  // Strings
  spec('get', 1, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  spec('set', 2, -3, 'slot', 'write denyoom', keys(1, 1, 1, 'RW access update variable_flags')),
  spec('incr', 5, 2, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('decr', 6, 2, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('incrby', 7, 3, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('decrby', 8, 3, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('append', 9, 3, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW insert')),
  spec('strlen', 10, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO')),
  spec('mget', 11, -2, 'fanout', 'readonly fast', keys(1, -1, 1, 'RO access')),
  spec('mset', 12, -3, 'fanout', 'write denyoom', keys(1, -1, 2, 'OW update')),
  spec('getset', 22, 3, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('getdel', 23, 2, 'slot', 'write fast', keys(1, 1, 1, 'RW access delete')),
  spec('getex', 24, -2, 'slot', 'write fast', keys(1, 1, 1, 'RW access update')),
  spec('setnx', 25, 3, 'slot', 'write denyoom fast', keys(1, 1, 1, 'OW insert')),
  spec('setex', 26, 4, 'slot', 'write denyoom', keys(1, 1, 1, 'OW update')),
  spec('psetex', 27, 4, 'slot', 'write denyoom', keys(1, 1, 1, 'OW update')),
  spec('getrange', 28, 4, 'slot', 'readonly', keys(1, 1, 1, 'RO access')),
  spec('substr', 29, 4, 'slot', 'readonly', keys(1, 1, 1, 'RO access')),
  spec('setrange', 30, 4, 'slot', 'write denyoom', keys(1, 1, 1, 'RW update')),
  /** All keys in one slot: it sets all of them or none. */
  spec('msetnx', 38, -3, 'slot', 'write denyoom', keys(1, -1, 2, 'OW insert')),
  spec('incrbyfloat', 43, 3, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('lcs', 50, -3, 'slot', 'readonly', keys(1, 2, 1, 'RO access')),
  // Bits
  spec('setbit', 39, 4, 'slot', 'write denyoom', keys(1, 1, 1, 'RW access update')),
  spec('getbit', 40, 3, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  spec('bitcount', 41, -2, 'slot', 'readonly', keys(1, 1, 1, 'RO access')),
  spec('bitpos', 42, -3, 'slot', 'readonly', keys(1, 1, 1, 'RO access')),
  spec('bitop', 47, -4, 'slot', 'write denyoom', keys(2, -1, 1, 'OW update', 'RO access')),
  spec('bitfield', 48, -2, 'slot', 'write denyoom', keys(1, 1, 1, 'RW access update variable_flags')),
  spec('bitfield_ro', 49, -2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  // Keys
  spec('del', 3, -2, 'fanout', 'write', keys(1, -1, 1, 'RM delete')),
  spec('exists', 4, -2, 'fanout', 'readonly fast', keys(1, -1, 1, 'RO')),
  spec('expire', 13, -3, 'slot', 'write fast', keys(1, 1, 1, 'RW update')),
  spec('pexpire', 14, -3, 'slot', 'write fast', keys(1, 1, 1, 'RW update')),
  spec('ttl', 15, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  spec('pttl', 16, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  spec('persist', 17, 2, 'slot', 'write fast', keys(1, 1, 1, 'RW update')),
  spec('expireat', 31, -3, 'slot', 'write fast', keys(1, 1, 1, 'RW update')),
  spec('pexpireat', 32, -3, 'slot', 'write fast', keys(1, 1, 1, 'RW update')),
  spec('expiretime', 33, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  spec('pexpiretime', 34, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO access')),
  spec('type', 35, 2, 'slot', 'readonly fast', keys(1, 1, 1, 'RO')),
  spec('touch', 36, -2, 'fanout', 'readonly fast', keys(1, -1, 1, 'RO')),
  spec('unlink', 37, -2, 'fanout', 'write fast', keys(1, -1, 1, 'RM delete')),
  spec('rename', 44, 3, 'slot', 'write', keys(1, 2, 1, 'RW access delete', 'OW update')),
  spec('renamenx', 45, 3, 'slot', 'write fast', keys(1, 2, 1, 'RW access delete', 'OW insert')),
  spec('copy', 46, -3, 'slot', 'write denyoom', keys(1, 2, 1, 'RO access', 'OW update')),
  spec('dump', 51, 2, 'slot', 'readonly', keys(1, 1, 1, 'RO access')),
  spec('restore', 52, -4, 'slot', 'write denyoom', keys(1, 1, 1, 'OW update')),
  spec('keys', 0, 2, 'fanout', 'readonly'),
  spec('object', 0, -2, 'door', '', NO_KEYS, [
    spec('object|encoding', 53, 3, 'slot', 'readonly', keys(2, 2, 1, 'RO')),
    spec('object|freq', 55, 3, 'slot', 'readonly', keys(2, 2, 1, 'RO')),
    spec('object|help', 0, 2, 'door', 'loading stale'),
    spec('object|idletime', 54, 3, 'slot', 'readonly', keys(2, 2, 1, 'RO')),
    spec('object|refcount', 56, 3, 'slot', 'readonly', keys(2, 2, 1, 'RO')),
  ]),
  spec('randomkey', 0, 1, 'fanout', 'readonly'),
  spec('scan', 0, -2, 'fanout', 'readonly'),
  spec('wait', 0, 3, 'door', 'noscript'),
  // Transactions
  /** As logged: one entry for the whole transaction; see command.ts for its arguments. */
  spec('exec', 18, 1, 'slot', 'noscript loading stale skip_slowlog'),
  spec('discard', 0, 1, 'door', 'noscript loading stale fast allow_busy'),
  spec('multi', 0, 1, 'door', 'noscript loading stale fast allow_busy'),
  spec('unwatch', 0, 1, 'door', 'noscript loading stale fast allow_busy'),
  spec('watch', 0, -2, 'slot', 'noscript loading stale fast allow_busy', keys(1, -1, 1, 'RO')),
  // Connections
  spec('auth', 0, -2, 'door', 'noscript loading stale fast no_auth allow_busy'),
  spec('client', 0, -2, 'door', '', NO_KEYS, [
    spec('client|getname', 0, 2, 'door', 'noscript loading stale'),
    spec('client|getredir', 0, 2, 'door', 'noscript loading stale'),
    spec('client|help', 0, 2, 'door', 'loading stale'),
    spec('client|id', 0, 2, 'door', 'noscript loading stale'),
    spec('client|info', 0, 2, 'door', 'noscript loading stale'),
    spec('client|kill', 0, -3, 'door', 'admin noscript loading stale'),
    spec('client|list', 0, -2, 'door', 'admin noscript loading stale'),
    spec('client|no-evict', 0, 3, 'door', 'admin noscript loading stale'),
    spec('client|no-touch', 0, 3, 'door', 'noscript loading stale'),
    spec('client|pause', 0, -3, 'door', 'admin noscript loading stale'),
    spec('client|reply', 0, 3, 'door', 'noscript loading stale'),
    spec('client|setinfo', 0, 4, 'door', 'noscript loading stale'),
    spec('client|setname', 0, 3, 'door', 'noscript loading stale'),
    spec('client|tracking', 0, -3, 'door', 'noscript loading stale'),
    spec('client|trackinginfo', 0, 2, 'door', 'noscript loading stale'),
    spec('client|unblock', 0, -3, 'door', 'admin noscript loading stale'),
    spec('client|unpause', 0, 2, 'door', 'admin noscript loading stale'),
  ]),
  spec('echo', 0, 2, 'door', 'loading stale fast'),
  spec('hello', 0, -1, 'door', 'noscript loading stale fast no_auth allow_busy'),
  spec('ping', 0, -1, 'door', 'fast'),
  spec('quit', 0, -1, 'door', 'noscript loading stale fast no_auth allow_busy'),
  spec('reset', 0, 1, 'door', 'noscript loading stale fast no_auth allow_busy'),
  spec('select', 0, 2, 'door', 'loading stale fast'),
  // Publish and subscribe
  spec('psubscribe', 0, -2, 'door', 'pubsub noscript loading stale'),
  spec('publish', 0, 3, 'door', 'pubsub loading stale fast'),
  spec('pubsub', 0, -2, 'door', '', NO_KEYS, [
    spec('pubsub|channels', 0, -2, 'door', 'pubsub loading stale'),
    spec('pubsub|help', 0, 2, 'door', 'loading stale'),
    spec('pubsub|numpat', 0, 2, 'door', 'pubsub loading stale'),
    spec('pubsub|numsub', 0, -2, 'door', 'pubsub loading stale'),
    spec('pubsub|shardchannels', 0, -2, 'door', 'pubsub loading stale'),
    spec('pubsub|shardnumsub', 0, -2, 'door', 'pubsub loading stale'),
  ]),
  spec('punsubscribe', 0, -1, 'door', 'pubsub noscript loading stale'),
  /** Shard channels have a slot, as keys do, and are no keys. */
  spec('spublish', 0, 3, 'door', 'pubsub loading stale fast', keys(1, 1, 1, 'not_key')),
  spec('ssubscribe', 0, -2, 'door', 'pubsub noscript loading stale', keys(1, -1, 1, 'not_key')),
  spec('subscribe', 0, -2, 'door', 'pubsub noscript loading stale'),
  spec('sunsubscribe', 0, -1, 'door', 'pubsub noscript loading stale', keys(1, -1, 1, 'not_key')),
  spec('unsubscribe', 0, -1, 'door', 'pubsub noscript loading stale'),
  // Redis Cluster
  spec('cluster', 0, -2, 'door', '', NO_KEYS, [
    spec('cluster|addslots', 0, -3, 'door', 'admin stale no_async_loading'),
    spec('cluster|addslotsrange', 0, -4, 'door', 'admin stale no_async_loading'),
    spec('cluster|bumpepoch', 0, 2, 'door', 'admin stale no_async_loading'),
    spec('cluster|count-failure-reports', 0, 3, 'door', 'admin stale'),
    spec('cluster|countkeysinslot', 0, 3, 'door', 'stale'),
    spec('cluster|delslots', 0, -3, 'door', 'admin stale no_async_loading'),
    spec('cluster|delslotsrange', 0, -4, 'door', 'admin stale no_async_loading'),
    spec('cluster|failover', 0, -2, 'door', 'admin stale no_async_loading'),
    spec('cluster|flushslots', 0, 2, 'door', 'admin stale no_async_loading'),
    spec('cluster|forget', 0, 3, 'door', 'admin stale no_async_loading'),
    spec('cluster|getkeysinslot', 0, 4, 'door', 'stale'),
    spec('cluster|help', 0, 2, 'door', 'loading stale'),
    spec('cluster|info', 0, 2, 'door', 'stale'),
    spec('cluster|keyslot', 0, 3, 'door', 'stale'),
    spec('cluster|links', 0, 2, 'door', 'stale'),
    spec('cluster|meet', 0, -4, 'door', 'admin stale no_async_loading'),
    spec('cluster|myid', 0, 2, 'door', 'stale'),
    spec('cluster|nodes', 0, 2, 'door', 'stale'),
    spec('cluster|replicas', 0, 3, 'door', 'admin stale'),
    spec('cluster|replicate', 0, 3, 'door', 'admin stale no_async_loading'),
    spec('cluster|reset', 0, -2, 'door', 'admin noscript stale'),
    spec('cluster|saveconfig', 0, 2, 'door', 'admin stale no_async_loading'),
    spec('cluster|set-config-epoch', 0, 3, 'door', 'admin stale no_async_loading'),
    spec('cluster|setslot', 0, -4, 'door', 'admin stale no_async_loading'),
    spec('cluster|shards', 0, 2, 'door', 'stale'),
    spec('cluster|slaves', 0, 3, 'door', 'admin stale'),
    spec('cluster|slots', 0, 2, 'door', 'stale'),
  ]),
  spec('readonly', 0, 1, 'door', 'loading stale fast'),
  spec('readwrite', 0, 1, 'door', 'loading stale fast'),
  // The server
  /** Part of FLUSHALL on one slot: arguments none; the payload's slot says which. */
  spec('flushall', 20, -1, 'fanout', 'write'),
  /** Part of DBSIZE on one slot: arguments none; the request's slot says which. */
  spec('dbsize', 21, 1, 'fanout', 'readonly fast'),
  spec('command', 0, -1, 'door', 'loading stale', NO_KEYS, [
    spec('command|count', 0, 2, 'door', 'loading stale'),
    spec('command|docs', 0, -2, 'door', 'loading stale'),
    spec('command|getkeys', 0, -4, 'door', 'loading stale'),
    spec('command|getkeysandflags', 0, -4, 'door', 'loading stale'),
    spec('command|help', 0, 2, 'door', 'loading stale'),
    spec('command|info', 0, -2, 'door', 'loading stale'),
    spec('command|list', 0, -2, 'door', 'loading stale'),
  ]),
  spec('config', 0, -2, 'door', '', NO_KEYS, [
    spec('config|get', 0, -3, 'door', 'admin noscript loading stale'),
    spec('config|help', 0, 2, 'door', 'loading stale'),
    spec('config|resetstat', 0, 2, 'door', 'admin noscript loading stale'),
    spec('config|rewrite', 0, 2, 'door', 'admin noscript loading stale'),
    spec('config|set', 0, -4, 'door', 'admin noscript loading stale'),
  ]),
  spec('flushdb', 0, -1, 'fanout', 'write'),
  spec('info', 0, -1, 'door', 'loading stale'),
  spec('latency', 0, -2, 'door', '', NO_KEYS, [
    spec('latency|doctor', 0, 2, 'door', 'admin noscript loading stale'),
    spec('latency|graph', 0, 3, 'door', 'admin noscript loading stale'),
    spec('latency|help', 0, 2, 'door', 'loading stale'),
    spec('latency|histogram', 0, -2, 'door', 'admin noscript loading stale'),
    spec('latency|history', 0, 3, 'door', 'admin noscript loading stale'),
    spec('latency|latest', 0, 2, 'door', 'admin noscript loading stale'),
    spec('latency|reset', 0, -2, 'door', 'admin noscript loading stale'),
  ]),
  spec('memory', 0, -2, 'door', '', NO_KEYS, [
    spec('memory|doctor', 0, 2, 'door', ''),
    spec('memory|help', 0, 2, 'door', 'loading stale'),
    spec('memory|malloc-stats', 0, 2, 'door', ''),
    spec('memory|purge', 0, 2, 'door', ''),
    spec('memory|stats', 0, 2, 'door', ''),
    spec('memory|usage', 57, -3, 'slot', 'readonly', keys(2, 2, 1, 'RO')),
  ]),
  spec('slowlog', 0, -2, 'door', '', NO_KEYS, [
    spec('slowlog|get', 0, -2, 'door', 'admin loading stale'),
    spec('slowlog|help', 0, 2, 'door', 'loading stale'),
    spec('slowlog|len', 0, 2, 'door', 'admin loading stale'),
    spec('slowlog|reset', 0, 2, 'door', 'admin loading stale'),
  ]),
  spec('time', 0, 1, 'door', 'loading stale fast'),
  // Functions
  spec('function', 0, -2, 'door', '', NO_KEYS, [
    spec('function|flush', 0, -2, 'door', 'write noscript'),
    spec('function|help', 0, 2, 'door', 'loading stale'),
    spec('function|list', 0, -2, 'door', 'noscript'),
  ]),
  // Quorate's own
  /** Its keys are its command's; where they stand depends on that. */
  spec('kv.call', 0, -7, 'door', 'fast'),
  spec('kv.cas', 19, 4, 'slot', 'write denyoom fast', keys(1, 1, 1, 'RW access update')),
  spec('kv.master', 0, -2, 'door', 'admin loading stale'),
  spec('kv.read', 0, 2, 'door', 'fast'),
  spec('kv.session', 0, 1, 'door', 'fast'),
  spec('kv.status', 0, 1, 'door', 'loading stale fast'),
  spec('kv.table', 0, 1, 'door', 'loading stale'),
]

/** Queries that have an opcode but no word of their own: the door sends them. Reply: [generation, index] as two integers. */
export const OPCODE_KEY_VERSION = 1000
/** Housekeeping: (key, modification index as decimal text)*: removes each key that still has that index and has expired by logTime. */
export const OPCODE_PURGE_EXPIRED = 1001
/** Housekeeping: generation and key count as decimal text: removes up to that many keys of a dead generation of the payload's slot. */
export const OPCODE_DROP_GENERATION = 1002

/** Reads the keys of several slots in their order; see kv/commands/scan.ts. */
export const OPCODE_SCAN = 1003

/** Subcommands too, as `client|id`. */
export const COMMANDS_BY_NAME: ReadonlyMap<string, CommandSpec> = new Map(
  COMMAND_SPECS.flatMap((entry) => [entry, ...entry.subcommands]).map((entry) => [entry.name, entry]),
)

export const COMMANDS_BY_OPCODE: ReadonlyMap<number, CommandSpec> = new Map(
  [...COMMANDS_BY_NAME.values()].filter((entry) => entry.opcode !== 0).map((entry) => [entry.opcode, entry]),
)
