/**
 * What makes a door speak Redis Cluster: before a command with keys runs, this says whether it belongs here.
 *
 *   led here                     it runs, by the same router as on the first port: should leadership move meanwhile, the router follows it
 *   led by another node          -MOVED, unless READONLY is set, the command only reads, and a replica here can answer it
 *   keys in several Redis slots  -CROSSSLOT
 *   on its way to another group  it waits for up to 2 s, then -TRYAGAIN; -MOVED only once the destination serves
 *   led by one that is away      it waits for up to 2 s, about an election, for another leader, then -MOVED
 *   no leader known              it waits for up to 2 s, then -CLUSTERDOWN
 *
 * A command that waits holds its connection, as CLIENT PAUSE does. Nothing here decides what is right: groups do. What is believed here may only send a
 * client to the wrong place, and that place knows better.
 */
import { asSlotId, type SlotId } from '../../../base/brand.ts'
import { latin1Bytes } from '../../../base/bytes.ts'
import { REDIS_SLOT_COUNT, redisSlot } from '../../../base/slot.ts'
import type { Timer } from '../../../ports/clock.ts'
import type { ClusterView, NodeView } from '../../../ports/cluster-view.ts'
import type { SlotPlaces } from '../../../ports/slot-places.ts'
import { encodeCommand } from '../../../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../../../protocol/command-table.ts'
import { errorReply } from '../../../protocol/resp-reply.ts'
import type { RespConnection } from '../connection.ts'
import type { Door, DoorCommand } from '../door.ts'
import { CROSS_SLOT } from '../errors.ts'
import { dropShardSubscription } from '../pubsub.ts'
import { commonSlot, NO_SLOT, SEVERAL_SLOTS } from '../single-slot.ts'

export type ClusterOutcome = 'run' | 'answered' | 'wait'

/** Far longer than a hand-over takes: node-redis does not send again what is answered with -TRYAGAIN. */
const HAND_OVER_MS = 2_000
const ELECTION_MS = 2_000
const ASK_AGAIN_MS = 10
const SUBSCRIPTIONS_EVERY_MS = 250

const TRY_AGAIN = errorReply('TRYAGAIN the slot is on its way to another group: send it again')
const CLUSTER_DOWN = errorReply(
  'CLUSTERDOWN no leader is known for the hash slot: check that a majority of its replicas runs',
)
/** A read of a slot that costs nothing; its answer means that the slot is served. */
const PROBE = encodeCommand(COMMANDS_BY_NAME.get('dbsize')?.opcode ?? 0, [])

/** Of a slot: this node, another one; 'moving', 'leaderless': nobody right now. */
type Place = 'here' | 'moving' | 'leaderless' | NodeView

interface Held {
  readonly sinceMs: number
  readonly slot: SlotId
}

export class ClusterDoor {
  readonly #door: Door
  readonly #view: ClusterView
  readonly #places: SlotPlaces
  readonly #held = new Map<RespConnection, Held>()
  readonly #probed = new Set<SlotId>()
  /** Who may have subscriptions to shard channels. */
  readonly #subscribers = new Set<RespConnection>()
  #heldTimer: Timer | null = null
  #subscribersTimer: Timer | null = null
  #closed = false

  constructor(door: Door, view: ClusterView, places: SlotPlaces) {
    this.#door = door
    this.#view = view
    this.#places = places
  }

  leads(slot: SlotId): boolean {
    return this.#places.leads(slot)
  }

  close(): void {
    this.#closed = true
    this.#heldTimer?.cancel()
    this.#subscribersTimer?.cancel()
    this.#held.clear()
  }

  /** Asked for each command before it runs or is queued. 'wait': it is asked for again when the connection goes on. */
  check(connection: RespConnection, command: DoorCommand): ClusterOutcome {
    const redisSlot = keySlot(connection, command)
    if (redisSlot === NO_SLOT) return this.#run(connection)
    if (redisSlot === SEVERAL_SLOTS) return this.#refuse(connection, command, CROSS_SLOT)
    const { slotCount } = this.#view
    const slot = asSlotId(Math.floor((redisSlot * slotCount) / REDIS_SLOT_COUNT))
    const place = this.#placeOf(slot)
    if (place === 'here' || this.#mayReadHere(connection, command, slot)) {
      this.#note(connection, command, redisSlot)
      return this.#run(connection)
    }
    if (place === 'moving') return this.#wait(connection, command, slot, HAND_OVER_MS, TRY_AGAIN)
    if (place === 'leaderless') return this.#wait(connection, command, slot, ELECTION_MS, CLUSTER_DOWN)
    const moved = errorReply(`MOVED ${redisSlot} ${place.cluster}`)
    if (!this.#places.reaches(place.nodeId)) return this.#wait(connection, command, slot, ELECTION_MS, moved)
    return this.#refuse(connection, command, moved)
  }

  #placeOf(slot: SlotId): Place {
    if (this.#places.leads(slot)) return 'here'
    if (this.#places.isUnderWay(slot)) return 'moving'
    const leader = this.#view.leaderOf(this.#view.groupOf(slot))
    if (leader === null) return 'leaderless'
    // It leads the group that is said to own the slot, which does not: not yet, or not any more.
    if (leader === this.#view.self) return 'moving'
    return this.#view.node(leader) ?? 'leaderless'
  }

  #mayReadHere({ client, transaction }: RespConnection, { spec }: DoorCommand, slot: SlotId): boolean {
    return client.readOnly && !transaction.open && spec.flags.includes('readonly') && this.#places.holds(slot)
  }

  #note(connection: RespConnection, command: DoorCommand, redisSlot: number): void {
    const { transaction } = connection
    if (transaction.open && command.inMulti === 'slot') {
      const known = transaction.redisSlot
      transaction.redisSlot = known === NO_SLOT || known === redisSlot ? redisSlot : SEVERAL_SLOTS
    }
    if (command.spec.name !== 'ssubscribe') return
    this.#subscribers.add(connection)
    this.#watchSubscribers()
  }

  #run(connection: RespConnection): 'run' {
    if (this.#held.size > 0) this.#held.delete(connection)
    return 'run'
  }

  #refuse(connection: RespConnection, command: DoorCommand, reply: Uint8Array): 'answered' {
    this.#held.delete(connection)
    const { transaction } = connection
    if (command.spec.name === 'exec') transaction.close()
    else if (transaction.open && command.inMulti !== 'now') transaction.failed = true
    this.#door.measures.rejected(command)
    connection.answer(reply)
    return 'answered'
  }

  #wait(
    connection: RespConnection,
    command: DoorCommand,
    slot: SlotId,
    longestMs: number,
    refusal: Uint8Array,
  ): ClusterOutcome {
    const nowMs = this.#door.clock.monotonicMs()
    const held = this.#held.get(connection) ?? { sinceMs: nowMs, slot }
    if (nowMs - held.sinceMs >= longestMs || this.#closed) return this.#refuse(connection, command, refusal)
    this.#held.set(connection, { sinceMs: held.sinceMs, slot })
    connection.waitForPause()
    this.#probe(slot)
    this.#heldTimer ??= this.#door.clock.setTimer(ASK_AGAIN_MS, () => {
      this.#heldTimer = null
      this.#askAgain(null)
    })
    return 'wait'
  }

  /** The router finds out where the slot is and when it is served; what it learns, the places know. */
  #probe(slot: SlotId): void {
    if (this.#probed.has(slot)) return
    this.#probed.add(slot)
    this.#door.router.read(slot, PROBE, 'linearizable', false, () => {
      this.#probed.delete(slot)
      if (!this.#closed) this.#askAgain(slot)
    })
  }

  /** All that wait, or those that wait for one slot. */
  #askAgain(slot: SlotId | null): void {
    for (const [connection, held] of [...this.#held]) {
      if (connection.isClosed) this.#held.delete(connection)
      else if (slot === null || held.slot === slot) connection.resumeAfterPause()
    }
    if (this.#held.size === 0 || this.#closed) return
    this.#heldTimer ??= this.#door.clock.setTimer(ASK_AGAIN_MS, () => {
      this.#heldTimer = null
      this.#askAgain(null)
    })
  }

  #watchSubscribers(): void {
    if (this.#subscribersTimer !== null || this.#closed) return
    this.#subscribersTimer = this.#door.clock.setTimer(SUBSCRIPTIONS_EVERY_MS, () => {
      this.#subscribersTimer = null
      this.#dropMoved()
      if (this.#subscribers.size > 0) this.#watchSubscribers()
    })
  }

  /** As Redis does: who listens to a channel whose slot is led elsewhere now is told so, and may follow it. */
  #dropMoved(): void {
    const { slotCount } = this.#view
    const moved = new Map<SlotId, boolean>()
    for (const connection of this.#subscribers) {
      if (connection.isClosed || connection.client.shardChannels === 0) {
        this.#subscribers.delete(connection)
        continue
      }
      for (const name of this.#door.subscriptions.names('shard', connection)) {
        const slot = asSlotId(Math.floor((redisSlot(latin1Bytes(name)) * slotCount) / REDIS_SLOT_COUNT))
        let isMoved = moved.get(slot)
        if (isMoved === undefined) {
          isMoved = typeof this.#placeOf(slot) !== 'string'
          moved.set(slot, isMoved)
        }
        if (isMoved) dropShardSubscription(this.#door, connection, name)
      }
    }
  }
}

/** Of 16384; EXEC's is that of what it runs. */
function keySlot(connection: RespConnection, command: DoorCommand): number {
  const { transaction, words } = connection
  const { spec } = command
  if (spec.name === 'exec') return transaction.open && !transaction.failed ? transaction.redisSlot : NO_SLOT
  // A channel that is not subscribed to is no reason to go elsewhere.
  if (spec.firstKey === 0 || spec.name === 'sunsubscribe') return NO_SLOT
  return commonSlot(command, words, REDIS_SLOT_COUNT)
}
