/**
 * A step of a move that this group's log decides, on its way into the log: one at a time, and after anything but success not again before a delay
 * that grows. What has come of it is read from applied state, where a step of a former leader counts as much.
 */
import type { MoveCommand, MoveOutcome } from '../protocol/move-command.ts'
import { type DriverContext, PROPOSAL_PATIENCE_MS, type ProposalResult } from './migration-driver.ts'
import { RetryDelay } from './retry-delay.ts'

const FIRST_RETRY_MS = 10
const MOST_RETRY_MS = 1_000

export class Decision {
  readonly #context: DriverContext
  readonly #retry = new RetryDelay(FIRST_RETRY_MS, MOST_RETRY_MS)
  #pending: { readonly proposal: number; readonly kind: MoveCommand['kind']; readonly patienceMs: number } | null = null
  /** Proposals that did not come to what they were for. */
  failures = 0

  constructor(context: DriverContext) {
    this.#context = context
  }

  get isPending(): boolean {
    return this.#pending !== null
  }

  /** When to look again: the pending one has had its time, or another may be proposed. */
  get dueMs(): number {
    return this.#pending?.patienceMs ?? this.#retry.dueMs
  }

  /** Does nothing where one is under way or it is too early for another. */
  propose(command: MoveCommand, nowMs: number): void {
    if (this.#pending !== null || !this.#retry.isDue(nowMs)) return
    const proposal = this.#context.propose(command)
    this.#pending = { proposal, kind: command.kind, patienceMs: nowMs + PROPOSAL_PATIENCE_MS }
  }

  /** Null: the proposal is not of here. `outcome` is null where the proposal is refused or unknown. */
  settled(
    proposal: number,
    result: ProposalResult,
    nowMs: number,
  ): { readonly kind: MoveCommand['kind']; readonly outcome: MoveOutcome | null } | null {
    const pending = this.#pending
    if (pending?.proposal !== proposal) return null
    this.#pending = null
    const outcome = result.kind === 'applied' ? result.reply.outcome : null
    if (outcome === 'done') this.#retry.reset()
    else {
      this.failures++
      this.#retry.failed(nowMs)
    }
    return { kind: pending.kind, outcome }
  }

  tick(nowMs: number): void {
    if (this.#pending === null || nowMs < this.#pending.patienceMs) return
    this.settled(this.#pending.proposal, { kind: 'unknown' }, nowMs)
  }
}
