/**
 * The embedded metadata store on one node: takes the messages of protocol/metadata-message.ts that come to the node, and brings them to the sessions
 * that are held here, or to the master's part where the node is a master. What the node wires is in MetadataWire and MastersGroup.
 */
import type { NodeId } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import type { Logger } from '../../ports/logger.ts'
import { decodeMetadataMessage, type MetadataMessage } from '../../protocol/metadata-message.ts'
import { EmbeddedMetadataStore, type EmbeddedStoreOptions } from './embedded-metadata-store.ts'
import type { LinkPorts } from './master-link.ts'
import type { MastersHost } from './masters-host.ts'

export interface EmbeddedMetadataPorts extends LinkPorts {
  readonly logger: Logger
}

export class EmbeddedMetadata {
  readonly #ports: EmbeddedMetadataPorts
  readonly #host: () => MastersHost | null
  readonly #stores = new Map<number, EmbeddedMetadataStore>()

  /** `host` null: this node is no master. */
  constructor(ports: EmbeddedMetadataPorts, host: () => MastersHost | null) {
    this.#ports = ports
    this.#host = host
  }

  /** Another session, that is being opened. */
  open(options: Partial<EmbeddedStoreOptions> = {}): EmbeddedMetadataStore {
    const store = new EmbeddedMetadataStore(this.#ports, options)
    this.#stores.set(store.client, store)
    store.onStateChange((state) => {
      if (state === 'closed' || state === 'expired') this.#stores.delete(store.client)
    })
    return store
  }

  /** The masters are others: all sessions are over. */
  abandonAll(): void {
    for (const store of [...this.#stores.values()]) store.abandon()
  }

  /** What does not decode costs itself and nothing else. */
  onMessage(from: NodeId, bytes: Uint8Array): void {
    const decoded = this.#decode(from, bytes)
    if (decoded === null) return
    if (decoded.kind === 'request') return this.#host()?.onRequest(from, decoded.message, bytes)
    const { message } = decoded
    if (message.node === this.#ports.nodeId) this.#stores.get(message.client)?.onResponse(message)
    else this.#host()?.onPassedResponse(message)
  }

  #decode(from: NodeId, bytes: Uint8Array): MetadataMessage | null {
    try {
      return decodeMetadataMessage(bytes)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#ports.logger.warn('message does not decode', { from, error: error.message })
      return null
    }
  }
}
