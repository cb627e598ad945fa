import { describe, expect, test } from 'vitest'
import { asNodeId } from '../base/brand.ts'
import { concatBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import {
  encodeHelloFrame,
  FRAME_HELLO,
  FRAME_MESSAGES,
  FrameDecoder,
  MAX_FRAME_BYTES,
  MESSAGE_OVERHEAD_BYTES,
  MESSAGES_OVERHEAD_BYTES,
  visitMessages,
  writeMessagesFrame,
} from '../protocol/frame.ts'
import { Scheduler } from './scheduler.ts'
import { type FrameChaosConditions, SimFrameChaos } from './sim-frame-chaos.ts'

function hello(lane: number): Uint8Array {
  return encodeHelloFrame({
    protocolVersion: 1,
    lane,
    from: asNodeId(1),
    to: asNodeId(2),
    clusterId: new Uint8Array(16),
    incarnation: 1,
    authentication: new Uint8Array(0),
  })
}

function frame(text: string): Uint8Array {
  const bytes = new Uint8Array(MESSAGES_OVERHEAD_BYTES + MESSAGE_OVERHEAD_BYTES + text.length)
  writeMessagesFrame(bytes, 0, [latin1Bytes(text)], 0, 1, 0)
  return bytes
}

/** 500 numbered frames behind a HELLO, written in random pieces; what came out. */
function play(lane: number, conditions: Partial<FrameChaosConditions>): { order: number[]; counts: string[] } {
  const scheduler = new Scheduler(3)
  const out: Uint8Array[] = []
  const counts: string[] = []
  const all: FrameChaosConditions = {
    frameDropProbability: 0,
    frameDuplicateProbability: 0,
    frameReorderProbability: 0,
    ...conditions,
  }
  const chaos = new SimFrameChaos(
    scheduler,
    () => all,
    (fault) => counts.push(fault),
    (bytes) => out.push(bytes.slice()),
  )
  const stream = concatBytes([hello(lane), ...Array.from({ length: 500 }, (_, i) => frame(String(i)))])
  const random = new Prng(4)
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + random.between(1, 100))
    chaos.write(stream.subarray(at, end))
    at = end
    scheduler.runUntil(scheduler.nowMs + 1)
  }
  chaos.finish()
  const order: number[] = []
  const kinds: number[] = []
  const error = new FrameDecoder(MAX_FRAME_BYTES).push(concatBytes(out), (kind, payload) => {
    kinds.push(kind)
    if (kind === FRAME_MESSAGES) {
      visitMessages(payload, (message) => order.push(Number(latin1Text(message))) > 0)
    }
    return true
  })
  expect(error).toBeNull()
  expect(kinds[0]).toBe(FRAME_HELLO)
  expect(kinds.filter((kind) => kind === FRAME_HELLO).length).toBe(1)
  return { order, counts }
}

const INORDER = Array.from({ length: 500 }, (_, i) => i)
const EVERYTHING = { frameDropProbability: 0.2, frameDuplicateProbability: 0.2, frameReorderProbability: 0.2 }

describe('SimFrameChaos', () => {
  test('without faults, or on another lane, everything passes as it was', () => {
    expect(play(0, {})).toEqual({ order: INORDER, counts: [] })
    expect(play(1, EVERYTHING)).toEqual({ order: INORDER, counts: [] })
    expect(play(2, EVERYTHING)).toEqual({ order: INORDER, counts: [] })
  })

  test('dropped frames are gone, the rest is whole and in order', () => {
    const { order, counts } = play(0, { frameDropProbability: 0.2 })
    expect(counts.length).toBeGreaterThan(60)
    expect(order.length).toBe(500 - counts.length)
    expect(order).toEqual([...order].sort((a, b) => a - b))
  })

  test('doubled frames come twice, some of them later', () => {
    const { order, counts } = play(0, { frameDuplicateProbability: 0.2 })
    expect(order.length).toBe(500 + counts.length)
    expect(new Set(order).size).toBe(500)
    expect(order).not.toEqual([...order].sort((a, b) => a - b))
  })

  test('reordered frames all come, in another order', () => {
    const { order, counts } = play(0, { frameReorderProbability: 0.2 })
    expect(counts.length).toBeGreaterThan(60)
    expect([...order].sort((a, b) => a - b)).toEqual(INORDER)
    expect(order).not.toEqual(INORDER)
  })

  test('all at once, the frames stay whole', () => {
    const { order, counts } = play(0, EVERYTHING)
    expect(new Set(counts)).toEqual(new Set(['framesDropped', 'framesDuplicated', 'framesReordered']))
    expect(order.length).toBeGreaterThan(400)
  })

  test('a stream that is no peer`s passes, also where it starts byte by byte', () => {
    const scheduler = new Scheduler(1)
    const out: Uint8Array[] = []
    const conditions = { frameDropProbability: 1, frameDuplicateProbability: 0, frameReorderProbability: 0 }
    const chaos = new SimFrameChaos(
      scheduler,
      () => conditions,
      () => {},
      (bytes) => out.push(bytes),
    )
    const text = '*1\r\n$4\r\nPING\r\n'.repeat(50)
    for (let i = 0; i < text.length; i++) chaos.write(latin1Bytes(text[i]))
    expect(latin1Text(concatBytes(out))).toBe(text)
  })
})
