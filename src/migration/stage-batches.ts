/** Parts as STAGE entries: in their order, as many to one entry as fit, so that an entry stays below what a log entry may hold; a larger part goes alone. */
import type { StagePart } from '../protocol/move-command.ts'
import type { StageSize } from './staging-window.ts'

/** Slot, two cursors, lengths (protocol/move-command.ts). */
export const PART_BYTES = 76
/** Tag, lengths, expiry. */
const ITEM_BYTES = 17

export function partBytes({ sessions, items }: StagePart): number {
  let bytes = PART_BYTES + sessions.length
  for (const { key, value } of items) bytes += ITEM_BYTES + key.length + (value?.length ?? 0)
  return bytes
}

export interface StageBatch {
  readonly parts: readonly StagePart[]
  readonly size: StageSize
}

export function stageBatches(parts: readonly StagePart[], maxBytes: number): StageBatch[] {
  const batches: StageBatch[] = []
  let batch: StagePart[] = []
  let [bytes, keys] = [0, 0]
  const close = (): void => {
    if (batch.length > 0) batches.push({ parts: batch, size: { bytes, keys } })
    batch = []
    bytes = 0
    keys = 0
  }
  for (const part of parts) {
    const partSize = partBytes(part)
    if (bytes + partSize > maxBytes) close()
    batch.push(part)
    bytes += partSize
    keys += part.items.length
  }
  close()
  return batches
}
