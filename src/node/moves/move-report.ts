/** How far moves have come, for people: what each node's drivers say, put together by reconfig. Nothing is decided by it. */
import type { GroupId, NodeId } from '../../base/brand.ts'
import type { MoveProgress, MoveProgressPhase } from '../../migration/move-progress.ts'

/** One side of a move, as the node sees it that leads the group. Plain JSON. */
export interface NodeMove extends MoveProgress {
  readonly group: GroupId
  readonly node: NodeId
}

export interface ReconfigProgress {
  readonly reconfigId: number
  readonly phase: MoveProgressPhase
  /** Of the side that stages, where it is known; else of the one that gives. */
  readonly keys: number
  readonly bytes: number
  readonly bytesPerSecond: number
  /** Until the hand-over; null: not to be told yet. */
  readonly secondsLeft: number | null
  readonly source: NodeMove | null
  readonly destination: NodeMove | null
}

/** From the earliest to the latest; how a move ended is beyond all of them. */
const ORDER: readonly MoveProgressPhase[] = [
  'planned',
  'copying',
  'streaming',
  'handover',
  'cleaning',
  'done',
  'cancelled',
  'failed',
]
const FINAL: ReadonlySet<MoveProgressPhase> = new Set(['done', 'cancelled', 'failed'])

/** Rising by reconfig. A node that led before may still tell of an end that it has seen: of two that speak for one side, the one that is further on counts. */
export function mergeMoves(moves: readonly NodeMove[]): ReconfigProgress[] {
  const sides = new Map<number, { source: NodeMove | null; destination: NodeMove | null }>()
  for (const move of moves) {
    let of = sides.get(move.reconfigId)
    if (of === undefined) {
      of = { source: null, destination: null }
      sides.set(move.reconfigId, of)
    }
    const other = of[move.role]
    if (other === null || ORDER.indexOf(move.phase) > ORDER.indexOf(other.phase)) of[move.role] = move
  }
  return [...sides]
    .sort(([a], [b]) => a - b)
    .flatMap(([reconfigId, { source, destination }]) => {
      const shown = destination ?? source
      if (shown === null) return []
      const { keys, bytes, bytesPerSecond, secondsLeft } = shown
      const phase = phaseOf(source, destination)
      return [{ reconfigId, phase, keys, bytes, bytesPerSecond, secondsLeft, source, destination }]
    })
}

/** The source has to clean up after the destination is done; before that the two see the same with some delay, and the further one is right. */
function phaseOf(source: NodeMove | null, destination: NodeMove | null): MoveProgressPhase {
  if (source === null || destination === null) return (source ?? destination)?.phase ?? 'planned'
  if (destination.phase === 'done') return FINAL.has(source.phase) ? source.phase : 'cleaning'
  return ORDER.indexOf(source.phase) > ORDER.indexOf(destination.phase) ? source.phase : destination.phase
}
