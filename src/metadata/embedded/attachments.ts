/**
 * The sessions that are attached to this master, and their watches. What fires is gathered and told in numbered messages, one at a time, each
 * again until it is acknowledged; so many changes become few messages, and none is lost while the attachment lasts:
 *
 *   fired(n, ids) -> ack(n) -> fired(n+1, what has fired meanwhile)
 *
 * An attachment that is not heard of for twice its session's timeout is forgotten. Its holder, should it come back, is told `detached`, attaches
 * anew, registers its watches again, and is called for all of them.
 */
import { assert } from '../../base/assert.ts'
import type { NodeId } from '../../base/brand.ts'
import type { Clock } from '../../ports/clock.ts'
import type { StopWatching } from '../../ports/metadata-store.ts'
import type { MetadataEnvelope, WatchAsked } from '../../protocol/metadata-message.ts'
import { WatchTable } from '../tree/watch-table.ts'

export interface AttachmentLimits {
  readonly attachmentsMax: number
  readonly watchesPerAttachmentMax: number
  /** Of all attachments. */
  readonly watchesMax: number
}

/** What is not acknowledged is told again after this time. */
const TELL_AGAIN_MS = 300
/** Ids in one message. */
const FIRED_MAX = 4096

export interface Attachment {
  readonly node: NodeId
  readonly client: number
  readonly attachment: number
  readonly timeoutMs: number
  session: number
  heardMs: number
  readonly watches: Map<number, StopWatching>
  /** Requests of an older number come too late. */
  lastWatchRequest: number
  readonly fired: Set<number>
  firedNumber: number
  unacknowledged: readonly number[] | null
  toldMs: number
}

type Tell = (attachment: Attachment, number: number, ids: readonly number[]) => void

export class Attachments {
  readonly #clock: Clock
  readonly #limits: AttachmentLimits
  readonly #tell: Tell
  readonly #table: WatchTable
  readonly #attachments = new Map<string, Attachment>()

  constructor(clock: Clock, limits: AttachmentLimits, tell: Tell) {
    this.#clock = clock
    this.#limits = limits
    this.#tell = tell
    this.#table = new WatchTable((callback) => clock.defer(callback), limits.watchesMax)
  }

  /** What has been applied is told to it. */
  get table(): WatchTable {
    return this.#table
  }

  get count(): number {
    return this.#attachments.size
  }

  /** The same attachment again is a sign of life. Null: an older one than the one that is known, or there is no room. */
  attach({ node, client, attachment }: MetadataEnvelope, session: number, timeoutMs: number): Attachment | null {
    const key = keyOf(node, client)
    const known = this.#attachments.get(key)
    if (known !== undefined && known.attachment >= attachment) {
      if (known.attachment > attachment) return null
      known.session = session
      known.heardMs = this.#clock.monotonicMs()
      return known
    }
    if (known !== undefined) this.#drop(known)
    if (this.#attachments.size >= this.#limits.attachmentsMax) return null
    const made: Attachment = {
      node,
      client,
      attachment,
      timeoutMs,
      session,
      heardMs: this.#clock.monotonicMs(),
      watches: new Map(),
      lastWatchRequest: 0,
      fired: new Set(),
      firedNumber: 0,
      unacknowledged: null,
      toldMs: 0,
    }
    this.#attachments.set(key, made)
    return made
  }

  /** Undefined: not attached here. */
  find({ node, client, attachment }: MetadataEnvelope): Attachment | undefined {
    const known = this.#attachments.get(keyOf(node, client))
    if (known?.attachment !== attachment) return undefined
    known.heardMs = this.#clock.monotonicMs()
    return known
  }

  /** False: too many watches; those before were registered. A request that was overtaken by a later one does nothing. */
  watch(attachment: Attachment, request: number, added: readonly WatchAsked[], removed: readonly number[]): boolean {
    if (request < attachment.lastWatchRequest) return true
    attachment.lastWatchRequest = request
    for (const id of removed) {
      attachment.watches.get(id)?.()
      attachment.watches.delete(id)
      attachment.fired.delete(id)
    }
    for (const { id, kind, path } of added) {
      if (attachment.watches.has(id)) continue
      const { watchesPerAttachmentMax, watchesMax } = this.#limits
      if (attachment.watches.size >= watchesPerAttachmentMax || this.#table.count >= watchesMax) return false
      const stop = this.#table.watch(kind, path, () => this.#fired(attachment, id))
      attachment.watches.set(id, stop)
    }
    return true
  }

  acknowledged(attachment: Attachment, number: number): void {
    if (number !== attachment.firedNumber) return
    attachment.unacknowledged = null
    this.#tellFired(attachment)
  }

  /** Those of a session that is over, forgotten. */
  sessionEnded(session: number): Attachment[] {
    const ended = [...this.#attachments.values()].filter((attachment) => attachment.session === session)
    for (const attachment of ended) this.#drop(attachment)
    return ended
  }

  tick(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const attachment of this.#attachments.values()) {
      if (nowMs - attachment.heardMs > attachment.timeoutMs * 2) this.#drop(attachment)
      else if (attachment.unacknowledged !== null && nowMs - attachment.toldMs >= TELL_AGAIN_MS) {
        attachment.toldMs = nowMs
        this.#tell(attachment, attachment.firedNumber, attachment.unacknowledged)
      }
    }
  }

  #fired(attachment: Attachment, id: number): void {
    attachment.fired.add(id)
    // All that fires in one flush of the table is one message.
    if (attachment.fired.size === 1) this.#clock.defer(() => this.#tellFired(attachment))
  }

  #tellFired(attachment: Attachment): void {
    if (attachment.unacknowledged !== null || attachment.fired.size === 0) return
    const ids: number[] = []
    for (const id of attachment.fired) {
      if (ids.length >= FIRED_MAX) break
      ids.push(id)
    }
    for (const id of ids) attachment.fired.delete(id)
    attachment.unacknowledged = ids
    attachment.toldMs = this.#clock.monotonicMs()
    attachment.firedNumber++
    this.#tell(attachment, attachment.firedNumber, ids)
  }

  #drop(attachment: Attachment): void {
    const removed = this.#attachments.delete(keyOf(attachment.node, attachment.client))
    assert(removed, 'attachments: dropped twice')
    for (const stop of attachment.watches.values()) stop()
    attachment.watches.clear()
    attachment.fired.clear()
    attachment.unacknowledged = null
  }
}

function keyOf(node: NodeId, client: number): string {
  return `${node}/${client}`
}
