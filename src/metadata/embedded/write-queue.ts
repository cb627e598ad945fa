/**
 * One session's writes, in the order of the calls. The first few are under way together, as one request, and no later one leaves before each of
 * those has its answer; so whatever is lost and sent again, the log has them in their order.
 *
 *   queue:   [ 7 8 9 | 10 11 ]      7 8 9 under way: proposed by the leader in one go, sent again as long as one is unanswered
 *
 * A write keeps its sequence however often it is sent, so it runs once; each attempt carries the lowest sequence that is still waited for, so
 * what was given up here never runs behind a later write. A write that was never sent is `unavailable` when its time is over, and any
 * other `unknown`: a copy may be on its way.
 */
import { asSlotId } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import { encodePayload, PAYLOAD_METADATA } from '../../protocol/command.ts'
import type { MetadataResponse } from '../../protocol/metadata-message.ts'
import type { MetadataError } from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataAnswer } from '../../protocol/metadata-reply.ts'
import { OUTCOME_REPLY } from '../../protocol/request-message.ts'
import { ANSWER_LOST, failure, NOT_IN_TIME, TOO_MANY } from './call-outcome.ts'
import { Exchange } from './exchange.ts'
import type { MasterLink } from './master-link.ts'

/** Under way together. Fewer than the results that the tree keeps for one session. */
const BATCH_WRITES = 32
const BATCH_BYTES = 4 * 1024 * 1024

export interface QueueLimits {
  readonly callsMax: number
  readonly bytesMax: number
}

export interface WriteQueuePorts {
  readonly link: MasterLink
  readonly resendMs: number
  readonly limits: QueueLimits
  readonly newSequenceOnRepeat: boolean
  session(): number
  /** By when an attempt that is sent now must have run, on the clock of the log. */
  retryUntilMs(): number
  /** Told in order, and before any answer that rests on it: an answer of this index. */
  saw(asOf: number): void
  /** The tree says that the session is over. */
  over(): void
}

type Settle = (error: MetadataError | null, answer: MetadataAnswer | null) => void

interface QueuedWrite {
  sequence: number
  readonly command: Uint8Array
  readonly deadlineMs: number
  readonly settle: Settle
  attempts: number
  answered: MetadataAnswer | MetadataError | null
}

type Wrote = Extract<MetadataResponse, { type: 'wrote' }>

export class WriteQueue {
  readonly #ports: WriteQueuePorts
  readonly #exchange: Exchange
  #queue: QueuedWrite[] = []
  /** How many of the first ones are under way. */
  #batch = 0
  #bytes = 0
  #sequence = 0

  constructor(ports: WriteQueuePorts) {
    this.#ports = ports
    this.#exchange = new Exchange(ports.resendMs)
  }

  get length(): number {
    return this.#queue.length
  }

  get waitingSinceMs(): number | null {
    return this.#exchange.waitingSinceMs
  }

  /** `refusal`: decided already; it is told in its turn. */
  add(command: Uint8Array, deadlineMs: number, refusal: MetadataError | null, settle: Settle): void {
    const { callsMax, bytesMax } = this.#ports.limits
    if (this.#queue.length >= callsMax || this.#bytes + command.length > bytesMax) return settle(TOO_MANY, null)
    this.#bytes += command.length
    // A refused one takes no sequence: it is never sent.
    const sequence = refusal === null ? ++this.#sequence : this.#sequence
    this.#queue.push({ sequence, command, deadlineMs, settle, attempts: 0, answered: refusal })
  }

  pump(nowMs: number): void {
    this.#tellAnswered()
    while (this.#queue.length > 0 && this.#queue[0].deadlineMs <= nowMs) this.#giveUp(this.#queue[0])
    const { link } = this.#ports
    if (!link.attached || this.#ports.session() === 0) return
    if (this.#exchange.active) {
      if (this.#exchange.isDue(nowMs)) this.#send()
    } else if (this.#queue.length > 0) {
      this.#batch = this.#batchLength()
      this.#exchange.begin(link.nextRequest(), nowMs)
      this.#send()
    }
  }

  wrote(response: Wrote, nowMs: number): void {
    const write = this.#queue.find((one) => one.sequence === response.sequence && one.attempts > 0)
    if (write === undefined || write.answered !== null) return
    if (response.outcome !== OUTCOME_REPLY) return this.#exchange.refused(response.request, nowMs)
    const answer = decoded(response.reply)
    if ('asOf' in answer && answer.reply.kind === 'error' && write.attempts > 1) {
      const { code } = answer.reply.error
      // Said of this copy; an earlier one may have run, or may run yet.
      if (code === 'unavailable') return this.#exchange.refused(response.request, nowMs)
    }
    write.answered = answer
    this.#exchange.progress(nowMs)
    this.#tellAnswered()
  }

  refused(request: number, nowMs: number): void {
    this.#exchange.refused(request, nowMs)
  }

  reattached(nowMs: number): void {
    this.#exchange.restart(nowMs)
  }

  /** The session is over: nothing of this runs any more; but what was sent may have run. */
  failAll(error: MetadataError): void {
    for (const write of this.#queue.splice(0)) {
      const { answered } = write
      if (answered !== null && !('asOf' in answered)) write.settle(answered, null)
      else write.settle(write.attempts > 0 ? ANSWER_LOST : error, null)
    }
    this.#bytes = 0
    this.#batch = 0
    this.#exchange.end()
  }

  #tellAnswered(): void {
    while (this.#queue.length > 0) {
      const head = this.#queue[0]
      const { answered } = head
      if (answered === null) break
      this.#shift()
      if (!('asOf' in answered)) head.settle(answered, null)
      else if (answered.reply.kind !== 'error') {
        this.#ports.saw(answered.asOf)
        head.settle(null, answered)
      } else this.#tellError(head, answered.reply.error, answered.asOf)
    }
  }

  #tellError(write: QueuedWrite, error: MetadataError, asOf: number): void {
    this.#ports.saw(asOf)
    if (error.code !== 'session-expired') return write.settle(error, null)
    write.settle(write.attempts > 1 ? ANSWER_LOST : error, null)
    this.#ports.over()
  }

  #giveUp(write: QueuedWrite): void {
    this.#shift()
    write.settle(write.attempts > 0 ? ANSWER_LOST : NOT_IN_TIME, null)
    this.#tellAnswered()
  }

  #shift(): void {
    const write = this.#queue.shift()
    this.#bytes -= write?.command.length ?? 0
    if (this.#batch > 0 && --this.#batch === 0) this.#exchange.end()
  }

  #batchLength(): number {
    let bytes = 0
    let length = 0
    for (const { command } of this.#queue) {
      bytes += command.length
      if (length >= BATCH_WRITES || (bytes > BATCH_BYTES && length > 0)) break
      length++
    }
    return length
  }

  #send(): void {
    const { link, session, retryUntilMs, newSequenceOnRepeat } = this.#ports
    const lowestUnanswered = this.#queue[0].sequence
    const header = { kind: PAYLOAD_METADATA, slot: asSlotId(0), stampMs: 0, session: session() } as const
    const payloads: Uint8Array[] = []
    for (const write of this.#queue.slice(0, this.#batch)) {
      if (write.answered !== null) continue
      if (write.attempts++ > 0 && newSequenceOnRepeat) write.sequence = ++this.#sequence
      const { sequence, command } = write
      payloads.push(encodePayload({ ...header, sequence, lowestUnanswered, retryUntilMs: retryUntilMs() }, command))
    }
    if (payloads.length > 0) link.send({ type: 'write', payloads }, this.#exchange.request)
  }
}

/** What is no reply of the tree is the replica's own refusal, in plain words: not done. */
function decoded(reply: Uint8Array): MetadataAnswer | MetadataError {
  try {
    return decodeMetadataReply(reply)
  } catch (error) {
    if (error instanceof DecodeError) return failure('unavailable', "the masters' log did not take the write")
    throw error
  }
}
