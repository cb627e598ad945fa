/**
 * Both ends of one replica's image transfers: makes and sends images to followers whose log is gone here, receives one from a
 * leader, and clears away the base directories that are no replica's base any more. What an image changes when it is
 * in force is raft-replica.ts's business.
 */
import { asLogIndex, type GroupId, type LogIndex, type NodeId, type ReplicaId } from '../../base/brand.ts'
import type { BaseFileStore } from '../../ports/base-file.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { ImageMessage, ImageOffer } from '../../protocol/image-message.ts'
import type { RaftCore } from '../../raft/raft-core.ts'
import type { ReplicaStore } from '../../store/store.ts'
import { ImageReceiver } from './image-receiver.ts'
import { ImageSender, type ImageSource } from './image-sender.ts'

/** Each attempt copies the whole base file: a follower that cannot take it (a full disk) must not keep the leader's disk busy. */
const RETRY_AFTER_MS_MIN = 200
const RETRY_AFTER_MS_MAX = 5_000

export interface ReplicaImagesPorts {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  /** Where the numbered base directories are. */
  readonly path: string
  readonly clock: Clock
  readonly logger: Logger
  readonly baseFiles: BaseFileStore
  readonly core: RaftCore
  store(): ReplicaStore
  /** The images lane; false: refused now, `onWritable` follows. */
  send(to: NodeId, bytes: Uint8Array): boolean
  wake(): void
  /** An image is being taken over: no other one is wanted, and none can be made. */
  switching(): boolean
  /** An image is whole in that directory, and the core takes it over: its Ready follows. */
  taken(directory: number): void
}

interface Pin {
  /** The image that the follower gets: it needs the log after that. */
  readonly index: LogIndex
  /** Lifted once the follower holds this; null: the image is still on its way. */
  until: LogIndex | null
}

interface Failure {
  readonly count: number
  readonly retryAtMs: number
}

export class ReplicaImages {
  readonly #ports: ReplicaImagesPorts
  readonly #receiver: ImageReceiver
  readonly #senders = new Map<ReplicaId, ImageSender>()
  readonly #pins = new Map<ReplicaId, Pin>()
  readonly #failures = new Map<ReplicaId, Failure>()
  #nextDirectory: number
  #nextTransfer = 1
  #clearing = false
  #closed = false

  constructor(ports: ReplicaImagesPorts, baseDirectory: number) {
    this.#ports = ports
    this.#nextDirectory = baseDirectory + 1
    this.#receiver = new ImageReceiver({
      clock: ports.clock,
      send: (to, bytes) => ports.send(to, bytes),
      wants: (offer) => !ports.switching() && !this.#clearing && ports.core.wantsImage(metaOf(offer)),
      install: (done) => {
        const directory = this.#nextDirectory++
        ports.baseFiles.install(ports.path, directory, (error, install) => done(error, install, directory))
      },
      received: (offer, directory) => this.#received(offer, directory),
    })
  }

  get sending(): boolean {
    return this.#senders.size > 0
  }

  onMessage(from: NodeId, message: ImageMessage): void {
    if (message.type === 'offer' || message.type === 'chunk' || message.type === 'end') {
      this.#receiver.onMessage(from, message)
    } else this.#senders.get(message.from)?.onMessage(message)
  }

  onWritable(to: NodeId): void {
    for (const sender of [...this.#senders.values()]) if (sender.toNode === to) sender.onWritable()
  }

  /** The core asked for it; it hears of the outcome in any case. */
  send(to: ReplicaId, node: NodeId | null): void {
    const { core, clock } = this.#ports
    const waits = (this.#failures.get(to)?.retryAtMs ?? 0) > clock.monotonicMs()
    if (node === null || waits || this.#ports.switching() || this.#senders.has(to)) {
      return core.imageOutcome(to, asLogIndex(0), false)
    }
    const store = this.#ports.store()
    store.image((error, image, meta) => {
      const useless = this.#closed || store !== this.#ports.store() || core.role !== 'leader' || this.#senders.has(to)
      if (image === null || meta === null || useless) {
        image?.close()
        if (error !== null) this.#failed(to, error.message)
        return core.imageOutcome(to, asLogIndex(0), false)
      }
      this.#begin(to, node, { image, index: meta.applied, term: meta.term, membership: meta.membership })
    })
  }

  #begin(to: ReplicaId, node: NodeId, source: ImageSource): void {
    const { group, replicaId, clock, core } = this.#ports
    const sender = new ImageSender(group, replicaId, to, node, this.#nextTransfer++, source, {
      clock,
      send: (toNode, bytes) => this.#ports.send(toNode, bytes),
      currentTerm: () => core.term,
      ended: (ended, ok) => this.#ended(ended, ok),
    })
    this.#senders.set(to, sender)
    this.#pins.set(to, { index: source.index, until: null })
    sender.start()
  }

  #ended(sender: ImageSender, ok: boolean): void {
    const { core } = this.#ports
    const { to, index } = sender
    this.#senders.delete(to)
    const pin = this.#pins.get(to)
    if (ok) {
      this.#failures.delete(to)
      if (pin !== undefined) pin.until = core.commitIndex
    } else {
      this.#pins.delete(to)
      if (!this.#closed) this.#failed(to, 'the follower did not take it')
    }
    core.imageOutcome(to, index, ok)
    this.#ports.wake()
  }

  #failed(to: ReplicaId, reason: string): void {
    const count = (this.#failures.get(to)?.count ?? 0) + 1
    const delayMs = Math.min(RETRY_AFTER_MS_MIN * 2 ** Math.min(count - 1, 10), RETRY_AFTER_MS_MAX)
    this.#failures.set(to, { count, retryAtMs: this.#ports.clock.monotonicMs() + delayMs })
    this.#ports.logger.warn('image failed', { group: this.#ports.group, to, reason })
  }

  /** The log after this index is what the receivers of images need until they have caught up; Infinity: nobody. */
  pinnedAfter(): number {
    if (this.#pins.size === 0) return Number.POSITIVE_INFINITY
    const matches = new Map(this.#ports.core.progress().map((peer) => [peer.replicaId, peer.matchIndex]))
    let pinned = Number.POSITIVE_INFINITY
    for (const [to, { index, until }] of this.#pins) {
      const match = matches.get(to)
      if (match === undefined || (until !== null && match >= until)) this.#pins.delete(to)
      else pinned = Math.min(pinned, Math.max(index, match))
    }
    return pinned
  }

  leadershipLost(): void {
    for (const sender of [...this.#senders.values()]) sender.end(false)
    this.#pins.clear()
    this.#failures.clear()
  }

  #received(offer: ImageOffer, directory: number): boolean {
    if (this.#ports.switching() || this.#closed) return false
    const taken = this.#ports.core.installImage(metaOf(offer), offer.term, offer.from)
    if (taken) this.#ports.taken(directory)
    this.#ports.wake()
    return taken
  }

  /** Removes all base directories but this one. No image is received meanwhile: its directory would go along. */
  clearOldBases(keep: number): void {
    if (this.#receiver.active || this.#clearing) return
    const { baseFiles, path, logger, group } = this.#ports
    this.#clearing = true
    baseFiles.removeOthers(path, keep, (error) => {
      this.#clearing = false
      if (error !== null) logger.warn('old base directory stays', { group, error: error.message })
    })
  }

  close(): void {
    this.#closed = true
    this.#receiver.abort()
    for (const sender of [...this.#senders.values()]) sender.end(false)
  }
}

function metaOf(offer: ImageOffer) {
  return { index: offer.index, term: offer.lastTerm, membership: offer.membership }
}
