/** One group's side of moves against a state machine that is told what to say: for tests of single rules, in words. */
import { assert, present } from '../base/assert.ts'
import { asGroupId, asLogIndex, asNodeId, asSlotId, type SlotId } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { OpenMove, SlotMover } from '../ports/slot-mover.ts'
import type { MigrationMessage, MoveStanding } from '../protocol/migration-message.ts'
import {
  FIRST_CURSOR,
  type MoveCommand,
  type MoveOutcome,
  STAGE_STREAMING,
  type StageCursor,
  type StagePart,
} from '../protocol/move-command.ts'
import { GroupMigration } from './group-migration.ts'
import type { MigrationSettings } from './migration-driver.ts'

export const R = 9
const HERE = asGroupId(1)
const THERE = asGroupId(2)
export const SETTINGS: MigrationSettings = { maxStageBytes: 1000, bytesPerSecond: 0 }

export function streamingAt(index: number): StageCursor {
  return { sourceGeneration: 5, stage: STAGE_STREAMING, position: 0, above: 0, index }
}

export function partOf(slot: number, expected: StageCursor, next: StageCursor, valueBytes = 10): StagePart {
  const items = [{ key: Uint8Array.of(slot), value: new Uint8Array(valueBytes), expiresAtMs: 0 }]
  return { slot: asSlotId(slot), expected, next, sessions: EMPTY_BYTES, items }
}

type Parts = Extract<MigrationMessage, { type: 'parts' }>
type Pull = Extract<MigrationMessage, { type: 'pull' }>

export class DriverStory {
  nowMs = 1_000
  /** The state machine's word: change it, then call `migration.applied`. */
  phase: OpenMove['phase'] | 'over'
  disableIndex = 0
  appliedIndex = 100
  committed = false
  owns = true
  readonly cursors = new Map<SlotId, StageCursor>()
  readonly trimmed: string[] = []
  pendingKeys = 0
  readPart: SlotMover['readPart'] = () => null
  readonly migration: GroupMigration
  readonly #role: OpenMove['role']
  sent: { readonly to: number; readonly message: MigrationMessage }[] = []
  proposed: { readonly proposal: number; readonly command: MoveCommand }[] = []

  constructor(role: OpenMove['role'], slots: number, settings: Partial<MigrationSettings> = {}) {
    this.#role = role
    this.phase = role === 'source' ? 'begun' : 'staging'
    for (let slot = 0; slot < slots; slot++) this.cursors.set(asSlotId(slot), FIRST_CURSOR)
    this.migration = new GroupMigration(HERE, this.#mover(), { ...SETTINGS, ...settings }, this.nowMs)
    this.take()
  }

  /** The kinds of what is to be proposed since the last look. */
  decisions(): MoveCommand['kind'][] {
    return this.proposed.map(({ command }) => command.kind)
  }

  /** What was sent since the last look, as `kind to node`. */
  sentKinds(): string[] {
    return this.sent.map(({ to, message }) => `${message.type} to ${to}`)
  }

  forget(): void {
    this.sent = []
    this.proposed = []
  }

  /** Time goes on; the drivers are woken when they want to be. Returns when that was. */
  passes(ms: number): number[] {
    const untilMs = this.nowMs + ms
    const woken: number[] = []
    while (this.migration.dueMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.migration.dueMs)
      woken.push(this.nowMs)
      assert(woken.length < 10_000, 'woken again and again')
      this.migration.tick(this.nowMs)
      this.take()
    }
    this.nowMs = untilMs
    return woken
  }

  hears(message: MigrationMessage, from = 21): void {
    this.migration.receive(asNodeId(from), message, this.nowMs)
    this.take()
  }

  unreachable(node: number): void {
    this.migration.unreachable(asNodeId(node), this.nowMs)
    this.take()
  }

  /** The oldest proposal of the kind gets its answer. */
  settles(kind: MoveCommand['kind'], outcome: MoveOutcome | 'refused proposal' | 'unknown proposal', index = 0): void {
    const at = this.proposed.findIndex(({ command }) => command.kind === kind)
    const { proposal } = present(this.proposed[at], `no ${kind} was proposed`)
    this.proposed.splice(at, 1)
    if (outcome === 'refused proposal') this.migration.settled(proposal, { kind: 'refused' }, this.nowMs)
    else if (outcome === 'unknown proposal') this.migration.settled(proposal, { kind: 'unknown' }, this.nowMs)
    else this.migration.settled(proposal, { kind: 'applied', reply: { outcome, index } }, this.nowMs)
    this.take()
  }

  /** The state machine's word has changed. */
  applied(): void {
    this.migration.applied(this.nowMs)
    this.take()
  }

  get lastPull(): Pull {
    const message = this.sent.findLast((sent) => sent.message.type === 'pull')?.message
    assert(message?.type === 'pull', 'no pull was sent')
    return message
  }

  /** The source's answer to the last pull. */
  answers(parts: readonly StagePart[], fields: Partial<Parts> = {}, from = 21): void {
    const { requestId, slots } = this.lastPull
    const told = { logTimeMs: 7_000, lag: { keys: 0, bytes: 0 }, appliedIndex: 100, slotsRead: slots.length }
    this.hears(
      { ...this.envelope(requestId), type: 'parts', standing: standing('begun'), ...told, parts, ...fields },
      from,
    )
  }

  pulls(confirmed: StageCursor, stagedBytes = 0, cursor = confirmed): void {
    const slots = [...this.cursors.keys()].map((slot) => ({ slot, cursor, confirmed }))
    this.hears({ ...this.envelope(1), type: 'pull', maxBytes: 1000, throughIndex: 0, stagedBytes, slots })
  }

  envelope(requestId: number) {
    return { toGroup: HERE, fromGroup: THERE, reconfigId: R, requestId }
  }

  take(): void {
    for (const action of this.migration.takeActions()) {
      if (action.kind === 'send') this.sent.push({ to: action.to.nodeId, message: action.message })
      else this.proposed.push(action)
    }
  }

  #mover(): SlotMover {
    const story = this
    return {
      get appliedIndex() {
        return asLogIndex(story.appliedIndex)
      },
      logTimeMs: 5_000,
      slots: { owns: () => story.owns },
      hasCommitted: () => story.committed,
      readPart: (...question) => story.readPart(...question),
      get moves() {
        const { phase } = story
        return phase === 'over' ? [] : [story.#open(phase)]
      },
    }
  }

  #open(phase: OpenMove['phase']): OpenMove {
    const nodes = [21, 22, 23].map((nodeId) => ({ nodeId: asNodeId(nodeId), address: `node-${nodeId}` }))
    const journal = {
      pendingKeys: () => this.pendingKeys,
      trim: (slot: SlotId, index: number) => this.trimmed.push(`${slot}@${index}`),
    }
    return {
      role: this.#role,
      reconfigId: R,
      peer: { group: THERE, nodes },
      slots: [...this.cursors].map(([slot, cursor]) => ({ slot, cursor })),
      phase,
      disableIndex: asLogIndex(this.disableIndex),
      journal: this.#role === 'source' ? journal : null,
    }
  }
}

export function standing(kind: MoveStanding['kind'], disableIndex = 0): MoveStanding {
  return { kind, disableIndex: asLogIndex(disableIndex) }
}
