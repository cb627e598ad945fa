/**
 * Asking the other group how far its log has come, until the answer is one that settles it: one question at a time, with a delay that grows while the
 * answer stays the same, and another node after silence.
 */
import type { NodeId, SlotId } from '../base/brand.ts'
import type { OpenMove } from '../ports/slot-mover.ts'
import type { MigrationMessage, MoveStanding } from '../protocol/migration-message.ts'
import { type DriverContext, slotsOf, standingOf } from './migration-driver.ts'
import type { PeerNodes } from './peer-nodes.ts'
import { RetryDelay } from './retry-delay.ts'

const FIRST_PAUSE_MS = 5
const MOST_PAUSE_MS = 500

export class PeerAsk {
  readonly #context: DriverContext
  readonly #peers: PeerNodes
  readonly #pause = new RetryDelay(FIRST_PAUSE_MS, MOST_PAUSE_MS)
  #outstanding: { readonly requestId: number; readonly to: NodeId; readonly untilMs: number } | null = null

  constructor(context: DriverContext, peers: PeerNodes) {
    this.#context = context
    this.#peers = peers
  }

  /** Asks if it is time to. Returns when to come again. */
  pump(move: OpenMove, nowMs: number): number {
    if (this.#outstanding !== null) {
      if (nowMs < this.#outstanding.untilMs) return this.#outstanding.untilMs
      this.#outstanding = null
      this.#peers.silent(nowMs)
    }
    const to = this.#peers.current
    const dueMs = Math.max(this.#pause.dueMs, this.#peers.dueMs)
    if (to === null) return Number.POSITIVE_INFINITY
    if (nowMs < dueMs) return dueMs
    const requestId = this.#context.nextRequestId()
    const slots: readonly SlotId[] = slotsOf(move)
    const asked = move.role === 'source' ? 'destination' : 'source'
    const groups = { toGroup: move.peer.group, fromGroup: this.#context.group }
    const { reconfigId } = move
    this.#context.send(to, { type: 'ask', ...groups, reconfigId, requestId, asked, own: standingOf(move), slots })
    this.#pause.failed(nowMs)
    this.#outstanding = { requestId, to: to.nodeId, untilMs: nowMs + this.#peers.silenceMs }
    return this.#outstanding.untilMs
  }

  /** What the other side says, whether it was asked or not; null: the message is about something else. */
  receive(from: NodeId, message: MigrationMessage, nowMs: number): MoveStanding | null {
    const isAwaited = message.requestId === this.#outstanding?.requestId
    if (message.type === 'redirect' && isAwaited) {
      this.#outstanding = null
      this.#peers.redirected(message.leader, nowMs)
    }
    if (message.type !== 'answer') return null
    if (isAwaited) {
      this.#outstanding = null
      this.#peers.answered(from)
    }
    return message.standing
  }

  unreachable(node: NodeId, nowMs: number): void {
    if (this.#outstanding?.to !== node) return
    this.#outstanding = null
    this.#peers.unreachable(nowMs)
  }
}
