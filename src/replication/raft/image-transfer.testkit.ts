/** One sender and one receiver of an image with a wire between them that a test can hold up, cut or fill with anything. */
import { present } from '../../base/assert.ts'
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asTerm, type NodeId } from '../../base/brand.ts'
import { BytesReader } from '../../base/bytes.ts'
import type { BaseFileStore, BaseImage } from '../../ports/base-file.ts'
import type { Clock } from '../../ports/clock.ts'
import { decodeImageMessage, type ImageMessage, type ImageOffer } from '../../protocol/image-message.ts'
import { ImageReceiver } from './image-receiver.ts'
import { ImageSender } from './image-sender.ts'

export const LEADER = asNodeId(1)
export const FOLLOWER = asNodeId(2)
const GROUP = asGroupId(1)
const INDEX = asLogIndex(10)

export interface TransferOptions {
  readonly clock: Clock
  readonly files: BaseFileStore
  /** Where the follower's base directories are. */
  readonly path: string
  readonly image: BaseImage
  /** Carries one message over; loses it by not calling. */
  wire(deliver: () => void): void
}

export class ImageTransfer {
  readonly sender: ImageSender
  readonly receiver: ImageReceiver
  readonly received: number[] = []
  readonly log: string[] = []
  /** How the sender's side ended; empty: it has not. */
  readonly ended: boolean[] = []
  wants = true
  takes = true
  /** Refuses that many sends of the sender first, as a full lane does. */
  refuseSends = 0
  readonly #options: TransferOptions

  constructor(options: TransferOptions) {
    this.#options = options
    this.receiver = new ImageReceiver({
      clock: options.clock,
      send: (_to, bytes) => this.#send(bytes, (message) => this.sender.onMessage(message)),
      wants: () => this.wants,
      install: (done) => options.files.install(options.path, 1, (error, install) => done(error, install, 1)),
      received: (_offer, directory) => {
        if (this.takes) this.received.push(directory)
        return this.takes
      },
    })
    const source = { image: options.image, index: INDEX, term: asTerm(2), membership: { members: [] } }
    this.sender = new ImageSender(GROUP, asReplicaId(1), asReplicaId(2), FOLLOWER, 7, source, {
      clock: options.clock,
      send: (_to, bytes) => {
        if (this.refuseSends > 0) {
          this.refuseSends--
          return false
        }
        return this.#send(bytes, (message) => this.receiver.onMessage(LEADER, message))
      },
      currentTerm: () => asTerm(3),
      ended: (_sender, ok) => this.ended.push(ok),
    })
  }

  #send(bytes: Uint8Array, deliver: (message: ImageMessage) => void): boolean {
    const message = decodeImageMessage(new BytesReader(bytes.slice()))
    this.log.push(message.type)
    this.#options.wire(() => deliver(message))
    return true
  }

  /** As another leader, or this one again, would send it. */
  offer(from: NodeId, transfer: number): ImageOffer {
    const sizeBytes = present(this.#options.image.sizeBytes, 'an image has a size')
    const envelope = { group: GROUP, from: asReplicaId(from), to: asReplicaId(2), transfer }
    return {
      ...envelope,
      type: 'offer',
      term: asTerm(3),
      index: INDEX,
      lastTerm: asTerm(2),
      membership: { members: [] },
      sizeBytes,
    }
  }
}
