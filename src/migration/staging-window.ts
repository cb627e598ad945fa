/**
 * The destination's STAGE entries under way. Each slot's next part is pulled after the one that was proposed last, before that is applied; so for each
 * slot there is a predicted cursor. It holds as long as every STAGE is applied as proposed: after any other answer nothing more goes out until all
 * that are under way have been answered, and then predictions begin again with the applied cursors.
 */
import type { SlotId } from '../base/brand.ts'
import type { OpenMove } from '../ports/slot-mover.ts'
import { FIRST_CURSOR, type StageCursor, type StagePart, sameCursor } from '../protocol/move-command.ts'
import { PROPOSAL_PATIENCE_MS } from './migration-driver.ts'

/** So many hide the log's latency; more would only wait in it. */
const STAGES_MAX = 4
/** With the pulls that are under way, each of which is about one STAGE: what is in memory, and in the way of others' writes. */
const PIPELINE_MAX = STAGES_MAX + 1

export interface StageSize {
  readonly bytes: number
  readonly keys: number
}

interface StageUnderWay extends StageSize {
  readonly patienceMs: number
}

export class StagingWindow {
  readonly #predicted = new Map<SlotId, StageCursor>()
  readonly #underWay = new Map<number, StageUnderWay>()
  #spoiled = false

  constructor(move: OpenMove) {
    this.#begin(move)
  }

  /** Whether another pull may go out while so many are under way. */
  hasRoom(pulls: number): boolean {
    return !this.#spoiled && this.#underWay.size < STAGES_MAX && this.#underWay.size + pulls < PIPELINE_MAX
  }

  /** Whether the predictions hold as far as is known. */
  get isUnspoiled(): boolean {
    return !this.#spoiled
  }

  predicted(slot: SlotId): StageCursor {
    return this.#predicted.get(slot) ?? FIRST_CURSOR
  }

  /** Every slot, once what is under way is applied. */
  every(holds: (cursor: StageCursor) => boolean): boolean {
    for (const cursor of this.#predicted.values()) if (!holds(cursor)) return false
    return true
  }

  /** False: the part does not follow what was proposed last (a late or doubled message). True: it is to be staged. */
  accept(part: StagePart): boolean {
    const predicted = this.#predicted.get(part.slot)
    if (predicted === undefined || !sameCursor(predicted, part.expected)) return false
    this.#predicted.set(part.slot, part.next)
    return true
  }

  proposed(proposal: number, size: StageSize, nowMs: number): void {
    this.#underWay.set(proposal, { ...size, patienceMs: nowMs + PROPOSAL_PATIENCE_MS })
  }

  /** Null: not one of these. `done`: applied as it was proposed. */
  settled(proposal: number, done: boolean): StageSize | null {
    const stage = this.#underWay.get(proposal)
    if (stage === undefined) return null
    this.#underWay.delete(proposal)
    if (!done) this.spoil()
    return stage
  }

  /** The predictions do not hold. */
  spoil(): void {
    this.#spoiled = true
  }

  /** Counts what was not answered for too long as not done. Begins again with the applied cursors where that is due. */
  tick(move: OpenMove, nowMs: number): void {
    for (const [proposal, { patienceMs }] of this.#underWay) if (nowMs >= patienceMs) this.settled(proposal, false)
    if (this.#spoiled && this.#underWay.size === 0) this.#begin(move)
  }

  /** When `tick` has something to do at the latest. */
  get dueMs(): number {
    for (const { patienceMs } of this.#underWay.values()) return patienceMs
    return Number.POSITIVE_INFINITY
  }

  #begin(move: OpenMove): void {
    this.#spoiled = false
    this.#predicted.clear()
    for (const { slot, cursor } of move.slots) this.#predicted.set(slot, cursor)
  }
}
