/**
 * The members of one group, as they stand in membership entries, checkpoints and images:
 *
 *   membership := u16 count | (u32 replica id | u32 node id | u8 role)*      ordered by replica id
 *
 * A replica id is allotted at Join and never used again (etcd-io/raft doc.go: a wiped node that keeps its id replays
 * an old view and elects itself).
 */
import { asNodeId, asReplicaId, type NodeId, type ReplicaId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'

/** A learner receives the log and does not count; it still answers when asked for its vote (thesis 4.2.1). */
export type MemberRole = 'voter' | 'learner'

export interface Member {
  readonly replicaId: ReplicaId
  readonly nodeId: NodeId
  readonly role: MemberRole
}

/** Ordered by replica id. */
export interface Membership {
  readonly members: readonly Member[]
}

export function encodeMembership(membership: Membership): Uint8Array {
  const writer = new BytesWriter(2 + membership.members.length * 9)
  writer.u16(membership.members.length)
  for (const member of membership.members) {
    writer.u32(member.replicaId)
    writer.u32(member.nodeId)
    writer.u8(member.role === 'voter' ? 1 : 2)
  }
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeMembership(bytes: Uint8Array): Membership {
  const reader = new BytesReader(bytes)
  const count = reader.u16()
  const members: Member[] = []
  for (let i = 0; i < count; i++) {
    const replicaId = asReplicaId(reader.u32())
    const nodeId = asNodeId(reader.u32())
    const role = reader.u8()
    if (role !== 1 && role !== 2) throw new DecodeError(`membership: unknown role ${role}`)
    members.push({ replicaId, nodeId, role: role === 1 ? 'voter' : 'learner' })
  }
  reader.expectEnd()
  return { members }
}
