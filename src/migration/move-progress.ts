/** How far one move has come, for status and console; as each side sees it. Nothing is decided by it. */
import { STAGE_KEYS, STAGE_SESSIONS, type StageCursor } from '../protocol/move-command.ts'
import type { RateMeter } from './rate-meter.ts'

export type MoveProgressPhase =
  | 'planned'
  | 'copying'
  | 'streaming'
  | 'handover'
  | 'cleaning'
  | 'done'
  | 'cancelled'
  | 'failed'

export interface MoveProgress {
  readonly reconfigId: number
  readonly role: 'source' | 'destination'
  readonly phase: MoveProgressPhase
  /** Since this leader began: at the destination staged, at the source given out. A key that changes is counted again. */
  readonly keys: number
  readonly bytes: number
  readonly bytesPerSecond: number
  /** Until the hand-over, at the present pace; null: not to be told yet. */
  readonly secondsLeft: number | null
  /** How often something had to be tried again: silence, another leader, a refused proposal. */
  readonly attempts: number
}

/** A scan's position is a key's 48-bit hash, and hashes are spread evenly: so the position tells the part of the slot's keys that lies behind. */
const HASH_RANGE = 2 ** 48

/** The part of the copy that is done, 0 to 1. */
export function copiedPart(cursors: readonly StageCursor[]): number {
  if (cursors.length === 0) return 1
  const parts = cursors.map(({ sourceGeneration, stage, position, above }) => {
    if (sourceGeneration === 0) return 0
    // A further walk looks for what is newer only: the copy is done.
    if (above > 0 || stage > STAGE_KEYS) return 1
    return stage === STAGE_SESSIONS ? 0 : Math.min(1, position / HASH_RANGE)
  })
  return parts.reduce((sum, part) => sum + part, 0) / parts.length
}

/** What one side has moved since its driver began. */
export class MovedBytes {
  readonly rate: RateMeter
  readonly #copiedAtFirst: number
  keys = 0
  bytes = 0

  /** `copied`: what an earlier leader had done. */
  constructor(copied: number, rate: RateMeter) {
    this.#copiedAtFirst = copied
    this.rate = rate
  }

  note(size: { readonly keys: number; readonly bytes: number }, nowMs: number): void {
    this.keys += size.keys
    this.bytes += size.bytes
    this.rate.note(size.bytes, nowMs)
  }

  /** `lagBytes`: what has changed behind the copy. */
  secondsLeft(copied: number, lagBytes: number, nowMs: number): number | null {
    const done = copied - this.#copiedAtFirst
    const perSecond = this.rate.perSecond(nowMs)
    if (perSecond < 1) return copied === 1 && lagBytes === 0 ? 0 : null
    if (copied < 1 && done <= 0) return null
    const leftToCopy = copied === 1 ? 0 : (this.bytes / done) * (1 - copied)
    return Math.ceil((leftToCopy + lagBytes) / perSecond)
  }
}
