/**
 * From what somebody wants to reconfigs in a draft. Everything is planned over the owners that the slots will have once all earlier reconfigs are carried
 * out, and names those as predecessors.
 */
import { asGroupId, asSlotId, type GroupId } from '../base/brand.ts'
import type { SlotRun } from '../protocol/move-command.ts'
import { type Allocation, allocate, type SlotMove, type SlotRange, type WeightedGroup } from './allocation.ts'
import type { ClusterSnapshot } from './cluster-snapshot.ts'
import type { PlannedSlots } from './planned-slots.ts'
import type { TreeDraft } from './tree-draft.ts'
import { BUCKET_SIZE, MAX_RUNS } from './tree-layout.ts'

/** Reconfigs of one write. */
const MAX_PLANNED_AT_ONCE = BUCKET_SIZE

export interface PlanResult {
  readonly reconfigIds: readonly number[]
  /** Not all fitted: ask again once these are written. */
  readonly hasMore: boolean
}

/** The slots go to `destination`; those that are there already stay. One reconfig for each group that owns some, more where they lie in too many runs. */
export function planMove(draft: TreeDraft, ranges: readonly SlotRange[], destination: GroupId): PlanResult {
  const { groups, reconfigIds } = draft.planned()
  const bySource = new Map<GroupId, number[]>()
  for (const [first, last] of ranges) {
    for (let slot = first; slot <= last; slot++) {
      if (groups[slot] === destination) continue
      const slots = bySource.get(groups[slot])
      if (slots === undefined) bySource.set(groups[slot], [slot])
      else slots.push(slot)
    }
  }
  const moves = [...bySource]
    .sort(([a], [b]) => a - b)
    .map(([from, slots]) => {
      // People name ranges in any order, and some slots twice.
      const rising = [...new Set(slots)].sort((a, b) => a - b)
      return { from, to: destination, slots: rising.map((slot): SlotRange => [slot, slot]) }
    })
  return addMoves(draft, moves, reconfigIds, MAX_PLANNED_AT_ONCE, false)
}

/** By weight, over all groups: as few slots as possible move. */
export function planRebalance(
  draft: TreeDraft,
  most = MAX_PLANNED_AT_ONCE,
): PlanResult | (Allocation & { kind: 'refused' }) {
  const planned = draft.planned()
  const allocation = allocationOf(draft.snapshot, planned)
  if (allocation.kind === 'refused') return allocation
  return addMoves(draft, allocation.moves, planned.reconfigIds, most, true)
}

export function allocationOf(snapshot: ClusterSnapshot, { groups }: Pick<PlannedSlots, 'groups'>): Allocation {
  return allocate(groups, weightedGroups(snapshot))
}

function weightedGroups({ groups }: ClusterSnapshot): WeightedGroup[] {
  return [...groups].map(([groupId, { value }]) => ({
    groupId,
    weight: value.weight,
    draining: value.draining,
  }))
}

function addMoves(
  draft: TreeDraft,
  moves: readonly SlotMove[],
  predecessors: readonly number[],
  most: number,
  byWeight: boolean,
): PlanResult {
  const added: number[] = []
  const room = Math.min(most, draft.room)
  for (const { from, to, slots } of moves) {
    // Slots that no group owns are given out by a cluster's genesis, never by a move.
    if (from === asGroupId(0)) continue
    const runs = runsOf(slots, predecessors)
    for (let at = 0; at < runs.length; at += MAX_RUNS) {
      if (added.length >= room) return { reconfigIds: added, hasMore: true }
      added.push(draft.add(from, to, runs.slice(at, at + MAX_RUNS), byWeight))
    }
  }
  return { reconfigIds: added, hasMore: false }
}

/** Neighbouring slots with the same predecessor as one run. */
function runsOf(ranges: readonly SlotRange[], predecessors: readonly number[]): SlotRun[] {
  const runs: SlotRun[] = []
  for (const [from, to] of ranges) {
    for (let slot = from; slot <= to; slot++) {
      const before = runs.at(-1)
      const predecessor = predecessors[slot]
      if (before !== undefined && before.last === slot - 1 && before.predecessor === predecessor) {
        runs[runs.length - 1] = { ...before, last: asSlotId(slot) }
      } else runs.push({ first: asSlotId(slot), last: asSlotId(slot), predecessor })
    }
  }
  return runs
}
