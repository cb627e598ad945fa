import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asReplicaId, asTerm } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError } from '../base/bytes.ts'
import type { Entry, EntryKind } from './entry.ts'
import { decodeRaftMessage, encodeRaftMessage } from './raft-codec.ts'
import type { RaftMessage } from './raft-message.ts'

const number = fc.oneof(fc.nat(300), fc.maxSafeNat())
const id = fc.nat(0xffff_ffff).map(asReplicaId)
const index = number.map(asLogIndex)
const term = number.map(asTerm)
const flag = fc.boolean()
const envelope = { group: fc.nat(0xffff_ffff).map(asGroupId), from: id, to: id, term }

const entries = fc
  .tuple(fc.nat(1 << 30), fc.array(fc.tuple(number, fc.nat(2), fc.uint8Array({ maxLength: 40 })), { maxLength: 5 }))
  .map(([first, parts]): Entry[] =>
    parts.map(([entryTerm, kind, payload], i) => ({
      term: asTerm(entryTerm),
      index: asLogIndex(first + i),
      kind: kind as EntryKind,
      payload,
    })),
  )

const type = <T extends string>(name: T) => fc.constant(name)

const message: fc.Arbitrary<RaftMessage> = fc.oneof(
  fc.record({ type: type('preVoteRequest'), ...envelope, lastIndex: index, lastTerm: term }),
  fc.record({ type: type('preVoteResponse'), ...envelope, granted: flag }),
  fc.record({ type: type('voteRequest'), ...envelope, lastIndex: index, lastTerm: term, transfer: flag }),
  fc.record({ type: type('voteResponse'), ...envelope, granted: flag }),
  fc.record({ type: type('appendRequest'), ...envelope, prevIndex: index, prevTerm: term, commit: index, entries }),
  fc.record({ type: type('appendResponse'), ...envelope, success: flag, index, hintIndex: index, hintTerm: term }),
  fc.record({ type: type('heartbeat'), ...envelope, commit: index, readToken: number }),
  fc.record({ type: type('heartbeatResponse'), ...envelope, readToken: number }),
  fc.record({ type: type('timeoutNow'), ...envelope }),
  fc.record({ type: type('rest'), ...envelope, commit: index }),
  fc.record({ type: type('readIndexRequest'), ...envelope, context: number }),
  fc.record({ type: type('readIndexResponse'), ...envelope, context: number, ok: flag, index }),
)

function encode(...messages: RaftMessage[]): Uint8Array {
  const writer = new BytesWriter(8)
  for (const one of messages) encodeRaftMessage(writer, one)
  return writer.copy()
}

describe('raft codec', () => {
  it('gives back what it was given, several in a row', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), (messages) => {
        const reader = new BytesReader(encode(...messages))
        expect(messages.map(() => decodeRaftMessage(reader))).toEqual(messages)
        reader.expectEnd()
      }),
      { numRuns: 500 },
    )
  })

  it('refuses every cut message with a DecodeError', () => {
    fc.assert(
      fc.property(message, (one) => {
        const bytes = encode(one)
        for (let cut = 0; cut < bytes.length; cut++) {
          expect(() => decodeRaftMessage(new BytesReader(bytes, 0, cut))).toThrow(DecodeError)
        }
      }),
    )
  })

  it('throws nothing but DecodeError on noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        try {
          decodeRaftMessage(new BytesReader(noise))
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps heartbeats small and payloads as views', () => {
    const head = { group: asGroupId(3), from: asReplicaId(1), to: asReplicaId(2), term: asTerm(7) }
    const heartbeat: RaftMessage = { type: 'heartbeat', ...head, commit: asLogIndex(1_000_000), readToken: 90_000 }
    expect(encode(heartbeat).length).toBe(11)
    const entry: Entry = { term: asTerm(7), index: asLogIndex(5), kind: 1, payload: Uint8Array.of(1, 2, 3) }
    const append: RaftMessage = {
      type: 'appendRequest',
      ...head,
      prevIndex: asLogIndex(4),
      prevTerm: asTerm(7),
      commit: asLogIndex(4),
      entries: [entry],
    }
    const bytes = encode(append)
    const decoded = decodeRaftMessage(new BytesReader(bytes))
    expect(decoded.type === 'appendRequest' && decoded.entries[0].payload.buffer).toBe(bytes.buffer)
  })

  it('refuses a flag where none belongs, unknown kinds, ids above 32 bits and endless varints', () => {
    const timeoutNow = encode({
      type: 'timeoutNow',
      group: asGroupId(1),
      from: asReplicaId(1),
      to: asReplicaId(2),
      term: asTerm(1),
    })
    for (const head of [timeoutNow[0] | 0x80, 0, 12, 0x7f]) {
      const bytes = timeoutNow.slice()
      bytes[0] = head
      expect(() => decodeRaftMessage(new BytesReader(bytes))).toThrow(DecodeError)
    }
    const wide = Uint8Array.of(9, 0xff, 0xff, 0xff, 0xff, 0x1f, 1, 1, 1)
    expect(() => decodeRaftMessage(new BytesReader(wide))).toThrow(/too large/)
    const endless = new Uint8Array(20).fill(0xff)
    endless[0] = 9
    expect(() => decodeRaftMessage(new BytesReader(endless))).toThrow(/too long/)
  })
})
