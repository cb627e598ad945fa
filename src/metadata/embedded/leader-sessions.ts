/**
 * What the leader of the masters' group does for all sessions: it hears who is alive, and proposes EXPIRE for those that it has not heard of
 * for their timeout. The log alone ends a session.
 *
 *   role: leader of term t -> confirm (an entry of term t is applied) -> a SessionLiveness of its own, every session afresh in full
 *   alive(session)         -> heard, then confirm (it led after the question came) -> "alive"
 *   tick                   -> due -> propose EXPIRE(session, t)
 *
 * Why an answer waits for a confirmation: a leader that has been deposed without knowing would go on telling "alive" while its successor's time
 * runs. Confirmed, the question came before any later leader began to count, so the session has its full timeout from then on at every leader.
 */
import { asSlotId, type Term } from '../../base/brand.ts'
import type { Clock } from '../../ports/clock.ts'
import type { MastersGroup } from '../../ports/masters-group.ts'
import { encodePayload, PAYLOAD_METADATA } from '../../protocol/command.ts'
import { type ExpireReason, encodeMetadataWrite } from '../../protocol/metadata-command.ts'
import { SessionLiveness } from '../tree/session-liveness.ts'
import type { TreeStateMachine } from '../tree/tree-state-machine.ts'
import { Confirmations } from './confirmations.ts'
import type { EmbeddedMutations } from './mutations.ts'

/** Proposed in one go; the others a tick later. */
const EXPIRES_PER_TICK = 256
const SHORTER = 0.3

export class LeaderSessions {
  readonly #clock: Clock
  readonly #group: () => MastersGroup | null
  readonly #tree: () => TreeStateMachine
  readonly #mutations: EmbeddedMutations
  readonly #confirmations: Confirmations
  #liveness: SessionLiveness | null = null
  /** The term whose first confirmation is under way. */
  #preparing: Term | null = null

  constructor(
    clock: Clock,
    group: () => MastersGroup | null,
    tree: () => TreeStateMachine,
    mutations: EmbeddedMutations,
  ) {
    this.#clock = clock
    this.#group = group
    this.#tree = tree
    this.#mutations = mutations
    this.#confirmations = new Confirmations(group)
  }

  /** Often: at each change of role, and by the owner's clock, more often than twice a second. */
  tick(): void {
    this.#followRole()
    this.#confirmations.retry()
    const liveness = this.#current()
    if (liveness === null) return
    for (const session of liveness.due(this.#clock.monotonicMs(), EXPIRES_PER_TICK)) {
      this.#proposeExpire(session, liveness.term, 'timeout')
    }
  }

  opened(session: number, timeoutMs: number): void {
    this.#liveness?.opened(session, timeoutMs, this.#clock.monotonicMs())
  }

  ended(session: number): void {
    this.#liveness?.ended(session)
  }

  everythingChanged(): void {
    this.#liveness = null
  }

  /** `answer` comes once: the session is alive for its full timeout from this call on; it is over; or not now. */
  alive(session: number, answer: (outcome: 'heard' | 'over' | 'refused') => void): void {
    const liveness = this.#current()
    if (liveness === null) return answer('refused')
    if (!this.#tree().hasSession(session)) {
      return answer(this.#tree().appliedIndex >= session ? 'over' : 'refused')
    }
    if (!liveness.heard(session, this.#clock.monotonicMs())) return answer('refused')
    if (this.#mutations.aliveUnconfirmed) return answer('heard')
    const asked = this.confirm((confirmed) => {
      if (!confirmed || this.#current() !== liveness) answer('refused')
      else answer(this.#tree().hasSession(session) ? 'heard' : 'over')
    })
    if (!asked) answer('refused')
  }

  /** See Confirmations.ask. */
  confirm(done: (confirmed: boolean) => void): boolean {
    return this.#confirmations.ask(done)
  }

  /** An operator ends a session. False: this replica does not lead. */
  expire(session: number): boolean {
    const group = this.#group()
    return group?.isLeader === true && this.#proposeExpire(session, group.term, 'operator')
  }

  #proposeExpire(session: number, term: Term, reason: ExpireReason): boolean {
    const header = { kind: PAYLOAD_METADATA, slot: asSlotId(0), stampMs: 0, session: 0, sequence: 0 } as const
    const command = encodeMetadataWrite({ kind: 'expire', session, term, reason })
    const payload = encodePayload({ ...header, lowestUnanswered: 0, retryUntilMs: 0 }, command)
    // Refused or unknown: the session stays named, and is named again.
    return this.#group()?.propose(payload, () => {}) ?? false
  }

  /** Null: this replica does not lead, or has not applied an entry of its own term. */
  #current(): SessionLiveness | null {
    const group = this.#group()
    if (this.#liveness === null || group === null || !group.isLeader) return null
    return group.term === this.#liveness.term ? this.#liveness : null
  }

  #followRole(): void {
    const group = this.#group()
    if (group === null || !group.isLeader) {
      this.#liveness = null
      return
    }
    const { term } = group
    if (this.#liveness?.term === term || this.#preparing === term) return
    this.#preparing = term
    const asked = this.#confirmations.ask((confirmed) => {
      if (this.#preparing === term) this.#preparing = null
      const now = this.#group()
      if (confirmed && now?.isLeader && now.term === term) this.#begin(term)
    })
    if (!asked) this.#preparing = null
  }

  #begin(term: Term): void {
    const sessions = [...this.#tree().sessions()].map(({ id, timeoutMs }) => ({
      id,
      timeoutMs: this.#mutations.newLeaderStartsShorter ? timeoutMs * SHORTER : timeoutMs,
    }))
    this.#liveness = new SessionLiveness(term, sessions, this.#clock.monotonicMs())
  }
}
