/**
 * Who will own each slot once every reconfig that is planned or begun has been carried out, in the order of their ids; what the next one is planned over.
 * A reconfig fits if, for each of its slots, its source is the owner and its predecessor the last to have touched it: by then (`planned`), or now (`ready`).
 * One that does not fit any more is doomed: a reconfig that it follows came to nothing, and no group will ever own all of its slots in that way.
 */
import type { GroupId } from '../base/brand.ts'
import { hasOutcome, type Reconfig } from './reconfig.ts'
import type { SlotTable } from './slot-table.ts'

export interface PlannedSlots {
  readonly groups: GroupId[]
  /** Of each slot: what the next reconfig of it names as its predecessor. */
  readonly reconfigIds: number[]
  /** Ids of planned reconfigs that can never begin. */
  readonly doomed: ReadonlySet<number>
}

type Owners = Pick<SlotTable, 'groups' | 'reconfigIds'>

/** `reconfigs`: rising by id; those with an outcome are passed over, the table has them. */
export function plannedSlots(table: Owners, reconfigs: readonly Reconfig[]): PlannedSlots {
  const groups = [...table.groups]
  const reconfigIds = [...table.reconfigIds]
  const doomed = new Set<number>()
  for (const reconfig of reconfigs) {
    if (hasOutcome(reconfig)) continue
    if (!fits(reconfig, { groups, reconfigIds })) {
      doomed.add(reconfig.reconfigId)
      continue
    }
    for (const { first, last } of reconfig.slots) {
      groups.fill(reconfig.destination, first, last + 1)
      reconfigIds.fill(reconfig.reconfigId, first, last + 1)
    }
  }
  return { groups, reconfigIds, doomed }
}

/** All of its predecessors have an outcome, and its source owns the slots now. */
export function isReady(table: Owners, reconfig: Reconfig): boolean {
  return fits(reconfig, table)
}

function fits({ source, slots }: Reconfig, { groups, reconfigIds }: Owners): boolean {
  for (const { first, last, predecessor } of slots) {
    for (let slot: number = first; slot <= last; slot++) {
      if (groups[slot] !== source || reconfigIds[slot] !== predecessor) return false
    }
  }
  return true
}
