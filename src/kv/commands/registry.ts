/**
 * Opcode to handler. What holds for all commands is checked here once, by the command table: the number of arguments and
 * the keys. EXEC is not here, because it runs others: see exec.ts; nor is housekeeping, which no client sends.
 */
import { assert, present } from '../../base/assert.ts'
import type { SlotId } from '../../base/brand.ts'
import { slotOf } from '../../base/slot.ts'
import { COMMANDS_BY_OPCODE, type CommandSpec, OPCODE_KEY_VERSION, OPCODE_SCAN } from '../../protocol/command-table.ts'
import { DEFAULT_KV_LIMITS, type KvLimits } from '../kv-options.ts'
import { BITFIELD, BITFIELD_RO } from './bitfield.ts'
import { BITOP } from './bitop.ts'
import { BITCOUNT, BITPOS, GETBIT, SETBIT } from './bits.ts'
import { KV_CAS } from './compare-and-set.ts'
import { DECR, DECRBY, INCR, INCRBY, INCRBYFLOAT } from './counters.ts'
import { DUMP, RESTORE } from './dump.ts'
import { EXPIRE, EXPIREAT, EXPIRETIME, PERSIST, PEXPIRE, PEXPIREAT, PEXPIRETIME, PTTL, TTL } from './expire.ts'
import { GETDEL, GETEX, GETSET, PSETEX, SETEX, SETNX } from './get-and-change.ts'
import { type CommandHandler, keyTooLarge, wrongArgumentCount } from './handler.ts'
import { KEY_VERSION } from './key-version.ts'
import { LCS } from './lcs.ts'
import { DEL, EXISTS, MGET, MSET, MSETNX, TYPE } from './many-keys.ts'
import { MEMORY_USAGE, OBJECT_ENCODING, OBJECT_FREQ, OBJECT_IDLETIME, OBJECT_REFCOUNT } from './object.ts'
import { GETRANGE, SETRANGE } from './ranges.ts'
import { COPY, RENAME, RENAMENX } from './rename-and-copy.ts'
import { SCAN_SLOTS } from './scan.ts'
import { APPEND, GET, SET, STRLEN } from './set.ts'
import { DBSIZE, FLUSHALL } from './whole-slot.ts'

export interface RegisteredCommand {
  readonly name: string
  readonly handler: CommandHandler
  /** Number of arguments, the name not counted. */
  readonly minArgs: number
  readonly maxArgs: number
  /** Which arguments are keys: every `keyStep`th from `firstKey` on, up to `lastKey`; a keyStep of 0: none. */
  readonly firstKey: number
  readonly keyStep: number
  readonly lastKey: number
  readonly readsOnly: boolean
}

const HANDLERS: Readonly<Record<string, CommandHandler>> = {
  get: GET,
  set: SET,
  del: DEL,
  exists: EXISTS,
  incr: INCR,
  decr: DECR,
  incrby: INCRBY,
  decrby: DECRBY,
  append: APPEND,
  strlen: STRLEN,
  mget: MGET,
  mset: MSET,
  expire: EXPIRE,
  pexpire: PEXPIRE,
  ttl: TTL,
  pttl: PTTL,
  persist: PERSIST,
  getset: GETSET,
  getdel: GETDEL,
  getex: GETEX,
  setnx: SETNX,
  setex: SETEX,
  psetex: PSETEX,
  getrange: GETRANGE,
  substr: GETRANGE,
  setrange: SETRANGE,
  expireat: EXPIREAT,
  pexpireat: PEXPIREAT,
  expiretime: EXPIRETIME,
  pexpiretime: PEXPIRETIME,
  type: TYPE,
  touch: EXISTS,
  unlink: DEL,
  msetnx: MSETNX,
  setbit: SETBIT,
  getbit: GETBIT,
  bitcount: BITCOUNT,
  bitpos: BITPOS,
  incrbyfloat: INCRBYFLOAT,
  rename: RENAME,
  renamenx: RENAMENX,
  copy: COPY,
  bitop: BITOP,
  bitfield: BITFIELD,
  bitfield_ro: BITFIELD_RO,
  lcs: LCS,
  dump: DUMP,
  restore: RESTORE,
  'object|encoding': OBJECT_ENCODING,
  'object|idletime': OBJECT_IDLETIME,
  'object|freq': OBJECT_FREQ,
  'object|refcount': OBJECT_REFCOUNT,
  'memory|usage': MEMORY_USAGE,
  'kv.cas': KV_CAS,
  flushall: FLUSHALL,
  dbsize: DBSIZE,
}

const REGISTRY: (RegisteredCommand | undefined)[] = makeRegistry()

function makeRegistry(): (RegisteredCommand | undefined)[] {
  const registry: (RegisteredCommand | undefined)[] = []
  for (const [opcode, spec] of COMMANDS_BY_OPCODE) {
    if (spec.name !== 'exec') registry[opcode] = registered(spec)
  }
  registry[OPCODE_KEY_VERSION] = {
    name: 'kv.version',
    handler: KEY_VERSION,
    minArgs: 1,
    maxArgs: 1,
    firstKey: 0,
    keyStep: 1,
    lastKey: 0,
    readsOnly: true,
  }
  registry[OPCODE_SCAN] = {
    name: 'kv.scan',
    handler: SCAN_SLOTS,
    minArgs: 2,
    maxArgs: 4,
    firstKey: 0,
    keyStep: 0,
    lastKey: 0,
    readsOnly: true,
  }
  return registry
}

function registered(spec: CommandSpec): RegisteredCommand {
  assert(spec.lastKey >= spec.firstKey || spec.lastKey === -1, `${spec.name}: odd key positions`)
  return {
    name: spec.name,
    handler: present(HANDLERS[spec.name], `no handler for ${spec.name}`),
    minArgs: Math.abs(spec.arity) - 1,
    maxArgs: spec.arity > 0 ? spec.arity - 1 : Number.MAX_SAFE_INTEGER,
    firstKey: spec.firstKey - 1,
    keyStep: spec.keyStep,
    lastKey: spec.lastKey === -1 ? Number.MAX_SAFE_INTEGER : spec.lastKey - 1,
    readsOnly: spec.flags.includes('readonly'),
  }
}

export function commandOf(opcode: number): RegisteredCommand | null {
  return REGISTRY[opcode] ?? null
}

/**
 * What is wrong with a command whatever the state is: a RESP error's text without '-' and CRLF; null: nothing. Doors answer
 * such errors without logging the command; apply asks again with the group's own limits.
 */
export function checkSyntax(
  opcode: number,
  args: readonly Uint8Array[],
  limits: KvLimits = DEFAULT_KV_LIMITS,
): string | null {
  const command = commandOf(opcode)
  return command === null ? unknownOpcode(opcode) : checkCommand(command, args, limits)
}

export function unknownOpcode(opcode: number): string {
  return `ERR command number ${opcode} cannot run here`
}

export function checkCommand(command: RegisteredCommand, args: readonly Uint8Array[], limits: KvLimits): string | null {
  if (args.length < command.minArgs || args.length > command.maxArgs) return wrongArgumentCount(command.name)
  if (command.keyStep > 0) {
    const last = Math.min(args.length - 1, command.lastKey)
    for (let i = command.firstKey; i <= last; i += command.keyStep) {
      if (args[i].length > limits.maxKeyBytes) return keyTooLarge(args[i].length, limits)
    }
  }
  return command.handler.checkSyntax(args, limits)
}

/** The first key that lies in another slot; null: none does. */
export function strayKey(
  command: RegisteredCommand,
  args: readonly Uint8Array[],
  slot: SlotId,
  slotCount: number,
): Uint8Array | null {
  if (command.keyStep === 0) return null
  const last = Math.min(args.length - 1, command.lastKey)
  for (let i = command.firstKey; i <= last; i += command.keyStep) {
    if (slotOf(args[i], slotCount) !== slot) return args[i]
  }
  return null
}
