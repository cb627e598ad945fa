/**
 * What the active master asks of a group's leader (ports/group-commands.ts), as the bodies of a node call:
 *
 *   request  := u8 1 | u32 group | move command (protocol/move-command.ts: BEGIN or CANCEL)
 *             | u8 2 | u32 group | u64 reconfigId | u16 slots | slot*          how far is the source?
 *             | u8 3 | u32 group | u64 reconfigId | u16 slots | slot*          CheckCommit
 *   reply    := u8 1 | move reply
 *             | u8 2 | u32 leader's node id (0: unknown)                       nothing was done: another node leads, or nobody can answer
 *             | u8 3                                                           it may have been done
 *             | u8 4 | u8 standing
 */
import { asGroupId, asNodeId, asSlotId, type GroupId, type NodeId, type SlotId } from '../../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../../base/bytes.ts'
import type { DestinationStanding, SourceStanding } from '../../ports/group-commands.ts'
import {
  decodeMove,
  decodeMoveReply,
  encodeMove,
  encodeMoveReply,
  type MoveCommand,
  type MoveReply,
} from '../../protocol/move-command.ts'

/** The steps that a master takes; the others are the groups' own. */
export type MasterCommand = Extract<MoveCommand, { kind: 'begin-source' | 'begin-destination' | 'cancel' }>

export type GroupRequest =
  | { readonly kind: 'command'; readonly group: GroupId; readonly command: MasterCommand }
  | {
      readonly kind: 'source' | 'destination'
      readonly group: GroupId
      readonly reconfigId: number
      readonly slots: readonly SlotId[]
    }

export type GroupReply =
  | { readonly kind: 'applied'; readonly reply: MoveReply }
  | { readonly kind: 'elsewhere'; readonly leader: NodeId | null }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'standing'; readonly standing: SourceStanding | DestinationStanding }

const COMMAND = 1
const QUESTIONS = [null, null, 'source', 'destination'] as const
const STANDINGS = ['unknown', 'begun', 'disabled', 'kept', 'left', 'staging', 'refused', 'committed'] as const
const SOURCE_STANDINGS: ReadonlySet<string> = new Set<SourceStanding>(['unknown', 'begun', 'disabled', 'kept', 'left'])

export function isSourceStanding(standing: SourceStanding | DestinationStanding): standing is SourceStanding {
  return SOURCE_STANDINGS.has(standing)
}

export function isDestinationStanding(standing: SourceStanding | DestinationStanding): standing is DestinationStanding {
  return standing === 'unknown' || !SOURCE_STANDINGS.has(standing)
}

export function encodeGroupRequest(request: GroupRequest): Uint8Array {
  const writer = new BytesWriter(64)
  if (request.kind === 'command') {
    writer.u8(COMMAND)
    writer.u32(request.group)
    writer.raw(encodeMove(request.command))
    return writer.copy()
  }
  writer.u8(QUESTIONS.indexOf(request.kind))
  writer.u32(request.group)
  writer.u64(request.reconfigId)
  writer.u16(request.slots.length)
  for (const slot of request.slots) writer.u16(slot)
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeGroupRequest(bytes: Uint8Array): GroupRequest {
  const reader = new BytesReader(bytes)
  const type = reader.u8()
  const group = asGroupId(reader.u32())
  if (type === COMMAND) {
    const command = decodeMove(reader.raw(reader.remaining))
    if (!isMasterCommand(command)) throw new DecodeError(`group command: ${command.kind} is no master's to give`)
    return { kind: 'command', group, command }
  }
  const kind = QUESTIONS[type] ?? null
  if (kind === null) throw new DecodeError(`group command: unknown type ${type}`)
  const reconfigId = reader.u64()
  const slots = Array.from({ length: reader.u16() }, () => asSlotId(reader.u16()))
  reader.expectEnd()
  return { kind, group, reconfigId, slots }
}

export function encodeGroupReply(reply: GroupReply): Uint8Array {
  const writer = new BytesWriter(16)
  switch (reply.kind) {
    case 'applied':
      writer.u8(1)
      writer.raw(encodeMoveReply(reply.reply))
      break
    case 'elsewhere':
      writer.u8(2)
      writer.u32(reply.leader ?? 0)
      break
    case 'unknown':
      writer.u8(3)
      break
    case 'standing':
      writer.u8(4)
      writer.u8(STANDINGS.indexOf(reply.standing))
      break
  }
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeGroupReply(bytes: Uint8Array): GroupReply {
  const reader = new BytesReader(bytes)
  const reply = decodeReplyBody(reader, reader.u8())
  reader.expectEnd()
  return reply
}

function decodeReplyBody(reader: BytesReader, type: number): GroupReply {
  if (type === 1) return { kind: 'applied', reply: decodeMoveReply(reader.raw(reader.remaining)) }
  if (type === 2) {
    const leader = reader.u32()
    return { kind: 'elsewhere', leader: leader === 0 ? null : asNodeId(leader) }
  }
  if (type === 3) return { kind: 'unknown' }
  const standing = type === 4 ? STANDINGS[reader.u8()] : undefined
  if (standing === undefined)
    throw new DecodeError(`group command: a reply of unknown type ${type}, or an unknown standing`)
  return { kind: 'standing', standing }
}

function isMasterCommand(command: MoveCommand): command is MasterCommand {
  return command.kind === 'begin-source' || command.kind === 'begin-destination' || command.kind === 'cancel'
}
