// One question, one answer: over lanes that lose, refuse and break, and to the node itself.
import { beforeEach, expect, test } from 'vitest'
import { asNodeId, type NodeId } from '../../base/brand.ts'
import { BytesReader, utf8Bytes } from '../../base/bytes.ts'
import { CALL_METHODS, type CallOutcome } from '../../ports/node-calls.ts'
import type { PeerChannel } from '../../ports/peer-channel.ts'
import { MAX_MESSAGE_BYTES } from '../../protocol/frame.ts'
import { decodeNodeCall } from '../../protocol/node-call.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { PeerCalls } from './peer-calls.ts'

const A = asNodeId(1)
const B = asNodeId(2)
const { master, node } = CALL_METHODS

let scheduler: Scheduler
let nodes: Map<NodeId, PeerCalls>
/** What the lane does with a message: brings it, loses it, or does not take it. */
let lane: 'brings' | 'loses' | 'refuses'
let sent: number

beforeEach(() => {
  scheduler = new Scheduler(1)
  lane = 'brings'
  sent = 0
  nodes = new Map([A, B].map((self) => [self, made(self)]))
})

function made(self: NodeId, firstId = 1): PeerCalls {
  const clock = new SimClock(scheduler, { label: `n${self}` })
  const send: PeerChannel['send'] = (to, _lane, bytes) => {
    if (lane === 'refuses') return false
    sent++
    const own = bytes.slice()
    if (lane === 'brings') {
      scheduler.after(1, 'message', () => nodes.get(to)?.onMessage(self, decodeNodeCall(new BytesReader(own))))
    }
    return true
  }
  const peers = { send, flush() {}, isConnected: () => true, queuedBytes: () => 0 } as unknown as PeerChannel
  return new PeerCalls(self, clock, peers, firstId, () => {})
}

function ask(to: NodeId, body = 'question', method: 1 | 2 | 3 = master): CallOutcome[] {
  const outcomes: CallOutcome[] = []
  nodes.get(A)?.call(to, method, utf8Bytes(body), 1_000, (outcome) => outcomes.push(outcome))
  return outcomes
}

const texts = (outcomes: readonly CallOutcome[]): unknown[] =>
  outcomes.map((outcome) => (outcome.kind === 'answered' ? String.fromCharCode(...outcome.reply) : outcome.kind))

function serve(self: NodeId, prefix: string): void {
  nodes.get(self)?.serve(master, (from, body, answer) => {
    answer(utf8Bytes(`${prefix}${from}:${String.fromCharCode(...body)}`))
  })
}

test('is answered, by another node and by this one, never inside the call', () => {
  serve(A, 'a')
  serve(B, 'b')
  const own = ask(A)
  const other = ask(B)
  expect([own, other]).toEqual([[], []])
  scheduler.runUntil(100)
  expect([texts(own), texts(other)]).toEqual([['a1:question'], ['b1:question']])
})

test('nobody serves the method: unreachable', () => {
  serve(B, 'b')
  const outcomes = ask(B, '', node)
  scheduler.runUntil(100)
  expect(texts(outcomes)).toEqual(['unreachable'])
})

test('not taken, or too large for a message: unreachable, and nothing was sent', () => {
  lane = 'refuses'
  const outcomes = ask(B)
  lane = 'brings'
  nodes.get(A)?.call(B, master, new Uint8Array(MAX_MESSAGE_BYTES), 1_000, (outcome) => outcomes.push(outcome))
  scheduler.runUntil(5_000)
  expect(texts(outcomes)).toEqual(['unreachable', 'unreachable'])
  expect(sent).toBe(0)
})

test('lost, or without a connection while it waits: unknown, once', () => {
  lane = 'loses'
  const lost = ask(B)
  scheduler.runUntil(900)
  expect(lost).toEqual([])
  const broken = ask(B)
  nodes.get(A)?.onStreamClosed(B)
  scheduler.runUntil(3_000)
  expect([texts(lost), texts(broken)]).toEqual([['unknown'], ['unknown']])
})

test('an answer that comes late, from another node or to an earlier process is nobody’s', () => {
  let late: ((reply: Uint8Array) => void) | null = null
  nodes.get(B)?.serve(master, (_from, _body, answer) => {
    late = answer
  })
  const outcomes = ask(B)
  scheduler.runUntil(2_000)
  expect(texts(outcomes)).toEqual(['unknown'])
  nodes.set(A, made(A, 1_000))
  const again = ask(B)
  ;(late as unknown as (reply: Uint8Array) => void)(utf8Bytes('late'))
  scheduler.runUntil(2_500)
  expect(again).toEqual([])
  nodes.get(A)?.onMessage(asNodeId(3), { type: 'answer', id: 1_000, taken: true, body: utf8Bytes('forged') })
  expect(again).toEqual([])
})

test('the calls that wait are bounded, and a stop answers nobody', () => {
  lane = 'loses'
  const outcomes = Array.from({ length: 10_001 }, () => ask(B)).flat()
  expect(outcomes).toEqual([])
  const last = ask(B)
  scheduler.runUntil(10)
  expect(texts(last)).toEqual(['unreachable'])
  nodes.get(A)?.stop()
  scheduler.runUntil(5_000)
  expect(outcomes).toEqual([])
})
