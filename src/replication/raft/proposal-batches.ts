/** Gathered proposals on their way into the core, in batches: what the log, the disk and the core have no room for waits or is refused. */
import { latin1Bytes } from '../../base/bytes.ts'
import { payloadGrows, stampPayload } from '../../protocol/command.ts'
import type { Membership } from '../../protocol/membership.ts'
import type { RaftCore } from '../../raft/raft-core.ts'
import type { PendingProposals } from './pending-proposals.ts'
import type { ReplicaHost } from './replica-host.ts'

const DISKFULL = latin1Bytes(
  '-DISKFULL the leader of this slot is out of disk space: delete keys or give it a larger disk\r\n',
)
const PROPOSALS_PER_BATCH = 4096
/** The log's room is asked for only before a turn: so much may go in at once. */
const PROPOSAL_BYTES_PER_TURN = 4 << 20
/** Above the retained log bound, while an image is under way, proposals go in at this rate a turn. */
const SLOWED_PROPOSALS_PER_TURN = 16

export interface BatchTurn {
  /** What the Readys have told. */
  readonly leads: boolean
  readonly slowed: boolean
  /** False: what makes the data larger is refused. */
  readonly mayGrow: boolean
  readonly membership: Membership
}

export class ProposalBatches {
  readonly #proposals: PendingProposals
  readonly #core: RaftCore
  readonly #host: ReplicaHost

  constructor(proposals: PendingProposals, core: RaftCore, host: ReplicaHost) {
    this.#proposals = proposals
    this.#core = core
    this.#host = host
  }

  submit({ leads, slowed, mayGrow, membership }: BatchTurn): void {
    let room = slowed ? SLOWED_PROPOSALS_PER_TURN : PROPOSALS_PER_BATCH
    let bytesLeft = PROPOSAL_BYTES_PER_TURN
    const admits = (payload: Uint8Array): boolean => mayGrow || !payloadGrows(payload)
    while (this.#proposals.gathered > 0 && room > 0 && bytesLeft > 0 && this.#host.log.hasRoom) {
      if (!mayGrow) this.#refuseGrowth()
      const count = Math.min(room, this.#proposals.appendRoom)
      const payloads = this.#proposals.peek(count, bytesLeft, admits)
      if (payloads.length === 0) return
      const stampMs = this.#host.stampMs(membership)
      for (const payload of payloads) stampPayload(payload, stampMs)
      const result = this.#core.propose(payloads)
      if (result.kind === 'notLeader') {
        // The Ready that says so refuses them together with the reads that wait for them.
        if (!leads) this.#proposals.refuseGathered()
        return
      }
      if (result.kind === 'busy') return
      if (result.kind === 'tooLarge') {
        const text = `-ERR the command takes more than the ${result.maxBytes} bytes of one log entry: send smaller parts\r\n`
        this.#proposals.answerOldestGathered(latin1Bytes(text))
        continue
      }
      this.#proposals.appendedAt(result.firstIndex, result.term, result.count)
      room -= result.count
      for (let i = 0; i < result.count; i++) bytesLeft -= payloads[i].length
      if (result.count < payloads.length) return
    }
  }

  #refuseGrowth(): void {
    for (let head = this.#proposals.oldestGathered(); head !== undefined; head = this.#proposals.oldestGathered()) {
      if (!payloadGrows(head)) return
      this.#proposals.answerOldestGathered(DISKFULL)
    }
  }
}
