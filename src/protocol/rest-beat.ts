/**
 * What nodes tell each other in place of the heartbeats of groups at rest, in the consensus lane (raft/rest.ts; kinds apart from raft-codec.ts's):
 *
 *   0x60 beat      u32 count | count x (u32 group, u64 term)   "I lead these, and they rest": all in which the receiver has a replica
 *   0x61 answer    -
 */
import { asGroupId, asTerm, type GroupId, type Term } from '../base/brand.ts'
import { type BytesReader, type BytesWriter, DecodeError } from '../base/bytes.ts'

export const REST_BEAT = 0x60
export const REST_ANSWER = 0x61
const GROUP_BYTES = 12

export type RestBeat =
  | { readonly type: 'beat'; readonly groups: ReadonlyMap<GroupId, Term> }
  | { readonly type: 'answer' }

export function isRestBeat(first: number): boolean {
  return first === REST_BEAT || first === REST_ANSWER
}

export function encodeRestBeat(writer: BytesWriter, beat: RestBeat): void {
  if (beat.type === 'answer') {
    writer.u8(REST_ANSWER)
    return
  }
  writer.u8(REST_BEAT)
  writer.u32(beat.groups.size)
  for (const [group, term] of beat.groups) {
    writer.u32(group)
    writer.u64(term)
  }
}

/** Throws DecodeError. */
export function decodeRestBeat(reader: BytesReader): RestBeat {
  const kind = reader.u8()
  if (kind === REST_ANSWER) {
    reader.expectEnd()
    return { type: 'answer' }
  }
  if (kind !== REST_BEAT) throw new DecodeError(`rest beat: unknown kind ${kind}`)
  const count = reader.u32()
  if (reader.remaining !== count * GROUP_BYTES)
    throw new DecodeError(`rest beat: ${count} groups in ${reader.remaining} bytes`)
  const groups = new Map<GroupId, Term>()
  for (let i = 0; i < count; i++) groups.set(asGroupId(reader.u32()), asTerm(reader.u64()))
  return { type: 'beat', groups }
}
