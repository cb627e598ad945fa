/**
 * One group of two replicas over a log that is a list. Entries are committed in the order of their proposals, some time later; replicas apply them
 * later still, so that a new leader may begin behind what the one before it had applied. When a leader crashes, a part of what it had proposed is
 * lost, the rest is committed, and nobody hears of either. The authority applies each entry at its commitment: what it says is the truth.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, asLogIndex, asNodeId, asSlotId, asTerm, type GroupId, type NodeId } from '../base/brand.ts'
import { latin1Text } from '../base/bytes.ts'
import type { Prng } from '../base/prng.ts'
import { KvStateMachine } from '../kv/kv-state-machine.ts'
import { MemoryKeySpace } from '../kv/memory-key-space.testkit.ts'
import {
  encodePayload,
  PAYLOAD_HEADER_BYTES,
  PAYLOAD_HOUSEKEEPING,
  PAYLOAD_MOVE,
  PAYLOAD_WRITE,
  type PayloadHeader,
} from '../protocol/command.ts'
import { ENTRY_COMMAND, type Entry } from '../protocol/entry.ts'
import type { MigrationMessage } from '../protocol/migration-message.ts'
import { decodeMove, decodeMoveReply, encodeMove, type MoveCommand } from '../protocol/move-command.ts'
import type { EventQueue } from './event-queue.testkit.ts'
import { GroupMigration } from './group-migration.ts'
import type { MigrationSettings, ProposalResult } from './migration-driver.ts'
import { HOLD_MS } from './reply-hold.ts'

export const SLOTS = 16
const COMMIT_MS = 3
const FOLLOWER_LAG_MS = 150
const CATCH_UP_ENTRIES = 2

export interface GroupFaults {
  /** Of proposals: refused without effect, or carried out without an answer. */
  proposalFailure: number
}

class Replica {
  readonly nodeId: NodeId
  #keySpace = new MemoryKeySpace()
  machine: KvStateMachine
  applied = 0
  willCatchUp = false
  readonly #owned: readonly (readonly [number, number])[]

  constructor(nodeId: number, owned: readonly (readonly [number, number])[]) {
    this.nodeId = asNodeId(nodeId)
    this.#owned = owned
    this.machine = this.#made()
  }

  get totalKeys(): number {
    return this.#keySpace.totalKeys
  }

  apply(entry: Entry): Uint8Array {
    this.applied++
    return this.machine.apply(entry)
  }

  /** What is beside the replicated state is gone. */
  restart(): void {
    const state = this.machine.checkpointState()
    this.#keySpace = this.#keySpace.clone()
    this.machine = this.#made()
    this.machine.restore(state)
  }

  #made(): KvStateMachine {
    return new KvStateMachine(this.#keySpace, { slotCount: SLOTS, ownedSlots: this.#owned })
  }
}

type Settle = (reply: Uint8Array | null) => void

interface Leader {
  readonly replica: Replica
  readonly migration: GroupMigration
  readonly held: Map<number, { readonly reply: () => void; readonly lost: () => void }>
  dueMs: number
}

export class SimulatedGroup {
  readonly group: GroupId
  readonly authority: Replica
  readonly replicas: readonly Replica[]
  readonly log: Entry[] = []
  /** What became of each move's step, in the order of the log. */
  readonly steps: { readonly command: MoveCommand; readonly outcome: string; readonly atMs: number }[] = []
  leader: Leader | null = null
  repliesHeld = 0
  #tail: { readonly payload: Uint8Array; readonly settle: Settle }[] = []
  readonly #settles = new Map<number, Settle>()
  readonly #events: EventQueue
  readonly #random: Prng
  readonly #faults: GroupFaults
  readonly #settings: MigrationSettings
  readonly #wire: (from: NodeId, to: NodeId, message: MigrationMessage) => void

  constructor(
    group: number,
    owned: readonly (readonly [number, number])[],
    settings: MigrationSettings,
    events: EventQueue,
    random: Prng,
    faults: GroupFaults,
    wire: (from: NodeId, to: NodeId, message: MigrationMessage) => void,
  ) {
    this.group = asGroupId(group)
    this.authority = new Replica(group * 10, owned)
    this.replicas = [new Replica(group * 10 + 1, owned), new Replica(group * 10 + 2, owned)]
    this.#events = events
    this.#random = random
    this.#faults = faults
    this.#settings = settings
    this.#wire = wire
    this.#lead(this.replicas[0])
  }

  /** The reply comes once it is applied at this leader; null: it may have been applied, or may still be, or never will. */
  propose(payload: Uint8Array, settle: Settle): void {
    if (this.leader === null) return this.#events.after(1, () => settle(null))
    this.#tail.push({ payload, settle })
    this.#events.after(this.#random.unit() * COMMIT_MS, () => this.#commitNext())
  }

  /** The leader's process ends. Another one leads after a while. */
  crash(electionMs: number): void {
    const { leader } = this
    if (leader === null) return
    this.leader = null
    // Held replies go with the connections: their writes are done, and retries will be told so.
    const lost: (() => void)[] = [...leader.held.values()].map((held) => held.lost)
    for (const settle of this.#settles.values()) lost.push(() => settle(null))
    this.#settles.clear()
    const tail = this.#tail
    this.#tail = []
    const survivors = this.#random.below(tail.length + 1)
    for (const [at, { payload, settle }] of tail.entries()) {
      lost.push(() => settle(null))
      if (at < survivors) this.#append(payload)
    }
    leader.replica.restart()
    // Of moves: those who asked are gone with the process. Clients find out.
    for (const tell of lost) this.#events.after(this.#random.unit() * 20, tell)
    const next = present(
      this.replicas.find((replica) => replica !== leader.replica),
      'another replica',
    )
    this.#events.after(electionMs, () => this.#lead(next))
  }

  /** A message has come to one of the nodes. False: it does not lead. */
  onLeader(node: NodeId, call: (migration: GroupMigration) => void): boolean {
    if (this.leader === null || this.leader.replica.nodeId !== node) return false
    call(this.leader.migration)
    this.carryOut()
    return true
  }

  /** For whoever has called the leader's drivers: what they want done. */
  carryOut(): void {
    const { leader } = this
    if (leader === null) return
    const { migration, replica } = leader
    for (const action of migration.takeActions()) {
      if (action.kind === 'send') this.#wire(replica.nodeId, action.to.nodeId, action.message)
      else this.#proposeMove(leader, action.proposal, action.command)
    }
    for (const index of migration.takeReleasedReplies(this.#events.nowMs)) {
      const held = present(leader.held.get(index), `reply ${index} is released and not held`)
      leader.held.delete(index)
      held.reply()
    }
    const { dueMs } = migration
    if (dueMs === leader.dueMs || dueMs === Number.POSITIVE_INFINITY) return
    leader.dueMs = dueMs
    this.#events.after(Math.max(0, dueMs - this.#events.nowMs), () => {
      if (this.leader !== leader || leader.dueMs !== dueMs) return
      leader.dueMs = Number.NaN
      migration.tick(this.#events.nowMs)
      this.carryOut()
    })
  }

  /** A write's reply waits if the drivers want that. */
  answer(slot: number, index: number, bytes: number, reply: () => void, lost: () => void): void {
    const { leader } = this
    const heldAtMs = this.#events.nowMs
    if (leader?.migration.holdsReply(asSlotId(slot), asLogIndex(index), bytes, heldAtMs) !== true) return reply()
    this.repliesHeld++
    const release = (): void => {
      assert(this.#events.nowMs <= heldAtMs + HOLD_MS + 1e-6, 'a reply was held for more than 50 ms')
      reply()
    }
    leader.held.set(index, { reply: release, lost })
    this.carryOut()
  }

  /** Committed, and applied everywhere, before anything begins. */
  seed(payload: Uint8Array): void {
    this.#append(payload)
    for (const replica of this.replicas) this.#applyAt(replica)
  }

  housekeeping(): void {
    for (const { slot, command } of this.authority.machine.housekeeping(1000)) {
      this.#append(encodePayload({ ...header(PAYLOAD_HOUSEKEEPING), slot }, command))
    }
  }

  move(command: MoveCommand): Uint8Array {
    return encodePayload(header(PAYLOAD_MOVE), encodeMove(command))
  }

  #proposeMove(leader: Leader, proposal: number, command: MoveCommand): void {
    const settle = (result: ProposalResult): void => {
      if (this.leader !== leader) return
      leader.migration.settled(proposal, result, this.#events.nowMs)
      this.carryOut()
    }
    const payload = this.move(command)
    const fails = this.#random.chance(this.#faults.proposalFailure)
    if (fails && this.#random.chance(0.5)) return this.#events.after(1, () => settle({ kind: 'refused' }))
    if (fails) {
      this.propose(payload, () => {})
      return this.#events.after(this.#random.unit() * 2 * COMMIT_MS, () => settle({ kind: 'unknown' }))
    }
    this.propose(payload, (reply) =>
      settle(reply === null ? { kind: 'unknown' } : { kind: 'applied', reply: decodeMoveReply(reply) }),
    )
  }

  #lead(replica: Replica): void {
    const { nowMs } = this.#events
    const migration = new GroupMigration(this.group, replica.machine, this.#settings, nowMs)
    this.leader = { replica, migration, held: new Map(), dueMs: Number.NaN }
    this.carryOut()
    this.#catchUp(replica)
  }

  #commitNext(): void {
    const next = this.#tail.shift()
    if (next === undefined || this.leader === null) return
    this.#settles.set(this.log.length, next.settle)
    this.#append(next.payload)
    const { replica } = this.leader
    // One that is behind applies them later.
    if (replica.applied === this.log.length - 1) this.#applyAt(replica)
  }

  #append(payload: Uint8Array): void {
    const entry: Entry = { term: asTerm(1), index: asLogIndex(this.log.length + 1), kind: ENTRY_COMMAND, payload }
    this.log.push(entry)
    const reply = this.authority.apply(entry)
    if (payload[0] === PAYLOAD_MOVE) this.#note(payload, reply)
    for (const replica of this.replicas) {
      if (replica === this.leader?.replica || replica.willCatchUp) continue
      replica.willCatchUp = true
      this.#events.after(this.#random.unit() * FOLLOWER_LAG_MS, () => this.#catchUp(replica))
    }
  }

  #note(payload: Uint8Array, reply: Uint8Array): void {
    const command = decodeMove(payload, PAYLOAD_HEADER_BYTES)
    this.steps.push({ command, outcome: decodeMoveReply(reply).outcome, atMs: this.#events.nowMs })
  }

  /** A new leader applies a few at a time, and acts meanwhile upon what it has applied. */
  #catchUp(replica: Replica): void {
    replica.willCatchUp = false
    const isLeader = this.leader?.replica === replica
    for (let i = 0; i < CATCH_UP_ENTRIES || !isLeader; i++) {
      if (replica.applied === this.log.length) return
      this.#applyAt(replica)
    }
    this.#events.after(1, () => this.#catchUp(replica))
  }

  #applyAt(replica: Replica): void {
    const at = replica.applied
    const reply = replica.apply(this.log[at])
    const { leader } = this
    if (leader?.replica !== replica) return
    const settle = this.#settles.get(at)
    this.#settles.delete(at)
    settle?.(reply)
    leader.migration.applied(this.#events.nowMs)
    this.carryOut()
  }
}

function header(kind: PayloadHeader['kind']): PayloadHeader {
  return {
    kind,
    slot: asSlotId(0),
    stampMs: 0,
    session: 0,
    sequence: 0,
    lowestUnanswered: 0,
    retryUntilMs: 0,
  }
}

/** A client's write under its session. `slotEpoch`: the reconfig by which it believes the slot to be where it sends it. */
export function writePayload(
  slot: number,
  slotEpoch: number,
  session: number,
  sequence: number,
  command: Uint8Array,
): Uint8Array {
  const fields = { slotEpoch, session, sequence, lowestUnanswered: sequence, retryUntilMs: 1e12 }
  return encodePayload({ ...header(PAYLOAD_WRITE), slot: asSlotId(slot), ...fields }, command)
}

export function textOf(reply: Uint8Array): string {
  return latin1Text(reply)
}
