/**
 * What applying each step of a move comes to (design, "Slots, and moving them"). Every decision rests on replicated state alone, and every step may
 * come late, twice or from a deposed leader: then its reply says so, and nothing changes.
 *
 *            A, the source                              B, the destination
 *   BEGIN    serves on, keeps tombstones                allots generations, stages
 *   STAGE                                               in cursor order, under generations that nothing serves
 *   DISABLE  serves the slots no more, at index d       (or CANCEL: A's log decides between the two)
 *   ENABLE                                              only if staged through d; serves  (or REFUSE: B's log decides)
 *   FORGET   once B has enabled: the keys are dead      RESUME at A, DROP at B where it was called off
 *
 * So at no log position do two groups serve a slot: B enables only what A has disabled, and A resumes only what B has refused.
 */
import { asLogIndex, asSlotId, type LogIndex, type SlotId } from '../../base/brand.ts'
import { DecodeError, EMPTY_BYTES } from '../../base/bytes.ts'
import { type Generation, generationParts, type KeySpace, makeGeneration } from '../../ports/key-space.ts'
import {
  FIRST_CURSOR,
  type MoveCommand,
  type MoveOutcome,
  type MoveReply,
  type SlotRun,
  STAGE_STREAMING,
  type StagePart,
  sameCursor,
} from '../../protocol/move-command.ts'
import type { ExpiryHints } from '../expiry-hints.ts'
import type { KvMutations } from '../mutations.ts'
import type { SessionTable } from '../session-table.ts'
import type { SlotStates } from '../slot-states.ts'
import { ChangeJournal } from './change-journal.ts'
import type { MovingSlot, SlotMove, SlotMoves } from './slot-moves.ts'

/** The state machine's parts that a move touches, as they are now. */
export interface MoveGround {
  readonly keySpace: KeySpace
  readonly slots: SlotStates
  readonly moves: SlotMoves
  readonly sessions: SessionTable
  readonly hints: ExpiryHints
  readonly mutations: KvMutations
  /** The group's log time is not behind this one from now on. */
  raiseLogTime(logTimeMs: number): void
}

type Begin = Extract<MoveCommand, { kind: 'begin-source' | 'begin-destination' }>

/** The source keeps tombstones under (reconfigId, 0); staging begins with (reconfigId, 1). */
const TOMBSTONE_COUNTER = 0
const FIRST_STAGING_COUNTER = 1

export function applyMove(ground: MoveGround, command: MoveCommand, index: LogIndex): MoveReply {
  const { moves } = ground
  if (command.kind === 'begin-source' || command.kind === 'begin-destination') {
    return { outcome: begin(ground, command, index), index }
  }
  if (command.kind === 'stage') return { outcome: stage(ground, command.reconfigId, command.parts, index), index }
  if (command.kind === 'fence') return { outcome: raiseFence(moves, command.fence), index }
  const role =
    command.kind === 'enable' || command.kind === 'refuse' || command.kind === 'drop' ? 'destination' : 'source'
  const move = moves.get(command.reconfigId, role)
  if (move === null) return { outcome: 'unknown-move', index }
  switch (command.kind) {
    case 'disable':
      return disable(ground, move, index)
    case 'enable':
      return { outcome: enable(ground, move, command.disableIndex, command.sourceLogTimeMs, index), index }
    case 'cancel':
      return { outcome: cancel(ground, move, command.fence), index }
    case 'refuse':
      return { outcome: refuse(ground, move), index }
    case 'resume':
      return { outcome: resume(ground, move), index }
    case 'drop':
      return { outcome: drop(ground, move), index }
    case 'forget':
      return { outcome: forget(ground, move), index }
  }
}

/** Only upwards: of two who would begin the same cluster epoch one is first, and the other is told so. */
function raiseFence(moves: SlotMoves, fence: number): MoveOutcome {
  if (fence <= moves.fence) return 'fenced'
  moves.fence = fence
  return 'done'
}

// --- BEGIN ------------------------------------------------------------------------------------------------------

function begin(ground: MoveGround, command: Begin, index: LogIndex): MoveOutcome {
  const { moves } = ground
  if (command.fence < moves.fence) return 'fenced'
  moves.fence = command.fence
  const role = command.kind === 'begin-source' ? 'source' : 'destination'
  const known = moves.get(command.reconfigId, role)
  if (known !== null) return known.phase === 'refused' ? 'refused' : 'done'
  const slots = slotsOf(command.slots)
  if (slots.length === 0 || slots.some(({ slot }) => slot >= ground.slots.slotCount)) return 'malformed'
  // No master moves slots from a group to itself.
  if (moves.has(command.reconfigId)) return 'malformed'
  const misfit = role === 'source' ? sourceMisfit(ground, command, slots) : destinationMisfit(ground, command, slots)
  if (misfit !== null) return misfit
  const generation = makeGeneration(command.reconfigId, role === 'source' ? TOMBSTONE_COUNTER : FIRST_STAGING_COUNTER)
  if (generation === null) return 'exhausted'
  if (role === 'destination') ground.sessions.dropSlots(new Set(slots.map(({ slot }) => slot)))
  if (ground.mutations.servedFromBegin && role === 'destination') {
    for (const { slot } of slots) ground.slots.enable(slot, generation, command.reconfigId, index)
    return 'done'
  }
  moves.open({
    role,
    reconfigId: command.reconfigId,
    peer: command.peer,
    slots: slots.map(({ slot, predecessor }) => ({ slot, predecessor, generation, cursor: FIRST_CURSOR })),
    phase: role === 'source' ? 'begun' : 'staging',
    disableIndex: asLogIndex(0),
    journal: role === 'source' ? new ChangeJournal(index) : null,
  })
  return 'done'
}

interface WantedSlot {
  readonly slot: SlotId
  readonly predecessor: number
}

function slotsOf(runs: readonly SlotRun[]): WantedSlot[] {
  const slots: WantedSlot[] = []
  for (const { first, last, predecessor } of runs) {
    for (let slot: number = first; slot <= last; slot++) slots.push({ slot: asSlotId(slot), predecessor })
  }
  return slots
}

function sourceMisfit(
  { slots, moves }: MoveGround,
  { reconfigId }: Begin,
  wanted: readonly WantedSlot[],
): MoveOutcome | null {
  // A copy of a BEGIN whose move has come to its end since.
  if (wanted.every(({ slot }) => slots.lastReconfig(slot) >= reconfigId)) return 'ended'
  if (moves.isFull || wanted.some(({ slot }) => moves.ofSlot(slot) !== null)) return 'busy'
  if (wanted.some(({ slot }) => !slots.owns(slot))) return 'not-owner'
  // A reconfig follows a lower one: DISABLE and CANCEL rest on it.
  const isNext = ({ slot, predecessor }: WantedSlot): boolean =>
    slots.lastReconfig(slot) === predecessor && predecessor < reconfigId
  return wanted.every(isNext) ? null : 'wrong-predecessor'
}

function destinationMisfit(
  { slots, moves }: MoveGround,
  { reconfigId }: Begin,
  wanted: readonly WantedSlot[],
): MoveOutcome | null {
  if (wanted.every(({ slot }) => slots.lastReconfig(slot) >= reconfigId)) return 'ended'
  if (moves.isFull || wanted.some(({ slot }) => moves.ofSlot(slot) !== null)) return 'busy'
  if (wanted.some(({ slot }) => slots.owns(slot))) return 'owner'
  return wanted.some(({ slot }) => slots.lastReconfig(slot) >= reconfigId) ? 'wrong-predecessor' : null
}

// --- STAGE ------------------------------------------------------------------------------------------------------

function stage(ground: MoveGround, reconfigId: number, parts: readonly StagePart[], index: LogIndex): MoveOutcome {
  const move = ground.moves.get(reconfigId, 'destination')
  if (move === null) return 'unknown-move'
  if (move.phase === 'refused') return 'refused'
  let outcome: MoveOutcome = 'done'
  for (const part of parts) {
    const slot = ground.moves.ofSlot(part.slot) === move ? ground.moves.part(part.slot) : null
    if (slot === null) return 'malformed'
    if (!sameCursor(slot.cursor, part.expected)) {
      if (ground.mutations.stageCursorIgnored) stagePart(ground, slot, { ...part, next: slot.cursor }, index)
      outcome = 'other-cursor'
      continue
    }
    if (part.next.sourceGeneration !== slot.cursor.sourceGeneration && !restart(ground, slot)) return 'exhausted'
    if (!stagePart(ground, slot, part, index)) return 'malformed'
  }
  return outcome
}

/** The slot's first part, or the source's slot was flushed: what was staged of its former life is nobody's. False: no generation is left. */
function restart({ slots, sessions }: MoveGround, slot: MovingSlot): boolean {
  if (slot.cursor.sourceGeneration === 0) return true
  const { reconfigId, counter } = generationParts(slot.generation)
  const next = makeGeneration(reconfigId, counter + 1)
  if (next === null) return false
  slots.addDead(slot.slot, slot.generation)
  sessions.dropSlots(new Set([slot.slot]))
  slot.generation = next
  return true
}

/** False: the session records are none. No source sends such; were they in the log all the same, every replica passes over them alike. */
function stagePart(
  { keySpace, sessions, hints }: MoveGround,
  slot: MovingSlot,
  part: StagePart,
  index: LogIndex,
): boolean {
  try {
    sessions.stage(slot.slot, part.sessions)
  } catch (error) {
    if (error instanceof DecodeError) return false
    throw error
  }
  for (const { key, value, expiresAtMs } of part.items) {
    if (value !== null) {
      keySpace.put(slot.slot, slot.generation, key, value, expiresAtMs, index)
      if (expiresAtMs !== 0) hints.note(slot.slot, expiresAtMs)
    } else if (keySpace.get(slot.slot, slot.generation, key) !== null) {
      keySpace.remove(slot.slot, slot.generation, key, index)
    }
  }
  slot.cursor = part.next
  return true
}

// --- The hand-over ----------------------------------------------------------------------------------------------

function disable({ slots, mutations }: MoveGround, move: SlotMove, index: LogIndex): MoveReply {
  if (move.phase === 'disabled') return { outcome: 'done', index: move.disableIndex }
  if (!mutations.disableNotApplied) for (const { slot } of move.slots) slots.disable(slot, move.reconfigId)
  move.phase = 'disabled'
  move.disableIndex = index
  return { outcome: 'done', index }
}

function enable(
  ground: MoveGround,
  move: SlotMove,
  disableIndex: number,
  sourceLogTimeMs: number,
  index: LogIndex,
): MoveOutcome {
  if (move.phase === 'refused') return 'refused'
  const isStaged = ({ cursor }: MovingSlot): boolean => cursor.stage === STAGE_STREAMING && cursor.index >= disableIndex
  if (disableIndex === 0 || (!move.slots.every(isStaged) && !ground.mutations.enabledBeforeStaged)) return 'too-early'
  ground.raiseLogTime(sourceLogTimeMs)
  for (const { slot, generation } of move.slots) ground.slots.enable(slot, generation, move.reconfigId, index)
  if (ground.mutations.sessionsNotMoved) ground.sessions.dropSlots(slotSet(move))
  ground.moves.close(move)
  return 'done'
}

/** A's log decides: the first of CANCEL and DISABLE wins. */
function cancel({ moves, slots }: MoveGround, move: SlotMove, fence: number): MoveOutcome {
  if (fence < moves.fence) return 'fenced'
  moves.fence = fence
  if (move.phase === 'disabled') return 'too-late'
  for (const { slot, generation } of move.slots) {
    slots.cancelled(slot, move.reconfigId)
    slots.addDead(slot, generation)
  }
  moves.close(move)
  return 'done'
}

/** B's log decides: the first of REFUSE and ENABLE wins. The record stays until the source has taken its slots back. */
function refuse({ slots, sessions }: MoveGround, move: SlotMove): MoveOutcome {
  if (move.phase === 'refused') return 'done'
  move.phase = 'refused'
  for (const { slot, generation } of move.slots) slots.addDead(slot, generation)
  sessions.dropSlots(slotSet(move))
  return 'done'
}

/** Only after an applied REFUSE at B. Also of a move that was not disabled yet: then it is a cancellation. */
function resume(ground: MoveGround, move: SlotMove): MoveOutcome {
  const { slots, moves } = ground
  for (const { slot, generation } of move.slots) {
    if (move.phase === 'disabled') slots.resume(slot, move.reconfigId)
    else slots.cancelled(slot, move.reconfigId)
    slots.addDead(slot, generation)
  }
  moves.close(move)
  return 'done'
}

/** Only after A's applied CANCEL or RESUME. */
function drop({ slots, moves, sessions }: MoveGround, move: SlotMove): MoveOutcome {
  if (move.phase === 'staging') {
    for (const { slot, generation } of move.slots) slots.addDead(slot, generation)
    sessions.dropSlots(slotSet(move))
  }
  moves.close(move)
  return 'done'
}

/** Only after CheckCommit: B's applied state owns the slots by this reconfig or a later one. */
function forget({ slots, moves, sessions }: MoveGround, move: SlotMove): MoveOutcome {
  if (move.phase !== 'disabled') return 'too-early'
  for (const { slot, generation } of move.slots) {
    slots.forget(slot)
    slots.addDead(slot, generation)
  }
  sessions.dropSlots(slotSet(move))
  moves.close(move)
  return 'done'
}

function slotSet(move: SlotMove): ReadonlySet<SlotId> {
  return new Set(move.slots.map(({ slot }) => slot))
}

/** Of a key of a slot on the move that was removed: its tombstone. */
export function keepTombstone(
  keySpace: KeySpace,
  slot: SlotId,
  place: Generation,
  key: Uint8Array,
  index: LogIndex,
): void {
  keySpace.put(slot, place, key, EMPTY_BYTES, 0, index)
}
