/** GetReconfig: one reconfig of the list by its id, from any master, as the tree has it. */
import type { GroupId } from '../base/brand.ts'
import type { MetadataStore } from '../ports/metadata-store.ts'
import type { SlotRun } from '../protocol/move-command.ts'
import { decodeMigrations } from './cluster-snapshot.ts'
import { type MasterDone, type MasterError, masterError } from './master-error.ts'
import { decodeBucket, type Reconfig } from './reconfig.ts'
import { bucketOf, bucketPath, MIGRATIONS } from './tree-layout.ts'
import { TreeReads } from './tree-reads.ts'

/** Reconfig ids are part of generations (ports/key-space.ts). */
const ID_LIMIT = 2 ** 29

export interface ReconfigView {
  readonly reconfigId: number
  readonly source: GroupId
  readonly destination: GroupId
  readonly slots: readonly SlotRun[]
  /** `copying`: begun; what the groups are at, they know themselves. `cleaning`: the slots are served by the destination. */
  readonly phase: 'planned' | 'copying' | 'cleaning' | 'done' | 'cancelled' | 'failed'
  /** Of one that was cancelled or has failed, or is being called off. */
  readonly reason: string
  /** No group has an open move of it any more. */
  readonly isClean: boolean
}

/** Past the last one: all that there is has been seen. */
export type ReconfigAnswer =
  | { readonly upToDate: true; readonly last: number }
  | { readonly upToDate: false; readonly last: number; readonly reconfig: ReconfigView }

export function viewOf({ status, ...reconfig }: Reconfig): ReconfigView {
  const { reconfigId, source, destination, slots, reason, isClean } = reconfig
  const phase = status === 'begun' ? 'copying' : status === 'done' && !isClean ? 'cleaning' : status
  return { reconfigId, source, destination, slots, phase, reason, isClean }
}

export function isWholeId(reconfigId: number): boolean {
  return Number.isInteger(reconfigId) && reconfigId > 0 && reconfigId < ID_LIMIT
}

export function lookUpReconfig(store: MetadataStore, reconfigId: number, done: MasterDone<ReconfigAnswer>): boolean {
  if (!isWholeId(reconfigId)) return false
  const reads = new TreeReads(store)
  let answer: ReconfigAnswer | MasterError = masterError(
    'pruned',
    `reconfig ${reconfigId} is over, and no longer kept`,
    'only the newest ones are',
  )
  reads.end((error) => {
    if (error !== null) done(error, null)
    else if ('code' in answer) done(answer, null)
    else done(null, answer)
  })
  reads.sync(() => {
    reads.get(MIGRATIONS, decodeMigrations, ({ value: { last } }) => {
      if (reconfigId > last) {
        answer = { upToDate: true, last }
        return
      }
      const bucket = bucketOf(reconfigId)
      const decode = (data: Uint8Array): Reconfig[] => decodeBucket(bucket, data)
      reads.find(bucketPath(bucket), decode, (node) => {
        const found = node?.value.find((reconfig) => reconfig.reconfigId === reconfigId)
        if (found !== undefined) answer = { upToDate: false, last, reconfig: viewOf(found) }
      })
    })
  })
  return true
}
