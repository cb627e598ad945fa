/**
 * The steps of each move, as the groups' newest applied states show them, told once each: what aimed faults wait for, and what is counted. A state that jumps
 * over several steps at once tells them all.
 */
import { asSlotId, type GroupId } from '../base/brand.ts'
import type { SlotMove } from '../kv/moves/slot-moves.ts'
import type { SlotStates } from '../kv/slot-states.ts'
import { STAGE_STREAMING } from '../protocol/move-command.ts'

export const MOVE_STEPS = [
  'begunSource',
  'begunDestination',
  'firstStage',
  'streaming',
  'disabled',
  'enabled',
  'published',
  'forgotten',
  'refused',
  'dropped',
  'kept',
] as const
export type MoveStep = (typeof MOVE_STEPS)[number]

export interface MoveParties {
  readonly reconfigId: number
  readonly source: GroupId
  readonly destination: GroupId
}

export type StepListener = (step: MoveStep, move: MoveParties) => void

type Move = Pick<SlotMove, 'role' | 'reconfigId' | 'peer' | 'phase' | 'slots'>
type Slots = Pick<SlotStates, 'owns' | 'lastReconfig'>

interface Followed {
  readonly move: Move
  readonly parties: MoveParties
}

export class MoveSteps {
  readonly #listener: StepListener
  /** By group and reconfig: the moves that were open when the group was looked at last. */
  readonly #open = new Map<string, Followed>()
  readonly #told = new Set<string>()
  /** Enabled, and not in the table yet. */
  readonly #unpublished = new Map<number, { readonly parties: MoveParties; readonly slots: readonly number[] }>()

  constructor(listener: StepListener) {
    this.#listener = listener
  }

  /** The group's newest applied state. */
  observe(group: GroupId, moves: readonly Move[], slots: Slots): void {
    for (const move of moves) {
      const key = `${group}/${move.reconfigId}`
      const followed = this.#open.get(key) ?? { move, parties: partiesOf(group, move) }
      this.#open.set(key, followed)
      this.#stepsOf(followed, move)
    }
    if (this.#open.size === 0) return
    for (const [key, followed] of [...this.#open]) {
      if (!key.startsWith(`${group}/`)) continue
      if (moves.some(({ reconfigId }) => reconfigId === followed.move.reconfigId)) continue
      this.#open.delete(key)
      this.#ended(followed, slots)
    }
  }

  /** The slot table of the tree: by which reconfig each slot is where it is. */
  table(reconfigIds: readonly number[]): void {
    for (const [reconfigId, { parties, slots }] of [...this.#unpublished]) {
      if (slots.some((slot) => reconfigIds[slot] < reconfigId)) continue
      this.#unpublished.delete(reconfigId)
      this.#tell('published', parties)
    }
  }

  #stepsOf({ parties }: Followed, move: Move): void {
    if (move.role === 'source') {
      this.#tell('begunSource', parties)
      if (move.phase === 'disabled') this.#tell('disabled', parties)
      return
    }
    this.#tell('begunDestination', parties)
    if (move.slots.some(({ cursor }) => cursor.sourceGeneration !== 0)) this.#tell('firstStage', parties)
    if (move.slots.every(({ cursor }) => cursor.stage === STAGE_STREAMING)) this.#tell('streaming', parties)
    if (move.phase === 'refused') this.#tell('refused', parties)
  }

  #ended({ move, parties }: Followed, slots: Slots): void {
    const isOver = move.slots.every(({ slot }) => slots.lastReconfig(slot) >= move.reconfigId)
    if (move.role === 'destination') {
      this.#tell(isOver ? 'enabled' : 'dropped', parties)
      if (isOver) this.#unpublished.set(move.reconfigId, { parties, slots: move.slots.map(({ slot }) => slot) })
    } else this.#tell(move.slots.some(({ slot }) => slots.owns(asSlotId(slot))) ? 'kept' : 'forgotten', parties)
  }

  #tell(step: MoveStep, parties: MoveParties): void {
    const key = `${step}/${parties.reconfigId}`
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.#listener(step, parties)
  }
}

function partiesOf(group: GroupId, { role, reconfigId, peer }: Move): MoveParties {
  return role === 'source'
    ? { reconfigId, source: group, destination: peer.group }
    : { reconfigId, source: peer.group, destination: group }
}
