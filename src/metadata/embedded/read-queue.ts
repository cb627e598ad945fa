/**
 * One session's reads and syncs, in the order of the calls. The first few reads are under way together; they are answered at one applied state of
 * the attached master, never older than what this session has seen:
 *
 *   seen = max(index of every answer, to reads, writes and syncs, and of every fired watch)
 *   read(min index = seen at sending) -> replies(as of >= seen, else asked again)
 *
 * A sync raises `seen` to what the leader had applied when a majority confirmed it; the reads behind it wait for that index at their master.
 */
import { DecodeError } from '../../base/bytes.ts'
import type { MetadataResponse } from '../../protocol/metadata-message.ts'
import type { MetadataError } from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import { failure, NOT_IN_TIME, TOO_MANY } from './call-outcome.ts'
import { Exchange } from './exchange.ts'
import type { MasterLink } from './master-link.ts'
import type { QueueLimits } from './write-queue.ts'

const BATCH_READS = 64

export interface ReadQueuePorts {
  readonly link: MasterLink
  readonly resendMs: number
  readonly limits: QueueLimits
  readonly readsGoBack: boolean
  session(): number
  seen(): number
  saw(asOf: number): void
  over(): void
}

type Settle = (error: MetadataError | null, reply: MetadataReply | null) => void

interface QueuedRead {
  /** Made when it is first sent, for the session may not be open yet; null: a sync. */
  readonly encode: (() => Uint8Array) | null
  readonly bytes: number
  readonly deadlineMs: number
  readonly settle: Settle
  settled: boolean
}

export class ReadQueue {
  readonly #ports: ReadQueuePorts
  readonly #exchange: Exchange
  #queue: QueuedRead[] = []
  /** Under way, as sent: replies stand in this order. */
  #batch: QueuedRead[] = []
  #bytes = 0

  constructor(ports: ReadQueuePorts) {
    this.#ports = ports
    this.#exchange = new Exchange(ports.resendMs)
  }

  get length(): number {
    return this.#queue.length
  }

  get waitingSinceMs(): number | null {
    return this.#exchange.waitingSinceMs
  }

  /** `encode` null: a sync. `bytes` count against the limit. */
  add(encode: (() => Uint8Array) | null, bytes: number, deadlineMs: number, settle: Settle): void {
    const { callsMax, bytesMax } = this.#ports.limits
    if (this.#queue.length >= callsMax || this.#bytes + bytes > bytesMax) return settle(TOO_MANY, null)
    this.#bytes += bytes
    this.#queue.push({ encode, bytes, deadlineMs, settle, settled: false })
  }

  pump(nowMs: number): void {
    while (this.#queue.length > 0 && this.#queue[0].deadlineMs <= nowMs) this.#settleFirst(NOT_IN_TIME, null)
    const { link } = this.#ports
    if (!link.attached || this.#ports.session() === 0) return
    if (this.#exchange.active) {
      if (this.#exchange.isDue(nowMs)) this.#send()
    } else if (this.#queue.length > 0) {
      this.#batch = this.#nextBatch()
      this.#exchange.begin(link.nextRequest(), nowMs)
      this.#send()
    }
  }

  replies({ request, asOf, replies }: Extract<MetadataResponse, { type: 'replies' }>, nowMs: number): void {
    if (request !== this.#exchange.request || this.#batch[0]?.encode === null) return
    // An answer to an earlier attempt: meanwhile the session has seen more.
    if (asOf < this.#ports.seen() && !this.#ports.readsGoBack) return this.#exchange.refused(request, nowMs)
    this.#ports.saw(asOf)
    const batch = this.#batch
    this.#endBatch()
    for (let i = 0; i < Math.min(batch.length, replies.length); i++) {
      if (!batch[i].settled && !this.#tell(replies[i])) return
    }
  }

  synced({ request, asOf }: Extract<MetadataResponse, { type: 'synced' }>): void {
    if (request !== this.#exchange.request || this.#batch[0]?.encode !== null) return
    this.#ports.saw(asOf)
    const batch = this.#batch
    this.#endBatch()
    for (const sync of batch) if (!sync.settled) this.#settleFirst(null, null)
  }

  refused(request: number, nowMs: number): void {
    this.#exchange.refused(request, nowMs)
  }

  reattached(nowMs: number): void {
    this.#exchange.restart(nowMs)
  }

  failAll(error: MetadataError): void {
    this.#endBatch()
    while (this.#queue.length > 0) this.#settleFirst(error, null)
  }

  /** Of the first one. False: the session is over, and so are all reads. */
  #tell(bytes: Uint8Array): boolean {
    const reply = decoded(bytes)
    if (reply.kind !== 'error') this.#settleFirst(null, reply)
    else {
      this.#settleFirst(reply.error, null)
      if (reply.error.code === 'session-expired') {
        this.#ports.over()
        return false
      }
    }
    return true
  }

  /** In the order of the queue: what is under way is its beginning. */
  #settleFirst(error: MetadataError | null, reply: MetadataReply | null): void {
    const first = this.#queue.shift()
    if (first === undefined) return
    first.settled = true
    this.#bytes -= first.bytes
    first.settle(error, reply)
    if (this.#exchange.active && this.#batch.every(({ settled }) => settled)) this.#endBatch()
  }

  #endBatch(): void {
    this.#batch = []
    this.#exchange.end()
  }

  /** Reads up to the next sync, or syncs up to the next read: one answer serves them all. */
  #nextBatch(): QueuedRead[] {
    const isSync = this.#queue[0].encode === null
    let length = 0
    while (length < this.#queue.length && (this.#queue[length].encode === null) === isSync) length++
    return this.#queue.slice(0, isSync ? length : Math.min(length, BATCH_READS))
  }

  #send(): void {
    const { link, seen, session, readsGoBack } = this.#ports
    const { request } = this.#exchange
    const reads: Uint8Array[] = []
    for (const { encode } of this.#batch) if (encode !== null) reads.push(encode())
    if (reads.length === 0) return link.send({ type: 'sync' }, request)
    // A master that has not applied the session's own opening would say that it is over.
    link.send({ type: 'read', minIndex: readsGoBack ? session() : seen(), reads }, request)
  }
}

function decoded(bytes: Uint8Array): MetadataReply {
  try {
    return decodeMetadataReply(bytes).reply
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'error', error: failure('unavailable', error.message) }
    throw error
  }
}
