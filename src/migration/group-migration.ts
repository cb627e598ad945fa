/**
 * The moves of one group, at its leader: a driver for each open move, and answers to those who ask about moves that are over. It is made when the node
 * begins to lead the group and thrown away when it ceases to; nothing in it has to outlive that.
 *
 *   node -> receive, settled, unreachable, applied, tick        each followed by `takeActions`
 *   node <- actions                                             messages to the other group's nodes, proposals to the own log
 */
import type { GroupId, LogIndex, NodeId, SlotId } from '../base/brand.ts'
import type { OpenMove, SlotMover } from '../ports/slot-mover.ts'
import type { MigrationAsk, MigrationMessage, MigrationPull, PeerNode } from '../protocol/migration-message.ts'
import { DestinationDriver } from './destination-driver.ts'
import type { DriverContext, MigrationAction, MigrationSettings, ProposalResult } from './migration-driver.ts'
import type { MoveProgress } from './move-progress.ts'
import { SourceDriver } from './source-driver.ts'
import { destinationStanding, sourceStanding } from './standing.ts'

/** Moves that are over and still shown. */
const ENDED_SHOWN_MAX = 32

type Driver = SourceDriver | DestinationDriver

export class GroupMigration {
  readonly #context: DriverContext
  readonly #mover: SlotMover
  readonly #drivers = new Map<number, Driver>()
  /** As the drivers know them. */
  readonly #phases = new Map<number, OpenMove['phase']>()
  readonly #sourceOfSlot = new Map<SlotId, SourceDriver>()
  /** Who waits for an answer; one that a driver does not know any more is of no use. */
  readonly #proposers = new Map<number, number>()
  #actions: MigrationAction[] = []
  #released: LogIndex[] = []
  #ended: MoveProgress[] = []
  #lastProposal = 0
  #lastRequest = 0

  constructor(group: GroupId, mover: SlotMover, settings: MigrationSettings, nowMs: number) {
    this.#mover = mover
    this.#context = {
      group,
      mover,
      settings,
      send: (to, message) => this.#actions.push({ kind: 'send', to, message }),
      propose: (command) => {
        const proposal = ++this.#lastProposal
        this.#proposers.set(proposal, command.reconfigId)
        this.#actions.push({ kind: 'propose', proposal, command })
        return proposal
      },
      nextRequestId: () => ++this.#lastRequest,
    }
    this.applied(nowMs)
  }

  /** Entries were applied: drivers begin and end with the moves, and hear of every step that the log has brought, also of a former leader's. */
  applied(nowMs: number): void {
    const open = new Map(this.#mover.moves.map((move) => [move.reconfigId, move]))
    for (const driver of this.#drivers.values()) if (!open.has(driver.reconfigId)) this.#end(driver, nowMs)
    for (const move of open.values()) {
      const driver = this.#drivers.get(move.reconfigId)
      if (driver === undefined) this.#begin(move, nowMs)
      else if (this.#phases.get(move.reconfigId) !== move.phase) driver.tick(nowMs)
      this.#phases.set(move.reconfigId, move.phase)
    }
  }

  /** A message to this group. Its bytes must stay until the actions are carried out. */
  receive(from: NodeId, message: MigrationMessage, nowMs: number): void {
    const driver = this.#drivers.get(message.reconfigId)
    if (message.type === 'ask') this.#answer(from, message)
    else if (message.type === 'pull' && !(driver instanceof SourceDriver)) this.#answerPull(from, message)
    driver?.receive(from, message, nowMs)
  }

  settled(proposal: number, result: ProposalResult, nowMs: number): void {
    const reconfigId = this.#proposers.get(proposal)
    if (reconfigId === undefined) return
    this.#proposers.delete(proposal)
    this.#drivers.get(reconfigId)?.settled(proposal, result, nowMs)
    this.applied(nowMs)
  }

  unreachable(node: NodeId, nowMs: number): void {
    for (const driver of this.#drivers.values()) driver.unreachable(node, nowMs)
  }

  tick(nowMs: number): void {
    for (const driver of this.#drivers.values()) if (nowMs >= driver.dueMs) driver.tick(nowMs)
  }

  /** What was due by the settings before may be due now. */
  settingsChanged(nowMs: number): void {
    for (const driver of this.#drivers.values()) driver.tick(nowMs)
  }

  /** When `tick` and `takeReleasedReplies` are to be called at the latest. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY
    for (const driver of this.#drivers.values()) dueMs = Math.min(dueMs, driver.dueMs)
    return dueMs
  }

  /** What is to be done, in this order. */
  takeActions(): MigrationAction[] {
    const actions = this.#actions
    this.#actions = []
    return actions
  }

  /** False: no such move comes here. */
  refuse(reconfigId: number, nowMs: number): boolean {
    const driver = this.#drivers.get(reconfigId)
    if (!(driver instanceof DestinationDriver)) return false
    driver.refuse(nowMs)
    return true
  }

  /** `fence`: of the master that wants it. False: no such move leaves from here. */
  cancel(reconfigId: number, fence: number, nowMs: number): boolean {
    const driver = this.#drivers.get(reconfigId)
    if (!(driver instanceof SourceDriver)) return false
    driver.cancel(fence, nowMs)
    return true
  }

  /** For writes to the slot: those of its move may come to so many bytes per second together. Null: no limit. */
  admittedBytesPerSecond(slot: SlotId, nowMs: number): number | null {
    return this.#sourceOfSlot.get(slot)?.admittedBytesPerSecond(nowMs) ?? null
  }

  /** A write of the slot was applied at `index`: whether its reply waits until `takeReleasedReplies` names the index. */
  holdsReply(slot: SlotId, index: LogIndex, bytes: number, nowMs: number): boolean {
    return this.#sourceOfSlot.get(slot)?.holdsReply(slot, index, bytes, nowMs) ?? false
  }

  /** Each index that was held, once, as soon as its reply may go. */
  takeReleasedReplies(nowMs: number): LogIndex[] {
    const released = this.#released
    this.#released = []
    for (const driver of this.#drivers.values()) {
      if (driver instanceof SourceDriver) released.push(...driver.releasedReplies(nowMs))
    }
    return released
  }

  /** Of open moves, and of the last that ended here. */
  progress(nowMs: number): MoveProgress[] {
    return [...this.#ended, ...[...this.#drivers.values()].map((driver) => driver.progress(nowMs))]
  }

  #begin(move: OpenMove, nowMs: number): void {
    if (move.role === 'source') {
      const driver = new SourceDriver(this.#context, move, nowMs)
      this.#drivers.set(move.reconfigId, driver)
      for (const { slot } of move.slots) this.#sourceOfSlot.set(slot, driver)
      driver.tick(nowMs)
    } else {
      const driver = new DestinationDriver(this.#context, move, nowMs)
      this.#drivers.set(move.reconfigId, driver)
      driver.tick(nowMs)
    }
  }

  #end(driver: Driver, nowMs: number): void {
    this.#drivers.delete(driver.reconfigId)
    this.#phases.delete(driver.reconfigId)
    for (const [proposal, of] of this.#proposers) if (of === driver.reconfigId) this.#proposers.delete(proposal)
    driver.ended()
    if (driver instanceof SourceDriver) {
      this.#released.push(...driver.releasedReplies(nowMs))
      for (const [slot, of] of this.#sourceOfSlot) if (of === driver) this.#sourceOfSlot.delete(slot)
    }
    this.#ended = [...this.#ended, driver.progress(nowMs)].slice(-ENDED_SHOWN_MAX)
  }

  // --- Questions about moves ----------------------------------------------------------------------------------

  #answer(from: NodeId, ask: MigrationAsk): void {
    const standing = ask.asked === 'source' ? sourceStanding : destinationStanding
    this.#context.send(
      { nodeId: from, address: '' },
      { type: 'answer', ...answering(ask), standing: standing(this.#mover, ask.reconfigId, ask.slots) },
    )
  }

  #answerPull(from: NodeId, pull: MigrationPull): void {
    const slots = pull.slots.map(({ slot }) => slot)
    this.#context.send(
      { nodeId: from, address: '' },
      {
        type: 'parts',
        ...answering(pull),
        standing: sourceStanding(this.#mover, pull.reconfigId, slots),
        appliedIndex: this.#mover.appliedIndex,
        logTimeMs: this.#mover.logTimeMs,
        lag: { keys: 0, bytes: 0 },
        slotsRead: slots.length,
        parts: [],
      },
    )
  }
}

function answering({ toGroup, fromGroup, reconfigId, requestId }: MigrationMessage) {
  return { toGroup: fromGroup, fromGroup: toGroup, reconfigId, requestId }
}

/** What a node answers that does not lead the group: null where it knows of no leader. Null for what asks for no answer. */
export function redirectOf(message: MigrationMessage, leader: PeerNode | null): MigrationMessage | null {
  if (message.type !== 'pull' && message.type !== 'ask') return null
  return { type: 'redirect', ...answering(message), leader }
}
