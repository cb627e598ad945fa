// Every message comes back as it was; what is cut, or is no message, is a DecodeError and nothing else.
import { describe, expect, it } from 'vitest'
import { asNodeId } from '../base/brand.ts'
import { DecodeError, latin1Bytes } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import {
  decodeMetadataMessage,
  encodeMetadataRequest,
  encodeMetadataResponse,
  METADATA_TYPE_MAX,
  METADATA_TYPE_MIN,
  type MetadataRequestBody,
  type MetadataResponseBody,
  passedOn,
} from './metadata-message.ts'
import { OUTCOME_UNKNOWN } from './request-message.ts'

const ENVELOPE = { hops: 0, node: asNodeId(7), client: 0xfffffffe, attachment: 2 ** 40, request: 2 ** 50 }
const BLOBS = [latin1Bytes('one'), latin1Bytes(''), latin1Bytes('three')]

const REQUESTS: readonly MetadataRequestBody[] = [
  { type: 'attach', session: 0, timeoutMs: 10_000 },
  { type: 'alive', session: 2 ** 45 },
  { type: 'read', minIndex: 9, reads: BLOBS },
  { type: 'sync' },
  { type: 'write', payloads: BLOBS },
  {
    type: 'watch',
    added: [
      { id: 1, kind: 'tree', path: '/ü' },
      { id: 2, kind: 'node', path: '/' },
    ],
    removed: [3, 4],
  },
  { type: 'ack' },
]

const RESPONSES: readonly MetadataResponseBody[] = [
  { type: 'attached', applied: 12 },
  { type: 'heard' },
  { type: 'replies', asOf: 5, replies: BLOBS },
  { type: 'synced', asOf: 6 },
  { type: 'wrote', sequence: 3, outcome: OUTCOME_UNKNOWN, reply: latin1Bytes('reply') },
  { type: 'watching' },
  { type: 'fired', asOf: 8, ids: [1, 2, 3] },
  { type: 'refused' },
  { type: 'detached' },
  { type: 'over', session: 11 },
]

const ENCODED: readonly Uint8Array[] = [
  ...REQUESTS.map((body) => encodeMetadataRequest({ ...ENVELOPE, ...body })),
  ...RESPONSES.map((body) => encodeMetadataResponse({ ...ENVELOPE, logTimeMs: 99, ...body })),
].map((bytes) => bytes.slice())

/** Null: not a message. */
function decoded(bytes: Uint8Array): ReturnType<typeof decodeMetadataMessage> | null {
  try {
    return decodeMetadataMessage(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

describe('metadata messages', () => {
  it.each(REQUESTS)('a request comes back: $type', (body) => {
    const bytes = encodeMetadataRequest({ ...ENVELOPE, ...body })
    expect(decodeMetadataMessage(bytes)).toEqual({ kind: 'request', message: { ...ENVELOPE, ...body } })
    const passed = passedOn(bytes)
    expect(decodeMetadataMessage(passed)).toEqual({ kind: 'request', message: { ...ENVELOPE, ...body, hops: 1 } })
  })

  it.each(RESPONSES)('a response comes back: $type', (body) => {
    const bytes = encodeMetadataResponse({ ...ENVELOPE, logTimeMs: 99, ...body })
    expect(decodeMetadataMessage(bytes)).toEqual({
      kind: 'response',
      message: { ...ENVELOPE, logTimeMs: 99, ...body },
    })
  })

  it('begin with a byte of their own range', () => {
    for (const bytes of ENCODED) {
      expect(bytes[0]).toBeGreaterThanOrEqual(METADATA_TYPE_MIN)
      expect(bytes[0]).toBeLessThanOrEqual(METADATA_TYPE_MAX)
    }
    expect(new Set(ENCODED.map((bytes) => bytes[0])).size).toBe(ENCODED.length)
  })

  it('cut anywhere, or longer, are refused', () => {
    for (const bytes of ENCODED) {
      for (let length = 0; length < bytes.length; length++) expect(decoded(bytes.subarray(0, length))).toBeNull()
      expect(decoded(Uint8Array.from([...bytes, 0]))).toBeNull()
    }
  })

  it('with bits turned decode to something, or are refused', () => {
    const random = new Prng(1)
    let refused = 0
    for (let round = 0; round < 20_000; round++) {
      const bytes = random.pick(ENCODED).slice()
      for (let i = random.between(1, 3); i > 0; i--) bytes[random.below(bytes.length)] ^= 1 << random.below(8)
      if (decoded(bytes) === null) refused++
    }
    expect(refused).toBeGreaterThan(1_000)
  })
})
