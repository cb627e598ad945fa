/**
 * What the group's replicated state says of each slot: whether it owns it, its generation, the reconfig that touched it
 * last, and the log index of its last delete, which is the version that absent keys show. Dead generations wait here, in
 * runs of neighbouring numbers, until housekeeping has removed their keys.
 *
 *   slots := slot{slot count} | u32 run count | (u16 slot | u64 first generation | u64 last generation)*
 *   slot  := u8 flags | (u64 generation | u64 last reconfigId | u64 last delete index  where flag 4 is set)
 *   flags := 1 owned | 2 something was put in this generation | 4 fields follow
 */
import { assert, present } from '../base/assert.ts'
import { asLogIndex, type LogIndex, type SlotId } from '../base/brand.ts'
import { type BytesReader, type BytesWriter, DecodeError } from '../base/bytes.ts'
import { type Generation, generationParts, makeGeneration } from '../ports/key-space.ts'

const FLAG_OWNED = 1
const FLAG_TOUCHED = 2
const FLAG_FIELDS = 4

/** Generations of one slot, from first to last, none of them live any more. */
interface DeadRun {
  first: number
  readonly last: number
}

export class SlotStates {
  readonly slotCount: number
  readonly #flags: Uint8Array
  readonly #generation: Float64Array
  readonly #lastReconfig: Float64Array
  readonly #lastDelete: Float64Array
  readonly #dead = new Map<number, DeadRun[]>()

  /** Genesis: each owned slot begins with the generation (0, 1). */
  constructor(slotCount: number, ownedSlots: readonly (readonly [number, number])[]) {
    this.slotCount = slotCount
    this.#flags = new Uint8Array(slotCount)
    this.#generation = new Float64Array(slotCount)
    this.#lastReconfig = new Float64Array(slotCount)
    this.#lastDelete = new Float64Array(slotCount)
    const genesis = present(makeGeneration(0, 1), 'genesis generation')
    for (const [first, last] of ownedSlots) {
      this.#flags.fill(FLAG_OWNED, first, last + 1)
      this.#generation.fill(genesis, first, last + 1)
    }
  }

  /** False also for a number that is no slot at all. */
  owns(slot: number): boolean {
    return slot < this.slotCount && (this.#flags[slot] & FLAG_OWNED) !== 0
  }

  generation(slot: SlotId): Generation {
    return this.#generation[slot] as Generation
  }

  /** The last reconfig that this group has carried out, or called off, for the slot; 0: none. */
  lastReconfig(slot: SlotId): number {
    return this.#lastReconfig[slot]
  }

  lastDelete(slot: SlotId): LogIndex {
    return asLogIndex(this.#lastDelete[slot])
  }

  noteDelete(slot: SlotId, index: LogIndex): void {
    assert(index >= this.#lastDelete[slot], 'slot: a delete index fell')
    this.#lastDelete[slot] = index
  }

  notePut(slot: SlotId): void {
    this.#flags[slot] |= FLAG_TOUCHED
  }

  /**
   * O(1): the next generation begins, the old one is dead. A generation that nothing was put into stays: there is nothing to
   * flush, and no absent key's version changes (Redis does not fail watches of absent keys either). False: counter used up.
   */
  flush(slot: SlotId, index: LogIndex): boolean {
    assert(this.owns(slot), 'slot: flush of a slot that is not owned')
    if ((this.#flags[slot] & FLAG_TOUCHED) === 0) return true
    const old = this.generation(slot)
    const { reconfigId, counter } = generationParts(old)
    const next = makeGeneration(reconfigId, counter + 1)
    if (next === null) return false
    this.#generation[slot] = next
    this.#flags[slot] &= ~FLAG_TOUCHED
    this.addDead(slot, old)
    this.noteDelete(slot, index)
    return true
  }

  // --- Moves (moves/apply-move.ts decides, these only do) ------------------------------------------------------

  /** DISABLE: from here on nothing of the slot is served. Its keys stay where they are. */
  disable(slot: SlotId, reconfigId: number): void {
    assert(
      this.owns(slot) && reconfigId > this.#lastReconfig[slot],
      'slot: disabled without being owned, or out of turn',
    )
    this.#flags[slot] &= ~FLAG_OWNED
    this.#lastReconfig[slot] = reconfigId
  }

  /** RESUME: the destination has refused; it is as if the slot had never left. */
  resume(slot: SlotId, reconfigId: number): void {
    assert(!this.owns(slot) && this.#lastReconfig[slot] === reconfigId, 'slot: resumed without being disabled')
    this.#flags[slot] |= FLAG_OWNED
  }

  /** CANCEL: the slot stays, and the reconfig is over. */
  cancelled(slot: SlotId, reconfigId: number): void {
    assert(
      this.owns(slot) && reconfigId > this.#lastReconfig[slot],
      'slot: cancelled without being owned, or out of turn',
    )
    this.#lastReconfig[slot] = reconfigId
  }

  /** ENABLE: what was staged under `generation` is the slot's state; O(1). */
  enable(slot: SlotId, generation: Generation, reconfigId: number, index: LogIndex): void {
    assert(!this.owns(slot) && reconfigId > this.#lastReconfig[slot], 'slot: enabled twice, or out of turn')
    assert(this.#generation[slot] === 0, 'slot: enabled over keys of an earlier life')
    this.#flags[slot] |= FLAG_OWNED | FLAG_TOUCHED
    this.#generation[slot] = generation
    this.#lastReconfig[slot] = reconfigId
    this.#lastDelete[slot] = index
  }

  /** FORGET: the destination has enabled the slot, and this group's keys of it are dead. */
  forget(slot: SlotId): void {
    assert(!this.owns(slot), 'slot: forgotten while owned')
    const generation = this.generation(slot)
    if (generation !== 0) this.addDead(slot, generation)
    this.#generation[slot] = 0
    this.#flags[slot] &= ~FLAG_TOUCHED
  }

  /** A generation that nobody reads any more; its keys are removed in the background. */
  addDead(slot: SlotId, generation: Generation): void {
    const runs = this.#dead.get(slot) ?? []
    const last = runs.at(-1)
    if (last !== undefined && last.last + 1 === generation)
      runs[runs.length - 1] = { first: last.first, last: generation }
    else runs.push({ first: generation, last: generation })
    this.#dead.set(slot, runs)
  }

  isDead(slot: SlotId, generation: number): boolean {
    return this.#dead.get(slot)?.some((run) => run.first <= generation && generation <= run.last) ?? false
  }

  /** The oldest dead generation of the slot. */
  oldestDead(slot: SlotId): Generation | null {
    const run = this.#dead.get(slot)?.[0]
    return run === undefined ? null : (run.first as Generation)
  }

  /** Slots with dead generations, ascending. */
  get hasDead(): boolean {
    return this.#dead.size > 0
  }

  slotsWithDead(): number[] {
    return [...this.#dead.keys()].sort((a, b) => a - b)
  }

  /** No key of it is left. Only the oldest of its slot can go. */
  forgetDead(slot: SlotId, generation: Generation): void {
    const runs = present(this.#dead.get(slot), 'slot: no dead generation')
    assert(runs[0].first === generation, 'slot: not the oldest dead generation')
    runs[0].first++
    if (runs[0].first > runs[0].last) runs.shift()
    if (runs.length === 0) this.#dead.delete(slot)
  }

  encode(writer: BytesWriter): void {
    for (let slot = 0; slot < this.slotCount; slot++) {
      const hasFields = this.#generation[slot] + this.#lastReconfig[slot] + this.#lastDelete[slot] > 0
      writer.u8(this.#flags[slot] | (hasFields ? FLAG_FIELDS : 0))
      if (!hasFields) continue
      writer.u64(this.#generation[slot])
      writer.u64(this.#lastReconfig[slot])
      writer.u64(this.#lastDelete[slot])
    }
    const slots = this.slotsWithDead()
    writer.u32(slots.reduce((sum, slot) => sum + (this.#dead.get(slot)?.length ?? 0), 0))
    for (const slot of slots) {
      for (const run of this.#dead.get(slot) ?? []) {
        writer.u16(slot)
        writer.u64(run.first)
        writer.u64(run.last)
      }
    }
  }

  /** Throws DecodeError. */
  static decode(reader: BytesReader, slotCount: number): SlotStates {
    const states = new SlotStates(slotCount, [])
    for (let slot = 0; slot < slotCount; slot++) {
      const flags = reader.u8()
      if (flags > 7) throw new DecodeError(`slot ${slot}: unknown flags ${flags}`)
      states.#flags[slot] = flags & ~FLAG_FIELDS
      if ((flags & FLAG_FIELDS) === 0) continue
      states.#generation[slot] = reader.u64()
      states.#lastReconfig[slot] = reader.u64()
      states.#lastDelete[slot] = reader.u64()
    }
    const runCount = reader.u32()
    for (let i = 0; i < runCount; i++) {
      const slot = reader.u16()
      const run = { first: reader.u64(), last: reader.u64() }
      if (slot >= slotCount || run.first > run.last)
        throw new DecodeError(`dead generations of slot ${slot}: malformed`)
      const runs = states.#dead.get(slot)
      if (runs === undefined) states.#dead.set(slot, [run])
      else runs.push(run)
    }
    return states
  }
}
