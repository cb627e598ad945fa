/**
 * Questions whether this replica still leads: one round (ReadIndex) at a time, and what comes while one is under way shares the next, for a round
 * answers only those who asked before it began.
 */
import type { MastersGroup } from '../../ports/masters-group.ts'

const WAITING_MAX = 20_000

type Confirmed = (confirmed: boolean) => void

export class Confirmations {
  readonly #group: () => MastersGroup | null
  #waiting: Confirmed[] = []
  #underWay = false

  constructor(group: () => MastersGroup | null) {
    this.#group = group
  }

  /** Answered once, as an event of its own or from within the replica's turn; false: too many wait, or this replica does not lead. */
  ask(done: Confirmed): boolean {
    if (this.#group()?.isLeader !== true || this.#waiting.length >= WAITING_MAX) return false
    this.#waiting.push(done)
    if (!this.#underWay) this.#begin()
    return true
  }

  /** A round that was not taken is tried again by the owner's clock. */
  retry(): void {
    if (!this.#underWay && this.#waiting.length > 0) this.#begin()
  }

  #begin(): void {
    const round = this.#waiting
    this.#waiting = []
    this.#underWay = true
    const group = this.#group()
    const taken = group?.confirm((confirmed) => this.#ended(round, confirmed)) ?? false
    if (taken) return
    this.#underWay = false
    this.#waiting = round
    if (group?.isLeader === true) return
    this.#waiting = []
    for (const done of round) done(false)
  }

  #ended(round: readonly Confirmed[], confirmed: boolean): void {
    this.#underWay = false
    for (const done of round) done(confirmed)
    if (this.#waiting.length > 0) this.#begin()
  }
}
