/**
 * A data group's own word on what it owns, what it is moving and who belongs to it (GroupStanding of master/recovery-plan.ts): taken from its leader's applied state,
 * and carried between nodes as JSON, in which every number is checked before it is believed.
 */
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asSlotId, type GroupId } from '../../base/brand.ts'
import type { KvStateMachine } from '../../kv/kv-state-machine.ts'
import type { GroupStanding, OpenMove, SlotStanding } from '../../master/recovery-plan.ts'
import type { GroupMember } from '../../master/registrations.ts'
import type { SlotRun } from '../../protocol/move-command.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'

type Numbers = readonly (readonly number[])[]

/** As JSON: rows of numbers, because there may be a row for each slot. */
export interface GroupWord {
  readonly group: number
  readonly index: number
  readonly fence: number
  readonly leader: number
  /** node, replica */
  readonly members: Numbers
  readonly learners: Numbers
  /** first, last, 1 where it is owned, last reconfig */
  readonly slots: Numbers
  readonly moves: readonly {
    readonly reconfigId: number
    readonly role: 'source' | 'destination'
    readonly peer: number
    /** first, last, predecessor */
    readonly slots: Numbers
  }[]
}

/** Of the group's leader, behind a read barrier or an entry of its own. */
export function wordOf(replica: RaftReplica, machine: KvStateMachine): GroupWord {
  // Entries that are no commands lie above the machine's index, and may be compacted away.
  const index = asLogIndex(Math.max(machine.appliedIndex, replica.core.compaction.index))
  const { members } = replica.core.membershipAt(index)
  const rows = (wanted: string): number[][] =>
    members.filter(({ role }) => role === wanted).map(({ nodeId, replicaId }) => [nodeId, replicaId])
  return {
    group: replica.group,
    index,
    fence: machine.masterFence,
    leader: replica.leaderNode ?? 0,
    members: rows('voter'),
    learners: rows('learner'),
    slots: slotRows(machine),
    moves: machine.moves.map(({ reconfigId, role, peer, slots }) => {
      return { reconfigId, role, peer: peer.group, slots: moveRows(slots) }
    }),
  }
}

function slotRows({ slots }: KvStateMachine): number[][] {
  const rows: number[][] = []
  for (let slot = 0; slot < slots.slotCount; slot++) {
    const owned = slots.owns(slot) ? 1 : 0
    const lastReconfig = slots.lastReconfig(asSlotId(slot))
    const row = rows.at(-1)
    if (row !== undefined && row[2] === owned && row[3] === lastReconfig) row[1] = slot
    else rows.push([slot, slot, owned, lastReconfig])
  }
  return rows
}

function moveRows(slots: readonly { readonly slot: number; readonly predecessor: number }[]): number[][] {
  const rows: number[][] = []
  for (const { slot, predecessor } of slots) {
    const row = rows.at(-1)
    if (row !== undefined && row[1] === slot - 1 && row[2] === predecessor) row[1] = slot
    else rows.push([slot, slot, predecessor])
  }
  return rows
}

/** Null: it is none, or it is another group's. */
export function standingOf(value: unknown, group: GroupId, slotCount: number): GroupStanding | null {
  const word = value as GroupWord
  if (typeof value !== 'object' || value === null || word.group !== group) return null
  if (![word.index, word.fence, word.leader].every(isCount)) return null
  const lists = [word.members, word.learners, word.slots]
  if (!Array.isArray(word.moves) || !lists.every((list, i) => areRows(list, i < 2 ? 2 : 4))) return null
  const moves = word.moves.map((move) => moveOf(move, slotCount))
  if (moves.some((move) => move === null) || !coverAll(word.slots, slotCount)) return null
  return {
    group,
    index: word.index,
    fence: word.fence,
    leader: asNodeId(word.leader),
    members: word.members.map(memberOf),
    learners: word.learners.map(memberOf),
    slots: word.slots.map(([first, last, owned, lastReconfig]): SlotStanding => {
      return { first, last, owned: owned === 1, lastReconfig }
    }),
    moves: moves.filter((move) => move !== null),
  }
}

function moveOf(value: unknown, slotCount: number): OpenMove | null {
  const { reconfigId, role, peer, slots } = (value ?? {}) as GroupWord['moves'][number]
  if (!isCount(reconfigId) || !isCount(peer) || (role !== 'source' && role !== 'destination')) return null
  if (!areRows(slots, 3) || slots.some(([first, last]) => first > last || last >= slotCount)) return null
  const runs = slots.map(([first, last, predecessor]): SlotRun => {
    return { first: asSlotId(first), last: asSlotId(last), predecessor }
  })
  return { reconfigId, role, peer: asGroupId(peer), slots: runs }
}

function memberOf([node, replica]: readonly number[]): GroupMember {
  return { nodeId: asNodeId(node), replicaId: asReplicaId(replica) }
}

function coverAll(rows: Numbers, slotCount: number): boolean {
  let next = 0
  for (const [first, last] of rows) {
    if (first !== next || last < first) return false
    next = last + 1
  }
  return next === slotCount
}

function areRows(value: unknown, width: number): value is Numbers {
  return Array.isArray(value) && value.every((row) => Array.isArray(row) && row.length === width && row.every(isCount))
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
