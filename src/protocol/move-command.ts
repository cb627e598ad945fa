/**
 * What groups log to move slots (design, "Slots, and moving them"). One reconfig R moves a set of slots from group A to group B; each step is an
 * entry in A's or in B's log, and its reply says what applying it came to.
 *
 *   payload := header of protocol/command.ts (kind PAYLOAD_MOVE, session 0) | move
 *   move    := u8 kind | u64 reconfigId | body
 *
 *   begin source       u64 fence | peer | u16 runs | (u16 first | u16 last | u64 predecessor)*
 *   begin destination  u64 fence | peer | u16 runs | (u16 first | u16 last)*
 *   stage              u16 parts | part*
 *   disable            -
 *   enable             u64 disable index | u64 source log time ms
 *   cancel, fence      u64 fence                      fence: of no reconfig (0); from here on no master with a lower one is heard
 *   refuse, resume, drop, forget   -
 *
 *   peer    := u32 group | u16 nodes | (u32 node id | u16 length | address)*
 *   part    := u16 slot | cursor expected | cursor next | u32 length | session records | u32 items | item*
 *   cursor  := u64 source generation | u8 stage | u64 position | u64 above | u64 index
 *   item    := u8 tag (0 tombstone, 1 value) | u32 length | key | (u64 expires at ms | u32 length | value  where the tag is 1)
 *
 *   reply   := u8 outcome | u64 index
 */
import { assert } from '../base/assert.ts'
import { asGroupId, asNodeId, asSlotId, type GroupId, type NodeId, type SlotId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, latin1Bytes, latin1Text } from '../base/bytes.ts'

/** Slots `first` to `last`, both included, whose last reconfig must be `predecessor` (at the destination: nothing is asked). */
export interface SlotRun {
  readonly first: SlotId
  readonly last: SlotId
  readonly predecessor: number
}

/** The other group, and where it was when the move began: from BEGIN on no master is needed to finish. */
export interface MovePeer {
  readonly group: GroupId
  readonly nodes: readonly { readonly nodeId: NodeId; readonly address: string }[]
}

/** How far a slot's walk has come. Sessions, keys and tombstones are walked in this order; after them changes stream. */
export const STAGE_SESSIONS = 0
export const STAGE_KEYS = 1
export const STAGE_TOMBSTONES = 2
export const STAGE_STREAMING = 3
export type CursorStage = typeof STAGE_SESSIONS | typeof STAGE_KEYS | typeof STAGE_TOMBSTONES | typeof STAGE_STREAMING

/**
 * Up to where one slot's staging holds the source's state. The destination stores it and compares it; what it means is the source's business
 * (kv/moves/source-reader.ts), but for two fields: another `sourceGeneration` starts the staging afresh, and ENABLE wants every slot in the stage
 * STREAMING with an index of at least the DISABLE's.
 */
export interface StageCursor {
  readonly sourceGeneration: number
  readonly stage: CursorStage
  /** Where the walk goes on: a session id or a scan position. */
  readonly position: number
  /** The walk passes over what was last changed at or below this index of the source's log. */
  readonly above: number
  /** Index of the source's log: where the walk began; streaming: through which everything is staged. */
  readonly index: number
}

export const FIRST_CURSOR: StageCursor = { sourceGeneration: 0, stage: STAGE_SESSIONS, position: 0, above: 0, index: 0 }

export function sameCursor(a: StageCursor, b: StageCursor): boolean {
  return (
    a.sourceGeneration === b.sourceGeneration &&
    a.stage === b.stage &&
    a.position === b.position &&
    a.above === b.above &&
    a.index === b.index
  )
}

/** A key's state at the source: state, not commands. */
export interface StagedItem {
  readonly key: Uint8Array
  /** Null: the key is gone. */
  readonly value: Uint8Array | null
  /** Milliseconds since the Unix epoch; 0: never. */
  readonly expiresAtMs: number
}

export interface StagePart {
  readonly slot: SlotId
  /** The part applies only where the slot's cursor is this one. */
  readonly expected: StageCursor
  readonly next: StageCursor
  /** Session records of the slot, as session-table.ts encodes them. */
  readonly sessions: Uint8Array
  readonly items: readonly StagedItem[]
}

export type MoveCommand =
  | {
      readonly kind: 'begin-source' | 'begin-destination'
      readonly reconfigId: number
      readonly fence: number
      readonly peer: MovePeer
      readonly slots: readonly SlotRun[]
    }
  | { readonly kind: 'stage'; readonly reconfigId: number; readonly parts: readonly StagePart[] }
  | {
      readonly kind: 'enable'
      readonly reconfigId: number
      readonly disableIndex: number
      readonly sourceLogTimeMs: number
    }
  | { readonly kind: 'cancel'; readonly reconfigId: number; readonly fence: number }
  | { readonly kind: 'fence'; readonly reconfigId: number; readonly fence: number }
  | { readonly kind: 'disable' | 'refuse' | 'resume' | 'drop' | 'forget'; readonly reconfigId: number }

/** In the order of their numbers, from 1. These stand in logs: they never change. */
const KINDS = [
  'begin-source',
  'begin-destination',
  'stage',
  'disable',
  'enable',
  'cancel',
  'refuse',
  'resume',
  'drop',
  'forget',
  'fence',
] as const

const OUTCOMES = [
  /** Applied by this entry, or by an earlier one with the same meaning. */
  'done',
  /** This reconfig, or a later one, is over for these slots: nothing is left to do. */
  'ended',
  /** The group does not own the slots: the reconfig fails. */
  'not-owner',
  /** The slots are the group's own already. */
  'owner',
  /** Another reconfig than the named one was the slots' last: its outcome must be known first. */
  'wrong-predecessor',
  /** An open move has one of the slots, or there are as many open moves as may be: ask again later. */
  'busy',
  /** A later master has spoken. */
  'fenced',
  /** There is no such open move here. */
  'unknown-move',
  /** The other decision came first. */
  'too-late',
  /** Staging does not reach as far as the source's DISABLE, or that has not been applied. */
  'too-early',
  /** A part's cursor is not the slot's: another STAGE came first. */
  'other-cursor',
  /** The destination has refused this reconfig. */
  'refused',
  /** Generations of the slot are used up. */
  'exhausted',
  'malformed',
] as const
export type MoveOutcome = (typeof OUTCOMES)[number]

export interface MoveReply {
  readonly outcome: MoveOutcome
  /** Of a DISABLE: the log index at which it was applied; else of the entry that answered. */
  readonly index: number
}

export function encodeMoveReply({ outcome, index }: MoveReply): Uint8Array {
  const writer = new BytesWriter(9)
  writer.u8(OUTCOMES.indexOf(outcome))
  writer.u64(index)
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeMoveReply(bytes: Uint8Array): MoveReply {
  const reader = new BytesReader(bytes)
  const outcome = OUTCOMES[reader.u8()]
  if (outcome === undefined) throw new DecodeError('move reply: unknown outcome')
  const index = reader.u64()
  reader.expectEnd()
  return { outcome, index }
}

export function encodeMove(command: MoveCommand): Uint8Array {
  const writer = new BytesWriter(256)
  const kind = KINDS.indexOf(command.kind) + 1
  assert(kind > 0, 'move command: unknown kind')
  writer.u8(kind)
  writer.u64(command.reconfigId)
  switch (command.kind) {
    case 'begin-source':
    case 'begin-destination':
      writer.u64(command.fence)
      encodePeer(writer, command.peer)
      writer.u16(command.slots.length)
      for (const run of command.slots) {
        writer.u16(run.first)
        writer.u16(run.last)
        if (command.kind === 'begin-source') writer.u64(run.predecessor)
      }
      break
    case 'stage':
      writer.u16(command.parts.length)
      for (const part of command.parts) encodePart(writer, part)
      break
    case 'enable':
      writer.u64(command.disableIndex)
      writer.u64(command.sourceLogTimeMs)
      break
    case 'cancel':
    case 'fence':
      writer.u64(command.fence)
      break
    default:
  }
  return writer.copy()
}

/** Views of `bytes`, from `from` on. Throws DecodeError. */
export function decodeMove(bytes: Uint8Array, from = 0): MoveCommand {
  const reader = new BytesReader(bytes, from)
  const command = decodeBody(reader, reader.u8(), reader.u64())
  reader.expectEnd()
  return command
}

function decodeBody(reader: BytesReader, number: number, reconfigId: number): MoveCommand {
  const kind = KINDS[number - 1]
  switch (kind) {
    case undefined:
      throw new DecodeError(`move command: unknown kind ${number}`)
    case 'begin-source':
    case 'begin-destination': {
      const fence = reader.u64()
      const peer = decodePeer(reader)
      return { kind, reconfigId, fence, peer, slots: decodeRuns(reader, kind === 'begin-source') }
    }
    case 'stage':
      return { kind, reconfigId, parts: Array.from({ length: reader.u16() }, () => decodePart(reader)) }
    case 'enable':
      return { kind, reconfigId, disableIndex: reader.u64(), sourceLogTimeMs: reader.u64() }
    case 'cancel':
    case 'fence':
      return { kind, reconfigId, fence: reader.u64() }
    default:
      return { kind, reconfigId }
  }
}

function decodeRuns(reader: BytesReader, withPredecessor: boolean): SlotRun[] {
  const runs: SlotRun[] = []
  const count = reader.u16()
  let least = 0
  for (let i = 0; i < count; i++) {
    const first = asSlotId(reader.u16())
    const last = asSlotId(reader.u16())
    if (first < least || last < first) throw new DecodeError('move command: slots are not in ascending runs')
    least = last + 1
    runs.push({ first, last, predecessor: withPredecessor ? reader.u64() : 0 })
  }
  return runs
}

export function encodePeer(writer: BytesWriter, peer: MovePeer): void {
  writer.u32(peer.group)
  writer.u16(peer.nodes.length)
  for (const { nodeId, address } of peer.nodes) {
    const text = latin1Bytes(address)
    writer.u32(nodeId)
    writer.u16(text.length)
    writer.raw(text)
  }
}

export function decodePeer(reader: BytesReader): MovePeer {
  const group = asGroupId(reader.u32())
  const nodes = Array.from({ length: reader.u16() }, () => {
    const nodeId = asNodeId(reader.u32())
    return { nodeId, address: latin1Text(reader.raw(reader.u16())) }
  })
  return { group, nodes }
}

function encodePart(writer: BytesWriter, { slot, expected, next, sessions, items }: StagePart): void {
  writer.u16(slot)
  encodeCursor(writer, expected)
  encodeCursor(writer, next)
  writer.blob(sessions)
  writer.u32(items.length)
  for (const { key, value, expiresAtMs } of items) {
    writer.u8(value === null ? 0 : 1)
    writer.blob(key)
    if (value === null) continue
    writer.u64(expiresAtMs)
    writer.blob(value)
  }
}

function decodePart(reader: BytesReader): StagePart {
  const slot = asSlotId(reader.u16())
  const expected = decodeCursor(reader)
  const next = decodeCursor(reader)
  const sessions = reader.blob()
  const count = reader.u32()
  if (count * 5 > reader.remaining) throw new DecodeError(`stage: ${count} items do not fit`)
  const items: StagedItem[] = []
  for (let i = 0; i < count; i++) items.push(decodeItem(reader))
  return { slot, expected, next, sessions, items }
}

function decodeItem(reader: BytesReader): StagedItem {
  const tag = reader.u8()
  if (tag > 1) throw new DecodeError(`stage: unknown tag ${tag}`)
  const key = reader.blob()
  if (tag === 0) return { key, value: null, expiresAtMs: 0 }
  const expiresAtMs = reader.u64()
  return { key, value: reader.blob(), expiresAtMs }
}

export function encodeCursor(writer: BytesWriter, cursor: StageCursor): void {
  writer.u64(cursor.sourceGeneration)
  writer.u8(cursor.stage)
  writer.u64(cursor.position)
  writer.u64(cursor.above)
  writer.u64(cursor.index)
}

export function decodeCursor(reader: BytesReader): StageCursor {
  const sourceGeneration = reader.u64()
  const stage = reader.u8()
  if (stage > STAGE_STREAMING) throw new DecodeError(`stage cursor: unknown stage ${stage}`)
  const cursor = { sourceGeneration, stage: stage as CursorStage, position: reader.u64(), above: reader.u64() }
  return { ...cursor, index: reader.u64() }
}
