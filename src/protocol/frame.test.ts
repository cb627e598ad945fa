import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asNodeId } from '../base/brand.ts'
import { concatBytes, DecodeError, latin1Bytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { Prng } from '../base/prng.ts'
import {
  decodeFrameClock,
  decodeHello,
  decodeRefusal,
  encodeHelloFrame,
  encodePingFrame,
  encodeRefusalFrame,
  FRAME_HEADER_BYTES,
  FRAME_HELLO,
  FRAME_MESSAGES,
  FRAME_PING,
  FRAME_PONG,
  FRAME_REFUSAL,
  FrameDecoder,
  type FrameError,
  type Hello,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  MESSAGE_OVERHEAD_BYTES,
  MESSAGES_OVERHEAD_BYTES,
  PONG_FRAME,
  PROTOCOL_VERSION,
  visitMessages,
  writeMessagesFrame,
} from './frame.ts'

function messagesFrame(messages: readonly Uint8Array[], wallMs = 0): Uint8Array {
  let total = MESSAGES_OVERHEAD_BYTES
  for (const message of messages) total += MESSAGE_OVERHEAD_BYTES + message.length
  const bytes = new Uint8Array(total)
  expect(writeMessagesFrame(bytes, 0, messages, 0, messages.length, wallMs)).toBe(total)
  return bytes
}

/** What a receiver makes of these chunks. */
function receive(chunks: readonly Uint8Array[]): {
  messages: Uint8Array[]
  kinds: number[]
  error: FrameError | DecodeError | null
} {
  const decoder = new FrameDecoder(MAX_FRAME_BYTES)
  const messages: Uint8Array[] = []
  const kinds: number[] = []
  for (const chunk of chunks) {
    const scratch = chunk.slice()
    try {
      const error = decoder.push(scratch, (kind, payload) => {
        kinds.push(kind)
        if (kind === FRAME_MESSAGES) visitMessages(payload, (message) => messages.push(message) > 0)
        return true
      })
      if (error !== null) return { messages, kinds, error }
    } catch (error) {
      if (error instanceof DecodeError) return { messages, kinds, error }
      throw error
    }
    // The read buffer is used again: nothing that was handed out may lie in it.
    scratch.fill(0xee)
  }
  return { messages, kinds, error: null }
}

function cut(bytes: Uint8Array, random: Prng, maxBytes: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.between(1, maxBytes))
    chunks.push(bytes.subarray(at, end))
    at = end
  }
  return chunks
}

const HELLO: Hello = {
  protocolVersion: PROTOCOL_VERSION,
  lane: 2,
  from: asNodeId(4_000_000_000),
  to: asNodeId(2),
  clusterId: Uint8Array.from({ length: 16 }, (_, i) => i),
  incarnation: 2 ** 50,
  authentication: latin1Bytes('a token'),
}

describe('frames', () => {
  test('the format, byte by byte', () => {
    const frame = messagesFrame([Uint8Array.of(7, 8)], 0x0102_0304_0506)
    expect([...frame.subarray(0, 4)]).toEqual([18, 0, 0, 0])
    expect(new DataView(frame.buffer).getUint32(4, true)).toBe(crc32c(frame, 8))
    expect([...frame.subarray(8)]).toEqual([1, 2, 0, 0, 6, 5, 4, 3, 2, 1, 0, 0, 2, 0, 0, 0, 7, 8])
    expect([...PONG_FRAME.subarray(8)]).toEqual([1, 4, 0, 0])
    expect([...encodePingFrame(258).subarray(8)]).toEqual([1, 3, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0])
    const hello = encodeHelloFrame(HELLO)
    expect(hello.length).toBe(FRAME_HEADER_BYTES + 8 + 4 + 8 + 16 + 8 + 4 + 7)
    expect([...hello.subarray(8, 24)]).toEqual([1, 1, 0, 0, ...latin1Bytes('QUORPEER'), 1, 0, 2, 0])
  })

  test('HELLO, PING and REFUSAL come back as they were', () => {
    const seen: unknown[] = []
    const decoder = new FrameDecoder(MAX_FRAME_BYTES)
    const stream = concatBytes([
      encodeHelloFrame(HELLO),
      encodePingFrame(1_767_225_600_123),
      PONG_FRAME,
      encodeRefusalFrame({ code: 'cluster', text: 'not here' }),
    ])
    const error = decoder.push(stream, (kind, payload) => {
      if (kind === FRAME_HELLO) seen.push(decodeHello(payload))
      else if (kind === FRAME_PING) seen.push(decodeFrameClock(payload))
      else if (kind === FRAME_REFUSAL) seen.push(decodeRefusal(payload))
      else seen.push(kind, payload.length)
      return true
    })
    expect(error).toBeNull()
    expect(seen).toEqual([HELLO, 1_767_225_600_123, FRAME_PONG, 0, { code: 'cluster', text: 'not here' }])
  })

  test('any messages, cut anywhere, arrive as they were', () => {
    const messageLists = fc.array(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }), { maxLength: 8 })
    fc.assert(
      fc.property(messageLists, fc.integer(), fc.constantFrom(1, 3, 20, 500, 100_000), (lists, seed, maxBytes) => {
        const stream = concatBytes(lists.map((list) => messagesFrame(list)))
        const { messages, error } = receive(cut(stream, new Prng(seed), maxBytes))
        expect(error).toBeNull()
        expect(messages).toEqual(lists.flat())
      }),
      { numRuns: 300 },
    )
  })

  test('a large message comes through small reads', () => {
    const random = new Prng(1)
    const large = new Uint8Array(MAX_MESSAGE_BYTES).map(() => random.u32())
    const { messages, error } = receive(cut(messagesFrame([large]), random, 65_536))
    expect(error).toBeNull()
    expect(Buffer.compare(messages[0], large)).toBe(0)
  })

  test('every flipped bit is found: no wrong message, no message after it', () => {
    const before = messagesFrame([latin1Bytes('before')])
    const struck = messagesFrame([latin1Bytes('struck by a flip'), latin1Bytes('twice')], 99)
    const after = messagesFrame([latin1Bytes('after')])
    for (let bit = 0; bit < struck.length * 8; bit++) {
      const broken = struck.slice()
      broken[bit >> 3] ^= 1 << (bit & 7)
      const { messages, error } = receive([concatBytes([before, broken, after])])
      expect(messages).toEqual([latin1Bytes('before')])
      // A length that grew may wait for bytes that never come (the silence time-out ends it); all else is an error.
      if (error === null) expect(bit).toBeLessThan(32)
    }
  })

  test('a cut stream gives what was whole, and waits', () => {
    const frames = [messagesFrame([latin1Bytes('one')]), messagesFrame([latin1Bytes('two'), latin1Bytes('three')])]
    const stream = concatBytes(frames)
    for (let length = 0; length < stream.length; length++) {
      const { messages, error } = receive([stream.subarray(0, length)])
      expect(error).toBeNull()
      expect(messages.length).toBe(length >= frames[0].length ? 1 : 0)
    }
  })

  test('garbage gives nothing but an error or silence', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.integer(), (garbage, seed) => {
        const { messages, kinds } = receive(cut(garbage, new Prng(seed), 50))
        expect(messages).toEqual([])
        expect(kinds).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('lengths out of bounds are refused from the first four bytes, before any memory is taken', () => {
    for (const [length, code] of [
      [0, 'corrupt'],
      [3, 'corrupt'],
      [MAX_FRAME_BYTES - 7, 'oversize'],
      [0xffff_ffff, 'oversize'],
    ] as const) {
      const head = new Uint8Array(8)
      new DataView(head.buffer).setUint32(0, length, true)
      expect(receive([head]).error).toMatchObject({ code })
      expect(receive(cut(head, new Prng(1), 1)).error).toMatchObject({ code })
    }
  })

  test('what waits takes no more than what has come, whatever the header claims', () => {
    const decoder = new FrameDecoder(MAX_FRAME_BYTES)
    const head = new Uint8Array(100)
    new DataView(head.buffer).setUint32(0, MAX_FRAME_BYTES - 8, true)
    expect(decoder.push(head, () => true)).toBeNull()
    expect(decoder.pendingBytes).toBe(100)
  })

  test('another frame version is told by its number', () => {
    const frame = messagesFrame([latin1Bytes('from the future')])
    frame[8] = 2
    new DataView(frame.buffer).setUint32(4, crc32c(frame, 8), true)
    expect(receive([frame]).error).toEqual({ code: 'version', message: 'frame version 2, this node speaks 1' })
  })

  test('a HELLO of another protocol version may look otherwise behind its version', () => {
    const frame = encodeHelloFrame({ ...HELLO, protocolVersion: 9 })
    expect(decodeHello(frame.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + 10)).protocolVersion).toBe(9)
  })

  test('HELLO with anything missing or left over is malformed', () => {
    const payload = encodeHelloFrame(HELLO).subarray(FRAME_HEADER_BYTES)
    for (let length = 0; length < payload.length; length++) {
      expect(() => decodeHello(payload.subarray(0, length))).toThrow(DecodeError)
    }
    expect(() => decodeHello(concatBytes([payload, Uint8Array.of(0)]))).toThrow(DecodeError)
    const foreign = payload.slice()
    foreign[0] ^= 1
    expect(() => decodeHello(foreign)).toThrow(/magic/)
  })

  test('message lengths that do not add up are found before the first message is handed out', () => {
    const random = new Prng(5)
    const payload = messagesFrame([latin1Bytes('first'), latin1Bytes('second')]).subarray(FRAME_HEADER_BYTES)
    const visited: Uint8Array[] = []
    for (let round = 0; round < 2000; round++) {
      const broken = payload.slice(0, random.between(8, payload.length))
      const view = new DataView(broken.buffer)
      if (broken.length >= 12) view.setUint32(8, random.below(2) === 0 ? random.u32() : random.below(40), true)
      visited.length = 0
      try {
        visitMessages(broken, (message) => visited.push(message) > 0)
        const total = visited.reduce((sum, message) => sum + MESSAGE_OVERHEAD_BYTES + message.length, 8)
        expect(total).toBe(broken.length)
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError)
        expect(visited).toEqual([])
      }
    }
  })
})
