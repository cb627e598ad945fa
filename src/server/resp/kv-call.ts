/**
 * What Quorate's own client speaks: KV.TABLE (where the slots are), KV.SESSION (a session of its own), KV.CALL (one command of one slot under both).
 *
 *   KV.CALL slotTableVersion session sequence lowestUnanswered retryUntilMs COMMAND [argument ...]
 *
 * A write carries the client's identity, so that it runs once however often and wherever it is sent. A read has nothing to carry: its sequence,
 * lowestUnanswered and retryUntilMs are 0, its session is 0 (the connection's read level, KV.READ) or the level as a word. Version 0 asks
 * for no check of the slot table. What a transaction would add MULTI has already: KV.CALL stands in none, and runs none.
 */
import { asSlotId, type SlotId } from '../../base/brand.ts'
import { latin1Text } from '../../base/bytes.ts'
import type { ClusterView } from '../../ports/cluster-view.ts'
import type { ReadLevel } from '../../ports/request-router.ts'
import {
  CLIENT_SESSION_FROM,
  CLIENT_SESSION_LASTS_MS,
  MAX_RETRY_AHEAD_MS,
  type WriteIdentity,
} from '../../protocol/client-session.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { arrayReply, bulkText, errorReply, integerReply } from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand, DoorReply } from './door.ts'
import * as errors from './errors.ts'
import { GATE_OUT_OF_MEMORY, GATE_PAUSED } from './gates.ts'
import { commonSlot, refusalOf, SEVERAL_SLOTS } from './single-slot.ts'
import { wordLower, wordView } from './words.ts'

/** KV.CALL and its five fields come before the command. */
const COMMAND_AT = 6
const FIELDS = ['', 'slotTableVersion', 'session', 'sequence', 'lowestUnanswered', 'retryUntilMs'] as const
const MAX_DIGITS = 16

export const READ_LEVELS: ReadonlyMap<string, ReadLevel> = new Map([
  ['linearizable', 'linearizable'],
  ['lease', 'lease'],
  ['stale', 'stale'],
])

const NO_VIEW = errorReply('ERR this node has no slot table to give: it serves no cluster')
const TOO_MANY_SESSIONS = errorReply(
  'BUSY this node has lent as many sessions as it may: ask another node, or again later',
)
const READ_WITH_IDENTITY = errorReply(
  'ERR KV.CALL: a read takes sequence 0, lowestUnanswered 0 and retryUntilMs 0: only writes are counted',
)

/** What is wrong, or the number. */
function numberAt(words: RequestWords, index: number): number | Uint8Array {
  const view = wordView(words, index)
  let value = 0
  let isNumber = view.length > 0 && view.length <= MAX_DIGITS
  for (let i = 0; i < view.length && isNumber; i++) {
    const digit = view[i] - 0x30
    isNumber = digit >= 0 && digit <= 9
    value = value * 10 + digit
  }
  if (isNumber && Number.isSafeInteger(value)) return value
  const shown = latin1Text(view).slice(0, 128)
  return errorReply(
    `ERR KV.CALL: ${FIELDS[index]} '${shown}' is not an integer from 0 to ${Number.MAX_SAFE_INTEGER}; the order is ${FIELDS.slice(1).join(' ')} COMMAND`,
  )
}

export function runKvCall(door: Door, connection: RespConnection): boolean {
  const { words } = connection
  const version = numberAt(words, 1)
  if (typeof version !== 'number') return refuse(connection, version)
  const inner = innerWords(words)
  const found = innerCommand(door, inner)
  if (found instanceof Uint8Array) return refuse(connection, found)
  const gate = gateOf(door, connection, found)
  if (gate === 'wait') return false
  if (gate !== null) return refuse(connection, gate)
  const refusal = refusalOf(door, found, inner)
  if (refusal !== null) return refuse(connection, refusal)
  const slot = commonSlot(found, inner, door.router.slotCount)
  if (slot === SEVERAL_SLOTS) return refuse(connection, errors.CROSS_SLOT)
  const identity = found.write ? identityOf(door, words) : null
  if (identity instanceof Uint8Array) return refuse(connection, identity)
  const level = found.write ? connection.client.readLevel : levelOf(connection, words)
  if (level instanceof Uint8Array) return refuse(connection, level)
  const { view } = door.options
  if (version > 0 && view !== null && view.changedAt(asSlotId(slot)) > version) {
    return refuse(connection, staleReply(view, asSlotId(slot)))
  }
  // Counted and timed as what it carries.
  connection.dispatching = found
  const request = connection.open()
  request.slot = asSlotId(slot)
  request.write = found.write
  request.identity = identity
  request.level = level
  request.command = door.builder.build(found.spec.opcode, inner, 1)
  connection.submit(request)
  return true
}

function refuse(connection: RespConnection, reply: Uint8Array): true {
  connection.answer(reply)
  return true
}

function innerWords(words: RequestWords): RequestWords {
  return {
    args: words.args,
    offsets: words.offsets.subarray(2 * COMMAND_AT),
    wordCount: words.wordCount - COMMAND_AT,
  }
}

function innerCommand(door: Door, words: RequestWords): DoorCommand | Uint8Array {
  const found = door.findCommand(words.args, words.offsets[0], words.offsets[1])
  if (found === null) return errorReply(`ERR ${errors.unknownCommand(words)}`)
  let command = found
  if (found.subcommands !== null && words.wordCount > 1) {
    const inner = found.subcommands.get(wordLower(words, 1))
    if (inner === undefined) return errorReply(`ERR ${errors.unknownSubcommand(words)}`)
    command = inner
  }
  const { arity, spec } = command
  if (arity > 0 ? arity !== words.wordCount : words.wordCount < -arity) {
    return errorReply(`ERR ${errors.wrongArity(command.fullName)}`)
  }
  // FLUSHALL, SCAN, EXEC have no key to say which slot; WATCH has, and is nothing that a group runs.
  if (spec.firstKey === 0 || spec.opcode === 0) {
    return errorReply(`ERR KV.CALL takes commands on keys of one slot; send '${command.fullName}' by itself`)
  }
  return command
}

/** The gates know KV.CALL as something that writes nothing: here they see what it carries. */
function gateOf(door: Door, connection: RespConnection, command: DoorCommand): Uint8Array | 'wait' | null {
  if (!door.gates.armed) return null
  const gate = door.gates.check(connection, command)
  if (gate === GATE_PAUSED) {
    connection.waitForPause()
    return 'wait'
  }
  return gate === GATE_OUT_OF_MEMORY ? errorReply(`OOM ${errors.OUT_OF_MEMORY}`) : null
}

function staleReply(view: ClusterView, slot: SlotId): Uint8Array {
  // Never below what the slot is said to need: the client asks for the table until it has this version.
  const version = Math.max(view.tableVersion, view.changedAt(slot))
  return errorReply(`STALESLOTTABLE ${version} slot ${slot} has changed since: get the table with KV.TABLE`)
}

function identityOf(door: Door, words: RequestWords): WriteIdentity | Uint8Array {
  const numbers: number[] = []
  for (let index = 2; index < COMMAND_AT; index++) {
    const number = numberAt(words, index)
    if (typeof number !== 'number') return number
    numbers.push(number)
  }
  const [session, sequence, lowestUnanswered, retryUntilMs] = numbers
  if (session < CLIENT_SESSION_FROM) {
    return errorReply(`ERR KV.CALL: session ${session} is no client's: a write needs one from KV.SESSION`)
  }
  if (sequence === 0) return errorReply('ERR KV.CALL: sequence 0: the writes of a session in a slot count from 1')
  if (lowestUnanswered === 0 || lowestUnanswered > sequence) {
    return errorReply(
      `ERR KV.CALL: lowestUnanswered ${lowestUnanswered} is not from 1 to sequence ${sequence}, which is unanswered itself`,
    )
  }
  const aheadMs = retryUntilMs - door.clock.wallMs()
  if (aheadMs > MAX_RETRY_AHEAD_MS) {
    return errorReply(
      `ERR KV.CALL: retryUntilMs ${retryUntilMs} lies ${aheadMs} ms ahead of this node's clock, the limit is ${MAX_RETRY_AHEAD_MS}: KV.SESSION tells the time`,
    )
  }
  return { session, sequence, lowestUnanswered, retryUntilMs }
}

function levelOf(connection: RespConnection, words: RequestWords): ReadLevel | Uint8Array {
  for (let index = 3; index < COMMAND_AT; index++) {
    const number = numberAt(words, index)
    if (typeof number !== 'number') return number
    if (number !== 0) return READ_WITH_IDENTITY
  }
  const word = wordLower(words, 2)
  const level = word === '0' ? connection.client.readLevel : READ_LEVELS.get(word)
  if (level !== undefined) return level
  const shown = latin1Text(wordView(words, 2)).slice(0, 128)
  return errorReply(
    `ERR KV.CALL: session '${shown}' of a read: 0 (the connection's level), linearizable, lease or stale`,
  )
}

/** [session, for how many ms it may be used, the node's wall clock in ms]. */
export const sessionReply: DoorReply = (door) => {
  const session = door.router.lendSession()
  if (session === null) return TOO_MANY_SESSIONS
  return arrayReply([
    integerReply(session),
    integerReply(CLIENT_SESSION_LASTS_MS),
    integerReply(Math.floor(door.clock.wallMs())),
  ])
}

/** The cluster as this node knows it, as one line of JSON. */
export const tableReply: DoorReply = (door) => {
  const { view } = door.options
  if (view === null) return NO_VIEW
  return bulkText(
    JSON.stringify({
      version: view.tableVersion,
      slotCount: view.slotCount,
      ranges: rangesOf(view),
      groups: view.groups().map(({ group, members }) => ({ id: group, leader: view.leaderOf(group), members })),
      nodes: view.nodes().map(({ nodeId, resp }) => ({ id: nodeId, resp })),
    }),
  )
}

/** [first slot, last slot, group], rising. */
function rangesOf(view: ClusterView): [number, number, number][] {
  const ranges: [number, number, number][] = []
  let last: [number, number, number] | undefined
  for (let slot = 0; slot < view.slotCount; slot++) {
    const group = view.groupOf(asSlotId(slot))
    if (last !== undefined && last[2] === group) last[1] = slot
    else {
      last = [slot, slot, group]
      ranges.push(last)
    }
  }
  return ranges
}
