/**
 * The source's side of one open move, at the leader of group A: it answers pulls from applied state, and when little is left it hands over.
 *
 *   B  pull(cursors, what is confirmed) ->
 *   A  <- parts, begun                            trims the journal, reckons the lag
 *   A  DISABLE                                    once every slot streams and less than 256 KiB is to go; or CANCEL, if that was asked for before
 *   A  <- parts through d, disabled at d
 *   A  ask ->                                     until it is settled: B's log decides between ENABLE and REFUSE
 *   B  <- committed: A  FORGET                    CheckCommit; not before, the keys are all there is
 *      <- refused:   A  RESUME
 *
 * Nothing here is waited for in vain: B's silence leaves A serving until DISABLE, and after it only B's log can say how the move ends.
 */
import type { LogIndex, NodeId, SlotId } from '../base/brand.ts'
import type { OpenMove } from '../ports/slot-mover.ts'
import type { MigrationMessage, MigrationPull, MoveStanding } from '../protocol/migration-message.ts'
import { ConfirmedCursors } from './confirmed-cursors.ts'
import { Decision } from './decision.ts'
import {
  type DriverContext,
  type MoveDriver,
  openMove,
  type ProposalResult,
  slotsOf,
  standingOf,
} from './migration-driver.ts'
import { copiedPart, MovedBytes, type MoveProgress, type MoveProgressPhase } from './move-progress.ts'
import { PeerAsk } from './peer-ask.ts'
import { PeerNodes } from './peer-nodes.ts'
import { RateMeter } from './rate-meter.ts'
import { readParts } from './read-parts.ts'
import { ReplyHold } from './reply-hold.ts'
import { WriteThrottle } from './write-throttle.ts'

/** What may be left to go at DISABLE: some milliseconds of pause. */
const HANDOVER_BYTES = 256 * 1024
/** What an item takes at least: more keys than fit need no reading. */
const LEAST_KEY_BYTES = 18
/** Writers wait for the destination from here on. */
const HOLD_BELOW_BYTES = 1024 * 1024
/** Nobody waits for a destination that has not pulled for so long. */
const HOLD_SILENCE_MS = 200
/** Reading what is left, to know it exactly. */
const MEASURE_EVERY_MS = 5

export class SourceDriver implements MoveDriver {
  readonly reconfigId: number
  readonly #context: DriverContext
  readonly #slots: readonly SlotId[]
  readonly #peers: PeerNodes
  readonly #ask: PeerAsk
  readonly #decision: Decision
  readonly #confirmed: ConfirmedCursors
  readonly #confirmedRate: RateMeter
  readonly #throttle: WriteThrottle
  readonly #hold = new ReplyHold()
  readonly #sent: MovedBytes
  /** What the destination has said; both are final. */
  #committed = false
  #refused = false
  #cancelFence: number | null = null
  #stagedBytes: number | null = null
  #pulledAtMs = Number.NEGATIVE_INFINITY
  #measureAtMs = 0
  #dueMs = 0

  constructor(context: DriverContext, move: OpenMove, nowMs: number) {
    this.reconfigId = move.reconfigId
    this.#context = context
    this.#slots = slotsOf(move)
    this.#peers = new PeerNodes(move.peer.nodes)
    this.#ask = new PeerAsk(context, this.#peers)
    this.#decision = new Decision(context)
    this.#confirmed = new ConfirmedCursors(move)
    this.#confirmedRate = new RateMeter(nowMs)
    this.#throttle = new WriteThrottle(this.#confirmedRate)
    this.#sent = new MovedBytes(0, new RateMeter(nowMs))
  }

  get dueMs(): number {
    return Math.min(this.#dueMs, this.#hold.dueMs)
  }

  /** A master wants the move called off. Too late once DISABLE is applied. */
  cancel(fence: number, nowMs: number): void {
    this.#cancelFence = fence
    this.tick(nowMs)
  }

  receive(from: NodeId, message: MigrationMessage, nowMs: number): void {
    if (message.type === 'pull') this.#onPull(from, message, nowMs)
    else if (message.type === 'ask') this.#heard(message.own)
    const answer = this.#ask.receive(from, message, nowMs)
    if (answer !== null) this.#heard(answer)
    this.tick(nowMs)
  }

  settled(proposal: number, result: ProposalResult, nowMs: number): void {
    const decided = this.#decision.settled(proposal, result, nowMs)
    const isMoot = decided?.outcome === 'too-late' || decided?.outcome === 'fenced'
    // DISABLE came first, or another master has the say: its wish counts, not this one.
    if (decided?.kind === 'cancel' && isMoot) this.#cancelFence = null
    this.tick(nowMs)
  }

  unreachable(node: NodeId, nowMs: number): void {
    this.#ask.unreachable(node, nowMs)
    this.tick(nowMs)
  }

  /** Does what is to be done now, and says in `dueMs` when to come again. */
  tick(nowMs: number): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    const move = openMove(this.#context.mover, this.reconfigId, 'source')
    if (move === null) return
    this.#decision.tick(nowMs)
    if (this.#decision.isPending) return this.#comeBy(this.#decision.dueMs)
    const { reconfigId } = this
    if (this.#refused) return this.#decide({ kind: 'resume', reconfigId }, nowMs)
    if (move.phase === 'begun') {
      if (this.#cancelFence !== null) this.#decide({ kind: 'cancel', reconfigId, fence: this.#cancelFence }, nowMs)
      return
    }
    if (this.#committed || this.#context.settings.mutations?.forgetWithoutAsking) {
      return this.#decide({ kind: 'forget', reconfigId }, nowMs)
    }
    this.#comeBy(this.#ask.pump(move, nowMs))
  }

  /** What the slots' writes may come to together, in bytes per second; null: no limit. */
  admittedBytesPerSecond(nowMs: number): number | null {
    const move = openMove(this.#context.mover, this.reconfigId, 'source')
    return move?.phase === 'begun' ? this.#throttle.admittedBytesPerSecond(nowMs) : null
  }

  /** Of a write that was applied: whether its reply is to wait until `releasedReplies` names its index. */
  holdsReply(slot: SlotId, index: LogIndex, bytes: number, nowMs: number): boolean {
    if (nowMs - this.#pulledAtMs > HOLD_SILENCE_MS) return false
    return this.#hold.offer(slot, index, bytes, nowMs)
  }

  releasedReplies(nowMs: number): LogIndex[] {
    return this.#hold.release(nowMs)
  }

  /** The move is not open any more: nobody waits for the destination. */
  ended(): void {
    this.#hold.setActive(false)
  }

  progress(nowMs: number): MoveProgress {
    const move = openMove(this.#context.mover, this.reconfigId, 'source')
    const copied = copiedPart(this.#confirmed.all)
    let phase: MoveProgressPhase = this.#confirmed.haveStreamed ? 'streaming' : 'copying'
    if (this.#refused) phase = 'failed'
    else if (move === null) phase = this.#serves ? 'cancelled' : 'done'
    else if (move.phase === 'disabled') phase = this.#committed ? 'cleaning' : 'handover'
    return {
      reconfigId: this.reconfigId,
      role: 'source',
      phase,
      keys: this.#sent.keys,
      bytes: this.#sent.bytes,
      bytesPerSecond: Math.round(this.#sent.rate.perSecond(nowMs)),
      secondsLeft: move === null ? 0 : this.#sent.secondsLeft(copied, this.#confirmed.lag(move).bytes, nowMs),
      attempts: this.#peers.failures + this.#decision.failures,
    }
  }

  get #serves(): boolean {
    return this.#slots.some((slot) => this.#context.mover.slots.owns(slot))
  }

  #comeBy(dueMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, dueMs)
  }

  #decide(command: Parameters<Decision['propose']>[0], nowMs: number): void {
    this.#decision.propose(command, nowMs)
    this.#comeBy(this.#decision.dueMs)
  }

  #heard({ kind }: MoveStanding): void {
    this.#committed ||= kind === 'committed'
    this.#refused ||= kind === 'refused'
  }

  // --- Pulls --------------------------------------------------------------------------------------------------

  #onPull(from: NodeId, pull: MigrationPull, nowMs: number): void {
    const { mover } = this.#context
    const move = openMove(mover, this.reconfigId, 'source')
    if (move === null) return
    this.#peers.answered(from)
    this.#pulledAtMs = nowMs
    this.#noteConfirmed(move, pull, nowMs)
    // What DISABLE left to go is given with the answer that tells of it.
    const read = readParts(mover, pull, Math.max(pull.throughIndex, move.disableIndex))
    this.#confirmed.sent(read)
    this.#sent.note(read, nowMs)
    this.#context.send(
      { nodeId: from, address: '' },
      {
        type: 'parts',
        toGroup: move.peer.group,
        fromGroup: this.#context.group,
        reconfigId: this.reconfigId,
        requestId: pull.requestId,
        standing: standingOf(move),
        appliedIndex: mover.appliedIndex,
        logTimeMs: mover.logTimeMs,
        lag: this.#confirmed.lag(move),
        slotsRead: read.slotsRead,
        parts: read.parts,
      },
    )
    if (move.phase === 'begun') this.#handOver(move, nowMs)
  }

  #noteConfirmed(move: OpenMove, pull: MigrationPull, nowMs: number): void {
    this.#confirmed.tell(move, pull.slots)
    for (const { slot, confirmed } of pull.slots) this.#hold.confirm(slot, confirmed.index)
    // A new leader counts from 0; what it says first is no pace yet.
    const staged = this.#stagedBytes === null ? 0 : pull.stagedBytes - this.#stagedBytes
    if (staged > 0) this.#confirmedRate.note(staged, nowMs)
    this.#stagedBytes = pull.stagedBytes
    this.#throttle.heard(this.#confirmed.streams ? this.#confirmed.lag(move).bytes : null, nowMs)
    if (this.#confirmed.haveStreamed) this.#throttle.streams(nowMs)
  }

  #handOver(move: OpenMove, nowMs: number): void {
    const { mutations } = this.#context.settings
    const lag = this.#confirmed.lag(move)
    this.#hold.setActive(this.#confirmed.streams && lag.bytes < HOLD_BELOW_BYTES)
    if (this.#cancelFence !== null || this.#refused || this.#decision.isPending) return
    if (!mutations?.disableWhileCopying) {
      if (!this.#confirmed.streams || lag.keys * LEAST_KEY_BYTES >= HANDOVER_BYTES || nowMs < this.#measureAtMs) return
      this.#measureAtMs = nowMs + MEASURE_EVERY_MS
      if (!this.#confirmed.isWithin(this.#context.mover, move, HANDOVER_BYTES)) return
    }
    this.#decide({ kind: 'disable', reconfigId: this.reconfigId }, nowMs)
  }
}
