/**
 * The follower's side of one image transfer: chunks are written in order into a fresh base directory, which is checked and synced at
 * the end. Nothing of the replica changes until the switch record is in the log (raft-replica.ts). A new offer, or twenty
 * seconds of silence, throws a half-received image away. Whatever a peer sends, in whatever order, costs this transfer and nothing else.
 */
import { assert } from '../../base/assert.ts'
import type { NodeId } from '../../base/brand.ts'
import type { BaseInstall } from '../../ports/base-file.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { DiskError } from '../../ports/disk.ts'
import { encodeImageMessage, type ImageMessage, type ImageOffer } from '../../protocol/image-message.ts'

const SILENCE_LIMIT_MS = 20_000
/** The sync and check of a large image take longer than its sender's patience with silence (image-sender.ts). */
const KEEP_ALIVE_MS = 2_000

export interface ImageReceiverPorts {
  readonly clock: Clock
  send(to: NodeId, bytes: Uint8Array): boolean
  /** Index and term are checked before anything is loaded. */
  wants(offer: ImageOffer): boolean
  /** Opens the next numbered base directory. */
  install(done: (error: DiskError | null, install: BaseInstall | null, directory: number) => void): void
  /** The image is whole, checked and synced. False: the core does not take it, and the directory is thrown away. */
  received(offer: ImageOffer, directory: number): boolean
}

interface Transfer {
  readonly offer: ImageOffer
  readonly fromNode: NodeId
  install: BaseInstall | null
  directory: number
  nextOffset: number
  /** Chunks that the disk has not taken yet. */
  writing: number
  /** The sender has sent all: to be checked once nothing is being written. */
  end: { readonly sizeBytes: number; readonly crc32c: number } | null
  ended: boolean
}

export class ImageReceiver {
  readonly #ports: ImageReceiverPorts
  #transfer: Transfer | null = null
  /** Runs out when the sender is silent; while the image is checked, says that this side lives. */
  #timer: Timer | null = null

  constructor(ports: ImageReceiverPorts) {
    this.#ports = ports
  }

  get active(): boolean {
    return this.#transfer !== null
  }

  onMessage(fromNode: NodeId, message: ImageMessage): void {
    if (message.type === 'offer') return this.#offered(fromNode, message)
    const transfer = this.#transfer
    if (transfer === null || transfer.fromNode !== fromNode || transfer.offer.transfer !== message.transfer) return
    if (message.type === 'chunk') this.#chunk(transfer, message.offset, message.bytes)
    else if (message.type === 'end') this.#allSent(transfer, message.sizeBytes, message.crc32c)
  }

  abort(): void {
    const transfer = this.#transfer
    if (transfer === null) return
    transfer.ended = true
    this.#transfer = null
    this.#timer?.cancel()
    transfer.install?.abort()
  }

  #offered(fromNode: NodeId, offer: ImageOffer): void {
    if (!this.#ports.wants(offer)) {
      this.#answer(fromNode, offer, false)
      return
    }
    this.abort()
    const transfer: Transfer = {
      offer,
      fromNode,
      install: null,
      directory: 0,
      nextOffset: 0,
      writing: 0,
      end: null,
      ended: false,
    }
    this.#transfer = transfer
    this.#heard()
    this.#ports.install((error, install, directory) => {
      if (transfer.ended) return install?.abort()
      if (error !== null || install === null) {
        this.#answer(fromNode, offer, false)
        return this.abort()
      }
      transfer.install = install
      transfer.directory = directory
      this.#answer(fromNode, offer, true)
    })
  }

  #chunk(transfer: Transfer, offset: number, bytes: Uint8Array): void {
    const { install } = transfer
    if (install === null || transfer.end !== null || offset !== transfer.nextOffset) return this.#fail(transfer)
    this.#heard()
    transfer.nextOffset = offset + bytes.length
    transfer.writing++
    install.write(offset, bytes, (error) => {
      transfer.writing--
      if (transfer.ended) return
      if (error !== null) return this.#fail(transfer)
      this.#acknowledge(transfer, offset + bytes.length)
      if (transfer.end !== null) this.#checkOnceWritten(transfer)
    })
  }

  /** The end stands right behind the last chunk on the wire, so that one is usually still being written. */
  #allSent(transfer: Transfer, sizeBytes: number, crc32c: number): void {
    if (transfer.install === null || transfer.end !== null || sizeBytes !== transfer.nextOffset) {
      return this.#fail(transfer)
    }
    transfer.end = { sizeBytes, crc32c }
    this.#timer?.cancel()
    this.#keepAlive(transfer)
    this.#checkOnceWritten(transfer)
  }

  #checkOnceWritten(transfer: Transfer): void {
    const { install, end } = transfer
    if (transfer.writing > 0 || install === null || end === null) return
    install.finish(end.sizeBytes, end.crc32c, (error) => {
      if (transfer.ended) return
      if (error !== null) return this.#fail(transfer)
      assert(this.#transfer === transfer, 'ImageReceiver: a finished transfer is not the current one')
      transfer.install = null
      this.abort()
      const installed = this.#ports.received(transfer.offer, transfer.directory)
      if (!installed) install.abort()
      this.#reply(transfer, { ...envelope(transfer.offer), type: 'outcome', installed })
    })
  }

  #fail(transfer: Transfer): void {
    this.#reply(transfer, { ...envelope(transfer.offer), type: 'outcome', installed: false })
    this.abort()
  }

  #answer(to: NodeId, offer: ImageOffer, accepted: boolean): void {
    this.#ports.send(to, encodeImageMessage({ ...envelope(offer), type: 'answer', accepted }))
  }

  #acknowledge(transfer: Transfer, nextOffset: number): void {
    this.#reply(transfer, { ...envelope(transfer.offer), type: 'ack', nextOffset })
  }

  #reply(transfer: Transfer, message: ImageMessage): void {
    this.#ports.send(transfer.fromNode, encodeImageMessage(message))
  }

  #heard(): void {
    this.#timer?.cancel()
    this.#timer = this.#ports.clock.setTimer(SILENCE_LIMIT_MS, () => this.abort())
  }

  #keepAlive(transfer: Transfer): void {
    this.#timer = this.#ports.clock.setTimer(KEEP_ALIVE_MS, () => {
      if (transfer.ended) return
      this.#acknowledge(transfer, transfer.nextOffset)
      this.#keepAlive(transfer)
    })
  }
}

/** An answer goes the other way. */
function envelope(offer: ImageOffer): Pick<ImageMessage, 'group' | 'from' | 'to' | 'transfer'> {
  return { group: offer.group, from: offer.to, to: offer.from, transfer: offer.transfer }
}
