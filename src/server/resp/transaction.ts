/**
 * MULTI, EXEC, DISCARD, WATCH, UNWATCH of one connection.
 *
 * Queued commands are checked for name and arity only, as in Redis: what else is wrong with them surfaces inside EXEC. All keys, watched ones too, lie
 * in one slot, and EXEC is one write there: one log entry that carries the watched versions and aborts where one differs. What the
 * door answers itself (PING, ECHO, CLIENT ...) is answered after the entry has run, and put in its place among the replies.
 *
 * WATCH reads the keys' versions linearizably, like any read of its slot in its turn. A WATCH that fails (no leader) leaves
 * the connection as if a watched key had changed: Redis's WATCH cannot fail, so clients may not look at its answer, and
 * running their EXEC unguarded would be worse than aborting it.
 */
import { assert, present } from '../../base/assert.ts'
import { asLogIndex, asSlotId } from '../../base/brand.ts'
import { equalBytes } from '../../base/bytes.ts'
import { encodeCommand, encodeWatches, type WatchedVersion } from '../../protocol/command.ts'
import { COMMANDS_BY_NAME, OPCODE_KEY_VERSION } from '../../protocol/command-table.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { arrayElements, arrayReply, errorReply, integerOf, OK_REPLY, QUEUED_REPLY } from '../../protocol/resp-reply.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand, DoorReply } from './door.ts'
import * as errors from './errors.ts'
import { joinedError } from './fan-out.ts'
import type { ReplySink, Request } from './request.ts'
import { commonSlot, lengthRefusal, NO_SLOT, SEVERAL_SLOTS } from './single-slot.ts'
import { keepWords, wordCopy, wordView } from './words.ts'

const OPCODE_EXEC = present(COMMANDS_BY_NAME.get('exec'), 'no exec in the command table').opcode

/** For the group, or for the door. */
export type Queued =
  | { readonly kind: 'slot'; readonly door: DoorCommand; readonly command: Uint8Array }
  | { readonly kind: 'door'; readonly door: DoorCommand; readonly reply: DoorReply; readonly words: RequestWords }

export class Transaction {
  open = false
  /** Something could not be queued: EXEC will abort. */
  failed = false
  queue: Queued[] = []
  queuedBytes = 0
  /** Of the queued commands: NO_SLOT, a slot, or SEVERAL_SLOTS. */
  slot = NO_SLOT
  /** The same in Redis Cluster's finer slots; kept on the port that speaks it. */
  redisSlot = NO_SLOT
  hasDoorCommands = false
  /** Of what is queued: something writes; something may use more memory. */
  writes = false
  takesMemory = false

  watched: WatchedVersion[] = []
  /** Asked for since the last unwatch, each time counted. */
  watchedKeys = 0
  watchSlot = NO_SLOT
  /** WATCHes whose versions have not come yet. */
  watchesPending = 0
  watchFailed = false
  /** Tells the answers of a WATCH that was called off since. */
  watchEpoch = 0

  close(): void {
    this.open = false
    this.failed = false
    this.queue = []
    this.queuedBytes = 0
    this.slot = NO_SLOT
    this.redisSlot = NO_SLOT
    this.hasDoorCommands = false
    this.writes = false
    this.takesMemory = false
    this.unwatch()
  }

  unwatch(): void {
    this.watched = []
    this.watchedKeys = 0
    this.watchSlot = NO_SLOT
    this.watchesPending = 0
    this.watchFailed = false
    this.watchEpoch++
  }

  /** The one slot that EXEC goes to, NO_SLOT, or SEVERAL_SLOTS. */
  execSlot(): number {
    if (this.watchSlot === NO_SLOT || this.slot === this.watchSlot) return this.slot
    return this.slot === NO_SLOT ? this.watchSlot : SEVERAL_SLOTS
  }
}

export function runMulti(_door: Door, connection: RespConnection): boolean {
  const transaction = connection.transaction
  if (transaction.open) {
    connection.answer(errors.NESTED_MULTI)
    return true
  }
  transaction.open = true
  connection.answer(OK_REPLY)
  return true
}

export function runDiscard(_door: Door, connection: RespConnection): boolean {
  const open = connection.transaction.open
  if (open) connection.transaction.close()
  connection.answer(open ? OK_REPLY : errors.DISCARD_WITHOUT_MULTI)
  return true
}

/** A command inside MULTI that is not one of MULTI's own. */
export function queueCommand(door: Door, connection: RespConnection, command: DoorCommand): void {
  const transaction = connection.transaction
  const refusal = queue(door, transaction, connection.words, command)
  if (refusal !== null) {
    transaction.failed = true
    door.measures.rejected(command)
  }
  connection.answer(refusal ?? QUEUED_REPLY)
}

function queue(door: Door, transaction: Transaction, words: RequestWords, command: DoorCommand): Uint8Array | null {
  if (command.inMulti === 'refused') return errors.NOT_IN_MULTI
  const bytes = words.offsets[2 * words.wordCount - 1] - words.offsets[0] + QUEUED_OVERHEAD_BYTES
  if (transaction.queuedBytes + bytes > door.config.maxRequestBytes) return errors.TRANSACTION_TOO_LARGE
  if (command.inMulti === 'slot') {
    const tooLong = lengthRefusal(door, command, words)
    if (tooLong !== null) return tooLong
    const slot = commonSlot(command, words, door.router.slotCount)
    if (slot === SEVERAL_SLOTS) return errors.CROSS_SLOT
    if (transaction.slot === NO_SLOT) transaction.slot = slot
    else if (slot !== transaction.slot) transaction.slot = SEVERAL_SLOTS
    // A copy of its own: a transaction may stay open for long, and would pin a slab.
    transaction.queue.push({
      kind: 'slot',
      door: command,
      command: door.builder.build(command.spec.opcode, words, 1).slice(),
    })
  } else {
    const reply = present(command.reply, `${command.fullName} is queued for the door, which cannot answer it`)
    transaction.queue.push({ kind: 'door', door: command, reply, words: keepWords(words) })
    transaction.hasDoorCommands = true
  }
  transaction.queuedBytes += bytes
  transaction.writes ||= command.mayWrite
  transaction.takesMemory ||= command.denyOutOfMemory
  return null
}

/** What a queued command costs beside its words. */
const QUEUED_OVERHEAD_BYTES = 200
/** Each is a read of its own, and all go along with EXEC. */
const MAX_WATCHED_KEYS = 1024

export function runExec(door: Door, connection: RespConnection): boolean {
  const transaction = connection.transaction
  if (!transaction.open) {
    connection.answer(errors.EXEC_WITHOUT_MULTI)
    return true
  }
  // Watched versions may be on their way; and what the door answers may change the connection (HELLO): it stands alone.
  const alone = transaction.watchesPending > 0 || transaction.hasDoorCommands
  if (alone && connection.pendingCount > 0) return false
  const slot = transaction.execSlot()
  const { queue, watched, failed, watchFailed, hasDoorCommands } = transaction
  transaction.close()
  if (failed) connection.answer(errors.EXEC_ABORTED)
  else if (slot === SEVERAL_SLOTS) connection.answer(errors.CROSS_SLOT)
  else if (watchFailed) connection.answerNullArray()
  else if (slot === NO_SLOT) {
    const replies = doorReplies(door, connection, queue, null)
    const whole = connection.open()
    whole.queued = queue
    connection.settle(whole, replies)
  } else {
    const commands = queue.flatMap((queued) => (queued.kind === 'slot' ? [queued.command] : []))
    const command = encodeCommand(OPCODE_EXEC, [encodeWatches(watched), ...commands])
    const whole = connection.open()
    whole.nullIsArray = true
    whole.queued = queue
    if (hasDoorCommands) {
      connection.beginExclusive(whole)
      connection.submitPart(asSlotId(slot), true, command, new ExecJoiner(door, connection, whole, queue), 0)
    } else {
      whole.slot = asSlotId(slot)
      whole.write = true
      whole.command = command
      connection.submit(whole)
    }
  }
  return true
}

/** Puts the door's own replies among those of the entry. */
class ExecJoiner implements ReplySink {
  readonly #door: Door
  readonly #connection: RespConnection
  readonly #whole: Request
  readonly #queue: readonly Queued[]

  constructor(door: Door, connection: RespConnection, whole: Request, queue: readonly Queued[]) {
    this.#door = door
    this.#connection = connection
    this.#whole = whole
    this.#queue = queue
  }

  onReply(_part: number, reply: Uint8Array): void {
    const elements = arrayElements(reply)
    // Null (a watched key has changed) or an error: nothing has run, nor will anything here.
    const joined = elements === null ? reply : doorReplies(this.#door, this.#connection, this.#queue, elements)
    this.#connection.settle(this.#whole, joined)
  }
}

function doorReplies(
  door: Door,
  connection: RespConnection,
  queue: readonly Queued[],
  elements: readonly Uint8Array[] | null,
): Uint8Array {
  const replies: Uint8Array[] = []
  let next = 0
  for (const queued of queue) {
    if (queued.kind === 'door') replies.push(queued.reply(door, connection.client, queued.words))
    else replies.push(present(elements?.[next++], 'EXEC: fewer replies than commands'))
  }
  assert(elements === null || next === elements.length, 'EXEC: more replies than commands')
  return arrayReply(replies)
}

export function runWatch(door: Door, connection: RespConnection, command: DoorCommand): boolean {
  const { transaction, words } = connection
  const refusal = watchRefusal(door, connection, command)
  if (refusal !== null) {
    connection.answer(refusal)
    return true
  }
  const joiner = new WatchJoiner(connection, connection.openKeepingWords(), words)
  transaction.watchesPending++
  transaction.watchedKeys += words.wordCount - 1
  for (let i = 1; i < words.wordCount; i++) {
    const bytes = encodeCommand(OPCODE_KEY_VERSION, [wordView(words, i)])
    connection.submitPart(asSlotId(transaction.watchSlot), false, bytes, joiner, i - 1, 'linearizable')
  }
  return true
}

function watchRefusal(door: Door, connection: RespConnection, command: DoorCommand): Uint8Array | null {
  const { transaction, words } = connection
  if (transaction.open) return errors.WATCH_INSIDE_MULTI
  const tooLong = lengthRefusal(door, command, words)
  if (tooLong !== null) return tooLong
  const slot = commonSlot(command, words, door.router.slotCount)
  if (slot === SEVERAL_SLOTS) return errors.CROSS_SLOT
  if (transaction.watchSlot !== NO_SLOT && transaction.watchSlot !== slot) return errors.CROSS_SLOT
  if (transaction.watchedKeys + words.wordCount - 1 > MAX_WATCHED_KEYS) return errors.TOO_MANY_WATCHED
  transaction.watchSlot = slot
  return null
}

class WatchJoiner implements ReplySink {
  readonly #connection: RespConnection
  readonly #whole: Request
  readonly #keys: readonly Uint8Array[]
  readonly #replies: Uint8Array[]
  readonly #epoch: number
  #left: number

  constructor(connection: RespConnection, whole: Request, words: RequestWords) {
    this.#connection = connection
    this.#whole = whole
    this.#keys = Array.from({ length: words.wordCount - 1 }, (_, i) => wordCopy(words, i + 1))
    this.#replies = new Array<Uint8Array>(this.#keys.length)
    this.#epoch = connection.transaction.watchEpoch
    this.#left = this.#keys.length
  }

  onReply(part: number, reply: Uint8Array): void {
    this.#replies[part] = reply
    this.#left--
    if (this.#left > 0) return
    const transaction = this.#connection.transaction
    const error = joinedError(this.#replies)
    if (this.#epoch === transaction.watchEpoch) {
      transaction.watchesPending--
      if (error !== null) transaction.watchFailed = true
      else this.#remember(transaction)
    }
    this.#connection.settle(this.#whole, error ?? OK_REPLY)
  }

  #remember(transaction: Transaction): void {
    for (let i = 0; i < this.#keys.length; i++) {
      const key = this.#keys[i]
      // The first WATCH of a key counts: what changed since is a change.
      if (transaction.watched.some((watch) => equalBytes(watch.key, key))) continue
      const version = present(arrayElements(this.#replies[i]), 'WATCH: a version that is no array').map(integerOf)
      const generation = present(version[0], 'WATCH: no generation')
      const index = asLogIndex(present(version[1], 'WATCH: no modification index'))
      transaction.watched.push({ key, generation, index })
    }
  }
}

/** Queued, UNWATCH answers OK and does nothing: EXEC has let go of the watched keys already. */
export const unwatchReply: DoorReply = () => OK_REPLY

export function runUnwatch(_door: Door, connection: RespConnection): boolean {
  connection.transaction.unwatch()
  connection.answer(OK_REPLY)
  return true
}

/** A request that Redis rejects before it runs: inside MULTI it makes EXEC abort. */
export function rejectRequest(
  connection: RespConnection,
  command: DoorCommand | null,
  words: string,
  code: 'ERR' | 'OOM' = 'ERR',
): void {
  const transaction = connection.transaction
  if (command !== null) command.stats.rejected++
  if (command?.spec.name === 'exec') {
    transaction.close()
    connection.answer(
      errorReply(`EXECABORT Transaction discarded because of: ${code === 'ERR' ? '' : `${code} `}${words}`),
    )
    return
  }
  if (transaction.open) transaction.failed = true
  connection.answer(errorReply(`${code} ${words}`))
}
