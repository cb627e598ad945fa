/**
 * Which node of the other group to speak to: the one that answered last, else where it points, else the next of those that the move began with. Each
 * failure in a row is followed by a longer wait, so that two nodes that point at each other, or a group without a leader, cost little.
 */
import type { NodeId } from '../base/brand.ts'
import type { PeerNode } from '../protocol/migration-message.ts'
import type { MovePeer } from '../protocol/move-command.ts'
import { RetryDelay } from './retry-delay.ts'

const FIRST_RETRY_MS = 10
const MOST_RETRY_MS = 1_000
/** An answer may carry a value of megabytes over a slow wire: each silence is waited for longer. */
const FIRST_SILENCE_MS = 300
const MOST_SILENCE_MS = 5_000

export class PeerNodes {
  readonly #nodes: readonly PeerNode[]
  readonly #retry = new RetryDelay(FIRST_RETRY_MS, MOST_RETRY_MS)
  #current: PeerNode | null
  #next = 0
  #silenceMs = FIRST_SILENCE_MS
  /** Silences, refusals and redirects so far. */
  failures = 0

  constructor(nodes: MovePeer['nodes']) {
    this.#nodes = nodes
    this.#current = nodes[0] ?? null
  }

  /** Null: the move knows of no node. */
  get current(): PeerNode | null {
    return this.#current
  }

  /** Not to be asked before. */
  get dueMs(): number {
    return this.#retry.dueMs
  }

  /** How long to wait for an answer. */
  get silenceMs(): number {
    return this.#silenceMs
  }

  answered(by: NodeId): void {
    this.#retry.reset()
    this.#silenceMs = FIRST_SILENCE_MS
    this.#turnTo(by, '')
  }

  silent(nowMs: number): void {
    this.#silenceMs = Math.min(MOST_SILENCE_MS, this.#silenceMs * 2)
    this.unreachable(nowMs)
  }

  unreachable(nowMs: number): void {
    this.failures++
    this.#retry.failed(nowMs)
    this.#turnToNext()
  }

  redirected(leader: PeerNode | null, nowMs: number): void {
    this.failures++
    // A first hint is followed at once: an election has moved the leader, nothing is broken.
    const isFirst = this.#retry.dueMs === 0
    this.#retry.failed(nowMs)
    if (leader === null) return this.#turnToNext()
    if (isFirst) this.#retry.hasten(nowMs)
    this.#turnTo(leader.nodeId, leader.address)
  }

  #turnTo(nodeId: NodeId, address: string): void {
    if (this.#current?.nodeId === nodeId) return
    const known = this.#nodes.find((node) => node.nodeId === nodeId)
    this.#current = known ?? { nodeId, address }
  }

  #turnToNext(): void {
    if (this.#nodes.length === 0) return
    this.#next = (this.#next + 1) % this.#nodes.length
    // Not the same one again where there is another.
    if (this.#nodes[this.#next].nodeId === this.#current?.nodeId) this.#next = (this.#next + 1) % this.#nodes.length
    this.#current = this.#nodes[this.#next]
  }
}
