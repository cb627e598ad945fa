import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asNodeId, asSlotId } from '../base/brand.ts'
import { BytesWriter, DecodeError, EMPTY_BYTES } from '../base/bytes.ts'
import {
  decodeMigrationMessage,
  encodeMigrationMessage,
  type MigrationMessage,
  PULL_SLOTS_MAX,
} from './migration-message.ts'
import { encodeMove, FIRST_CURSOR, STAGE_STREAMING, type StageCursor } from './move-command.ts'

const ENVELOPE = { toGroup: asGroupId(3), fromGroup: asGroupId(4), reconfigId: 17, requestId: 2 ** 40 }
const STREAMING: StageCursor = { sourceGeneration: 9, stage: STAGE_STREAMING, position: 0, above: 0, index: 1234 }
const NOTHING = { kind: 'begun', disableIndex: asLogIndex(0) } as const

const MESSAGES: readonly MigrationMessage[] = [
  {
    ...ENVELOPE,
    type: 'pull',
    maxBytes: 1 << 20,
    throughIndex: 99,
    stagedBytes: 2 ** 41,
    slots: [
      { slot: asSlotId(4), cursor: STREAMING, confirmed: STREAMING },
      { slot: asSlotId(5), cursor: STREAMING, confirmed: FIRST_CURSOR },
    ],
  },
  {
    ...ENVELOPE,
    type: 'parts',
    standing: { kind: 'disabled', disableIndex: asLogIndex(77) },
    appliedIndex: 80,
    logTimeMs: 1e12,
    lag: { keys: 3, bytes: 2 ** 33 },
    slotsRead: 2,
    parts: [
      {
        slot: asSlotId(4),
        expected: FIRST_CURSOR,
        next: STREAMING,
        sessions: EMPTY_BYTES,
        items: [{ key: Uint8Array.of(1), value: Uint8Array.of(2, 3), expiresAtMs: 5 }],
      },
    ],
  },
  { ...ENVELOPE, type: 'ask', asked: 'source', own: { ...NOTHING, kind: 'refused' }, slots: [asSlotId(1)] },
  { ...ENVELOPE, type: 'ask', asked: 'destination', own: NOTHING, slots: [] },
  { ...ENVELOPE, type: 'answer', standing: { kind: 'committed', disableIndex: asLogIndex(0) } },
  { ...ENVELOPE, type: 'redirect', leader: { nodeId: asNodeId(6), address: 'b:7000' } },
  { ...ENVELOPE, type: 'redirect', leader: null },
]

describe('messages of a migration', () => {
  it.each(MESSAGES)('$type comes back as it went', (message) => {
    expect(decodeMigrationMessage(encodeMigrationMessage(message))).toEqual(message)
  })

  it('cut short anywhere, or with something behind: DecodeError', () => {
    for (const message of MESSAGES) {
      const bytes = encodeMigrationMessage(message)
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decodeMigrationMessage(bytes.slice(0, length))).toThrow(DecodeError)
      }
      expect(() => decodeMigrationMessage(Uint8Array.from([...bytes, 0]))).toThrow(DecodeError)
    }
  })

  it('any changed byte: another message, or DecodeError', () => {
    for (const message of MESSAGES) {
      const bytes = encodeMigrationMessage(message)
      for (let at = 0; at < bytes.length; at++) {
        const changed = bytes.slice()
        changed[at] ^= 0xff
        try {
          decodeMigrationMessage(changed)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }
    }
  })

  it('a pull of more slots than may be, and parts of another reconfig', () => {
    const slot = { slot: asSlotId(0), cursor: FIRST_CURSOR, confirmed: FIRST_CURSOR }
    const pull = { ...ENVELOPE, type: 'pull', maxBytes: 1, throughIndex: 0, stagedBytes: 0 } as const
    const slots = Array.from({ length: PULL_SLOTS_MAX + 1 }, () => slot)
    expect(() => decodeMigrationMessage(encodeMigrationMessage({ ...pull, slots }))).toThrow('names 129 slots')
    const parts = encodeMigrationMessage({
      ...(MESSAGES[1] as Extract<MigrationMessage, { type: 'parts' }>),
      parts: [],
    })
    const writer = new BytesWriter()
    const stage = encodeMove({ kind: 'stage', reconfigId: 18, parts: [] })
    writer.raw(parts.subarray(0, parts.length - stage.length))
    writer.raw(stage)
    expect(() => decodeMigrationMessage(writer.copy())).toThrow('not those of this reconfig')
  })
})
