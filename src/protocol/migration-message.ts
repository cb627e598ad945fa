/**
 * What the leaders of two groups say to each other while slots move from one (A, the source) to the other (B, the destination). Nothing here decides
 * anything: the groups' logs do (move-command.ts), and every message may be lost, come late, or come twice.
 *
 *   B  -> A   pull      what follows these cursors?
 *   A  -> B   parts     here it is, and this is how far A's log has come
 *   A <-> B   ask       how far has your log come? (A: has B enabled, CheckCommit. B, which has refused: has A taken its slots back?)
 *   A <-> B   answer
 *   any       redirect  another node leads the group, or none that is known here
 *
 *   message   := u8 type | u32 to group | u32 from group | u64 reconfigId | u64 request id | body
 *   pull      := u32 max bytes | u64 through index | u64 staged bytes | u16 slots | (u16 slot | u8 both | cursor | cursor  where `both` is 1)*
 *   parts     := standing | u64 applied index | u64 log time ms | u32 lag keys | u64 lag bytes | u16 slots read | STAGE command (move-command.ts)
 *   ask       := u8 asked role (0 source, 1 destination) | standing of the asker | u16 slots | slot*
 *   answer    := standing
 *   redirect  := u32 leader's node id (0: unknown) | u16 length | address
 *   standing  := u8 kind | u64 disable index
 *
 * A request id is echoed and means nothing beyond that: cursors alone say whether parts fit.
 */
import { asGroupId, asLogIndex, asNodeId, asSlotId, type GroupId, type LogIndex, type SlotId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, latin1Bytes, latin1Text } from '../base/bytes.ts'
import {
  decodeCursor,
  decodeMove,
  encodeCursor,
  encodeMove,
  type MovePeer,
  type StageCursor,
  type StagePart,
  sameCursor,
} from './move-command.ts'

/** Slots that one pull names. */
export const PULL_SLOTS_MAX = 128

const STANDINGS = [
  /** No BEGIN has been applied here; it may still come. */
  'unknown',
  /** A serves the slots. */
  'begun',
  /** A serves them no more, from `disableIndex` on. */
  'disabled',
  /** A's part is over: called off, or done. Final. */
  'ended',
  /** B stages. */
  'staging',
  /** B will not enable. Final. */
  'refused',
  /** B has enabled, and the slots may even have gone on from there. Final. */
  'committed',
] as const

/** How far a group's log has brought one reconfig. */
export interface MoveStanding {
  readonly kind: (typeof STANDINGS)[number]
  /** Where the kind is `disabled`; else 0. */
  readonly disableIndex: LogIndex
}

export type PeerNode = MovePeer['nodes'][number]

interface Envelope {
  readonly toGroup: GroupId
  readonly fromGroup: GroupId
  readonly reconfigId: number
  readonly requestId: number
}

export interface PulledSlot {
  readonly slot: SlotId
  /** The part after this one is wanted. */
  readonly cursor: StageCursor
  /** Up to here everything is staged for certain; never beyond `cursor`. */
  readonly confirmed: StageCursor
}

export interface MigrationPull extends Envelope {
  readonly type: 'pull'
  readonly maxBytes: number
  /** Parts are wanted for the index alone, up to this one. */
  readonly throughIndex: number
  /** Bytes that the asking leader has staged in all: the source reckons the pace from it. */
  readonly stagedBytes: number
  readonly slots: readonly PulledSlot[]
}

export interface MigrationParts extends Envelope {
  readonly type: 'parts'
  readonly standing: MoveStanding
  readonly appliedIndex: number
  readonly logTimeMs: number
  /** Changed above what is confirmed, as far as it is known. */
  readonly lag: { readonly keys: number; readonly bytes: number }
  /** Of the pull's slots so many, from its first on, were looked at. */
  readonly slotsRead: number
  /** Views of the message's bytes. Those of one slot follow each other. */
  readonly parts: readonly StagePart[]
}

export interface MigrationAsk extends Envelope {
  readonly type: 'ask'
  readonly asked: 'source' | 'destination'
  readonly own: MoveStanding
  readonly slots: readonly SlotId[]
}

export interface MigrationAnswer extends Envelope {
  readonly type: 'answer'
  readonly standing: MoveStanding
}

export interface MigrationRedirect extends Envelope {
  readonly type: 'redirect'
  /** Null: not known here, or the group is not here at all. */
  readonly leader: PeerNode | null
}

export type MigrationMessage = MigrationPull | MigrationParts | MigrationAsk | MigrationAnswer | MigrationRedirect

const TYPES: readonly MigrationMessage['type'][] = ['pull', 'parts', 'ask', 'answer', 'redirect']

export function encodeMigrationMessage(message: MigrationMessage): Uint8Array {
  const writer = new BytesWriter(256)
  writer.u8(TYPES.indexOf(message.type))
  writer.u32(message.toGroup)
  writer.u32(message.fromGroup)
  writer.u64(message.reconfigId)
  writer.u64(message.requestId)
  switch (message.type) {
    case 'pull':
      writer.u32(message.maxBytes)
      writer.u64(message.throughIndex)
      writer.u64(message.stagedBytes)
      writer.u16(message.slots.length)
      for (const pulled of message.slots) encodePulled(writer, pulled)
      break
    case 'parts':
      encodeStanding(writer, message.standing)
      writer.u64(message.appliedIndex)
      writer.u64(message.logTimeMs)
      writer.u32(message.lag.keys)
      writer.u64(message.lag.bytes)
      writer.u16(message.slotsRead)
      writer.raw(encodeMove({ kind: 'stage', reconfigId: message.reconfigId, parts: message.parts }))
      break
    case 'ask':
      writer.u8(message.asked === 'source' ? 0 : 1)
      encodeStanding(writer, message.own)
      writer.u16(message.slots.length)
      for (const slot of message.slots) writer.u16(slot)
      break
    case 'answer':
      encodeStanding(writer, message.standing)
      break
    case 'redirect': {
      const address = latin1Bytes(message.leader?.address ?? '')
      writer.u32(message.leader?.nodeId ?? 0)
      writer.u16(address.length)
      writer.raw(address)
      break
    }
  }
  return writer.finish()
}

/** Throws DecodeError. */
export function decodeMigrationMessage(bytes: Uint8Array): MigrationMessage {
  const reader = new BytesReader(bytes)
  const type = TYPES[reader.u8()]
  if (type === undefined) throw new DecodeError('migration message: unknown type')
  const groups = { toGroup: asGroupId(reader.u32()), fromGroup: asGroupId(reader.u32()) }
  const envelope = { ...groups, reconfigId: reader.u64(), requestId: reader.u64() }
  const message = decodeBody(reader, type, envelope)
  reader.expectEnd()
  return message
}

function decodeBody(reader: BytesReader, type: MigrationMessage['type'], envelope: Envelope): MigrationMessage {
  switch (type) {
    case 'pull': {
      const fields = { maxBytes: reader.u32(), throughIndex: reader.u64(), stagedBytes: reader.u64() }
      const count = reader.u16()
      if (count > PULL_SLOTS_MAX) throw new DecodeError(`pull: names ${count} slots`)
      return { ...envelope, type, ...fields, slots: Array.from({ length: count }, () => decodePulled(reader)) }
    }
    case 'parts': {
      const standing = decodeStanding(reader)
      const fields = { appliedIndex: reader.u64(), logTimeMs: reader.u64() }
      const lag = { keys: reader.u32(), bytes: reader.u64() }
      const slotsRead = reader.u16()
      const stage = decodeMove(reader.raw(reader.remaining))
      if (stage.kind !== 'stage' || stage.reconfigId !== envelope.reconfigId) {
        throw new DecodeError('parts: not those of this reconfig')
      }
      return { ...envelope, type, standing, ...fields, lag, slotsRead, parts: stage.parts }
    }
    case 'ask': {
      const asked = reader.u8()
      if (asked > 1) throw new DecodeError(`ask: unknown role ${asked}`)
      const own = decodeStanding(reader)
      const slots = Array.from({ length: reader.u16() }, () => asSlotId(reader.u16()))
      return { ...envelope, type, asked: asked === 0 ? 'source' : 'destination', own, slots }
    }
    case 'answer':
      return { ...envelope, type, standing: decodeStanding(reader) }
    case 'redirect': {
      const nodeId = asNodeId(reader.u32())
      const address = latin1Text(reader.raw(reader.u16()))
      return { ...envelope, type, leader: nodeId === 0 ? null : { nodeId, address } }
    }
  }
}

function encodePulled(writer: BytesWriter, { slot, cursor, confirmed }: PulledSlot): void {
  const both = !sameCursor(cursor, confirmed)
  writer.u16(slot)
  writer.u8(both ? 1 : 0)
  encodeCursor(writer, cursor)
  if (both) encodeCursor(writer, confirmed)
}

function decodePulled(reader: BytesReader): PulledSlot {
  const slot = asSlotId(reader.u16())
  const both = reader.u8()
  if (both > 1) throw new DecodeError(`pull: unknown tag ${both}`)
  const cursor = decodeCursor(reader)
  return { slot, cursor, confirmed: both === 1 ? decodeCursor(reader) : cursor }
}

function encodeStanding(writer: BytesWriter, { kind, disableIndex }: MoveStanding): void {
  writer.u8(STANDINGS.indexOf(kind))
  writer.u64(disableIndex)
}

function decodeStanding(reader: BytesReader): MoveStanding {
  const kind = STANDINGS[reader.u8()]
  if (kind === undefined) throw new DecodeError('migration message: unknown standing')
  return { kind, disableIndex: asLogIndex(reader.u64()) }
}
