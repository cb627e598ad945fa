/**
 * One unanswered request of a connection, or one part of it that went to a slot of its own. Objects are pooled and
 * each has its callback bound once, so a pipelined SET makes neither an object nor a closure.
 *
 * Life: taken from the pool -> (in its lane) -> called on the router -> answered -> (in request order) sent -> back to the pool. While the router
 * holds the callback, the object is not re-used, even when the connection has gone.
 */
import { assert } from '../../base/assert.ts'
import { asSlotId, type SlotId } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { ReadLevel, ReplyCallback } from '../../ports/request-router.ts'
import type { WriteIdentity } from '../../protocol/client-session.ts'
import type { DoorCommand } from './door.ts'
import type { Lane } from './slot-lanes.ts'
import type { Queued } from './transaction.ts'

/** What has its own business with the reply: a joiner of parts, a WATCH. Called once per part. */
export interface ReplySink {
  onReply(part: number, reply: Uint8Array): void
}

export interface RequestOwner {
  /** The router has answered; `request.reply` is set. */
  onRouterReply(request: Request): void
}

export class Request {
  readonly done: ReplyCallback
  owner: RequestOwner | null = null
  slot: SlotId = asSlotId(0)
  write = false
  /** Of a write that its client has numbered itself; null: the router numbers it. */
  identity: WriteIdentity | null = null
  level: ReadLevel = 'linearizable'
  command: Uint8Array = EMPTY_BYTES
  /** Null: not answered. */
  reply: Uint8Array | null = null
  sink: ReplySink | null = null
  part = 0
  /** What it answers, where that was dispatched; null: refused before, or a part. */
  dispatched: DoorCommand | null = null
  /** Monotonic, when it was dispatched. */
  startedMs = 0
  /** For the slow log, where the command's bytes do not hold them. */
  words: string[] | null = null
  /** EXEC's: what it runs. */
  queued: readonly Queued[] | null = null
  /** CLIENT REPLY: the reply is not sent. */
  silent = false
  /** An aborted EXEC: RESP2 has a null of its own for it. */
  nullIsArray = false
  lane: Lane | null = null
  /** True while the router holds `done`. */
  called = false
  /** The next request of the connection, in request order. */
  next: Request | null = null
  /** The next one parked in the same lane. */
  nextParked: Request | null = null

  constructor() {
    this.done = (reply) => {
      assert(this.called, 'Request: answered twice, or never asked')
      this.called = false
      this.reply = reply
      const owner = this.owner
      assert(owner !== null, 'Request: answered without an owner')
      owner.onRouterReply(this)
    }
  }
}

const MAX_POOLED = 16 * 1024

export class RequestPool {
  readonly #free: Request[] = []

  take(owner: RequestOwner): Request {
    const request = this.#free.pop() ?? new Request()
    request.owner = owner
    return request
  }

  give(request: Request): void {
    assert(!request.called && request.owner !== null, 'RequestPool.give: still in use, or given twice')
    request.owner = null
    if (this.#free.length === MAX_POOLED) return
    request.write = false
    request.identity = null
    request.command = EMPTY_BYTES
    request.reply = null
    request.sink = null
    request.part = 0
    request.dispatched = null
    request.words = null
    request.queued = null
    request.silent = false
    request.nullIsArray = false
    request.lane = null
    request.next = null
    request.nextParked = null
    this.#free.push(request)
  }
}
