/**
 * Linearizable reads by a replica that does not lead: it asks the leader for a confirmed read index, one question for all reads that wait, and answers once it
 * has applied that far. What it cannot answer (no leader; a key's fate needs log time to move on, which only the leader can do) is refused, and asked
 * of the leader instead. A confirmed index stays good whoever leads meanwhile: it was committed.
 */
import type { LogIndex } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { StateMachine } from '../../ports/state-machine.ts'
import { OUTCOME_REFUSED, OUTCOME_REPLY } from '../../protocol/request-message.ts'
import type { RaftCore } from '../../raft/raft-core.ts'
import { PendingReads } from './pending-reads.ts'

export interface FollowerReadPorts {
  readonly core: RaftCore
  machine(): StateMachine
  applied(): LogIndex
  /** This node's clock, as far as it may be believed. */
  stampMs(): number
}

export class FollowerReads extends PendingReads {
  readonly #ports: FollowerReadPorts

  constructor(maxPending: number, ports: FollowerReadPorts) {
    super(maxPending)
    this.#ports = ports
  }

  submit(): void {
    if (this.gathered === 0 || this.roundUnderWay) return
    const result = this.#ports.core.readIndex()
    if (result.kind === 'pending') this.confirming(result.read)
    else this.refuseGathered()
  }

  answer(): void {
    if (!this.hasConfirmed) return
    const machine = this.#ports.machine()
    const nowMs = Math.max(this.#ports.stampMs(), machine.logTimeMs)
    this.serve(this.#ports.applied(), Number.POSITIVE_INFINITY, (read) => {
      const result = machine.query(read.command, nowMs, read.slot, read.slotEpoch)
      if (result.kind === 'reply') read.waiter.settle(OUTCOME_REPLY, result.reply)
      else read.waiter.settle(OUTCOME_REFUSED, EMPTY_BYTES)
      return true
    })
  }
}
