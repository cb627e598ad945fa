import { expect, it } from 'vitest'
import { latin1Bytes } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { type Reply, ReplyError, ReplyParser } from './reply.ts'
import { bytesText, wordBytes } from './text.ts'

const WIRE =
  '+OK\r\n:42\r\n:-9223372036854775808\r\n$-1\r\n*-1\r\n$4\r\na\r\nb\r\n*0\r\n*2\r\n*1\r\n$0\r\n\r\n-ERR no\r\n'
const REPLIES: Reply[] = [
  'OK',
  42,
  -(2n ** 63n),
  null,
  null,
  latin1Bytes('a\r\nb'),
  [],
  [[new Uint8Array(0)], new ReplyError('ERR no')],
]

it('reads replies however they are cut', () => {
  const bytes = latin1Bytes(WIRE.repeat(3))
  for (const size of [1, 2, 3, 7, 11, 1000]) {
    const parser = new ReplyParser()
    const replies: Reply[] = []
    for (let at = 0; at < bytes.length; at += size) {
      // The chunk is the reader's buffer: what is kept must be a copy.
      const chunk = bytes.slice(at, at + size)
      parser.push(chunk, (reply) => replies.push(reply))
      chunk.fill(0)
    }
    expect(replies, `chunks of ${size}`).toEqual([...REPLIES, ...REPLIES, ...REPLIES])
  }
})

it.each(['?x\r\n', ':x\r\n', '$x\r\n', '$-2\r\n', '*1.5\r\n', '*1\r\n'.repeat(20), 'x'.repeat(70_000)])(
  'refuses what is no RESP2: %.20s',
  (wire) => {
    expect(() => new ReplyParser().push(latin1Bytes(wire), () => {})).toThrow()
  },
)

it('reads and writes text as UTF-8, whatever the bytes are', () => {
  const random = new Prng(1)
  for (const text of ['', 'plain', 'größe', '日本', '🦊 fox', '\u{10ffff}\u0080']) {
    expect(wordBytes(text)).toEqual(new TextEncoder().encode(text))
    expect(bytesText(wordBytes(text))).toBe(text)
  }
  expect([wordBytes(12), wordBytes(-(2n ** 63n))]).toEqual([latin1Bytes('12'), latin1Bytes('-9223372036854775808')])
  for (let i = 0; i < 2_000; i++) {
    const bytes = Uint8Array.from({ length: random.below(6) }, () => random.below(256))
    const own = bytesText(bytes)
    // How many U+FFFD stand for one broken run is anybody's choice.
    const runs = (text: string): string => text.replace(/\ufffd+/g, '\ufffd')
    expect(runs(own), `${bytes}`).toBe(runs(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)))
  }
})
