/**
 * Moves of slots on this node: one `LedGroup` for each data group that it leads, their messages in and out, and one timer for all of them. While nothing
 * moves it does nothing: a group without open moves is one look at an empty list after each turn that applied something.
 */
import type { GroupId, NodeId } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import { redirectOf } from '../../migration/group-migration.ts'
import type { MigrationMutations } from '../../migration/migration-driver.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import {
  decodeMigrationMessage,
  encodeMigrationMessage,
  type MigrationMessage,
  type PeerNode,
} from '../../protocol/migration-message.ts'
import { MIGRATION_TYPE } from '../../protocol/node-call.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import { LedGroup, type LedGroupPorts } from './led-group.ts'
import type { NodeMove } from './move-report.ts'

/** A timer may fire a little early, and what is due at once must not turn into a loop without a pause. */
const TIMER_MS_MIN = 1

export interface GroupMovesPorts {
  readonly self: NodeId
  readonly clock: Clock
  readonly logger: Logger
  replica(group: GroupId): RaftReplica | undefined
  /** The requests lane. False: not connected, or no room. The bytes do not change any more. */
  send(to: NodeId, bytes: Uint8Array): boolean
  /** A move's record, or a node of the other group, says where the node is (host:port). Called before each message to it: cheap where it is known already. */
  knowNode(nodeId: NodeId, address: string): void
  /** As far as known here. */
  leaderOf(group: GroupId): NodeId | null
  /** host:port, of the other nodes' connections; null: unknown. */
  addressOf(nodeId: NodeId): string | null
}

export interface MoveSettings {
  /** About what one STAGE entry holds: at most 1 MiB, and below what a log entry may hold. */
  readonly maxStageBytes: number
  /** What a move may take into a group that this node leads; 0: no limit. */
  readonly bytesPerSecond: number
  readonly mutations?: MigrationMutations
}

export class GroupMoves {
  readonly #ports: GroupMovesPorts
  /** The drivers look at it before each pull. */
  readonly #settings: { -readonly [name in keyof MoveSettings]: MoveSettings[name] }
  readonly #ledPorts: LedGroupPorts
  readonly #led = new Map<GroupId, LedGroup>()
  /** Those with something due at a time. */
  readonly #due = new Set<LedGroup>()
  #timer: Timer | null = null
  #timerAtMs = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(ports: GroupMovesPorts, settings: MoveSettings) {
    this.#ports = ports
    this.#settings = { ...settings }
    this.#ledPorts = {
      clock: ports.clock,
      logger: ports.logger,
      settings: this.#settings,
      send: (to, message) => this.#send(to, message),
      changed: (led) => this.#changed(led),
    }
  }

  /** `ReplicaHost.statusChanged`. */
  statusChanged(replica: RaftReplica): void {
    const led = this.#led.get(replica.group)
    if (led?.replica === replica && led.isCurrent) return
    if (led !== undefined) this.#drop(led)
    if (this.#stopped || !replica.isLeader || !(replica.machine instanceof KvStateMachine)) return
    this.#led.set(replica.group, new LedGroup(replica, replica.machine, this.#ledPorts))
  }

  /** `ReplicaHost.applied`. */
  applied(replica: RaftReplica): void {
    const led = this.#led.get(replica.group)
    if (led === undefined) return
    if (led.isCurrent) led.applied()
    else this.statusChanged(replica)
  }

  /** This node's replica of the group is closed, or is about to be. */
  closed(group: GroupId): void {
    const led = this.#led.get(group)
    if (led !== undefined) this.#drop(led)
  }

  /** A message of the requests lane whose first byte is MIGRATION_TYPE. Its bytes must stay as they are during the call. */
  onMessage(from: NodeId, bytes: Uint8Array): void {
    if (this.#stopped) return
    let message: MigrationMessage
    try {
      message = decodeMigrationMessage(bytes.subarray(1))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return this.#ports.logger.warn('a migration message does not decode', { from, error: error.message })
    }
    const led = this.#current(message.toGroup)
    if (led !== null) return led.receive(from, message)
    const redirect = redirectOf(message, this.#leaderOf(message.toGroup))
    if (redirect !== null) this.#send({ nodeId: from, address: '' }, redirect)
  }

  /** No connection to that node any more: what was on its way is lost. */
  onStreamClosed(node: NodeId): void {
    for (const led of [...this.#led.values()]) if (led.isCurrent) led.unreachable(node)
  }

  /** In bytes per second, of each move that comes in; 0: no limit. In force at once. */
  setBandwidth(bytesPerSecond: number): void {
    this.#settings.bytesPerSecond = bytesPerSecond
    for (const led of [...this.#due]) if (led.isCurrent) led.settingsChanged()
  }

  /** An operator does not want the slots here. False: this node leads no group that takes part in the move. Lost with leadership: to be said again. */
  refuse(group: GroupId, reconfigId: number): boolean {
    return this.#current(group)?.refuse(reconfigId) ?? false
  }

  /** Of the moves of the groups that this node leads: those that are open, and the last that ended. */
  progress(): NodeMove[] {
    const moves: NodeMove[] = []
    for (const [group, led] of this.#led) {
      if (!led.isCurrent) continue
      for (const progress of led.progress()) moves.push({ ...progress, group, node: this.#ports.self })
    }
    return moves
  }

  stop(): void {
    this.#stopped = true
    for (const led of [...this.#led.values()]) this.#drop(led)
    this.#timer?.cancel()
    this.#timer = null
  }

  #current(group: GroupId): LedGroup | null {
    const led = this.#led.get(group)
    if (led === undefined) return null
    if (led.isCurrent) return led
    this.#drop(led)
    const replica = this.#ports.replica(group)
    if (replica !== undefined) this.statusChanged(replica)
    return this.#led.get(group) ?? null
  }

  #drop(led: LedGroup): void {
    this.#led.delete(led.replica.group)
    this.#due.delete(led)
    // With leadership whatever waits has been answered; what waits only because the node stops goes on.
    if (led.isCurrent) led.replica.setWriteGate(null)
  }

  #leaderOf(group: GroupId): PeerNode | null {
    const { self, addressOf, replica, leaderOf } = this.#ports
    const nodeId = replica(group)?.leaderNode ?? leaderOf(group)
    // It would know by now.
    if (nodeId === null || nodeId === self) return null
    return { nodeId, address: addressOf(nodeId) ?? '' }
  }

  #send(to: PeerNode, message: MigrationMessage): boolean {
    const { self, clock, knowNode, send } = this.#ports
    const body = encodeMigrationMessage(message)
    const bytes = new Uint8Array(1 + body.length)
    bytes[0] = MIGRATION_TYPE
    bytes.set(body, 1)
    if (to.nodeId === self) {
      clock.defer(() => this.onMessage(self, bytes))
      return true
    }
    if (to.address !== '') knowNode(to.nodeId, to.address)
    return send(to.nodeId, bytes)
  }

  // --- time ---------------------------------------------------------------------------------------------------

  #changed(led: LedGroup): void {
    const { dueMs } = led
    if (dueMs === Number.POSITIVE_INFINITY || this.#stopped) this.#due.delete(led)
    else this.#due.add(led)
    if (dueMs < this.#timerAtMs) this.#arm(dueMs)
  }

  #arm(dueMs: number): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#timerAtMs = dueMs
    if (dueMs === Number.POSITIVE_INFINITY || this.#stopped) return
    const delayMs = Math.max(TIMER_MS_MIN, Math.ceil(dueMs - this.#ports.clock.monotonicMs()))
    this.#timer = this.#ports.clock.setTimer(delayMs, () => this.#tick())
  }

  #tick(): void {
    this.#timer = null
    this.#timerAtMs = Number.NEGATIVE_INFINITY
    const nowMs = this.#ports.clock.monotonicMs()
    for (const led of [...this.#due]) {
      if (!led.isCurrent) this.#drop(led)
      else if (led.dueMs <= nowMs) led.tick()
    }
    let dueMs = Number.POSITIVE_INFINITY
    for (const led of this.#due) dueMs = Math.min(dueMs, led.dueMs)
    this.#arm(dueMs)
  }
}
