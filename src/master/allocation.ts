/**
 * Who holds which slots: each group a number in proportion to its weight, reached by moving as few slots as possible. Pure, and the same for a dry
 * run: the caller decides whether to carry it out.
 *
 *  - Shares: largest remainder, ties to the lower group id. 1024 slots over weights 1:2:3 are 171:341:512. A group that is being drained, or of
 *    weight 0, has a share of 0.
 *  - Fewest moves: only what a group holds above its share moves, and only to groups below theirs. So a new group takes from each in
 *    proportion to what they hold above their share: all of it.
 *  - Spread: what a group gives goes to all takers in proportion to what they still lack, so that no pair of groups carries everything.
 *  - Few ranges: a giver cuts its part out of one run of neighbouring slots where one is long enough (the shortest such), else it gives its
 *    longest runs first; its takers get neighbouring pieces of that, in the order of their ids.
 *
 * Nothing hangs on the order of the groups given. Slots of nobody (group 0, which is the masters' own and holds none) are given out in
 * the same way, as moves from group 0.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, type GroupId } from '../base/brand.ts'

/** In place of a group, for slots that no group holds. */
export const NOBODY = asGroupId(0)
/** With 16384 slots the products of shares stay far below 2^53. */
export const WEIGHT_MAX = 1_000_000

export interface WeightedGroup {
  readonly groupId: GroupId
  /** A whole number up to WEIGHT_MAX; 0: holds nothing. */
  readonly weight: number
  /** Hands all of its slots away. */
  readonly draining: boolean
}

/** Both included. */
export type SlotRange = readonly [first: number, last: number]

export interface SlotMove {
  readonly from: GroupId
  readonly to: GroupId
  /** Rising, and as few as hold these slots. */
  readonly slots: readonly SlotRange[]
}

export type Allocation =
  /** `moves` by rising `from`, then `to`. */
  | { readonly kind: 'allocated'; readonly target: readonly GroupId[]; readonly moves: readonly SlotMove[] }
  | {
      readonly kind: 'refused'
      /** No group may hold slots; a group stands twice in the list; a weight or a group id that is none; a slot's group is not in the list. */
      readonly code: 'no-groups' | 'duplicate-group' | 'bad-group' | 'bad-weight' | 'unknown-group'
      readonly message: string
    }

/** `count` whole things in proportion to the weights: largest remainder, ties to the lower position. Nothing where all weights are 0. */
export function shares(weights: readonly number[], count: number): number[] {
  let sum = 0
  for (const weight of weights) sum += weight
  if (sum === 0) return weights.map(() => 0)
  assert(Number.isSafeInteger(sum * count), 'shares: weights too large')
  const parts = weights.map((weight) => Math.floor((count * weight) / sum))
  // Exact, where the quotient's fraction would be rounded.
  const remainders = weights.map((weight, i) => count * weight - parts[i] * sum)
  let left = count
  for (const part of parts) left -= part
  const order = weights.map((_, i) => i).sort((a, b) => remainders[b] - remainders[a] || a - b)
  for (let i = 0; i < left; i++) parts[order[i]]++
  return parts
}

/** `current`: the group of each slot. */
export function allocate(current: readonly GroupId[], groups: readonly WeightedGroup[]): Allocation {
  const sorted = [...groups].sort((a, b) => a.groupId - b.groupId)
  const problem = problemOf(current, sorted)
  if (problem !== null) return problem
  const counts = shares(
    sorted.map(({ weight, draining }) => (draining ? 0 : weight)),
    current.length,
  )
  const held = new Map<GroupId, number[]>([[NOBODY, []]])
  for (const { groupId } of sorted) held.set(groupId, [])
  for (let slot = 0; slot < current.length; slot++) present(held.get(current[slot]), 'allocation: no group').push(slot)

  const takers = sorted
    .map(({ groupId }, i) => ({ groupId, lacks: counts[i] - (held.get(groupId)?.length ?? 0) }))
    .filter(({ lacks }) => lacks > 0)
  const givers = [{ groupId: NOBODY, share: 0 }, ...sorted.map(({ groupId }, i) => ({ groupId, share: counts[i] }))]
  const target = [...current]
  const moves: SlotMove[] = []
  for (const { groupId, share } of givers) {
    const slots = held.get(groupId) ?? []
    if (slots.length <= share) continue
    const given = slotsToGive(slots, slots.length - share)
    const parts = shares(
      takers.map(({ lacks }) => lacks),
      given.length,
    )
    let at = 0
    for (let i = 0; i < takers.length; i++) {
      const part = given.slice(at, at + parts[i])
      at += parts[i]
      if (part.length === 0) continue
      takers[i].lacks -= part.length
      assert(takers[i].lacks >= 0, 'allocation: a group is given more than it lacks')
      for (const slot of part) target[slot] = takers[i].groupId
      moves.push({ from: groupId, to: takers[i].groupId, slots: rangesOf(part) })
    }
  }
  assert(
    takers.every(({ lacks }) => lacks === 0),
    'allocation: what was given is not what was lacking',
  )
  return { kind: 'allocated', target, moves }
}

function problemOf(current: readonly GroupId[], sorted: readonly WeightedGroup[]): Allocation | null {
  const refused = (code: (Allocation & { kind: 'refused' })['code'], message: string): Allocation => ({
    kind: 'refused',
    code,
    message,
  })
  const known = new Set<GroupId>([NOBODY])
  for (const { groupId, weight } of sorted) {
    if (!Number.isSafeInteger(groupId) || groupId <= 0) return refused('bad-group', `${groupId} is no group of slots`)
    if (known.has(groupId)) return refused('duplicate-group', `group ${groupId} stands twice in the list`)
    if (!Number.isInteger(weight) || weight < 0 || weight > WEIGHT_MAX) {
      return refused('bad-weight', `group ${groupId}: weight ${weight} is not a whole number up to ${WEIGHT_MAX}`)
    }
    known.add(groupId)
  }
  for (let slot = 0; slot < current.length; slot++) {
    if (!known.has(current[slot])) {
      return refused('unknown-group', `slot ${slot} is held by group ${current[slot]}, which is not in the list`)
    }
  }
  if (!sorted.some(({ weight, draining }) => weight > 0 && !draining)) {
    return refused('no-groups', 'no group may hold slots: each is being drained or has weight 0')
  }
  return null
}

/** `count` of these rising slots, rising, in as few runs as possible. */
function slotsToGive(slots: readonly number[], count: number): number[] {
  // The longest first; of equal ones the first.
  const runs = rangesOf(slots).sort((a, b) => lengthOf(b) - lengthOf(a) || a[0] - b[0])
  const given: number[] = []
  let left = count
  for (let i = 0; left > 0; i++) {
    if (lengthOf(runs[i]) > left) {
      // One is long enough for the rest: the shortest that is, so that the longest stay whole, and of that its end.
      let shortest = i
      while (shortest + 1 < runs.length && lengthOf(runs[shortest + 1]) >= left) shortest++
      const [, last] = runs[shortest]
      for (let slot = last - left + 1; slot <= last; slot++) given.push(slot)
      left = 0
    } else {
      const [first, last] = runs[i]
      for (let slot = first; slot <= last; slot++) given.push(slot)
      left -= last - first + 1
    }
  }
  return given.sort((a, b) => a - b)
}

/** Of rising slots. */
function rangesOf(slots: readonly number[]): SlotRange[] {
  const ranges: SlotRange[] = []
  for (let from = 0; from < slots.length; ) {
    let to = from
    while (to + 1 < slots.length && slots[to + 1] === slots[to] + 1) to++
    ranges.push([slots[from], slots[to]])
    from = to + 1
  }
  return ranges
}

function lengthOf([first, last]: SlotRange): number {
  return last - first + 1
}
