/**
 * Two groups and a move between them, driven step by step as leaders would, over logs that are just lists: the driver keeps no state of its own
 * but what it reads from the two machines, so any step may be left out, repeated, or done after a restart.
 */
import { assert, present } from '../../base/assert.ts'
import { asGroupId, asLogIndex, asSlotId, asTerm } from '../../base/brand.ts'
import { encodePayload, PAYLOAD_MOVE } from '../../protocol/command.ts'
import { ENTRY_COMMAND } from '../../protocol/entry.ts'
import {
  decodeMoveReply,
  encodeMove,
  type MoveCommand,
  type MoveOutcome,
  type MoveReply,
  type StagePart,
} from '../../protocol/move-command.ts'
import { KvDriver } from '../kv-driver.testkit.ts'
import type { KvOptions } from '../kv-options.ts'

export const NO_PEER = { group: asGroupId(0), nodes: [] } as const

export function move(driver: KvDriver, command: MoveCommand): MoveReply {
  const header = { kind: PAYLOAD_MOVE, slot: asSlotId(0), stampMs: driver.stampMs, session: 0, sequence: 0 } as const
  const payload = encodePayload({ ...header, lowestUnanswered: 0, retryUntilMs: 0 }, encodeMove(command))
  driver.index++
  const entry = { term: asTerm(1), index: asLogIndex(driver.index), kind: ENTRY_COMMAND, payload } as const
  driver.log.push(entry)
  return decodeMoveReply(driver.machine.apply(entry))
}

export class MoveWorld {
  readonly source: KvDriver
  readonly destination: KvDriver
  /** Bytes of one part. */
  partBytes = 200

  constructor(options: Partial<KvOptions> = {}) {
    this.source = new KvDriver(options)
    this.destination = new KvDriver({ ...options, ownedSlots: [] })
  }

  begin(reconfigId: number, slots: readonly number[], predecessor = 0, fence = 1): [MoveOutcome, MoveOutcome] {
    const runs = slots.map((slot) => ({ first: asSlotId(slot), last: asSlotId(slot), predecessor }))
    const begin = { reconfigId, fence, peer: NO_PEER, slots: runs }
    return [
      move(this.source, { kind: 'begin-source', ...begin }).outcome,
      move(this.destination, { kind: 'begin-destination', ...begin }).outcome,
    ]
  }

  /** The parts that follow the destination's cursors now: one for each slot that has something. */
  parts(reconfigId: number, throughIndex = 0): StagePart[] {
    const open = this.destination.machine.moves.find((candidate) => candidate.reconfigId === reconfigId)
    return (open?.slots ?? [])
      .map(({ slot, cursor }) => this.source.machine.readPart(reconfigId, slot, cursor, throughIndex, this.partBytes))
      .filter((part) => part !== null)
  }

  /** Stages until nothing is left to stage. Returns how many entries that took. */
  stageAll(reconfigId: number, throughIndex = 0): number {
    for (let entries = 0; entries < 10_000; entries++) {
      const parts = this.parts(reconfigId, throughIndex)
      if (parts.length === 0) return entries
      const { outcome } = move(this.destination, { kind: 'stage', reconfigId, parts })
      assert(outcome === 'done', `stage: ${outcome}`)
    }
    throw new Error('staging does not end')
  }

  disable(reconfigId: number): number {
    const { outcome, index } = move(this.source, { kind: 'disable', reconfigId })
    assert(outcome === 'done', `disable: ${outcome}`)
    return index
  }

  enable(reconfigId: number, disableIndex: number): MoveOutcome {
    const sourceLogTimeMs = this.source.machine.logTimeMs
    return move(this.destination, { kind: 'enable', reconfigId, disableIndex, sourceLogTimeMs }).outcome
  }

  /** From BEGIN to the removal of the source's keys. */
  moveAll(reconfigId: number, slots: readonly number[], predecessor = 0): void {
    assert(
      this.begin(reconfigId, slots, predecessor).every((outcome) => outcome === 'done'),
      'begin',
    )
    this.stageAll(reconfigId)
    const index = this.disable(reconfigId)
    this.stageAll(reconfigId, index)
    assert(this.enable(reconfigId, index) === 'done', 'enable')
    assert(move(this.source, { kind: 'forget', reconfigId }).outcome === 'done', 'forget')
    this.source.keepHouse(100)
  }

  /** Who serves the key; there may be nobody. */
  owner(key: string): KvDriver | null {
    const slot = this.source.slotOf(key)
    const owners = [this.source, this.destination].filter(({ machine }) => machine.slots.owns(slot))
    assert(owners.length <= 1, `slot ${slot} is served by two groups`)
    return owners[0] ?? null
  }

  /** The owner's; the key must be served. */
  write(...words: string[]): string {
    return present(this.owner(words[1]), `nobody serves ${words[1]}`).write(...words)
  }

  read(...words: string[]): string {
    return present(this.owner(words[1]), `nobody serves ${words[1]}`).read(...words)
  }
}
