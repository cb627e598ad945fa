/**
 * One client's connection: bytes in, requests in their lanes, replies out in request order.
 *
 * Every request stands in one list, oldest first, from the moment it is read until its reply is sent; replies leave from the list's
 * head only. Reading stops (and the socket is paused, so that TCP slows the sender) while
 *   - `maxPipelined` requests are unanswered (fewer, where replies are large), or the router as a whole holds too many;
 *   - more than `softOutputBytes` of replies wait for the reader;
 *   - a request stands alone (FLUSHALL), or waits to (HELLO: replies change their form there).
 * So what one connection can make the node hold is bounded: requests by count, replies by `hardOutputBytes`, above which it is closed.
 */
import { assert } from '../../base/assert.ts'
import type { SlotId } from '../../base/brand.ts'
import type { Connection, ConnectionHandlers } from '../../ports/network.ts'
import type { ReadLevel } from '../../ports/request-router.ts'
import { PARSE_ERROR, PARSE_REQUEST, type ParseOutcome, RespParser } from '../../protocol/resp-parser.ts'
import { errorReply, isErrorReply, NULL_REPLY, RESP2_NULL_ARRAY, toResp2 } from '../../protocol/resp-reply.ts'
import { type ClientState, newClient, resetClient } from './client-state.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Door } from './door.ts'
import type { ReplySink, Request, RequestOwner } from './request.ts'
import { SlotLanes } from './slot-lanes.ts'
import { Transaction } from './transaction.ts'

/** Requests that a new connection may have unanswered, until replies have shown their sizes. */
const FIRST_PIPELINED = 16

export class RespConnection implements ConnectionHandlers, RequestOwner {
  readonly client: ClientState
  readonly words: RespParser
  readonly transaction = new Transaction()
  /** In the door's list of connections with replies to send. */
  dirty = false
  /** In the door's list of connections that wait for room. */
  awaitsRoom = false

  readonly #door: Door
  readonly #dispatcher: Dispatcher
  readonly #socket: Connection
  readonly #lanes: SlotLanes
  /** Oldest unanswered, or answered and not sent, request. */
  #first: Request | null = null
  #last: Request | null = null
  #pending = 0
  /** Parts that the router has not answered. */
  #partsPending = 0
  /** Bytes of replies that wait for an earlier one. */
  #heldBytes = 0
  /**
   * How large a reply to what is asked next may be. All that is asked for at once, times this, stays well below the hard limit: a client that
   * pipelines GETs of large values and reads as fast as it can is slowed, not closed. New clients start with few at once.
   */
  #expectedReplyBytes: number
  readonly #expectedBudget: number
  #exclusive: Request | null = null
  #exclusiveAbandoned: (() => void) | null = null
  /** The request at hand waits until it is the only one. */
  #waitsForEmpty = false
  /** The socket is paused, and requests may be left to parse. */
  #stalled = false
  #reading = false
  /** No more requests are read; closes when the last reply has been sent. */
  #closing = false
  #ended = false
  #closed = false

  constructor(door: Door, dispatcher: Dispatcher, socket: Connection, id: number) {
    this.#door = door
    this.#dispatcher = dispatcher
    this.#socket = socket
    this.#lanes = new SlotLanes(door.router)
    this.#expectedBudget = door.options.hardOutputBytes / 4
    this.#expectedReplyBytes = this.#expectedBudget / FIRST_PIPELINED
    this.client = newClient(id, socket.remoteAddress)
    this.words = new RespParser(door.requestLimits)
  }

  // --- From the network -------------------------------------------------------------------------------------

  onData(bytes: Uint8Array): void {
    if (this.#closing || this.#closed) return
    this.#door.stats.bytesReceived += bytes.length
    this.words.feed(bytes)
    this.#read()
    this.words.endFeed()
    this.flush()
  }

  onDrain(): void {
    if (this.#stalled) this.proceed()
  }

  onClose(): void {
    this.#abandon()
    this.#door.forget(this)
  }

  /** Requests that the router still holds come back through onRouterReply; the others are nobody's now. */
  #abandon(): void {
    this.#closed = true
    this.#lanes.dropParked()
    this.#first = null
    this.#last = null
    this.#pending = 0
    if (this.#exclusive !== null) this.#exclusiveAbandoned?.()
    this.#exclusive = null
    this.transaction.close()
  }

  // --- For the commands -------------------------------------------------------------------------------------

  /** Requests read and not yet fully answered and sent. */
  get pendingCount(): number {
    return this.#pending
  }

  /** The next reply in order; its bytes are known. */
  answer(reply: Uint8Array): void {
    this.settle(this.open(), reply)
  }

  answerNullArray(): void {
    const request = this.open()
    request.nullIsArray = true
    this.settle(request, NULL_REPLY)
  }

  /** A place in the order of replies. */
  open(): Request {
    const request = this.#door.pool.take(this)
    if (this.#last === null) this.#first = request
    else this.#last.next = request
    this.#last = request
    this.#pending++
    return request
  }

  /** Sends an opened request to its slot, in its turn. */
  submit(request: Request): void {
    this.#lanes.submit(request)
  }

  /** Sends one part of an opened request to its slot, in its turn; the reply goes to the sink. */
  submitPart(
    slot: SlotId,
    write: boolean,
    command: Uint8Array,
    sink: ReplySink,
    part: number,
    level: ReadLevel = this.client.readLevel,
  ): void {
    const request = this.#door.pool.take(this)
    request.slot = slot
    request.write = write
    request.level = level
    request.command = command
    request.sink = sink
    request.part = part
    this.#partsPending++
    this.#lanes.submit(request)
  }

  /** Gives an opened request its reply. */
  settle(request: Request, reply: Uint8Array): void {
    assert(!request.called && request.sink === null && reply.length > 0, 'RespConnection.settle: not open')
    request.reply = reply
    if (this.#exclusive === request) this.#exclusive = null
    this.#onAnswered(reply)
  }

  /** Nothing else is read until this request has its reply. `abandoned`: the connection has gone before. */
  beginExclusive(request: Request, abandoned: (() => void) | null = null): void {
    assert(this.#pending === 1 && this.#exclusive === null, 'RespConnection.beginExclusive: not alone')
    this.#exclusive = request
    this.#exclusiveAbandoned = abandoned
  }

  /** As the connection began, but for its id and what its library told about itself. Only where nothing is unanswered. */
  reset(): void {
    assert(this.#pending === 0, 'RespConnection.reset: something is unanswered')
    this.transaction.close()
    resetClient(this.client)
  }

  /** Reads nothing more, and closes once everything is answered. */
  closeAfterReplies(): void {
    if (this.#closing || this.#closed) return
    this.#closing = true
    this.#setStalled(true)
    this.#door.markDirty(this)
  }

  closeNow(): void {
    this.#closing = true
    if (!this.#closed) this.#socket.destroy()
  }

  // --- From the router --------------------------------------------------------------------------------------

  onRouterReply(request: Request): void {
    const reply = request.reply
    assert(reply !== null && reply.length > 0, 'RespConnection: the router gave no reply')
    this.#lanes.finished(request)
    const sink = request.sink
    if (this.#closed) {
      this.#door.pool.give(request)
      return
    }
    if (sink === null) {
      this.#onAnswered(reply)
      return
    }
    this.#partsPending--
    const part = request.part
    this.#door.pool.give(request)
    sink.onReply(part, reply)
    if (this.#stalled) this.#door.markDirty(this)
  }

  // --- Reading ----------------------------------------------------------------------------------------------

  /** Goes on after a stall, where there is room again. */
  proceed(): void {
    if (this.#closed) return
    if (this.#stalled && this.#hasRoom()) this.#readRest()
    this.flush()
  }

  #readRest(): void {
    this.#read()
    this.words.endFeed()
  }

  #read(): void {
    assert(!this.#reading, 'RespConnection: reads within a read')
    this.#reading = true
    if (this.#pending === 0) this.#waitsForEmpty = false
    let mayRead = this.#hasRoom()
    let outcome: ParseOutcome = PARSE_REQUEST
    while (mayRead) {
      outcome = this.words.next()
      if (outcome !== PARSE_REQUEST) break
      if (!this.#dispatcher.dispatch(this)) {
        this.words.unread()
        this.#waitsForEmpty = true
      }
      mayRead = this.#mayReadNext()
    }
    this.#reading = false
    if (outcome === PARSE_ERROR) this.#refuseProtocol()
    this.#setStalled(!mayRead)
  }

  /** What can change between two requests of one chunk. */
  #mayReadNext(): boolean {
    return (
      !this.#waitsForEmpty &&
      this.#exclusive === null &&
      !this.#closing &&
      this.#mayAskMore() &&
      this.#heldBytes <= this.#door.options.softOutputBytes
    )
  }

  #hasRoom(): boolean {
    return (
      (!this.#waitsForEmpty || this.#pending === 0) &&
      this.#exclusive === null &&
      !this.#closing &&
      this.#mayAskMore() &&
      this.#heldBytes + this.#socket.bufferedBytes <= this.#door.options.softOutputBytes &&
      this.#door.router.outstandingRequests() <= this.#door.options.maxOutstanding
    )
  }

  #mayAskMore(): boolean {
    const unanswered = this.#pending + this.#partsPending
    if (unanswered === 0) return true
    const expectedBytes = (unanswered + 1) * this.#expectedReplyBytes
    return unanswered < this.#door.options.maxPipelined && expectedBytes <= this.#expectedBudget
  }

  #setStalled(stalled: boolean): void {
    if (stalled === this.#stalled || this.#closed || (this.#closing && !stalled)) return
    this.#stalled = stalled
    if (stalled) this.#socket.pause()
    else this.#socket.resume()
  }

  #refuseProtocol(): void {
    this.#door.stats.protocolErrors++
    this.answer(errorReply(`ERR Protocol error: ${this.words.error}`))
    this.closeAfterReplies()
  }

  // --- Writing ----------------------------------------------------------------------------------------------

  #onAnswered(reply: Uint8Array): void {
    this.#heldBytes += reply.length
    // The largest of late, forgotten slowly.
    const forgetful = this.#expectedReplyBytes * (1 - 1 / 64)
    this.#expectedReplyBytes = reply.length > forgetful ? reply.length : forgetful
    if (isErrorReply(reply)) this.#door.stats.errorReplies++
    if (this.#reading) return
    if (this.#heldBytes + this.#socket.bufferedBytes > this.#door.options.hardOutputBytes) this.#dropSlowReader()
    else if (this.#stalled || (this.#first !== null && this.#first.reply !== null)) this.#door.markDirty(this)
  }

  #dropSlowReader(): void {
    this.#door.stats.outputLimitDisconnections++
    this.#door.logger.warn('client closed: it does not read its replies', {
      client: this.client.address,
      heldBytes: this.#heldBytes,
      bufferedBytes: this.#socket.bufferedBytes,
    })
    this.#abandon()
    this.#socket.destroy()
  }

  /** Sends what is ready, in one write; goes on reading where that made room. */
  flush(): void {
    do {
      this.#send()
      if (this.#closed) return
      if (this.#closing) {
        this.#endWhenAnswered()
        return
      }
      if (this.#stalled && this.#hasRoom()) this.#readRest()
    } while (this.#first !== null && this.#first.reply !== null)
    // Our own requests wake us when they are answered; the reader or the router may have room again without a word.
    if (this.#stalled && this.#pending === 0) this.#door.awaitRoom(this)
  }

  #endWhenAnswered(): void {
    if (this.#first !== null || this.#ended) return
    this.#ended = true
    this.#socket.end()
  }

  #send(): void {
    const output = this.#door.output
    const resp2 = this.client.protocol === 2
    let sent = 0
    for (let request = this.#first; request !== null && request.reply !== null; request = this.#first) {
      const reply = request.reply
      this.#heldBytes -= reply.length
      const bytes = resp2 ? inResp2(reply, request.nullIsArray) : reply
      sent += bytes.length
      output.add(bytes)
      this.#first = request.next
      this.#pending--
      this.#door.pool.give(request)
    }
    if (this.#first === null) this.#last = null
    if (sent === 0) return
    this.#door.stats.bytesSent += sent
    output.sendTo(this.#socket)
    if (this.#heldBytes + this.#socket.bufferedBytes > this.#door.options.hardOutputBytes) this.#dropSlowReader()
  }
}

function inResp2(reply: Uint8Array, nullIsArray: boolean): Uint8Array {
  if (nullIsArray && reply.length === NULL_REPLY.length && reply[0] === NULL_REPLY[0]) return RESP2_NULL_ARRAY
  return toResp2(reply)
}
