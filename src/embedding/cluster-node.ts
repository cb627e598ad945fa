/** One node of a local cluster over its starts, stops and kills: each start is a new life (node-host.ts) on the same directory and address. */
import { type Outcome, succeed } from '../platform/failure.ts'
import type { LocalNode, QuorateNodeState, QuorateNodeStatus } from './api.ts'
import { type HostSettings, type ListenAddresses, type NodeAddresses, NodeHost, reservePorts } from './node-host.ts'
import { errorOf } from './options.ts'
import { QuorateError } from './quorate-error.ts'

export class ClusterNode implements LocalNode {
  readonly id: number
  readonly data: string
  readonly #settings: HostSettings
  #host: NodeHost
  /** What it listens on, and the others: known once all have reserved theirs. */
  #addresses: NodeAddresses = { resp: '', cluster: '', peer: '', nodes: [] }
  /** Starts and stops come one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #running = false
  #closed = false

  constructor(id: number, directory: string, settings: HostSettings) {
    this.id = id
    this.data = directory
    this.#settings = settings
    this.#host = new NodeHost(directory, settings)
  }

  get address(): string {
    return this.#addresses.resp
  }

  get url(): string {
    return `redis://${this.address}`
  }

  get host(): NodeHost {
    return this.#host
  }

  get state(): QuorateNodeState {
    if (this.#host.failure !== null) return 'failed'
    return this.#running ? 'running' : 'stopped'
  }

  get failure(): QuorateError | null {
    const { failure } = this.#host
    return failure === null ? null : errorOf(failure)
  }

  status(): QuorateNodeStatus | null {
    return this.#running ? (this.#host.node?.status() ?? null) : null
  }

  /** Takes its ports, from this one on; null: free ones. */
  reserve(host: string, port: number | null): Promise<Outcome<ListenAddresses>> {
    return reservePorts(this.#host, host, port)
  }

  /** The first start, on reserved ports. */
  startAt(addresses: NodeAddresses): Promise<void> {
    this.#addresses = addresses
    return this.#next(() => this.#begin())
  }

  start(): Promise<void> {
    return this.#next(async () => {
      if (this.state === 'running') return
      // A node that failed may still be closing its files.
      await this.#host.kill()
      if (!this.#closed) this.#host = new NodeHost(this.data, this.#settings)
      await this.#begin()
    })
  }

  stop(): Promise<void> {
    return this.#next(async () => {
      this.#running = false
      await this.#host.stop()
    })
  }

  /** Not after what is under way: a kill waits for nothing. */
  kill(): Promise<void> {
    this.#running = false
    const now = this.#host.kill()
    const afterwards = this.#next(async () => {
      this.#running = false
      await this.#host.kill()
    })
    return Promise.all([now, afterwards]).then(() => {})
  }

  /** For good. */
  close(): Promise<void> {
    this.#closed = true
    return this.stop()
  }

  async #begin(): Promise<void> {
    if (this.#closed) throw new QuorateError('closed', 'the cluster has been closed', 'start a new one')
    const started = await this.#host.start(() => succeed(null), this.#addresses)
    if (!started.ok) throw errorOf(started.failure)
    this.#running = true
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(step)
    this.#last = turn.catch(() => {})
    return turn
  }
}
