/**
 * The one table of commands: parsing, arity, key extraction, COMMAND and the docs read it. Opcodes stand in the log:
 * they never change and are never used again.
 */

/**
 * Where a command runs: `door` at the node that holds the connection; `slot` on the group of its key (all keys in one slot,
 * else -CROSSSLOT); `fanout` by slot over several groups, the replies joined by the door.
 */
export type CommandScope = 'door' | 'slot' | 'fanout'

export type CommandFlag =
  | 'write'
  | 'readonly'
  | 'fast'
  | 'denyoom'
  | 'noscript'
  | 'loading'
  | 'stale'
  | 'no_auth'
  | 'admin'

export interface CommandSpec {
  /** Lower case, as COMMAND prints it. */
  readonly name: string
  /** 0: never logged nor passed on. */
  readonly opcode: number
  /** Redis's: the exact number of words, the name included; negative: at least. */
  readonly arity: number
  readonly flags: readonly CommandFlag[]
  /** 0: no keys. Positions in the words, the name being 0; a negative last key counts from the end. */
  readonly firstKey: number
  readonly lastKey: number
  readonly keyStep: number
  readonly scope: CommandScope
}

function spec(
  name: string,
  opcode: number,
  arity: number,
  scope: CommandScope,
  flags: readonly CommandFlag[],
  firstKey = 0,
  lastKey = 0,
  keyStep = 0,
): CommandSpec {
  return { name, opcode, arity, flags, firstKey, lastKey, keyStep, scope }
}

export const COMMAND_SPECS: readonly CommandSpec[] = [
  spec('get', 1, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('set', 2, -3, 'slot', ['write', 'denyoom'], 1, 1, 1),
  spec('del', 3, -2, 'fanout', ['write'], 1, -1, 1),
  spec('exists', 4, -2, 'fanout', ['readonly', 'fast'], 1, -1, 1),
  spec('incr', 5, 2, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('decr', 6, 2, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('incrby', 7, 3, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('decrby', 8, 3, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('append', 9, 3, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('strlen', 10, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('mget', 11, -2, 'fanout', ['readonly', 'fast'], 1, -1, 1),
  spec('mset', 12, -3, 'fanout', ['write', 'denyoom'], 1, -1, 2),
  spec('expire', 13, -3, 'slot', ['write', 'fast'], 1, 1, 1),
  spec('pexpire', 14, -3, 'slot', ['write', 'fast'], 1, 1, 1),
  spec('ttl', 15, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('pttl', 16, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('persist', 17, 2, 'slot', ['write', 'fast'], 1, 1, 1),
  /** As logged: one entry for the whole transaction; see command.ts for its arguments. */
  spec('exec', 18, 1, 'slot', ['noscript', 'loading', 'stale']),
  spec('kv.cas', 19, 4, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  /** Part of FLUSHALL on one slot: arguments none; the payload's slot says which. */
  spec('flushall', 20, -1, 'fanout', ['write']),
  /** Part of DBSIZE on one slot: arguments none; the request's slot says which. */
  spec('dbsize', 21, 1, 'fanout', ['readonly', 'fast']),
  spec('getset', 22, 3, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('getdel', 23, 2, 'slot', ['write', 'fast'], 1, 1, 1),
  spec('getex', 24, -2, 'slot', ['write', 'fast'], 1, 1, 1),
  spec('setnx', 25, 3, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),
  spec('setex', 26, 4, 'slot', ['write', 'denyoom'], 1, 1, 1),
  spec('psetex', 27, 4, 'slot', ['write', 'denyoom'], 1, 1, 1),
  spec('getrange', 28, 4, 'slot', ['readonly'], 1, 1, 1),
  spec('substr', 29, 4, 'slot', ['readonly'], 1, 1, 1),
  spec('setrange', 30, 4, 'slot', ['write', 'denyoom'], 1, 1, 1),
  spec('expireat', 31, -3, 'slot', ['write', 'fast'], 1, 1, 1),
  spec('pexpireat', 32, -3, 'slot', ['write', 'fast'], 1, 1, 1),
  spec('expiretime', 33, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('pexpiretime', 34, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('type', 35, 2, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('touch', 36, -2, 'fanout', ['readonly', 'fast'], 1, -1, 1),
  spec('unlink', 37, -2, 'fanout', ['write', 'fast'], 1, -1, 1),
  /** All keys in one slot: it sets all of them or none. */
  spec('msetnx', 38, -3, 'slot', ['write', 'denyoom'], 1, -1, 2),
  spec('setbit', 39, 4, 'slot', ['write', 'denyoom'], 1, 1, 1),
  spec('getbit', 40, 3, 'slot', ['readonly', 'fast'], 1, 1, 1),
  spec('bitcount', 41, -2, 'slot', ['readonly'], 1, 1, 1),
  spec('bitpos', 42, -3, 'slot', ['readonly'], 1, 1, 1),
  spec('incrbyfloat', 43, 3, 'slot', ['write', 'denyoom', 'fast'], 1, 1, 1),

  spec('multi', 0, 1, 'door', ['noscript', 'loading', 'stale', 'fast']),
  spec('discard', 0, 1, 'door', ['noscript', 'loading', 'stale', 'fast']),
  spec('watch', 0, -2, 'slot', ['noscript', 'loading', 'stale', 'fast'], 1, -1, 1),
  spec('unwatch', 0, 1, 'door', ['noscript', 'loading', 'stale', 'fast']),
  spec('ping', 0, -1, 'door', ['fast']),
  spec('echo', 0, 2, 'door', ['loading', 'stale', 'fast']),
  spec('quit', 0, -1, 'door', ['noscript', 'loading', 'stale', 'fast', 'no_auth']),
  spec('hello', 0, -1, 'door', ['noscript', 'loading', 'stale', 'fast', 'no_auth']),
  spec('client', 0, -2, 'door', []),
  spec('command', 0, -1, 'door', ['loading', 'stale']),
  spec('config', 0, -2, 'door', []),
  spec('info', 0, -1, 'door', ['loading', 'stale']),
  spec('select', 0, 2, 'door', ['loading', 'stale', 'fast']),
  spec('kv.read', 0, 2, 'door', ['fast']),
  /** One JSON bulk: this node, its groups, their leaders. */
  spec('kv.status', 0, 1, 'door', ['loading', 'stale', 'fast']),
]

/** Queries that have an opcode but no word of their own: the door sends them. Reply: [generation, index] as two integers. */
export const OPCODE_KEY_VERSION = 1000
/** Housekeeping: (key, modification index as decimal text)*: removes each key that still has that index and has expired by logTime. */
export const OPCODE_PURGE_EXPIRED = 1001
/** Housekeeping: generation and key count as decimal text: removes up to that many keys of a dead generation of the payload's slot. */
export const OPCODE_DROP_GENERATION = 1002

export const COMMANDS_BY_NAME: ReadonlyMap<string, CommandSpec> = new Map(
  COMMAND_SPECS.map((entry) => [entry.name, entry]),
)

export const COMMANDS_BY_OPCODE: ReadonlyMap<number, CommandSpec> = new Map(
  COMMAND_SPECS.filter((entry) => entry.opcode !== 0).map((entry) => [entry.opcode, entry]),
)
