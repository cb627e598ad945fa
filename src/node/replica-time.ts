/** Gives the node's replicas their time: Raft's ticks, and at the leaders bounded steps of background removal. */
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import { encodePayload, PAYLOAD_HOUSEKEEPING } from '../protocol/command.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { NodeTimings } from './node-config.ts'
import type { ReplicaSet } from './replica-set.ts'

/** Ticks made up at most after the process stood still: a pause must not turn into a burst of elections. */
const CATCH_UP_TICKS_MAX = 2
const HOUSEKEEPING_KEYS = 256
/** At the latest so long after it woke a replica has its next tick: a heartbeat interval, with the usual timings. */
const LOOK_EVERY_TICKS = 4

export class ReplicaTime {
  readonly #clock: Clock
  readonly #timings: NodeTimings
  readonly #replicas: ReplicaSet
  readonly #stampMs: (membership: Membership) => number
  readonly #ticked: () => void
  #tickTimer: Timer | null = null
  #housekeepingTimer: Timer | null = null
  #lastTickMs = 0
  #awake: RaftReplica[] = []
  #ticksToLook = 0

  /** `stampMs` as in ReplicaHost; `ticked` after each tick of all replicas. */
  constructor(
    clock: Clock,
    timings: NodeTimings,
    replicas: ReplicaSet,
    stampMs: (membership: Membership) => number,
    ticked: () => void,
  ) {
    this.#clock = clock
    this.#timings = timings
    this.#replicas = replicas
    this.#stampMs = stampMs
    this.#ticked = ticked
  }

  start(): void {
    this.#lastTickMs = this.#clock.monotonicMs()
    this.#scheduleTick()
    this.#scheduleHousekeeping()
  }

  stop(): void {
    this.#tickTimer?.cancel()
    this.#housekeepingTimer?.cancel()
  }

  #scheduleTick(): void {
    const { tickMs } = this.#timings
    this.#tickTimer = this.#clock.setTimer(tickMs, () => {
      const nowMs = this.#clock.monotonicMs()
      const due = Math.floor((nowMs - this.#lastTickMs) / tickMs)
      const ticks = Math.max(1, Math.min(due, CATCH_UP_TICKS_MAX))
      this.#lastTickMs = due > CATCH_UP_TICKS_MAX ? nowMs : this.#lastTickMs + ticks * tickMs
      for (let i = 0; i < ticks; i++) {
        this.#lookForAwake()
        for (const replica of this.#awake) replica.tick()
        this.#ticked()
      }
      this.#scheduleTick()
    })
  }

  /** Most of a thousand groups rest: looking at each of them at each tick would cost more than all that the others do. */
  #lookForAwake(): void {
    if (--this.#ticksToLook > 0) return
    this.#ticksToLook = LOOK_EVERY_TICKS
    this.#awake = []
    for (const replica of this.#replicas.values()) if (!replica.resting) this.#awake.push(replica)
  }

  /** Somebody who rested has been woken: time passes for them from the next tick on. */
  lookAgain(): void {
    this.#ticksToLook = 0
  }

  #scheduleHousekeeping(): void {
    this.#housekeepingTimer = this.#clock.setTimer(this.#timings.housekeepingMs, () => {
      for (const replica of this.#replicas.values()) if (replica.isLeader) this.#housekeep(replica)
      this.#scheduleHousekeeping()
    })
  }

  /** What has expired or died is removed through the log, in bounded steps, one step under way at a time. */
  #housekeep(replica: RaftReplica): void {
    if (replica.housekeeping) return
    const { machine } = replica
    if (!(machine instanceof KvStateMachine) || !machine.hasHousekeeping()) return
    const stampMs = this.#stampMs(replica.core.membership)
    for (const { slot, command } of machine.housekeeping(HOUSEKEEPING_KEYS, stampMs)) {
      const header = {
        kind: PAYLOAD_HOUSEKEEPING,
        slot,
        stampMs: 0,
        session: 0,
        sequence: 0,
        lowestUnanswered: 0,
        retryUntilMs: 0,
      } as const
      replica.keepHouse(encodePayload(header, command))
    }
  }
}
