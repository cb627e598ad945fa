/**
 * The slot table as it stands in /kv/slots: who owns each slot, and the reconfig that touched it last there. In runs, so that even 16384 slots that
 * alternate fit one node's data (229 KiB). It carries its version itself, so that one read gives both.
 *
 *   table := u8 layout (1) | u64 version | u16 slots | u16 runs | (u16 first | u32 group | u64 reconfigId)*     a run reaches to the next one's first
 */
import { assert } from '../base/assert.ts'
import { asGroupId, type GroupId } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import { REDIS_SLOT_COUNT } from '../base/slot.ts'
import type { SlotRange } from './allocation.ts'

const LAYOUT = 1

export interface SlotTable {
  /** Rises with each change. */
  readonly version: number
  /** Of each slot. */
  readonly groups: readonly GroupId[]
  /** Of each slot: the owner's last reconfig of it, which the next one names as its predecessor. 0: none yet. */
  readonly reconfigIds: readonly number[]
}

export function encodeSlotTable({ version, groups, reconfigIds }: SlotTable): Uint8Array {
  const slotCount = groups.length
  assert(slotCount > 0 && slotCount <= REDIS_SLOT_COUNT && reconfigIds.length === slotCount, 'slot table: size')
  const firsts: number[] = []
  for (let slot = 0; slot < slotCount; slot++) {
    if (slot === 0 || groups[slot] !== groups[slot - 1] || reconfigIds[slot] !== reconfigIds[slot - 1])
      firsts.push(slot)
  }
  const writer = new BytesWriter(16 + firsts.length * 14)
  writer.u8(LAYOUT)
  writer.u64(version)
  writer.u16(slotCount)
  writer.u16(firsts.length)
  for (const first of firsts) {
    writer.u16(first)
    writer.u32(groups[first])
    writer.u64(reconfigIds[first])
  }
  return writer.copy()
}

/** Throws DecodeError. */
export function decodeSlotTable(data: Uint8Array): SlotTable {
  const reader = new BytesReader(data)
  const layout = reader.u8()
  if (layout !== LAYOUT) throw new DecodeError(`slot table: layout ${layout}, this version reads ${LAYOUT}`)
  const version = reader.u64()
  const slotCount = reader.u16()
  const runs = reader.u16()
  if (slotCount === 0 || slotCount > REDIS_SLOT_COUNT || runs === 0 || runs > slotCount) {
    throw new DecodeError(`slot table: ${runs} runs of ${slotCount} slots`)
  }
  const groups: GroupId[] = new Array(slotCount)
  const reconfigIds: number[] = new Array(slotCount)
  let filled = 0
  for (let run = 0; run < runs; run++) {
    const first = reader.u16()
    if ((run === 0) !== (first === 0) || first < filled || first >= slotCount) {
      throw new DecodeError(`slot table: a run at ${first}`)
    }
    if (run > 0) fill(groups, reconfigIds, filled, first)
    groups[first] = asGroupId(reader.u32())
    reconfigIds[first] = reader.u64()
    filled = first + 1
  }
  fill(groups, reconfigIds, filled, slotCount)
  reader.expectEnd()
  return { version, groups, reconfigIds }
}

function fill(groups: GroupId[], reconfigIds: number[], from: number, to: number): void {
  for (let slot = from; slot < to; slot++) {
    groups[slot] = groups[slot - 1]
    reconfigIds[slot] = reconfigIds[slot - 1]
  }
}

/** Neighbouring slots of one group, rising. */
export function tableRanges(groups: readonly GroupId[]): { readonly range: SlotRange; readonly group: GroupId }[] {
  const ranges: { readonly range: SlotRange; readonly group: GroupId }[] = []
  for (let from = 0; from < groups.length; ) {
    let to = from
    while (to + 1 < groups.length && groups[to + 1] === groups[from]) to++
    ranges.push({ range: [from, to], group: groups[from] })
    from = to + 1
  }
  return ranges
}
