/**
 * The leader's side of one image transfer: take a compacting copy of the base file, offer it, stream it in chunks of at most 1 MiB
 * with at most four unacknowledged, wait for the outcome. Any silence of ten seconds ends it; the core asks again.
 */

import type { GroupId, LogIndex, NodeId, ReplicaId, Term } from '../../base/brand.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { BaseImage } from '../../ports/base-file.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import { encodeImageMessage, IMAGE_CHUNK_BYTES_MAX, type ImageMessage } from '../../protocol/image-message.ts'
import type { Membership } from '../../protocol/membership.ts'

const WINDOW_CHUNKS = 4
const SILENCE_LIMIT_MS = 10_000

export interface ImageSource {
  readonly image: BaseImage
  readonly index: LogIndex
  readonly term: Term
  readonly membership: Membership
}

export interface ImageSenderPorts {
  readonly clock: Clock
  /** The images lane; false: try again at `onWritable`. */
  send(to: NodeId, bytes: Uint8Array): boolean
  currentTerm(): Term
  /** Called once, however it ends. */
  ended(sender: ImageSender, ok: boolean): void
}

export class ImageSender {
  readonly to: ReplicaId
  readonly toNode: NodeId
  readonly transfer: number
  readonly index: LogIndex
  readonly #group: GroupId
  readonly #from: ReplicaId
  readonly #source: ImageSource
  readonly #ports: ImageSenderPorts
  #state: 'offered' | 'streaming' | 'finishing' | 'ended' = 'offered'
  #readOffset = 0
  #ackedOffset = 0
  #crc = 0
  #reading = false
  #unsent: Uint8Array | null = null
  #silence: Timer | null = null

  constructor(
    group: GroupId,
    from: ReplicaId,
    to: ReplicaId,
    toNode: NodeId,
    transfer: number,
    source: ImageSource,
    ports: ImageSenderPorts,
  ) {
    this.#group = group
    this.#from = from
    this.to = to
    this.toNode = toNode
    this.transfer = transfer
    this.index = source.index
    this.#source = source
    this.#ports = ports
  }

  start(): void {
    this.#heard()
    const { index, term: lastTerm, membership, image } = this.#source
    const term = this.#ports.currentTerm()
    this.#send(
      encodeImageMessage({
        ...this.#envelope(),
        type: 'offer',
        term,
        index,
        lastTerm,
        membership,
        sizeBytes: image.sizeBytes,
      }),
    )
  }

  onMessage(message: ImageMessage): void {
    if (message.transfer !== this.transfer || this.#state === 'ended') return
    this.#heard()
    if (message.type === 'answer' && this.#state === 'offered') {
      if (!message.accepted) return this.end(false)
      this.#state = 'streaming'
      this.#pump()
    } else if (message.type === 'ack' && this.#state === 'streaming') {
      this.#ackedOffset = Math.max(this.#ackedOffset, Math.min(message.nextOffset, this.#readOffset))
      this.#pump()
    } else if (message.type === 'outcome') this.end(message.installed)
  }

  onWritable(): void {
    if (this.#unsent === null || this.#state === 'ended') return
    const bytes = this.#unsent
    this.#unsent = null
    this.#send(bytes)
    this.#pump()
  }

  end(ok: boolean): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#silence?.cancel()
    this.#source.image.close()
    this.#ports.ended(this, ok)
  }

  #envelope(): { group: GroupId; from: ReplicaId; to: ReplicaId; transfer: number } {
    return { group: this.#group, from: this.#from, to: this.to, transfer: this.transfer }
  }

  #heard(): void {
    this.#silence?.cancel()
    this.#silence = this.#ports.clock.setTimer(SILENCE_LIMIT_MS, () => this.end(false))
  }

  #send(bytes: Uint8Array): void {
    if (!this.#ports.send(this.toNode, bytes)) this.#unsent = bytes
  }

  /** One chunk is read at a time; the next is asked for when this one is queued and the window has room. */
  #pump(): void {
    if (this.#state !== 'streaming' || this.#reading || this.#unsent !== null) return
    const { image } = this.#source
    if (this.#readOffset === image.sizeBytes) {
      this.#state = 'finishing'
      this.#send(
        encodeImageMessage({ ...this.#envelope(), type: 'end', sizeBytes: image.sizeBytes, crc32c: this.#crc }),
      )
      return
    }
    if (this.#readOffset - this.#ackedOffset >= WINDOW_CHUNKS * IMAGE_CHUNK_BYTES_MAX) return
    this.#reading = true
    const offset = this.#readOffset
    const length = Math.min(IMAGE_CHUNK_BYTES_MAX, image.sizeBytes - offset)
    image.read(offset, length, (error, bytes) => {
      this.#reading = false
      if (this.#state !== 'streaming') return
      if (error !== null || bytes.length !== length) return this.end(false)
      this.#crc = crc32c(bytes, 0, bytes.length, this.#crc)
      this.#readOffset = offset + length
      this.#send(encodeImageMessage({ ...this.#envelope(), type: 'chunk', offset, bytes }))
      this.#pump()
    })
  }
}
