/**
 * Who owns each slot, by what the groups' logs have come to: the newest applied state of each group, whichever replica shows it. What one group does rests on
 * what another's leader has applied, so at any moment the newest states must fit together: one owner of a slot at most; a slot is taken over only from a
 * group that has let it go by the same reconfig; reconfigs of a slot only rise; nobody forgets a slot before another group has it. And whatever
 * replica shows a group's state at an index, it is the same state.
 */
import { asSlotId, type GroupId } from '../base/brand.ts'
import { crc32c } from '../base/crc32c.ts'
import type { SlotMove } from '../kv/moves/slot-moves.ts'
import type { SlotStates } from '../kv/slot-states.ts'

/** Of one group's state machine, as one replica has applied it. */
export interface AppliedSlots {
  readonly slots: Pick<SlotStates, 'slotCount' | 'owns' | 'generation' | 'lastReconfig'>
  readonly moves: readonly Pick<SlotMove, 'role' | 'reconfigId' | 'phase' | 'disableIndex'>[]
}

interface GroupState {
  applied: number
  readonly owns: Uint8Array
  readonly lastReconfig: Float64Array
  readonly generation: Float64Array
  /** Of the state at an index, by the first replica that stood there. */
  readonly sums: Map<number, number>
}

export class SlotLedger {
  readonly #slotCount: number
  readonly #violated: (message: string) => void
  readonly #groups = new Map<GroupId, GroupState>()
  /** By slot: the reconfig by which it was owned last, by whichever group. */
  readonly #ownedBy: Float64Array

  constructor(slotCount: number, violated: (message: string) => void) {
    this.#slotCount = slotCount
    this.#violated = violated
    this.#ownedBy = new Float64Array(slotCount)
  }

  /** A replica of the group has applied entries through `applied`. True: nobody has applied as much before. */
  observe(name: string, group: GroupId, applied: number, state: AppliedSlots): boolean {
    const known = this.#groups.get(group) ?? this.#newGroup(group)
    this.#compare(name, known, applied, state)
    if (applied <= known.applied) return false
    for (let slot = 0; slot < this.#slotCount; slot++) this.#look(name, group, known, slot, state.slots)
    known.applied = applied
    return true
  }

  /** The group that owns the slot, as far as its newest state says; null: none does. */
  ownerOf(slot: number): GroupId | null {
    for (const [group, { owns }] of this.#groups) if (owns[slot] === 1) return group
    return null
  }

  #newGroup(group: GroupId): GroupState {
    const state: GroupState = {
      applied: -1,
      owns: new Uint8Array(this.#slotCount),
      lastReconfig: new Float64Array(this.#slotCount),
      generation: new Float64Array(this.#slotCount),
      sums: new Map(),
    }
    this.#groups.set(group, state)
    return state
  }

  #compare(name: string, known: GroupState, applied: number, { slots, moves }: AppliedSlots): void {
    const fields = new Float64Array(3 * this.#slotCount + 4 * moves.length)
    let at = 0
    for (let number = 0; number < this.#slotCount; number++) {
      const slot = asSlotId(number)
      fields[at++] = slots.owns(slot) ? 1 : 0
      fields[at++] = slots.lastReconfig(slot)
      fields[at++] = slots.generation(slot)
    }
    for (const { role, reconfigId, phase, disableIndex } of moves) {
      fields[at++] = role === 'source' ? 0 : 1
      fields[at++] = reconfigId
      fields[at++] = phase.length
      fields[at++] = disableIndex
    }
    const sum = crc32c(new Uint8Array(fields.buffer))
    const first = known.sums.get(applied)
    if (first === undefined) known.sums.set(applied, sum)
    else if (first !== sum) this.#violated(`slots: ${name} has other slots at ${applied} than the replica before it`)
  }

  #look(name: string, group: GroupId, known: GroupState, number: number, slots: AppliedSlots['slots']): void {
    const slot = asSlotId(number)
    const owns = slots.owns(slot)
    const lastReconfig = slots.lastReconfig(slot)
    const generation = slots.generation(slot)
    const owned = known.owns[slot] === 1
    const isFirst = known.applied < 0
    if (!isFirst && lastReconfig < known.lastReconfig[slot]) {
      this.#violated(
        `slots: ${name} went back from reconfig ${known.lastReconfig[slot]} to ${lastReconfig} of slot ${slot}`,
      )
    }
    if (owns && !owned) this.#taken(name, group, slot, lastReconfig, isFirst)
    if (!owns && owned && lastReconfig <= known.lastReconfig[slot]) {
      this.#violated(`slots: ${name} lost slot ${slot} without a reconfig`)
    }
    if (!owns && generation === 0 && known.generation[slot] !== 0) this.#forgotten(name, group, slot, lastReconfig)
    known.owns[slot] = owns ? 1 : 0
    known.lastReconfig[slot] = lastReconfig
    known.generation[slot] = generation
    if (owns) this.#ownedBy[slot] = Math.max(this.#ownedBy[slot], lastReconfig)
  }

  #taken(name: string, group: GroupId, slot: number, reconfigId: number, isFirst: boolean): void {
    let letGo = isFirst && reconfigId === 0
    for (const [other, state] of this.#groups) {
      if (other === group) {
        // It takes back what it had let go by the same reconfig.
        letGo ||= state.lastReconfig[slot] === reconfigId && state.generation[slot] !== 0
        continue
      }
      if (state.owns[slot] === 1) this.#violated(`slots: ${name} serves slot ${slot}, and so does group ${other}`)
      letGo ||= state.lastReconfig[slot] === reconfigId
    }
    if (!letGo) this.#violated(`slots: ${name} serves slot ${slot} by reconfig ${reconfigId}, and nobody has let it go`)
    if (reconfigId < this.#ownedBy[slot]) {
      this.#violated(`slots: ${name} serves slot ${slot} by reconfig ${reconfigId}, after ${this.#ownedBy[slot]}`)
    }
  }

  #forgotten(name: string, group: GroupId, slot: number, reconfigId: number): void {
    for (const [other, state] of this.#groups) {
      if (other !== group && state.lastReconfig[slot] >= reconfigId && state.generation[slot] !== 0) return
      // It has passed the slot on since.
      if (other !== group && state.lastReconfig[slot] > reconfigId) return
    }
    this.#violated(`slots: ${name} has forgotten slot ${slot} after reconfig ${reconfigId}, and no group has it`)
  }
}
