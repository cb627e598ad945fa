/**
 * What keeps a sound request from running: CLIENT PAUSE (it waits, and its connection is not read meanwhile) and memory above maxmemory (it is
 * refused). `armed` is false while neither can be: one look for a request.
 */
import type { Timer } from '../../ports/clock.ts'
import type { RespConnection } from './connection.ts'
import type { Door, DoorCommand } from './door.ts'
import { MemoryWatch } from './memory-watch.ts'

export const GATE_OPEN = 0
/** The request must be asked for again when the pause is over. */
export const GATE_PAUSED = 1
export const GATE_OUT_OF_MEMORY = 2
export type GateOutcome = typeof GATE_OPEN | typeof GATE_PAUSED | typeof GATE_OUT_OF_MEMORY

/** Of one timer; a longer pause takes several. */
const LONGEST_TIMER_MS = 86_400_000
/** What MULTI does not queue: it runs at once, and frees more than it takes. */
const NEVER_OUT_OF_MEMORY: ReadonlySet<string> = new Set(['discard', 'quit', 'reset'])

export class Gates {
  armed = false
  readonly memory: MemoryWatch
  readonly #door: Door
  #pauseEndsMs = 0
  #paused: 'no' | 'writes' | 'all' = 'no'
  #timer: Timer | null = null

  constructor(door: Door) {
    this.#door = door
    this.memory = new MemoryWatch(door.options.nodeInfo.usage, door.clock.monotonicMs())
  }

  /** `timeoutMs` from now. As in Redis a second pause can only make the first one longer and stricter. */
  pause(timeoutMs: number, writesOnly: boolean): void {
    const endsMs = this.#door.clock.monotonicMs() + timeoutMs
    if (this.#paused === 'no' || endsMs > this.#pauseEndsMs) this.#pauseEndsMs = endsMs
    if (this.#paused !== 'all') this.#paused = writesOnly ? 'writes' : 'all'
    this.#armed()
    this.#waitForEnd()
  }

  unpause(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#paused === 'no') return
    this.#paused = 'no'
    this.#armed()
    for (const connection of this.#door.connections()) connection.resumeAfterPause()
  }

  configChanged(): void {
    this.#armed()
    if (this.#door.config.maxMemoryBytes > 0) this.memory.sample(this.#door.clock.monotonicMs())
  }

  close(): void {
    this.#timer?.cancel()
  }

  check(connection: RespConnection, command: DoorCommand): GateOutcome {
    if (this.#isOutOfMemory(connection, command)) return GATE_OUT_OF_MEMORY
    if (this.#paused === 'all') return GATE_PAUSED
    const { transaction } = connection
    const writes = command.mayWrite || (command.spec.name === 'exec' && transaction.open && transaction.writes)
    return this.#paused === 'writes' && writes ? GATE_PAUSED : GATE_OPEN
  }

  #isOutOfMemory(connection: RespConnection, command: DoorCommand): boolean {
    const { maxMemoryBytes } = this.#door.config
    if (maxMemoryBytes === 0) return false
    const { transaction } = connection
    const { name } = command.spec
    // What MULTI queues takes memory whatever it is; EXEC of reads alone gives it back.
    const takesMemory =
      name === 'exec'
        ? transaction.open && transaction.takesMemory
        : command.denyOutOfMemory || (transaction.open && !NEVER_OUT_OF_MEMORY.has(name))
    return takesMemory && this.memory.isAbove(maxMemoryBytes, this.#door.measures.nowMs)
  }

  #armed(): void {
    this.armed = this.#paused !== 'no' || this.#door.config.maxMemoryBytes > 0
  }

  #waitForEnd(): void {
    this.#timer?.cancel()
    const leftMs = this.#pauseEndsMs - this.#door.clock.monotonicMs()
    this.#timer = this.#door.clock.setTimer(Math.max(0, Math.min(leftMs, LONGEST_TIMER_MS)), () => {
      if (this.#door.clock.monotonicMs() >= this.#pauseEndsMs) this.unpause()
      else this.#waitForEnd()
    })
  }
}
