/**
 * The destination's side of one open move, at the leader of group B: it pulls what follows its cursors, stages it through its own log, and enables.
 *
 *   B  pull(cursors) ->                      up to 4 at once, of different slots; each goes out after the cursors that were PROPOSED last
 *   A  <- parts, standing, how far A's log is
 *   B  STAGE, STAGE ...                      at most 4 under way; one that is answered other than done takes the predictions back
 *   A  <- parts, disabled at d
 *   B  STAGE through d, ENABLE(d)            back to back: the log keeps their order
 *
 *   A  <- ended                              called off: DROP. Only A's applied state says so.
 *   B  REFUSE; ask until A <- ended; DROP    where B cannot or shall not take the slots: B's log decides between REFUSE and ENABLE
 *
 * All that is kept here may be lost: cursors, phase and outcome are B's applied state, and a part fits where its cursor does, whoever asked for it.
 */
import { asLogIndex, type GroupId, type NodeId, type SlotId } from '../base/brand.ts'
import type { OpenMove } from '../ports/slot-mover.ts'
import type { MigrationMessage, MigrationParts, PeerNode, PulledSlot } from '../protocol/migration-message.ts'
import { STAGE_STREAMING, type StageCursor, type StagePart } from '../protocol/move-command.ts'
import { Decision } from './decision.ts'
import { type DriverContext, type MoveDriver, openMove, type ProposalResult, slotsOf } from './migration-driver.ts'
import { copiedPart, MovedBytes, type MoveProgress, type MoveProgressPhase } from './move-progress.ts'
import { PeerAsk } from './peer-ask.ts'
import { PeerNodes } from './peer-nodes.ts'
import { PULLS_MAX, PullRotation } from './pull-rotation.ts'
import { PullsUnderWay } from './pulls-under-way.ts'
import { RateMeter } from './rate-meter.ts'
import { RetryDelay } from './retry-delay.ts'
import { partBytes, stageBatches } from './stage-batches.ts'
import { StagingWindow } from './staging-window.ts'
import { TokenBucket } from './token-bucket.ts'

/** Between pulls while there is something, and how long it grows while there is nothing. */
const POLL_MS = 2
const POLL_MOST_MS = 50
/** After a STAGE that was not done. */
const STAGE_RETRY_MS = 5
const STAGE_RETRY_MOST_MS = 500
/** A slot without changes is moved along every so many entries of the source's log, so that the source's journal need not reach back for it. */
const IDLE_ENTRIES_MAX = 10_000
/** A STAGE that is refused (too large, disk full) is halved down to this. */
const LEAST_STAGE_BYTES = 1024

/** What the source has said; each of these is final. */
interface SourceSaid {
  /** It serves the slots no more. Also before it has told of its log time, which ENABLE needs. */
  handedOver: boolean
  disabledAt: number
  logTimeMs: number
  ended: boolean
}

export class DestinationDriver implements MoveDriver {
  readonly reconfigId: number
  readonly #context: DriverContext
  readonly #sourceGroup: GroupId
  readonly #slots: readonly SlotId[]
  readonly #peers: PeerNodes
  readonly #ask: PeerAsk
  readonly #decision: Decision
  readonly #window: StagingWindow
  readonly #rotation: PullRotation
  #bucket: TokenBucket
  readonly #poll = new RetryDelay(POLL_MS, POLL_MOST_MS)
  readonly #stageRetry = new RetryDelay(STAGE_RETRY_MS, STAGE_RETRY_MOST_MS)
  readonly #moved: MovedBytes
  #maxStageBytes: number
  readonly #pulls = new PullsUnderWay()
  /** The node asked last has answered: until then one pull shows where the leader is. */
  #isHeard = false
  readonly #source: SourceSaid = { handedOver: false, disabledAt: 0, logTimeMs: 0, ended: false }
  #sourceAppliedIndex = 0
  #lagBytes = 0
  #refuse = false
  #wasRefused = false
  #stageFailures = 0
  #dueMs = 0

  constructor(context: DriverContext, move: OpenMove, nowMs: number) {
    this.reconfigId = move.reconfigId
    this.#context = context
    this.#sourceGroup = move.peer.group
    this.#slots = slotsOf(move)
    this.#peers = new PeerNodes(move.peer.nodes)
    this.#ask = new PeerAsk(context, this.#peers)
    this.#decision = new Decision(context)
    this.#window = new StagingWindow(move)
    this.#rotation = new PullRotation(this.#slots)
    this.#bucket = new TokenBucket(context.settings.bytesPerSecond, nowMs)
    this.#moved = new MovedBytes(copiedPart(move.slots.map(({ cursor }) => cursor)), new RateMeter(nowMs))
    this.#maxStageBytes = context.settings.maxStageBytes
  }

  get dueMs(): number {
    return this.#dueMs
  }

  /** The disk is full, or the operator wants it: the move is called off, unless ENABLE comes first. */
  refuse(nowMs: number): void {
    this.#refuse = true
    this.tick(nowMs)
  }

  receive(from: NodeId, message: MigrationMessage, nowMs: number): void {
    const answer = this.#ask.receive(from, message, nowMs)
    if (answer !== null) this.#source.ended ||= answer.kind === 'ended'
    else if (message.type === 'parts') this.#onParts(from, message, nowMs)
    // The source asks at once when it has let go: the next pull must not wait for its turn.
    else if (message.type === 'ask') this.#source.handedOver ||= message.own.kind === 'disabled'
    else if (message.type === 'redirect' && this.#pulls.has(message.requestId)) {
      this.#dropPulls()
      this.#peers.redirected(message.leader, nowMs)
    }
    this.tick(nowMs)
  }

  settled(proposal: number, result: ProposalResult, nowMs: number): void {
    const decided = this.#decision.settled(proposal, result, nowMs)
    if (decided !== null) {
      // Something else came first: what is staged is to be looked at again.
      if (decided.kind === 'enable' && decided.outcome !== 'done') this.#window.spoil()
    } else this.#stageSettled(proposal, result, nowMs)
    this.tick(nowMs)
  }

  unreachable(node: NodeId, nowMs: number): void {
    this.#ask.unreachable(node, nowMs)
    if (this.#pulls.isTo(node)) {
      this.#dropPulls()
      this.#peers.unreachable(nowMs)
    }
    this.tick(nowMs)
  }

  /** Does what is to be done now, and says in `dueMs` when to come again. */
  tick(nowMs: number): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    const move = openMove(this.#context.mover, this.reconfigId, 'destination')
    if (move === null) return
    this.#decision.tick(nowMs)
    if (!this.#context.settings.mutations?.predictionsKeptAfterRefusal) this.#window.tick(move, nowMs)
    this.#comeBy(this.#window.dueMs)
    if (this.#decision.isPending) return this.#comeBy(this.#decision.dueMs)
    const { reconfigId } = this
    if (this.#source.ended) return this.#decide({ kind: 'drop', reconfigId }, nowMs)
    this.#wasRefused = move.phase === 'refused'
    if (this.#wasRefused) return this.#comeBy(this.#ask.pump(move, nowMs))
    if (this.#refuse) return this.#decide({ kind: 'refuse', reconfigId }, nowMs)
    if (this.#isStagedThroughDisable) return this.#enable(nowMs)
    this.#pullNext(move, nowMs)
  }

  /** The move is not open any more. */
  ended(): void {
    const to = this.#peers.current
    if (to === null || !this.#hasEnabled) return
    // The source's clients wait to hear of it; it would ask, but later.
    const groups = { toGroup: this.#sourceGroup, fromGroup: this.#context.group }
    const standing = { kind: 'committed', disableIndex: asLogIndex(0) } as const
    this.#context.send(to, { type: 'answer', ...groups, reconfigId: this.reconfigId, requestId: 0, standing })
  }

  progress(nowMs: number): MoveProgress {
    const move = openMove(this.#context.mover, this.reconfigId, 'destination')
    const copied = copiedPart(move?.slots.map(({ cursor }) => cursor) ?? [])
    let phase: MoveProgressPhase = copied < 1 ? 'copying' : 'streaming'
    if (move === null && this.#hasEnabled) phase = 'done'
    else if (this.#wasRefused) phase = 'failed'
    else if (move === null || this.#source.ended) phase = 'cancelled'
    else if (this.#source.handedOver) phase = 'handover'
    return {
      reconfigId: this.reconfigId,
      role: 'destination',
      phase,
      keys: this.#moved.keys,
      bytes: this.#moved.bytes,
      bytesPerSecond: Math.round(this.#moved.rate.perSecond(nowMs)),
      secondsLeft: move === null ? 0 : this.#moved.secondsLeft(copied, this.#lagBytes, nowMs),
      attempts: this.#peers.failures + this.#decision.failures + this.#stageFailures,
    }
  }

  #comeBy(dueMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, dueMs)
  }

  #decide(command: Parameters<Decision['propose']>[0], nowMs: number): void {
    this.#decision.propose(command, nowMs)
    this.#comeBy(this.#decision.dueMs)
  }

  // --- Pulling ------------------------------------------------------------------------------------------------

  #pullNext(move: OpenMove, nowMs: number): void {
    if (nowMs >= this.#pulls.dueMs) {
      this.#dropPulls()
      this.#peers.silent(nowMs)
    }
    this.#comeBy(this.#pulls.dueMs)
    const to = this.#peers.current
    if (to === null) return
    const { bytesPerSecond } = this.#context.settings
    if (bytesPerSecond !== this.#bucket.bytesPerSecond) this.#bucket = new TokenBucket(bytesPerSecond, nowMs)
    // An answer to a pull or to a proposal makes room.
    while (this.#hasRoomToPull) {
      const dueMs = this.#pullDueMs(nowMs)
      if (nowMs < dueMs) return this.#comeBy(dueMs)
      const slots = this.#rotation.next((slot) => this.#isWanted(this.#window.predicted(slot)))
      if (slots.length === 0 && this.#pulls.count > 0) return
      const untilMs = nowMs + this.#peers.silenceMs
      this.#pulls.add(this.#sendPull(to, move, slots, nowMs), { to: to.nodeId, slots, untilMs })
      this.#comeBy(untilMs)
    }
  }

  get #hasRoomToPull(): boolean {
    // What is limited is asked for bit by bit: each pull takes what there is.
    const isFree = this.#isHeard && (this.#bucket.isUnlimited || this.#source.handedOver)
    const most = isFree ? PULLS_MAX : 1
    return this.#pulls.count < most && this.#window.hasRoom(this.#pulls.count)
  }

  #sendPull(to: PeerNode, move: OpenMove, slots: readonly SlotId[], nowMs: number): number {
    const requestId = this.#context.nextRequestId()
    this.#context.send(to, {
      type: 'pull',
      toGroup: move.peer.group,
      fromGroup: this.#context.group,
      reconfigId: this.reconfigId,
      requestId,
      maxBytes: this.#source.handedOver
        ? this.#maxStageBytes
        : Math.min(this.#maxStageBytes, this.#bucket.available(nowMs)),
      throughIndex: this.#throughIndex,
      stagedBytes: this.#moved.bytes,
      slots: this.#pulled(move, slots),
    })
    return requestId
  }

  #dropPulls(): void {
    this.#isHeard = false
    for (const { slots } of this.#pulls.drop()) this.#rotation.released(slots)
  }

  /** Nobody serves the slots between DISABLE and ENABLE: then no limit and no pause between polls counts. */
  #pullDueMs(nowMs: number): number {
    const dueMs = Math.max(this.#peers.dueMs, this.#stageRetry.dueMs)
    return this.#source.handedOver ? dueMs : Math.max(dueMs, this.#poll.dueMs, this.#bucket.readyAtMs(nowMs))
  }

  get #throughIndex(): number {
    return Math.max(this.#source.disabledAt, this.#sourceAppliedIndex - IDLE_ENTRIES_MAX, 0)
  }

  #isWanted(cursor: StageCursor): boolean {
    const { disabledAt } = this.#source
    return disabledAt === 0 || !isThrough(cursor, disabledAt)
  }

  #pulled(move: OpenMove, slots: readonly SlotId[]): PulledSlot[] {
    const applied = new Map(move.slots.map(({ slot, cursor }) => [slot, cursor]))
    return slots.map((slot) => {
      const cursor = this.#window.predicted(slot)
      return { slot, cursor, confirmed: applied.get(slot) ?? cursor }
    })
  }

  // --- Staging ------------------------------------------------------------------------------------------------

  #onParts(from: NodeId, message: MigrationParts, nowMs: number): void {
    const { standing, appliedIndex } = message
    this.#noteStanding(message)
    this.#sourceAppliedIndex = Math.max(this.#sourceAppliedIndex, appliedIndex)
    this.#lagBytes = message.lag.bytes
    const pull = this.#pulls.take(message.requestId)
    if (pull !== null) {
      this.#peers.answered(from)
      this.#isHeard = true
      this.#pulls.extend(nowMs + this.#peers.silenceMs)
    }
    if (this.#context.settings.mutations?.enableBeforeLastStage && this.#source.disabledAt > 0) this.#enable(nowMs)
    const staged = this.#stage(message.parts, nowMs)
    if (pull === null) return
    if (standing.kind === 'unknown') {
      this.#rotation.released(pull.slots)
      return this.#poll.failed(nowMs)
    }
    const found = { news: staged.length > 0, hungry: hasMore(staged, appliedIndex) }
    const round = this.#rotation.looked(pull.slots, message.slotsRead, found, (slot) =>
      this.#isWanted(this.#window.predicted(slot)),
    )
    this.#pace(round, nowMs)
  }

  #noteStanding({ standing, logTimeMs }: MigrationParts): void {
    if (standing.kind === 'disabled') {
      this.#source.handedOver = true
      // Every slot is wanted through it, those too that this round has looked at.
      if (this.#source.disabledAt === 0) this.#rotation.restart()
      this.#source.disabledAt = standing.disableIndex
      // Not below what the source has served reads by; its clock may go on beyond that, which does no harm.
      this.#source.logTimeMs = Math.max(this.#source.logTimeMs, logTimeMs)
    }
    this.#source.ended ||= standing.kind === 'ended'
    if (this.#context.settings.mutations?.dropWithoutAsking) this.#source.ended ||= this.#peers.failures > 0
  }

  #pace(round: ReturnType<PullRotation['looked']>, nowMs: number): void {
    if (round === 'open' || round === 'hungry') this.#poll.reset()
    else if (round === 'news') this.#poll.settle(nowMs)
    else this.#poll.failed(nowMs)
  }

  /** Proposes the parts that fit; a part that is late or doubled is left out. */
  #stage(parts: readonly StagePart[], nowMs: number): StagePart[] {
    const { reconfigId } = this
    if (!this.#window.isUnspoiled || this.#refuse || this.#source.ended) return []
    const accepted = parts.filter((part) => this.#window.accept(part))
    for (const { parts: batch, size } of stageBatches(accepted, this.#context.settings.maxStageBytes)) {
      const proposal = this.#context.propose({ kind: 'stage', reconfigId, parts: batch })
      this.#window.proposed(proposal, size, nowMs)
    }
    this.#bucket.take(
      accepted.reduce((sum, part) => sum + partBytes(part), 0),
      nowMs,
    )
    return accepted
  }

  #stageSettled(proposal: number, result: ProposalResult, nowMs: number): void {
    const outcome = result.kind === 'applied' ? result.reply.outcome : null
    const size = this.#window.settled(proposal, outcome === 'done')
    if (size === null) return
    if (outcome === 'done') {
      this.#stageRetry.reset()
      this.#moved.note(size, nowMs)
      this.#maxStageBytes = Math.min(this.#context.settings.maxStageBytes, this.#maxStageBytes * 2)
      // The source holds replies until it is told that they are staged.
      if (size.keys > 0) this.#poll.hasten(nowMs + POLL_MS)
      return
    }
    this.#stageFailures++
    this.#stageRetry.failed(nowMs)
    if (result.kind === 'refused') this.#maxStageBytes = Math.max(LEAST_STAGE_BYTES, this.#maxStageBytes >> 1)
    // Nothing can be staged any more: a slot was flushed too often.
    if (outcome === 'exhausted') this.#refuse = true
  }

  // --- The hand-over ------------------------------------------------------------------------------------------

  get #isStagedThroughDisable(): boolean {
    const { disabledAt } = this.#source
    return disabledAt > 0 && this.#window.isUnspoiled && this.#window.every((cursor) => isThrough(cursor, disabledAt))
  }

  /** Without an open move: whether that is because of an ENABLE. */
  get #hasEnabled(): boolean {
    return this.#slots.every((slot) => this.#context.mover.hasCommitted(slot, this.reconfigId))
  }

  #enable(nowMs: number): void {
    const { reconfigId } = this
    const { disabledAt: disableIndex, logTimeMs: sourceLogTimeMs } = this.#source
    this.#decide({ kind: 'enable', reconfigId, disableIndex, sourceLogTimeMs }, nowMs)
  }
}

function isThrough({ stage, index }: StageCursor, throughIndex: number): boolean {
  return stage === STAGE_STREAMING && index >= throughIndex
}

/** Whether some slot has more than was given. */
function hasMore(parts: readonly StagePart[], appliedIndex: number): boolean {
  return parts.some(({ next }) => next.stage !== STAGE_STREAMING || next.index < appliedIndex)
}
