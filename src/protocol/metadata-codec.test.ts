import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asTerm } from '../base/brand.ts'
import { BytesReader, BytesWriter, DecodeError, utf8Bytes } from '../base/bytes.ts'
import {
  decodeMetadataRead,
  decodeMetadataWrite,
  encodeMetadataRead,
  encodeMetadataWrite,
  type MetadataRead,
  type MetadataWrite,
} from './metadata-command.ts'
import {
  METADATA_ERROR_CODES,
  type MetadataError,
  type MetadataOperation,
  type MetadataResult,
  type NodeStat,
} from './metadata-operation.ts'
import { decodeMetadataReply, encodeMetadataReply, type MetadataReply } from './metadata-reply.ts'
import { readText, utf8Length, writeText } from './metadata-text.ts'

// Also lone surrogates and what lies beyond the basic plane.
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii' }), fc.constant('\ud800x\udc00'))
const data = fc.uint8Array({ maxLength: 20 })
const number = fc.maxSafeNat()
const version = fc.oneof(fc.constant(-1), fc.nat())

const operation: fc.Arbitrary<MetadataOperation> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    path: text,
    data,
    options: fc.record({ ephemeral: fc.boolean(), sequential: fc.boolean() }),
  }),
  fc.record({ kind: fc.constant('set' as const), path: text, data, version }),
  fc.record({ kind: fc.constantFrom('delete' as const, 'check' as const), path: text, version }),
)

const write: fc.Arbitrary<MetadataWrite> = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    timeoutMs: fc.nat({ max: 0xffffffff }),
    nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  }),
  fc.constant({ kind: 'close' } as const),
  fc.record({
    kind: fc.constant('expire' as const),
    session: number,
    term: number.map(asTerm),
    reason: fc.constantFrom('timeout' as const, 'operator' as const),
  }),
  fc.record({ kind: fc.constant('multi' as const), operations: fc.array(operation) }),
)

const read: fc.Arbitrary<MetadataRead> = fc.record({
  kind: fc.constantFrom('get' as const, 'exists' as const, 'children' as const),
  session: number,
  path: text,
})

const stat: fc.Arbitrary<NodeStat> = fc.record({
  creationId: number,
  modificationId: number,
  version: number,
  childVersion: number,
  ephemeralOwner: fc.oneof(fc.constant(null), fc.integer({ min: 1 }).map(String)),
  dataBytes: fc.nat(),
  childCount: fc.nat(),
})

const result: fc.Arbitrary<MetadataResult> = fc.oneof(
  fc.record({ kind: fc.constant('created' as const), path: text, stat }),
  fc.record({ kind: fc.constant('set' as const), stat }),
  fc.constantFrom({ kind: 'deleted' } as const, { kind: 'checked' } as const),
)

const error: fc.Arbitrary<MetadataError> = fc.record({
  code: fc.constantFrom(...METADATA_ERROR_CODES),
  message: text,
  operation: fc.integer({ min: -1, max: 1023 }),
})

const reply: fc.Arbitrary<MetadataReply> = fc.oneof(
  fc.record({ kind: fc.constant('error' as const), error }),
  fc.record({ kind: fc.constant('opened' as const), session: number, timeoutMs: fc.nat() }),
  fc.record({ kind: fc.constant('ended' as const), byThisEntry: fc.boolean() }),
  fc.record({ kind: fc.constant('results' as const), results: fc.array(result) }),
  fc.record({ kind: fc.constant('node' as const), node: fc.record({ data, stat }) }),
  fc.record({ kind: fc.constant('stat' as const), stat: fc.oneof(fc.constant(null), stat) }),
  fc.record({ kind: fc.constant('children' as const), names: fc.array(text) }),
)

/** Cut, lengthened, or with a byte changed. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('longer' as const), byte: fc.nat({ max: 255 }) }),
  fc.record({ kind: fc.constant('changed' as const), at: fc.nat(), byte: fc.nat({ max: 255 }) }),
)

function damaged(bytes: Uint8Array, how: typeof damage extends fc.Arbitrary<infer T> ? T : never): Uint8Array {
  if (how.kind === 'longer') return Uint8Array.from([...bytes, how.byte])
  const at = how.at % bytes.length
  if (how.kind === 'cut') return bytes.slice(0, at)
  const copy = bytes.slice()
  copy[at] = how.byte
  return copy
}

/** Decodes, or throws DecodeError and nothing else; null then. */
function decoded<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (failure) {
    if (failure instanceof DecodeError) return null
    throw failure
  }
}

describe('metadata codecs', () => {
  it('give back what was encoded', () => {
    fc.assert(fc.property(write, (one) => void expect(decodeMetadataWrite(encodeMetadataWrite(one))).toEqual(one)))
    fc.assert(fc.property(read, (one) => void expect(decodeMetadataRead(encodeMetadataRead(one))).toEqual(one)))
    fc.assert(
      fc.property(number, reply, (asOf, one) => {
        expect(decodeMetadataReply(encodeMetadataReply(asOf, one))).toEqual({ asOf, reply: one })
      }),
    )
  })

  it('refuse malformed bytes with DecodeError alone, and what they accept has one encoding', () => {
    const options = { numRuns: 500 }
    fc.assert(
      fc.property(write, damage, (one, how) => {
        const bytes = damaged(encodeMetadataWrite(one), how)
        const other = decoded(() => decodeMetadataWrite(bytes))
        if (other !== null) expect(encodeMetadataWrite(other)).toEqual(bytes)
      }),
      options,
    )
    fc.assert(
      fc.property(read, damage, (one, how) => {
        const bytes = damaged(encodeMetadataRead(one), how)
        const other = decoded(() => decodeMetadataRead(bytes))
        if (other !== null) expect(encodeMetadataRead(other)).toEqual(bytes)
      }),
      options,
    )
    fc.assert(
      fc.property(reply, damage, (one, how) => {
        const bytes = damaged(encodeMetadataReply(7, one), how)
        const other = decoded(() => decodeMetadataReply(bytes))
        if (other !== null) expect(encodeMetadataReply(other.asOf, other.reply)).toEqual(bytes)
      }),
      options,
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeMetadataWrite, decodeMetadataRead, decodeMetadataReply])
          decoded(() => decode(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  it('do not build what a count merely claims', () => {
    const claims = Uint8Array.from([4, 0xff, 0xff, 0xff, 0xff, 1, 0, 0])
    expect(() => decodeMetadataWrite(claims)).toThrow(DecodeError)
    const names = new BytesWriter()
    names.u64(1)
    names.u8(6)
    names.u32(0xffffffff)
    expect(() => decodeMetadataReply(names.finish())).toThrow(DecodeError)
  })

  it('text is UTF-8, and only in its shortest form', () => {
    for (const sample of ['', 'plain', 'ü', '€uro', '\u{1f600}', '\ud800', 'x'.repeat(10_000), '€'.repeat(10_000)]) {
      const writer = new BytesWriter()
      writeText(writer, sample)
      expect(writer.length).toBe(4 + utf8Length(sample))
      expect(writer.finish().slice(4)).toEqual(utf8Bytes(sample))
      expect(readText(new BytesReader(writer.finish()))).toBe(sample)
    }
    const bad = [[0x80], [0xc0, 0x80], [0xe0, 0x80, 0x80], [0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff]]
    bad.push([0xc3], [0xc3, 0x28], [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80])
    for (const bytes of bad) {
      const writer = new BytesWriter()
      writer.blob(Uint8Array.from(bytes))
      expect(() => readText(new BytesReader(writer.finish())), String(bytes)).toThrow(DecodeError)
    }
  })
})
