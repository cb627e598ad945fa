/** The slot table as KV.TABLE gives it, checked before it is believed: which slot is which group's, who leads that, and where they listen. */

export interface SlotTable {
  readonly version: number
  readonly slotCount: number
  /** The group of each slot. */
  readonly groupOf: readonly number[]
  /** Where a group's members listen, the leader (as far as known) first. */
  readonly addresses: ReadonlyMap<number, readonly string[]>
  readonly leaders: ReadonlyMap<number, string>
  /** Of all nodes. */
  readonly nodes: readonly string[]
}

interface WireTable {
  readonly version: number
  readonly slotCount: number
  readonly ranges: readonly (readonly [number, number, number])[]
  readonly groups: readonly {
    readonly id: number
    readonly leader: number | null
    readonly members: readonly number[]
  }[]
  readonly nodes: readonly { readonly id: number; readonly resp: string }[]
}

/** Null where the text is no table. */
export function parseSlotTable(text: string): SlotTable | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isTable(value)) return null
  const groupOf = new Array<number>(value.slotCount).fill(-1)
  for (const [first, last, group] of value.ranges) {
    if (first < 0 || last >= value.slotCount || first > last) return null
    groupOf.fill(group, first, last + 1)
  }
  if (groupOf.includes(-1)) return null
  const respOf = new Map(value.nodes.map(({ id, resp }) => [id, resp]))
  const addresses = new Map<number, readonly string[]>()
  const leaders = new Map<number, string>()
  for (const { id, leader, members } of value.groups) {
    const leading = leader === null ? undefined : respOf.get(leader)
    const all = [leading, ...members.map((member) => respOf.get(member))]
    if (leading !== undefined) leaders.set(id, leading)
    addresses.set(id, [...new Set(all.filter((address) => address !== undefined))])
  }
  const { version, slotCount } = value
  return { version, slotCount, groupOf, addresses, leaders, nodes: value.nodes.map(({ resp }) => resp) }
}

/** A node knows the leaders of its own groups: of the others what was known before stays, while they are members. */
export function withLeadersOf(before: SlotTable | null, table: SlotTable): SlotTable {
  const leaders = new Map(table.leaders)
  const addresses = new Map(table.addresses)
  for (const [group, leader] of before?.leaders ?? []) {
    const members = addresses.get(group)
    if (leaders.has(group) || members === undefined || !members.includes(leader)) continue
    leaders.set(group, leader)
    addresses.set(group, [leader, ...members.filter((member) => member !== leader)])
  }
  return { ...table, leaders, addresses }
}

function isTable(value: unknown): value is WireTable {
  const table = value as Partial<WireTable> | null
  if (typeof table !== 'object' || table === null) return false
  const { version, slotCount, ranges, groups, nodes } = table
  if (!isCount(version) || !isCount(slotCount) || slotCount < 1 || slotCount > 16_384) return false
  if (
    !Array.isArray(ranges) ||
    !ranges.every((range) => Array.isArray(range) && range.length === 3 && range.every(isCount))
  )
    return false
  if (!Array.isArray(nodes) || !nodes.every((node) => isCount(node?.id) && typeof node.resp === 'string')) return false
  return (
    Array.isArray(groups) &&
    groups.every((group) => isCount(group?.id) && isLeader(group.leader) && isIds(group.members))
  )
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isLeader(value: unknown): boolean {
  return value === null || isCount(value)
}

function isIds(value: unknown): boolean {
  return Array.isArray(value) && value.every(isCount)
}
