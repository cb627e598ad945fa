/**
 * A RequestRouter over one real KvStateMachine that owns every slot, with no log and no other nodes. It uses every freedom that the port
 * gives a router: a slot's writes run in the order of the calls, each after a delay of its own; a read without `afterWrites` runs
 * at once, before the writes that were called ahead of it; slots do not wait for each other; replies come as events of their own.
 */
import { asLogIndex, asTerm, type SlotId } from '../../base/brand.ts'
import { KvStateMachine } from '../../kv/kv-state-machine.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ReadLevel, ReplyCallback, RequestRouter } from '../../ports/request-router.ts'
import { CLIENT_SESSION_FROM, type WriteIdentity } from '../../protocol/client-session.ts'
import { encodePayload, PAYLOAD_TICK, PAYLOAD_WRITE } from '../../protocol/command.ts'
import { ENTRY_COMMAND } from '../../protocol/entry.ts'
import { MemoryKeySpace } from './memory-key-space.testkit.ts'

export interface RouterCall {
  readonly slot: SlotId
  readonly write: boolean
  readonly command: Uint8Array
  readonly level: ReadLevel
  readonly afterWrites: boolean
  readonly identity?: WriteIdentity
}

export interface MemoryRouterOptions {
  readonly slotCount?: number
  /** Delay of one request in milliseconds; null: everything within the turn, replies in the next. */
  readonly delayMs?: (() => number) | null
  /** An error reply in place of running it; null: run it. */
  readonly refuse?: (call: RouterCall) => Uint8Array | null
  /** Sees each call before anything else. */
  readonly onCall?: (call: RouterCall) => void
  /** Just before the reply goes out. */
  readonly onAnswer?: (call: RouterCall) => void
}

interface Waiting {
  readonly call: RouterCall
  readonly done: ReplyCallback
}

const NOBODY: WriteIdentity = { session: 0, sequence: 0, lowestUnanswered: 0, retryUntilMs: 0 }

export class MemoryRouter implements RequestRouter {
  readonly slotCount: number
  readonly machine: KvStateMachine
  /** Added to what outstandingRequests tells. */
  foreignRequests = 0
  sessionsLeft = Number.POSITIVE_INFINITY
  #nextSession = CLIENT_SESSION_FROM
  readonly #clock: Clock
  readonly #options: MemoryRouterOptions
  readonly #waiting = new Map<SlotId, Waiting[]>()
  #outbox: (() => void)[] = []
  #outstanding = 0
  #index = 0

  constructor(clock: Clock, options: MemoryRouterOptions = {}) {
    this.#clock = clock
    this.#options = options
    this.slotCount = options.slotCount ?? 1024
    this.machine = new KvStateMachine(new MemoryKeySpace(), {
      slotCount: this.slotCount,
      ownedSlots: [[0, this.slotCount - 1]],
    })
  }

  outstandingRequests(): number {
    return this.#outstanding + this.foreignRequests
  }

  write(slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    this.#take({ slot, write: true, command, level: 'linearizable', afterWrites: false }, done)
  }

  writeAs(identity: WriteIdentity, slot: SlotId, command: Uint8Array, done: ReplyCallback): void {
    this.#take({ slot, write: true, command, level: 'linearizable', afterWrites: false, identity }, done)
  }

  lendSession(): number | null {
    return this.sessionsLeft-- > 0 ? this.#nextSession++ : null
  }

  read(slot: SlotId, command: Uint8Array, level: ReadLevel, afterWrites: boolean, done: ReplyCallback): void {
    this.#take({ slot, write: false, command, level, afterWrites }, done)
  }

  /** A write that comes from elsewhere. */
  writeNow(slot: SlotId, command: Uint8Array): Uint8Array {
    return this.#apply(slot, command)
  }

  #take(call: RouterCall, done: ReplyCallback): void {
    this.#outstanding++
    this.#options.onCall?.(call)
    const delayMs = this.#options.delayMs ?? null
    if (delayMs === null) {
      const reply = this.#run(call)
      this.#post(() => this.#reply(call, done, reply))
    } else if (!call.write && !call.afterWrites) {
      const reply = this.#run(call)
      this.#clock.setTimer(delayMs(), () => this.#reply(call, done, reply))
    } else {
      this.#enqueue({ call, done }, delayMs)
    }
  }

  #enqueue(waiting: Waiting, delayMs: () => number): void {
    const queue = this.#waiting.get(waiting.call.slot) ?? []
    this.#waiting.set(waiting.call.slot, queue)
    queue.push(waiting)
    if (queue.length > 1) return
    const runFirst = (): void => {
      const { call, done } = queue[0]
      const reply = this.#run(call)
      this.#clock.setTimer(delayMs(), () => this.#reply(call, done, reply))
      queue.shift()
      if (queue.length > 0) this.#clock.setTimer(delayMs(), runFirst)
    }
    this.#clock.setTimer(delayMs(), runFirst)
  }

  #post(deliver: () => void): void {
    this.#outbox.push(deliver)
    if (this.#outbox.length > 1) return
    this.#clock.defer(() => {
      const outbox = this.#outbox
      this.#outbox = []
      for (const each of outbox) each()
    })
  }

  #reply(call: RouterCall, done: ReplyCallback, reply: Uint8Array): void {
    this.#outstanding--
    this.#options.onAnswer?.(call)
    done(reply)
  }

  #run(call: RouterCall): Uint8Array {
    const refusal = this.#options.refuse?.(call) ?? null
    if (refusal !== null) return refusal
    return call.write ? this.#apply(call.slot, call.command, call.identity) : this.#query(call)
  }

  #query(call: RouterCall): Uint8Array {
    const result = this.machine.query(call.command, this.#clock.wallMs(), call.slot)
    if (result.kind === 'reply') return result.reply
    this.#entry(PAYLOAD_TICK, call.slot, new Uint8Array(0), result.atLeastMs)
    const again = this.machine.query(call.command, this.machine.logTimeMs, call.slot)
    if (again.kind !== 'reply') throw new Error('MemoryRouter: a second tick')
    return again.reply
  }

  #apply(slot: SlotId, command: Uint8Array, identity: WriteIdentity = NOBODY): Uint8Array {
    return this.#entry(PAYLOAD_WRITE, slot, command, this.#clock.wallMs(), identity)
  }

  #entry(
    kind: typeof PAYLOAD_WRITE | typeof PAYLOAD_TICK,
    slot: SlotId,
    command: Uint8Array,
    stampMs: number,
    identity: WriteIdentity = NOBODY,
  ): Uint8Array {
    const header = { kind, slot, stampMs, ...identity }
    const payload = encodePayload(header, command)
    this.#index++
    return this.machine.apply({ term: asTerm(1), index: asLogIndex(this.#index), kind: ENTRY_COMMAND, payload })
  }
}
