/**
 * The state machine of a data group: commands, exactly-once, log time, slot ownership. Deterministic: everything that apply does hangs on
 * the entries before it and on nothing else, so every replica gives the same replies and has the same digest at the same index.
 *
 * Its own replicated state is what `checkpointState` writes (deterministic bytes); keys are in the key space:
 *
 *   state := u32 magic | u16 version | u16 slot count | u64 log time ms | u64 applied index
 *            | u32 max key bytes | u32 max value bytes | u16 max results | u32 max kept reply bytes | u32 max session bytes
 *            | slots (slot-states.ts) | open moves (moves/slot-moves.ts) | sessions (session-table.ts)
 *
 * The limits stand in it because apply depends on them: a replica that is restarted with others must go on with the group's.
 */

import { assert } from '../base/assert.ts'
import { asLogIndex, asSlotId, type LogIndex, type SlotId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, EMPTY_BYTES } from '../base/bytes.ts'
import type { Generation, KeySpace } from '../ports/key-space.ts'
import type { QueryResult, StateMachine } from '../ports/state-machine.ts'
import {
  type Command,
  PAYLOAD_HEADER_BYTES,
  PAYLOAD_HOUSEKEEPING,
  PAYLOAD_MOVE,
  PAYLOAD_TICK,
  PAYLOAD_WRITE,
} from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { ENTRY_COMMAND, type Entry } from '../protocol/entry.ts'
import { decodeMove, encodeMoveReply, type StageCursor, type StagePart } from '../protocol/move-command.ts'
import { errorReply } from '../protocol/resp-reply.ts'
import { decodeTransaction, runTransaction } from './commands/exec.ts'
import { runHousekeeping } from './commands/housekeeping.ts'
import { commandOf, unknownOpcode } from './commands/registry.ts'
import { runCommand } from './commands/run-command.ts'
import { DigestRun, type DigestSource } from './digest.ts'
import { ExecutionContext } from './execution-context.ts'
import { ExpiryHints } from './expiry-hints.ts'
import { type HousekeepingCommand, HousekeepingScan } from './housekeeping-scan.ts'
import { NO_KEY_EVENTS } from './key-events.ts'
import {
  checkKvOptions,
  DEFAULT_KV_LIMITS,
  DEFAULT_SESSION_LIMITS,
  type KvLimits,
  type KvOptions,
  type SessionLimits,
} from './kv-options.ts'
import { applyMove } from './moves/apply-move.ts'
import { type SlotMove, SlotMoves } from './moves/slot-moves.ts'
import { readPart } from './moves/source-reader.ts'
import { type KvMutations, NO_MUTATIONS } from './mutations.ts'
import {
  commandAt,
  KIND_OFFSET,
  LOWEST_UNANSWERED_OFFSET,
  RETRY_UNTIL_OFFSET,
  SEQUENCE_OFFSET,
  SESSION_OFFSET,
  SLOT_EPOCH_OFFSET,
  SLOT_OFFSET,
  STAMP_OFFSET,
  u16At,
  u32At,
  u64At,
} from './payload-fields.ts'
import { belongsHereReply, comingReply, movedReply, notResponsibleReply } from './refusals.ts'
import { type SessionFields, SessionTable } from './session-table.ts'
import { SlotStates } from './slot-states.ts'
import { WriteTimes } from './write-times.ts'

const STATE_MAGIC = 0x31_53_56_4b
const STATE_VERSION = 2
const DIGEST_STEP_KEYS = 1024

const OPCODE_EXEC = COMMANDS_BY_NAME.get('exec')?.opcode
/** No door makes such a payload; should one be in the log all the same, every replica passes over it alike. */
const MALFORMED_REPLY = errorReply('ERR internal: malformed command payload')

interface MutableSessionFields extends SessionFields {
  slot: SlotId
  session: number
  sequence: number
  lowestUnanswered: number
  retryUntilMs: number
}

export class KvStateMachine implements StateMachine, DigestSource {
  readonly keySpace: KeySpace
  readonly #options: KvOptions
  readonly #mutations: KvMutations
  readonly #hints: ExpiryHints
  readonly #writeTimes = new WriteTimes()
  readonly #housekeeping: HousekeepingScan
  readonly #fields: MutableSessionFields = {
    slot: asSlotId(0),
    session: 0,
    sequence: 0,
    lowestUnanswered: 0,
    retryUntilMs: 0,
  }
  #limits: KvLimits
  #sessionLimits: SessionLimits
  #slots: SlotStates
  #moves = new SlotMoves()
  #sessions: SessionTable
  #context: ExecutionContext
  #logTimeMs = 0
  #appliedIndex = asLogIndex(0)
  #incarnation = 0

  /** Begins at genesis; `restore` takes over another state. */
  constructor(keySpace: KeySpace, options: KvOptions) {
    checkKvOptions(options)
    this.keySpace = keySpace
    this.#options = options
    this.#mutations = options.mutations ?? NO_MUTATIONS
    this.#hints = new ExpiryHints(options.slotCount)
    this.#housekeeping = new HousekeepingScan(keySpace, this.#hints)
    this.#limits = {
      maxKeyBytes: options.maxKeyBytes ?? DEFAULT_KV_LIMITS.maxKeyBytes,
      maxValueBytes: options.maxValueBytes ?? DEFAULT_KV_LIMITS.maxValueBytes,
    }
    this.#sessionLimits = { ...DEFAULT_SESSION_LIMITS, ...options.sessionLimits }
    this.#slots = new SlotStates(options.slotCount, options.ownedSlots)
    this.#sessions = new SessionTable(options.slotCount, this.#sessionLimits, this.#mutations)
    this.#context = this.#newContext()
  }

  get logTimeMs(): number {
    return this.#logTimeMs
  }

  /** The index of the last command entry; entries of other kinds do not come here. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  get incarnation(): number {
    return this.#incarnation
  }

  get slots(): SlotStates {
    return this.#slots
  }

  /** Moves of slots that have begun and are not over. */
  get moves(): readonly SlotMove[] {
    return this.#moves.all()
  }

  /** Masters below it are not heard here. */
  get masterFence(): number {
    return this.#moves.fence
  }

  /** CheckCommit: the group owns the slot, or has passed it on, by this reconfig or a later one. */
  hasCommitted(slot: SlotId, reconfigId: number): boolean {
    return this.#slots.lastReconfig(slot) >= reconfigId
  }

  /** Keys of the slots that it owns; as DBSIZE, with those that have expired and are not yet removed. */
  keyCount(): number {
    let keys = 0
    for (let slot = 0; slot < this.#slots.slotCount; slot++) {
      if (this.#slots.owns(slot)) keys += this.keySpace.count(asSlotId(slot), this.#slots.generation(asSlotId(slot)))
    }
    return keys
  }

  /** The group's own limits, as its log has them. */
  get limits(): KvLimits {
    return this.#limits
  }

  /** For status and metrics. */
  get sessionUsage(): { readonly records: number; readonly bytes: number } {
    return { records: this.#sessions.recordCount, bytes: this.#sessions.bytes }
  }

  generationOf(slot: SlotId): Generation {
    return this.#slots.generation(slot)
  }

  // --- apply --------------------------------------------------------------------------------------------------

  apply(entry: Entry): Uint8Array {
    assert(entry.kind === ENTRY_COMMAND, 'kv: an entry that is no command')
    assert(entry.index > this.#appliedIndex, `kv: entry ${entry.index} after ${this.#appliedIndex} was applied`)
    this.#appliedIndex = entry.index
    const { payload } = entry
    if (payload.length < PAYLOAD_HEADER_BYTES) return MALFORMED_REPLY
    const stampMs = u64At(payload, STAMP_OFFSET)
    if (!Number.isSafeInteger(stampMs)) return MALFORMED_REPLY
    if (stampMs > this.#logTimeMs) this.#logTimeMs = stampMs
    this.#writeTimes.note(entry.index, this.#logTimeMs)
    this.#sessions.begin(entry.index)
    this.#sessions.dropIdle(this.#logTimeMs)
    switch (payload[KIND_OFFSET]) {
      case PAYLOAD_WRITE:
        return this.#write(entry.index, payload)
      case PAYLOAD_TICK:
        return EMPTY_BYTES
      case PAYLOAD_HOUSEKEEPING:
        return this.#keepHouse(entry.index, payload)
      case PAYLOAD_MOVE:
        return this.#move(entry.index, payload)
      default:
        return MALFORMED_REPLY
    }
  }

  #write(index: LogIndex, payload: Uint8Array): Uint8Array {
    const slot = asSlotId(u16At(payload, SLOT_OFFSET))
    if (!this.#slots.owns(slot) || this.#slots.lastReconfig(slot) !== u32At(payload, SLOT_EPOCH_OFFSET)) {
      return this.#notOwned(slot)
    }
    const fields = this.#fields
    fields.slot = slot
    fields.session = u64At(payload, SESSION_OFFSET)
    if (fields.session === 0 || this.#mutations.sessionRecordsIgnored) return this.#run(slot, index, payload)
    fields.sequence = u64At(payload, SEQUENCE_OFFSET)
    fields.lowestUnanswered = u64At(payload, LOWEST_UNANSWERED_OFFSET)
    fields.retryUntilMs = u64At(payload, RETRY_UNTIL_OFFSET)
    if (!areSound(fields)) return MALFORMED_REPLY
    const answer = this.#sessions.admit(fields, this.#logTimeMs)
    if (answer !== null) return answer
    const reply = this.#run(slot, index, payload)
    this.#sessions.keep(fields, reply)
    return reply
  }

  #notOwned(slot: SlotId): Uint8Array {
    if (this.#slots.owns(slot)) return belongsHereReply(slot, this.#slots.lastReconfig(slot))
    const move = this.#moves.ofSlot(slot)
    if (move?.phase === 'disabled') return movedReply(slot, move.peer.group, move.reconfigId)
    return move?.phase === 'staging' ? comingReply(slot, move.reconfigId) : notResponsibleReply(slot)
  }

  #run(slot: SlotId, index: LogIndex, payload: Uint8Array): Uint8Array {
    const command = decoded(payload, PAYLOAD_HEADER_BYTES)
    if (command === null) return MALFORMED_REPLY
    this.#context.begin(slot, index, this.#logTimeMs, this.#logTimeMs)
    if (command.opcode === OPCODE_EXEC) return this.#runExec(command)
    const registered = commandOf(command.opcode)
    if (registered === null) return errorReply(unknownOpcode(command.opcode))
    return runCommand(this.#context, registered, command.args)
  }

  #runExec(command: Command): Uint8Array {
    const transaction = orNull(() => decodeTransaction(command.args))
    return transaction === null ? MALFORMED_REPLY : runTransaction(this.#context, transaction)
  }

  #move(index: LogIndex, payload: Uint8Array): Uint8Array {
    const command = orNull(() => decodeMove(payload, PAYLOAD_HEADER_BYTES))
    if (command === null) return encodeMoveReply({ outcome: 'malformed', index })
    const ground = {
      keySpace: this.keySpace,
      slots: this.#slots,
      moves: this.#moves,
      sessions: this.#sessions,
      hints: this.#hints,
      mutations: this.#mutations,
      raiseLogTime: (logTimeMs: number) => {
        this.#logTimeMs = Math.max(this.#logTimeMs, logTimeMs)
      },
    }
    return encodeMoveReply(applyMove(ground, command, index))
  }

  #keepHouse(index: LogIndex, payload: Uint8Array): Uint8Array {
    const slot = asSlotId(u16At(payload, SLOT_OFFSET))
    if (slot >= this.#slots.slotCount) return MALFORMED_REPLY
    const command = decoded(payload, PAYLOAD_HEADER_BYTES)
    if (command === null) return MALFORMED_REPLY
    this.#context.begin(slot, index, this.#logTimeMs, this.#logTimeMs)
    return runHousekeeping(this.#context, command)
  }

  // --- query --------------------------------------------------------------------------------------------------

  query(command: Uint8Array, nowMs: number, slot: SlotId, slotEpoch?: number): QueryResult {
    const request = decoded(command, 0)
    if (request === null) return asReply(MALFORMED_REPLY)
    const registered = commandOf(request.opcode)
    if (registered === null || !registered.readsOnly) return asReply(errorReply(unknownOpcode(request.opcode)))
    const known = slotEpoch === undefined || this.#slots.lastReconfig(slot) === slotEpoch
    if (!this.#slots.owns(slot) || !known) return asReply(this.#notOwned(slot))
    const visibleAtMs = Math.max(this.#logTimeMs, this.#mutations.expiryByLocalClock?.() ?? 0)
    this.#context.begin(slot, asLogIndex(0), visibleAtMs, nowMs)
    const reply = runCommand(this.#context, registered, request.args)
    const { tickAtLeastMs } = this.#context
    return tickAtLeastMs > 0 ? { kind: 'needsTick', atLeastMs: tickAtLeastMs } : asReply(reply)
  }

  // --- moves --------------------------------------------------------------------------------------------------

  /** For the source's leader: what follows the destination's cursor; see moves/source-reader.ts. Null: nothing, or no such move leaves. */
  readPart(
    reconfigId: number,
    slot: SlotId,
    cursor: StageCursor,
    throughIndex: number,
    maxBytes: number,
  ): StagePart | null {
    const move = this.#moves.get(reconfigId, 'source')
    if (move === null) return null
    const ground = {
      keySpace: this.keySpace,
      slots: this.#slots,
      sessions: this.#sessions,
      appliedIndex: this.#appliedIndex,
    }
    return readPart(ground, move, slot, cursor, throughIndex, maxBytes)
  }

  // --- housekeeping and digest --------------------------------------------------------------------------------

  /** False: this time `housekeeping` would find nothing. */
  hasHousekeeping(): boolean {
    return this.#housekeeping.hasWork(this.#slots)
  }

  /**
   * For the leader, now and then: commands to propose as housekeeping payloads, found by looking at no more than `maxKeys` keys. `nowMs`: the stamp that
   * the leader would give, so that keys which an idle group's log time has not reached yet go too; 0 where it does not stamp.
   */
  housekeeping(maxKeys: number, nowMs = 0): HousekeepingCommand[] {
    return this.#housekeeping.next(this.#slots, maxKeys, Math.max(this.#logTimeMs, nowMs))
  }

  /** In bounded steps, for a live node: see digest.ts. */
  beginDigest(): DigestRun {
    return new DigestRun(this)
  }

  /** In one go; as long as there are keys. */
  digest(): string {
    const run = this.beginDigest()
    for (;;) {
      const step = run.step(DIGEST_STEP_KEYS)
      assert(step.kind !== 'stale', 'digest: the state changed under it')
      if (step.kind === 'done') return step.digest
    }
  }

  // --- checkpoint ---------------------------------------------------------------------------------------------

  checkpointState(): Uint8Array {
    const writer = new BytesWriter(4096)
    writer.u32(STATE_MAGIC)
    writer.u16(STATE_VERSION)
    writer.u16(this.#slots.slotCount)
    writer.u64(this.#mutations.logTimeLeftOutOfCheckpoint ? 0 : this.#logTimeMs)
    writer.u64(this.#appliedIndex)
    writer.u32(this.#limits.maxKeyBytes)
    writer.u32(this.#limits.maxValueBytes)
    writer.u16(this.#sessionLimits.maxResults)
    writer.u32(this.#sessionLimits.maxReplyBytes)
    writer.u32(this.#sessionLimits.maxTotalBytes)
    this.#encodeSlots(writer)
    const sessions = this.#mutations.sessionsLeftOutOfCheckpoint
      ? new SessionTable(this.#slots.slotCount, this.#sessionLimits)
      : this.#sessions
    sessions.encode(writer)
    return writer.copy()
  }

  #encodeSlots(writer: BytesWriter): void {
    const { slotsLeftOutOfCheckpoint, movesLeftOutOfCheckpoint } = this.#mutations
    const { slotCount, ownedSlots } = this.#options
    const slots = slotsLeftOutOfCheckpoint ? new SlotStates(slotCount, ownedSlots) : this.#slots
    const moves = slotsLeftOutOfCheckpoint || movesLeftOutOfCheckpoint ? new SlotMoves() : this.#moves
    slots.encode(writer)
    moves.encode(writer)
  }

  restore(state: Uint8Array | null): void {
    const { slotCount, ownedSlots } = this.#options
    if (state === null) {
      this.#logTimeMs = 0
      this.#appliedIndex = asLogIndex(0)
      this.#slots = new SlotStates(slotCount, ownedSlots)
      this.#moves = new SlotMoves()
      this.#sessions = new SessionTable(slotCount, this.#sessionLimits, this.#mutations)
    } else {
      this.#takeOver(new BytesReader(state))
    }
    // What the key space holds is not known here: every slot is to be looked at once.
    this.#hints.forgetAll()
    this.#context = this.#newContext()
    this.#incarnation++
  }

  #takeOver(reader: BytesReader): void {
    if (reader.u32() !== STATE_MAGIC) throw new DecodeError('kv state: not a checkpoint of this state machine')
    const version = reader.u16()
    if (version !== STATE_VERSION)
      throw new DecodeError(`kv state: version ${version}, this build reads ${STATE_VERSION}`)
    const slotCount = reader.u16()
    if (slotCount !== this.#options.slotCount) {
      throw new DecodeError(`kv state: of ${slotCount} slots, this cluster has ${this.#options.slotCount}`)
    }
    const logTimeMs = reader.u64()
    const appliedIndex = asLogIndex(reader.u64())
    const limits = { maxKeyBytes: reader.u32(), maxValueBytes: reader.u32() }
    const sessionLimits = { maxResults: reader.u16(), maxReplyBytes: reader.u32(), maxTotalBytes: reader.u32() }
    const slots = SlotStates.decode(reader, slotCount)
    const moves = SlotMoves.decode(reader, slotCount, appliedIndex)
    const sessions = SessionTable.decode(reader, slotCount, sessionLimits, appliedIndex, this.#mutations)
    reader.expectEnd()
    // Only now, so that a state that cannot be read changes nothing.
    this.#logTimeMs = logTimeMs
    this.#appliedIndex = appliedIndex
    this.#limits = limits
    this.#sessionLimits = sessionLimits
    this.#slots = slots
    this.#moves = moves
    this.#sessions = sessions
  }

  #newContext(): ExecutionContext {
    return new ExecutionContext(
      this.keySpace,
      this.#limits,
      this.#mutations,
      this.#slots,
      this.#moves,
      this.#hints,
      this.#writeTimes,
      this.#options.events ?? NO_KEY_EVENTS,
    )
  }
}

function areSound(fields: SessionFields): boolean {
  return (
    Number.isSafeInteger(fields.session) &&
    Number.isSafeInteger(fields.sequence) &&
    Number.isSafeInteger(fields.retryUntilMs) &&
    fields.lowestUnanswered <= fields.sequence
  )
}

function decoded(bytes: Uint8Array, from: number): Command | null {
  return orNull(() => commandAt(bytes, from))
}

/** Null where the bytes are malformed. */
function orNull<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function asReply(reply: Uint8Array): QueryResult {
  return { kind: 'reply', reply }
}
