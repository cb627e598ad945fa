/** A local cluster that runs: its nodes, and its end. */
import { rm } from 'node:fs/promises'
import type { LocalCluster, LocalNode } from './api.ts'
import type { ClusterNode } from './cluster-node.ts'
import type { DevData } from './dev-data.ts'
import { QuorateError } from './quorate-error.ts'
import { whenServing } from './serving.ts'

const READY_WITHIN_MS = 30_000

export class RunningCluster implements LocalCluster {
  readonly nodes: readonly ClusterNode[]
  readonly data: string
  readonly #data: DevData
  /** The data goes with the cluster. */
  readonly #temporary: boolean
  #closing: Promise<void> | null = null

  constructor(data: DevData, nodes: readonly ClusterNode[], temporary: boolean) {
    this.data = data.root
    this.nodes = nodes
    this.#data = data
    this.#temporary = temporary
  }

  get addresses(): readonly string[] {
    return this.nodes.map((node) => node.address)
  }

  get urls(): readonly string[] {
    return this.nodes.map((node) => node.url)
  }

  get url(): string {
    return this.urls[0]
  }

  leader(groupId: number): LocalNode | null {
    let found: ClusterNode | null = null
    let foundTerm = 0
    for (const node of this.nodes) {
      const group = node.status()?.groups.find(({ id }) => id === groupId)
      // A deposed leader may not know it yet.
      if (group?.role !== 'leader' || group.term <= foundTerm) continue
      found = node
      foundTerm = group.term
    }
    return found
  }

  async ready(timeoutMs = READY_WITHIN_MS): Promise<void> {
    let giveUp: () => void = () => {}
    const givenUp = new Promise<void>((late) => {
      giveUp = late
    })
    const timer = setTimeout(giveUp, timeoutMs)
    const running = this.nodes.filter((node) => node.state === 'running')
    const served = await Promise.all(running.map((node) => whenServing(node.host, givenUp)))
    clearTimeout(timer)
    if (this.#closing !== null) throw new QuorateError('closed', 'the cluster has been closed', 'start a new one')
    for (const { failure } of running) if (failure !== null) throw failure
    // One that was stopped meanwhile need not serve.
    const waited = running.filter(({ state }, position) => state === 'running' && !served[position])
    if (running.length > 0 && waited.length === 0) return
    const message =
      running.length === 0 ? 'no node runs' : `not every group was served on every node within ${timeoutMs} ms`
    throw new QuorateError('not-ready', message, 'start more of the nodes: a group needs a majority of its members')
  }

  close(): Promise<void> {
    return this.#end((node) => node.close())
  }

  /** Gives up a start: there is nothing to be kept. */
  kill(): Promise<void> {
    return this.#end((node) => Promise.all([node.kill(), node.close()]).then(() => {}))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #end(close: (node: ClusterNode) => Promise<void>): Promise<void> {
    this.#closing ??= this.#endAll(close)
    return this.#closing
  }

  async #endAll(close: (node: ClusterNode) => Promise<void>): Promise<void> {
    await Promise.all(this.nodes.map(close))
    await this.#data.lock.release()
    if (this.#temporary) await rm(this.data, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}
