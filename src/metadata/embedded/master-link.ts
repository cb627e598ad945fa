/**
 * Which master a session is attached to, and when it leaves it for the next one.
 *
 *   attaching to M -- attached --> attached to M -- silent, stalled --> attaching to the next
 *        | no answer                    ^  | detached (M does not know us any more)
 *        +--> the next one              +--+ attaching again, under a new number
 *
 * The node's own master comes first; after it the list in its order, begun anywhere, so that not all sessions crowd on one.
 */
import type { NodeId } from '../../base/brand.ts'
import type { Clock } from '../../ports/clock.ts'
import type { MetadataWire } from '../../ports/masters-group.ts'
import type { Random } from '../../ports/random.ts'
import {
  encodeMetadataRequest,
  type MetadataRequestBody,
  type MetadataResponse,
} from '../../protocol/metadata-message.ts'
import { Exchange } from './exchange.ts'
import type { SessionTimings } from './session-timings.ts'

export interface LinkPorts {
  readonly clock: Clock
  readonly random: Random
  readonly wire: MetadataWire
  readonly nodeId: NodeId
  /** The nodes that hold a replica of the masters' group, as far as known. */
  masters(): readonly NodeId[]
}

export class MasterLink {
  /** Tells this session's messages from those of others on the node. */
  readonly client: number
  readonly #ports: LinkPorts
  readonly #timings: SessionTimings
  readonly #session: () => number
  readonly #attachedNow: () => void
  readonly #attaching: Exchange
  #master: NodeId | null = null
  #attachment = 0
  #attached = false
  /** It does not take us: the next one is asked by the clock, not at once, so that masters that all refuse make no storm. */
  #turnedAway = false
  #requests = 0
  #lastHeardMs = 0
  #tried: number

  constructor(ports: LinkPorts, timings: SessionTimings, session: () => number, attachedNow: () => void) {
    this.#ports = ports
    this.#timings = timings
    this.#session = session
    this.#attachedNow = attachedNow
    this.#attaching = new Exchange(timings.resendMs)
    this.client = ports.random.u32()
    this.#tried = ports.random.u32() % 0x1000
  }

  get attached(): boolean {
    return this.#attached
  }

  /** Null: none is known. */
  get master(): NodeId | null {
    return this.#master
  }

  nextRequest(): number {
    return ++this.#requests
  }

  send(body: MetadataRequestBody, request: number): void {
    if (this.#master === null) return
    const { wire, nodeId } = this.#ports
    const envelope = { hops: 0, node: nodeId, client: this.client, attachment: this.#attachment, request }
    wire.send(this.#master, encodeMetadataRequest({ ...envelope, ...body }))
  }

  /** True: it came through the attachment that holds now. */
  heard(response: MetadataResponse): boolean {
    if (response.attachment !== this.#attachment) return false
    const nowMs = this.#ports.clock.monotonicMs()
    this.#lastHeardMs = nowMs
    if (response.type === 'detached' && this.#attached) this.#attach(nowMs)
    if (response.type === 'refused' && response.request === this.#attaching.request) this.#turnedAway = true
    if (response.type === 'attached' && response.request === this.#attaching.request) {
      this.#attaching.end()
      this.#attached = true
      this.#attachedNow()
    }
    return true
  }

  /** `waitingSinceMs`: of the oldest request that is under way. */
  tick(waitingSinceMs: number | null): void {
    const nowMs = this.#ports.clock.monotonicMs()
    if (this.#master === null || this.#turnedAway) return this.#next(nowMs)
    const sinceMs = this.#attaching.waitingSinceMs ?? waitingSinceMs
    if (sinceMs !== null) {
      const silentMs = nowMs - Math.max(sinceMs, this.#lastHeardMs)
      if (silentMs >= this.#timings.silentMs || nowMs - sinceMs >= this.#timings.stalledMs) return this.#next(nowMs)
    }
    if (this.#attaching.isDue(nowMs)) this.#sendAttach()
  }

  #next(nowMs: number): void {
    const masters = this.#ports.masters()
    if (masters.length === 0) return
    const isFirst = this.#master === null
    const own = masters.indexOf(this.#ports.nodeId)
    if (isFirst && own >= 0) this.#tried = own
    else this.#tried = (this.#tried + 1) % masters.length
    this.#master = masters[this.#tried % masters.length]
    this.#attach(nowMs)
  }

  #attach(nowMs: number): void {
    this.#attached = false
    this.#turnedAway = false
    this.#attachment++
    this.#attaching.begin(this.nextRequest(), nowMs)
    this.#sendAttach()
  }

  #sendAttach(): void {
    const { timeoutMs } = this.#timings
    this.send({ type: 'attach', session: this.#session(), timeoutMs }, this.#attaching.request)
  }
}
