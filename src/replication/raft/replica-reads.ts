/** A replica's linearizable reads: a round of confirmation for all that wait, then their answers from applied state, by way of a tick where time is to pass. */
import { assert } from '../../base/assert.ts'
import { asSlotId, type LogIndex } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import { encodePayload, PAYLOAD_TICK } from '../../protocol/command.ts'
import { OUTCOME_REPLY, type RequestOutcome } from '../../protocol/request-message.ts'
import type { RaftCore } from '../../raft/raft-core.ts'
import { FollowerReads } from './follower-reads.ts'
import { type PendingRead, PendingReads } from './pending-reads.ts'
import type { Settle } from './settle.ts'

/** Of entries that the leader makes itself: under no session. */
const OWN_PAYLOAD = { stampMs: 0, session: 0, sequence: 0, lowestUnanswered: 0, retryUntilMs: 0 } as const
/** The command of a read that asks for nothing but its own confirmation. */
export const BARRIER = new Uint8Array(0)

export interface ReadPorts {
  readonly core: RaftCore
  machine(): StateMachine
  applied(): LogIndex
  /** The leader's clock. */
  stampMs(): number
  settledThrough(): number
  propose(payload: Uint8Array, waiter: Settle): boolean
}

export class ReplicaReads extends PendingReads {
  /** Those that this replica answers itself, whoever leads. */
  readonly here: FollowerReads
  readonly #ports: ReadPorts
  #tickUnderWay = false

  constructor(maxPending: number, ports: ReadPorts) {
    super(maxPending)
    this.#ports = ports
    this.here = new FollowerReads(maxPending, ports)
  }

  /** Something waits that the next turn can begin with. */
  get mayStart(): boolean {
    const { here } = this
    return (this.gathered > 0 && !this.roundUnderWay) || (here.gathered > 0 && !here.roundUnderWay)
  }

  override confirmed(number: number, index: LogIndex): void {
    super.confirmed(number, index)
    this.here.confirmed(number, index)
  }

  override refused(number: number): void {
    super.refused(number)
    this.here.refused(number)
  }

  close(): void {
    this.leadershipLost()
    this.here.leadershipLost()
  }

  submit(): void {
    this.here.submit()
    // One round at a time: what comes meanwhile shares the next, which costs no more for fifty reads than for one.
    if (this.gathered === 0 || this.roundUnderWay) return
    const { core } = this.#ports
    const result = core.role === 'leader' ? core.readIndex() : null
    if (result === null || result.kind !== 'pending') this.refuseGathered()
    else this.confirming(result.read)
  }

  answer(): void {
    this.here.answer()
    if (!this.hasConfirmed) return
    const nowMs = this.#ports.stampMs()
    this.serve(this.#ports.applied(), this.#ports.settledThrough(), (read) => this.#query(read, nowMs))
    if (this.ticking > 0) this.#proposeTick()
  }

  override leadershipLost(): void {
    this.#tickUnderWay = false
    super.leadershipLost()
  }

  #query(read: PendingRead, nowMs: number): boolean {
    if (read.command === BARRIER) {
      read.waiter.settle(OUTCOME_REPLY, EMPTY_BYTES)
      return true
    }
    const machine = this.#ports.machine()
    const atMs = Math.max(nowMs, machine.logTimeMs)
    const result = machine.query(read.command, atMs, read.slot, read.slotEpoch)
    if (result.kind === 'needsTick') return false
    read.waiter.settle(OUTCOME_REPLY, result.reply)
    return true
  }

  /** One tick serves every read that waits for one (design, "Time"). */
  #proposeTick(): void {
    if (this.#tickUnderWay) return
    const header = { ...OWN_PAYLOAD, kind: PAYLOAD_TICK, slot: asSlotId(0) } as const
    const queued = this.#ports.propose(encodePayload(header, EMPTY_BYTES), {
      settle: (outcome: RequestOutcome) => {
        this.#tickUnderWay = false
        if (outcome !== OUTCOME_REPLY) return this.refuseTicking()
        // By log time alone from here on: it has moved to the leader's stamp.
        this.ticked((read) => assert(this.#query(read, 0), 'a read without a clock cannot need a tick'))
      },
    })
    if (queued) this.#tickUnderWay = true
    else this.refuseTicking()
  }
}
