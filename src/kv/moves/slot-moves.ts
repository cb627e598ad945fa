/**
 * The open moves that the group's log knows of: slots that are to leave it (source) and slots that are to come (destination). Replicated state:
 *
 *   moves       := u64 highest fence | u32 count | move*                                             in the order of their reconfigIds
 *   move        := u8 role | u64 reconfigId | u8 phase | u64 disable index | peer | u16 slots | slot*
 *   slot        := u16 slot | u64 predecessor | u64 generation | cursor (destination only)
 *
 * A slot is in one open move at most. A source's generation is where it keeps the slot's tombstones, a destination's where it stages.
 */
import { assert } from '../../base/assert.ts'
import { asLogIndex, asSlotId, type LogIndex, type SlotId } from '../../base/brand.ts'
import { type BytesReader, type BytesWriter, DecodeError } from '../../base/bytes.ts'
import type { Generation } from '../../ports/key-space.ts'
import {
  decodeCursor,
  decodePeer,
  encodeCursor,
  encodePeer,
  FIRST_CURSOR,
  type MovePeer,
  type StageCursor,
} from '../../protocol/move-command.ts'
import { ChangeJournal } from './change-journal.ts'

/** Open moves of one group. */
const MAX_MOVES = 64

/** source: begun (still serving), disabled. destination: staging, refused. */
export type MovePhase = 'begun' | 'disabled' | 'staging' | 'refused'
const PHASES: readonly MovePhase[] = ['begun', 'disabled', 'staging', 'refused']

export interface MovingSlot {
  readonly slot: SlotId
  readonly predecessor: number
  generation: Generation
  /** Of a destination. */
  cursor: StageCursor
}

export interface SlotMove {
  readonly role: 'source' | 'destination'
  readonly reconfigId: number
  readonly peer: MovePeer
  /** Ascending. */
  readonly slots: readonly MovingSlot[]
  phase: MovePhase
  /** Where DISABLE was applied; 0: not yet. */
  disableIndex: LogIndex
  /** Of a source, beside the replicated state. */
  readonly journal: ChangeJournal | null
}

export class SlotMoves {
  readonly #moves = new Map<number, SlotMove>()
  readonly #bySlot = new Map<SlotId, { readonly move: SlotMove; readonly part: MovingSlot }>()
  /** The highest creation id of a master's election node that has spoken here. */
  fence = 0
  /** Slots whose changes are to be noted: those of sources. */
  #noted = 0
  /** What `all` gave last; null: a move has come or gone since. */
  #all: readonly SlotMove[] | null = []

  /** Whether any change has to be looked at. */
  get notes(): boolean {
    return this.#noted > 0
  }

  get isFull(): boolean {
    return this.#moves.size >= MAX_MOVES
  }

  get(reconfigId: number, role: SlotMove['role']): SlotMove | null {
    const move = this.#moves.get(reconfigId)
    return move?.role === role ? move : null
  }

  ofSlot(slot: SlotId): SlotMove | null {
    return this.#bySlot.get(slot)?.move ?? null
  }

  part(slot: SlotId): MovingSlot | null {
    return this.#bySlot.get(slot)?.part ?? null
  }

  /** In either role. */
  has(reconfigId: number): boolean {
    return this.#moves.has(reconfigId)
  }

  /** Ascending by reconfigId. The same array as long as no move comes or goes: it is looked at after every write. */
  all(): readonly SlotMove[] {
    this.#all ??= [...this.#moves.values()].sort((a, b) => a.reconfigId - b.reconfigId)
    return this.#all
  }

  open(move: SlotMove): void {
    assert(!this.#moves.has(move.reconfigId), `move ${move.reconfigId}: opened twice`)
    this.#all = null
    this.#moves.set(move.reconfigId, move)
    for (const part of move.slots) {
      assert(!this.#bySlot.has(part.slot), `slot ${part.slot}: in two open moves`)
      this.#bySlot.set(part.slot, { move, part })
    }
    if (move.role === 'source') this.#noted += move.slots.length
  }

  close(move: SlotMove): void {
    this.#all = null
    this.#moves.delete(move.reconfigId)
    for (const { slot } of move.slots) this.#bySlot.delete(slot)
    if (move.role === 'source') this.#noted -= move.slots.length
  }

  /** A key of the slot has changed. Returns where a tombstone of it has its place; null: the slot does not leave. */
  noteChange(slot: SlotId, key: Uint8Array, index: LogIndex): Generation | null {
    const found = this.#bySlot.get(slot)
    if (found === undefined || found.move.role !== 'source') return null
    found.move.journal?.note(slot, key, index)
    return found.part.generation
  }

  encode(writer: BytesWriter): void {
    writer.u64(this.fence)
    writer.u32(this.#moves.size)
    for (const move of this.all()) {
      writer.u8(move.role === 'source' ? 0 : 1)
      writer.u64(move.reconfigId)
      writer.u8(PHASES.indexOf(move.phase))
      writer.u64(move.disableIndex)
      encodePeer(writer, move.peer)
      writer.u16(move.slots.length)
      for (const part of move.slots) {
        writer.u16(part.slot)
        writer.u64(part.predecessor)
        writer.u64(part.generation)
        if (move.role === 'destination') encodeCursor(writer, part.cursor)
      }
    }
  }

  /** `appliedIndex`: through which the journals know nothing. Throws DecodeError. */
  static decode(reader: BytesReader, slotCount: number, appliedIndex: LogIndex): SlotMoves {
    const moves = new SlotMoves()
    moves.fence = reader.u64()
    const count = reader.u32()
    if (count > MAX_MOVES) throw new DecodeError(`${count} open moves`)
    for (let i = 0; i < count; i++) moves.open(decodeMove(reader, slotCount, appliedIndex))
    return moves
  }
}

function decodeMove(reader: BytesReader, slotCount: number, appliedIndex: LogIndex): SlotMove {
  const role = reader.u8() === 0 ? 'source' : 'destination'
  const reconfigId = reader.u64()
  const phase = PHASES[reader.u8()]
  if (phase === undefined) throw new DecodeError(`move ${reconfigId}: unknown phase`)
  const disableIndex = asLogIndex(reader.u64())
  const peer = decodePeer(reader)
  const slots: MovingSlot[] = []
  const count = reader.u16()
  for (let i = 0; i < count; i++) {
    const slot = asSlotId(reader.u16())
    if (slot >= slotCount) throw new DecodeError(`move ${reconfigId}: no slot ${slot}`)
    const predecessor = reader.u64()
    const generation = reader.u64() as Generation
    slots.push({ slot, predecessor, generation, cursor: role === 'source' ? FIRST_CURSOR : decodeCursor(reader) })
  }
  const journal = role === 'source' ? new ChangeJournal(appliedIndex) : null
  return { role, reconfigId, phase, disableIndex, peer, slots, journal }
}
