/** Calls that make or end reconfigs, as plans over a snapshot (active-master.ts runs them). */
import type { GroupId } from '../base/brand.ts'
import { slotOf } from '../base/slot.ts'
import type { JobPlan } from './active-master.ts'
import { NOBODY, type SlotMove, type SlotRange } from './allocation.ts'
import type { ClusterSnapshot } from './cluster-snapshot.ts'
import { type MasterError, type MasterErrorCode, masterError } from './master-error.ts'
import { allocationOf, planMove, planRebalance } from './plan-reconfigs.ts'
import { isWholeId } from './reconfig-lookup.ts'
import { TreeDraft } from './tree-draft.ts'

export type MoveWhat = { readonly slots: readonly SlotRange[] } | { readonly key: Uint8Array }

export interface RebalancePlan {
  /** What is to move, by rising source. */
  readonly moves: readonly SlotMove[]
  /** Those of this call; more follow by themselves where one write does not hold them. Empty for a dry run. */
  readonly reconfigIds: readonly number[]
}

export function refuse(code: MasterErrorCode, message: string, mend: string): { kind: 'refuse'; error: MasterError } {
  return { kind: 'refuse', error: masterError(code, message, mend) }
}

export function refuseUnknownGroup(group: GroupId): { kind: 'refuse'; error: MasterError } {
  return refuse('unknown-group', `there is no group ${group}`, 'see `quorate admin groups`')
}

/** The ids are empty where the slots are there already, or will be by earlier reconfigs. */
export function reconfigPlan(
  snapshot: ClusterSnapshot,
  what: MoveWhat,
  destination: GroupId,
): JobPlan<{ readonly reconfigIds: readonly number[] }> {
  const { slotCount } = snapshot.config.value
  let ranges: readonly SlotRange[]
  if ('key' in what) {
    const slot = slotOf(what.key, slotCount)
    ranges = [[slot, slot]]
  } else ranges = what.slots
  const problem = rangesProblem(ranges, slotCount)
  if (problem !== null) return { kind: 'refuse', error: problem }
  const taker = snapshot.groups.get(destination)
  if (taker === undefined) return refuseUnknownGroup(destination)
  if (taker.value.draining) {
    const mend = `name another, or let it take slots again: \`quorate admin group undrain ${destination}\``
    return refuse('group-draining', `group ${destination} is being drained`, mend)
  }
  const draft = new TreeDraft(snapshot)
  const { reconfigIds, hasMore } = planMove(draft, ranges, destination)
  if (hasMore && draft.room === 0) return refuse('busy', 'too many reconfigs are not over', 'wait until some are')
  if (hasMore) return refuse('too-large', 'too many reconfigs for one call', 'move fewer slots at a time')
  return { kind: 'write', operations: draft.operations(), answer: { reconfigIds } }
}

function rangesProblem(ranges: readonly SlotRange[], slotCount: number): MasterError | null {
  const isSlot = (slot: number): boolean => Number.isInteger(slot) && slot >= 0 && slot < slotCount
  if (ranges.length === 0) return masterError('malformed-argument', 'no slots are named', 'name FIRST-LAST,...')
  if (ranges.length > slotCount) return masterError('malformed-argument', 'too many ranges', 'name each slot once')
  for (const [first, last] of ranges) {
    if (!isSlot(first) || !isSlot(last)) {
      return masterError(
        'unknown-slot',
        `there is no slot ${isSlot(first) ? last : first}`,
        `slots are 0-${slotCount - 1}`,
      )
    }
    if (first > last)
      return masterError('malformed-argument', `${first}-${last} is no range`, 'name the lower slot first')
  }
  return null
}

export function rebalancePlan(snapshot: ClusterSnapshot, dryRun: boolean): JobPlan<RebalancePlan> {
  const draft = new TreeDraft(snapshot)
  const allocation = allocationOf(snapshot, draft.planned())
  if (allocation.kind === 'refused') return refuse('no-groups', allocation.message, 'give a group a weight')
  const moves = allocation.moves.filter(({ from }) => from !== NOBODY)
  if (dryRun) return { kind: 'write', operations: [], answer: { moves, reconfigIds: [] } }
  let planned = planRebalance(draft)
  let operations = draft.operations()
  if (!TreeDraft.fits(operations)) {
    // The orchestrator plans as many at a time as one write holds.
    const onlyWanted = new TreeDraft(snapshot)
    onlyWanted.rebalance(true)
    operations = onlyWanted.operations()
    planned = { reconfigIds: [], hasMore: true }
  } else if ('hasMore' in planned && planned.hasMore) {
    draft.rebalance(true)
    operations = draft.operations()
  }
  const reconfigIds = 'reconfigIds' in planned ? planned.reconfigIds : []
  return { kind: 'write', operations, answer: { moves, reconfigIds } }
}

/**
 * A planned one is cancelled at once. A begun one is called off if its source's log has no DISABLE yet: whether it was, its outcome tells. Where it is
 * cancelled already this is success.
 */
export function cancelPlan(
  snapshot: ClusterSnapshot,
  reconfigId: number,
): JobPlan<{ readonly status: 'cancelled' | 'cancelling' }> {
  if (!isWholeId(reconfigId))
    return refuse('malformed-id', `${reconfigId} is no reconfig id`, 'ids are whole numbers from 1 on')
  const { last } = snapshot.migrations.value
  if (reconfigId > last)
    return refuse('unknown-reconfig', `there is no reconfig ${reconfigId}`, `the last one is ${last}`)
  const draft = new TreeDraft(snapshot)
  const reconfig = draft.find(reconfigId)
  const tooLate = (): JobPlan<never> => {
    return refuse('too-late', `reconfig ${reconfigId} is over`, 'move the slots back with another one')
  }
  if (reconfig === null) {
    const past = [...snapshot.buckets.values()].flatMap(({ value }) => value).find((r) => r.reconfigId === reconfigId)
    if (past?.status !== 'cancelled') return tooLate()
    return { kind: 'write', operations: [], answer: { status: 'cancelled' } }
  }
  if (reconfig.status === 'cancelled') return { kind: 'write', operations: [], answer: { status: 'cancelled' } }
  if (reconfig.status === 'planned') {
    draft.change(reconfigId, { status: 'cancelled', reason: 'cancelled before it began', isClean: true })
    const isDraining = snapshot.groups.get(reconfig.source)?.value.draining ?? false
    if (isDraining && !reconfig.byWeight) draft.rebalance(true)
    return { kind: 'write', operations: draft.operations(), answer: { status: 'cancelled' } }
  }
  if (reconfig.status !== 'begun') return tooLate()
  if (reconfig.callOff !== 'cancel') draft.change(reconfigId, { callOff: 'cancel', reason: 'cancelled' })
  return { kind: 'write', operations: draft.operations(), answer: { status: 'cancelling' } }
}
