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
import {
  PARSE_ERROR,
  PARSE_REQUEST,
  type ParseOutcome,
  type RequestWords,
  RespParser,
} from '../../protocol/resp-parser.ts'
import { errorReply, isErrorReply, NULL_REPLY, RESP2_NULL_ARRAY, toResp2 } from '../../protocol/resp-reply.ts'
import { type ClientState, isSubscriber, newClient, resetClient } from './client-state.ts'
import { argumentBytes, type ConnectionState } from './connection-state.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Door, DoorCommand } from './door.ts'
import { OutputGuard } from './output-guard.ts'
import type { ReplySink, Request, RequestOwner } from './request.ts'
import { SlotLanes } from './slot-lanes.ts'
import { shortWords } from './slowlog.ts'
import { Transaction } from './transaction.ts'
import { wordView } from './words.ts'

export class RespConnection implements ConnectionHandlers, RequestOwner {
  readonly client: ClientState
  readonly words: RespParser
  readonly transaction = new Transaction()
  /** In the door's list of connections with replies to send. */
  dirty = false
  /** In the door's list of connections that wait for room. */
  awaitsRoom = false
  /** The command whose handler runs; what it opens is measured as its. */
  dispatching: DoorCommand | null = null
  /** For CLIENT LIST. */
  lastCommand: DoorCommand | null = null
  readonly connectedAtMs: number
  lastInteractionMs: number
  /** CLIENT REPLY: what is done with the replies to what is asked next. */
  replyMode: 'on' | 'off' | 'skip' = 'on'
  /** PUBLISHes whose receivers are being counted. */
  publishing = 0

  readonly #door: Door
  readonly #dispatcher: Dispatcher
  readonly #socket: Connection
  readonly #lanes: SlotLanes
  readonly #guard: OutputGuard
  /** Oldest unanswered, or answered and not sent, request. */
  #first: Request | null = null
  #last: Request | null = null
  #pending = 0
  /** Parts that the router has not answered. */
  #partsPending = 0
  #exclusive: Request | null = null
  /** The request at hand waits until it is the only one. */
  #waitsForEmpty = false
  /** The socket is paused, and requests may be left to parse. */
  #stalled = false
  /** CLIENT PAUSE holds the request at hand. */
  #paused = false
  #reading = false
  /** The client sends no more. */
  #inputEnded = false
  /** No more requests are read; closes when the last reply has been sent. */
  #closing = false
  #ended = false
  #closed = false

  constructor(door: Door, dispatcher: Dispatcher, socket: Connection, id: number) {
    this.#door = door
    this.#dispatcher = dispatcher
    this.#socket = socket
    this.#lanes = new SlotLanes(door.router)
    this.client = newClient(id, socket.remoteAddress, this)
    this.#guard = new OutputGuard(door, this.client)
    this.connectedAtMs = door.measures.tick()
    this.lastInteractionMs = this.connectedAtMs
    this.words = new RespParser(door.requestLimits)
  }

  // --- From the network -------------------------------------------------------------------------------------

  onData(bytes: Uint8Array): void {
    if (this.#closing || this.#closed) return
    const { stats, measures } = this.#door
    stats.bytesReceived += bytes.length
    stats.reads++
    this.lastInteractionMs = measures.tick()
    this.words.feed(bytes)
    this.#read()
    this.words.endFeed()
    if (this.words.pendingBytes > this.#door.config.queryBufferBytes) this.#dropLongRequest()
    else this.flush()
  }

  onDrain(): void {
    if (this.#stalled) this.proceed()
  }

  /** As with Redis, what was asked is answered. Not heard of while the socket is paused: until then there may be requests to read. */
  onEnd(): void {
    this.#inputEnded = true
    this.flush()
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
    this.#exclusive = null
    this.transaction.close()
    this.#door.subscriptions.removeAll(this)
  }

  // --- For the commands -------------------------------------------------------------------------------------

  /** Requests read and not yet fully answered and sent. */
  get pendingCount(): number {
    return this.#pending
  }

  /** The next reply in order; its bytes are known. */
  answer(reply: Uint8Array, startedMs: number = this.#door.measures.nowMs): void {
    const request = this.open()
    request.startedMs = startedMs
    this.settle(request, reply)
  }

  /** A confirmation to a subscriber: CLIENT REPLY does not silence it. */
  answerPush(reply: Uint8Array): void {
    const request = this.open()
    request.silent = false
    this.settle(request, reply)
  }

  /** A message to a subscriber, behind what has been asked so far. In RESP3 bytes; they may be shared with others. */
  push(message: Uint8Array): void {
    if (this.#closed || this.#closing) return
    const request = this.#door.pool.take(this)
    this.#append(request)
    this.settle(request, message)
  }

  answerNullArray(): void {
    const request = this.open()
    request.nullIsArray = true
    this.settle(request, NULL_REPLY)
  }

  /** A place in the order of replies. */
  open(): Request {
    const request = this.#door.pool.take(this)
    request.dispatched = this.dispatching
    this.dispatching = null
    request.startedMs = this.#door.measures.nowMs
    if (this.replyMode !== 'on') this.#silence(request)
    this.#append(request)
    return request
  }

  #append(request: Request): void {
    if (this.#last === null) this.#first = request
    else this.#last.next = request
    this.#last = request
    this.#pending++
  }

  /** Of a request whose words are nowhere to be found once it takes long. */
  openKeepingWords(): Request {
    const request = this.open()
    request.words = shortWords(this.words.wordCount, (i) => wordView(this.words, i))
    return request
  }

  #silence(request: Request): void {
    request.silent = true
    if (this.replyMode === 'skip') this.replyMode = 'on'
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
    this.#onAnswered(request, reply)
  }

  /** Nothing else is read until this request has its reply. */
  beginExclusive(request: Request): void {
    assert(this.#pending === 1 && this.#exclusive === null, 'RespConnection.beginExclusive: not alone')
    this.#exclusive = request
  }

  /** As the connection began, but for its id and what its library told about itself. Only where nothing is unanswered. */
  reset(): void {
    assert(this.#pending === 0, 'RespConnection.reset: something is unanswered')
    this.transaction.close()
    this.#door.subscriptions.removeAll(this)
    this.replyMode = 'on'
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

  /** As if the client had gone: nothing more is sent. */
  kill(): void {
    this.#abandon()
    this.#socket.destroy()
  }

  closeIfIdle(nowMs: number, timeoutMs: number): void {
    const waits = this.#pending > 0 || this.#paused || isSubscriber(this.client)
    if (waits || this.#closed || this.#closing || nowMs - this.lastInteractionMs < timeoutMs) return
    this.#door.logger.info('client closed: it said nothing for longer than timeout', { client: this.client.address })
    this.kill()
  }

  /** The request at hand is asked for again after the pause; the socket is not read before. */
  waitForPause(): void {
    this.#paused = true
  }

  resumeAfterPause(): void {
    if (!this.#paused) return
    this.#paused = false
    this.proceed()
  }

  /** The words of the request that is being answered, while they are there. */
  wordsAtHand(): RequestWords | null {
    return this.#reading ? this.words : null
  }

  get localAddress(): string {
    return this.#socket.localAddress
  }

  /** It has gone; its socket's end is perhaps still to be heard of. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** For CLIENT LIST; `asking`: of the connection that asks. */
  describe(asking: boolean): ConnectionState {
    const { words, transaction } = this
    const bufferedBytes = this.#socket.bufferedBytes
    let repliesWaiting = 0
    for (let request = this.#first; request !== null; request = request.next)
      if (request.reply !== null) repliesWaiting++
    return {
      descriptor: this.#socket.descriptor,
      paused: this.#paused,
      closing: this.#closing,
      readable: !this.#stalled,
      writable: bufferedBytes > 0,
      queryBytes: words.pendingBytes + (asking && this.#reading ? words.requestBytes : 0),
      queryHeldBytes: words.heldBytes,
      argumentBytes: asking && this.#reading ? argumentBytes(words) : 0,
      transactionBytes: transaction.queuedBytes,
      repliesWaiting,
      outputBytes: this.#guard.heldBytes + bufferedBytes,
    }
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
      this.#onAnswered(request, reply)
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
    // Nothing may be answered to a reader that has been stalled: here its time runs out.
    this.#door.measures.tick()
    if (this.#guard.isAboveLimit(this.#socket.bufferedBytes)) {
      this.#dropSlowReader()
      return
    }
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
        if (!this.#paused) this.#waitsForEmpty = true
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
      !this.#paused &&
      this.#exclusive === null &&
      !this.#closing &&
      this.#guard.mayAskMore(this.#pending + this.#partsPending) &&
      this.#guard.heldBytes <= this.#door.options.softOutputBytes
    )
  }

  #hasRoom(): boolean {
    return (
      (!this.#waitsForEmpty || this.#pending === 0) &&
      !this.#paused &&
      this.#exclusive === null &&
      !this.#closing &&
      this.#guard.mayAskMore(this.#pending + this.#partsPending) &&
      this.#guard.heldBytes + this.#socket.bufferedBytes <= this.#door.options.softOutputBytes &&
      this.#door.router.outstandingRequests() <= this.#door.options.maxOutstanding
    )
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

  #onAnswered(request: Request, reply: Uint8Array): void {
    this.#guard.hold(reply.length)
    const { dispatched } = request
    if (dispatched !== null) this.#door.measures.answered(this, request, dispatched, reply)
    if (isErrorReply(reply)) this.#door.measures.error(reply)
    if (this.#reading) return
    if (this.#guard.isAboveLimit(this.#socket.bufferedBytes)) this.#dropSlowReader()
    else if (this.#stalled || (this.#first !== null && this.#first.reply !== null)) this.#door.markDirty(this)
  }

  #dropLongRequest(): void {
    this.#door.stats.queryLimitDisconnections++
    this.#door.logger.warn('client closed: an unfinished request above client-query-buffer-limit', {
      client: this.client.address,
      pendingBytes: this.words.pendingBytes,
    })
    this.kill()
  }

  #dropSlowReader(): void {
    this.#door.stats.outputLimitDisconnections++
    this.#door.logger.warn('client closed: it does not read its replies', {
      client: this.client.address,
      heldBytes: this.#guard.heldBytes,
      bufferedBytes: this.#socket.bufferedBytes,
    })
    this.kill()
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
    if (this.#inputEnded && this.#first === null && !this.#stalled) return this.closeAfterReplies()
    // Our own requests wake us when they are answered; the reader or the router may have room again without a word.
    if (this.#stalled && this.#pending === 0 && !this.#paused) this.#door.awaitRoom(this)
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
      this.#guard.heldBytes -= reply.length
      if (!request.silent) {
        const bytes = resp2 ? inResp2(reply, request.nullIsArray) : reply
        sent += bytes.length
        output.add(bytes)
      }
      this.#first = request.next
      this.#pending--
      this.#door.pool.give(request)
    }
    if (this.#first === null) this.#last = null
    if (sent === 0) return
    this.#door.stats.bytesSent += sent
    this.#door.stats.writes++
    this.lastInteractionMs = this.#door.measures.nowMs
    output.sendTo(this.#socket)
    if (this.#guard.isAboveLimit(this.#socket.bufferedBytes)) this.#dropSlowReader()
  }
}

function inResp2(reply: Uint8Array, nullIsArray: boolean): Uint8Array {
  if (nullIsArray && reply.length === NULL_REPLY.length && reply[0] === NULL_REPLY[0]) return RESP2_NULL_ARRAY
  return toResp2(reply)
}
