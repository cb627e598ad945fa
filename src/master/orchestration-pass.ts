/**
 * What the tree should say next: outcomes that the groups have told, reconfigs that can never begin, those that may begin now, and the slots by weight where
 * that is wanted. Pure, over a draft; `most` bounds the changes, so that the write is small enough.
 */
import type { GroupId } from '../base/brand.ts'
import type { MasterMutations } from './mutations.ts'
import { planRebalance } from './plan-reconfigs.ts'
import { isReady } from './planned-slots.ts'
import type { Reconfig } from './reconfig.ts'
import { hasOutcome } from './reconfig.ts'
import type { Finding } from './reconfig-driver.ts'
import type { TreeDraft } from './tree-draft.ts'

export interface PassLimits {
  /** Reconfigs under way at once, and of those with one group as source or destination. */
  readonly maxBegun: number
  readonly maxBegunPerGroup: number
}

export function pass(
  draft: TreeDraft,
  findings: ReadonlyMap<number, Finding>,
  limits: PassLimits,
  most: number,
  mutations: MasterMutations,
): void {
  let left = most
  for (const [reconfigId, finding] of findings) {
    if (left === 0) return
    const reconfig = draft.find(reconfigId)
    if (reconfig !== null && applyFinding(draft, reconfig, finding)) left--
  }
  if (mutations.beginBeforePredecessor !== true) left -= failDoomed(draft, left)
  left -= beginReady(draft, limits, left, mutations)
  if (!draft.wantsRebalance || left === 0 || draft.room === 0) return
  const planned = planRebalance(draft, left)
  // Where no group may hold slots there is nothing to be done, until somebody changes that.
  draft.rebalance('hasMore' in planned && planned.hasMore)
}

/** False: it is told already. */
function applyFinding(draft: TreeDraft, reconfig: Reconfig, finding: Finding): boolean {
  const { reconfigId, callOff, reason } = reconfig
  if (finding.kind === 'clean') {
    if (!hasOutcome(reconfig)) return false
    draft.change(reconfigId, { isClean: true })
    return true
  }
  if (reconfig.status !== 'begun') return false
  const called = callOff === 'cancel' ? 'cancelled' : 'failed'
  switch (finding.kind) {
    case 'done':
      draft.publish(reconfigId, 'done', '')
      break
    case 'kept':
      draft.publish(reconfigId, called, reason !== '' ? reason : 'the destination refused')
      planAfresh(draft, reconfig)
      break
    case 'never-begun':
      draft.change(reconfigId, { status: called, reason: reason !== '' ? reason : finding.reason, isClean: true })
      planAfresh(draft, reconfig)
      break
    case 'call-off':
      if (callOff !== 'no') return false
      draft.change(reconfigId, { callOff: 'fail', reason: finding.reason })
  }
  return true
}

/**
 * Somebody's own move out of a group that is being drained has come to nothing: the drain still wants these slots moved. What was planned by weight is not
 * planned again at once: somebody called it off, or its destination refused, and may refuse for ever.
 */
function planAfresh(draft: TreeDraft, { source, byWeight }: Reconfig): void {
  const isDraining = draft.snapshot.groups.get(source)?.value.draining ?? false
  if (isDraining && !byWeight) draft.rebalance(true)
}

function failDoomed(draft: TreeDraft, most: number): number {
  let count = 0
  for (const reconfigId of draft.planned().doomed) {
    if (count >= most) break
    const reconfig = draft.find(reconfigId)
    if (reconfig?.status !== 'planned') continue
    const reason = 'a reconfig that it follows came to nothing'
    draft.change(reconfigId, { status: 'failed', reason, isClean: true })
    if (reconfig.byWeight) draft.rebalance(true)
    count++
  }
  return count
}

function beginReady(draft: TreeDraft, limits: PassLimits, most: number, mutations: MasterMutations): number {
  const begun = draft.reconfigs.filter(({ status }) => status === 'begun')
  const ofGroup = new Map<GroupId, number>()
  const count = (group: GroupId): number => ofGroup.get(group) ?? 0
  const add = ({ source, destination }: Reconfig): void => {
    for (const group of [source, destination]) ofGroup.set(group, count(group) + 1)
  }
  for (const reconfig of begun) add(reconfig)
  let started = 0
  for (const reconfig of draft.reconfigs) {
    if (started >= most || begun.length + started >= limits.maxBegun) break
    if (reconfig.status !== 'planned') continue
    if (Math.max(count(reconfig.source), count(reconfig.destination)) >= limits.maxBegunPerGroup) continue
    if (!isReady(draft, reconfig) && mutations.beginBeforePredecessor !== true) continue
    draft.change(reconfig.reconfigId, { status: 'begun' })
    add(reconfig)
    started++
  }
  return started
}
