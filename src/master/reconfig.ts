/**
 * One numbered entry of the ShardMaster's list, and a bucket of them as it stands under /kv/migrations.
 *
 *   planned --> begun --> done        B's applied ENABLE
 *      |          +-----> cancelled   A's applied CANCEL or RESUME, where somebody asked for it
 *      |          +-----> failed      the same, where nobody did; or BEGIN was refused for good
 *      +----------------> cancelled, failed: it was never begun
 *
 * `begun` is written before the first BEGIN is sent: a planned one can be struck off the list without a word to its groups, a begun one never can, because
 * a BEGIN may still be on its way. One with an outcome is `clean` once no group has an open move of it.
 */
import { asGroupId, asSlotId, type GroupId, type SlotId } from '../base/brand.ts'
import type { SlotRun } from '../protocol/move-command.ts'
import { BUCKET_SIZE, bucketOf, bucketPath, MAX_RUNS } from './tree-layout.ts'
import { decodeValue, encodeValue, type ValueReader } from './tree-value.ts'

const STATUSES = ['planned', 'begun', 'done', 'cancelled', 'failed'] as const
export type ReconfigStatus = (typeof STATUSES)[number]

const CALL_OFFS = ['no', 'cancel', 'fail'] as const

export interface Reconfig {
  readonly reconfigId: number
  readonly source: GroupId
  readonly destination: GroupId
  /** Rising. Their predecessors are what the source's slots must have been touched by last. */
  readonly slots: readonly SlotRun[]
  /** Planned by weight, not asked for by somebody: planned afresh where what it follows comes to nothing. */
  readonly byWeight: boolean
  readonly status: ReconfigStatus
  /** It is to be called off, if the source's log still can: then it is cancelled (somebody asked) or failed. */
  readonly callOff: (typeof CALL_OFFS)[number]
  /** Why it was called off or has failed; else empty. */
  readonly reason: string
  readonly isClean: boolean
}

/** Longer ones are cut. */
const MAX_REASON = 200

export function hasOutcome({ status }: Reconfig): boolean {
  return status !== 'planned' && status !== 'begun'
}

export function slotsOf({ slots }: Pick<Reconfig, 'slots'>): SlotId[] {
  const list: SlotId[] = []
  for (const { first, last } of slots) for (let slot: number = first; slot <= last; slot++) list.push(asSlotId(slot))
  return list
}

export function encodeBucket(reconfigs: readonly Reconfig[]): Uint8Array {
  return encodeValue({
    reconfigs: reconfigs.map(
      ({ reconfigId, source, destination, slots, status, callOff, reason, isClean, byWeight }) => ({
        id: reconfigId,
        from: source,
        to: destination,
        byWeight,
        status,
        callOff,
        reason: reason.slice(0, MAX_REASON),
        clean: isClean,
        slots: slots.flatMap(({ first, last, predecessor }) => [first, last, predecessor]),
      }),
    ),
  })
}

/** Throws DecodeError. Ids rise: by one, but for those of an earlier cluster epoch, of which only the open ones are known. */
export function decodeBucket(bucket: number, data: Uint8Array): Reconfig[] {
  const value = decodeValue(bucketPath(bucket), data)
  const reconfigs = value.objects('reconfigs').map(decodeReconfig)
  if (reconfigs.length > BUCKET_SIZE) value.refuse(`${reconfigs.length} reconfigs`)
  for (let i = 0; i < reconfigs.length; i++) {
    const { reconfigId } = reconfigs[i]
    if (bucketOf(reconfigId) !== bucket) value.refuse(`reconfig ${reconfigId} is not of this bucket`)
    if (i > 0 && reconfigId <= reconfigs[i - 1].reconfigId) value.refuse(`reconfig ${reconfigId} is out of order`)
  }
  return reconfigs
}

function decodeReconfig(value: ValueReader): Reconfig {
  const flat = value.wholes('slots')
  if (flat.length === 0 || flat.length % 3 !== 0 || flat.length > 3 * MAX_RUNS) value.refuse('slots in no runs')
  const slots: SlotRun[] = []
  for (let i = 0; i < flat.length; i += 3) {
    const [first, last] = [flat[i], flat[i + 1]]
    if (first > last || (i > 0 && first <= flat[i - 2])) value.refuse(`a run of slots ${first}-${last}`)
    slots.push({ first: asSlotId(first), last: asSlotId(last), predecessor: flat[i + 2] })
  }
  return {
    reconfigId: value.whole('id'),
    source: asGroupId(value.whole('from')),
    destination: asGroupId(value.whole('to')),
    slots,
    byWeight: value.flag('byWeight'),
    status: value.oneOf('status', STATUSES),
    callOff: value.oneOf('callOff', CALL_OFFS),
    reason: value.text('reason'),
    isClean: value.flag('clean'),
  }
}
