// What the master asks of groups: over the wire, to whom, and what it may conclude where no clear answer comes.
import { describe, expect, it } from 'vitest'
import { asGroupId, asNodeId, asSlotId, type NodeId } from '../../base/brand.ts'
import { DecodeError, latin1Bytes } from '../../base/bytes.ts'
import { Prng } from '../../base/prng.ts'
import type { GroupAnswer, GroupCommands } from '../../ports/group-commands.ts'
import { SILENT_LOGGER } from '../../ports/logger.ts'
import type { CallOutcome, NodeCalls } from '../../ports/node-calls.ts'
import { encodeMove } from '../../protocol/move-command.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { GroupCommandCalls } from './group-command-calls.ts'
import {
  decodeGroupReply,
  decodeGroupRequest,
  encodeGroupReply,
  encodeGroupRequest,
  type GroupReply,
  type GroupRequest,
} from './group-command-codec.ts'

const GROUP = asGroupId(7)
const SLOTS = [asSlotId(3), asSlotId(900)]
const BEGIN = {
  reconfigId: 12,
  fence: 5,
  peer: { group: asGroupId(2), nodes: [{ nodeId: asNodeId(4), address: 'host:7000' }] },
  slots: [{ first: asSlotId(3), last: asSlotId(9), predecessor: 4 }],
}

const REQUESTS: readonly GroupRequest[] = [
  { kind: 'command', group: GROUP, command: { kind: 'begin-source', ...BEGIN } },
  { kind: 'command', group: GROUP, command: { kind: 'cancel', reconfigId: 12, fence: 5 } },
  { kind: 'source', group: GROUP, reconfigId: 12, slots: SLOTS },
  { kind: 'destination', group: GROUP, reconfigId: 12, slots: [] },
]
const REPLIES: readonly GroupReply[] = [
  { kind: 'applied', reply: { outcome: 'wrong-predecessor', index: 88 } },
  { kind: 'elsewhere', leader: asNodeId(3) },
  { kind: 'elsewhere', leader: null },
  { kind: 'unknown' },
  { kind: 'standing', standing: 'kept' },
  { kind: 'standing', standing: 'committed' },
]

describe('the codec', () => {
  it('gives back what it was given', () => {
    for (const request of REQUESTS) expect(decodeGroupRequest(encodeGroupRequest(request))).toEqual(request)
    for (const reply of REPLIES) expect(decodeGroupReply(encodeGroupReply(reply))).toEqual(reply)
  })

  it('refuses what is cut off, has more to it, or is no step of a master, and nothing worse than that', () => {
    const random = new Prng(1)
    const all: [Uint8Array, (bytes: Uint8Array) => unknown][] = [
      ...REQUESTS.map((each): [Uint8Array, typeof decodeGroupRequest] => [
        encodeGroupRequest(each),
        decodeGroupRequest,
      ]),
      ...REPLIES.map((each): [Uint8Array, typeof decodeGroupReply] => [encodeGroupReply(each), decodeGroupReply]),
    ]
    for (const [bytes, decode] of all) {
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decode(bytes.subarray(0, length)), `${bytes} to ${length}`).toThrow(DecodeError)
      }
      expect(() => decode(new Uint8Array([...bytes, 0]))).toThrow(DecodeError)
      for (let round = 0; round < 200; round++) {
        const damaged = bytes.slice()
        damaged[random.below(bytes.length)] = random.below(256)
        try {
          decode(damaged)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }
    }
    const disable = encodeMove({ kind: 'disable', reconfigId: 1 })
    expect(() => decodeGroupRequest(new Uint8Array([1, 7, 0, 0, 0, ...disable]))).toThrow('disable is no master')
  })
})

/** Nodes that answer by a script; every call is noted. */
class Scripted implements NodeCalls {
  readonly asked: NodeId[] = []
  readonly #scheduler = new Scheduler(1)
  readonly #answers: (node: NodeId) => CallOutcome | GroupReply
  readonly commands: GroupCommands

  constructor(leader: number | null, members: readonly number[], answers: (node: NodeId) => CallOutcome | GroupReply) {
    this.#answers = answers
    const places = {
      leaderOf: () => (leader === null ? null : asNodeId(leader)),
      membersOf: () => members.map(asNodeId),
    }
    const clock = new SimClock(this.#scheduler, { label: 'master' })
    this.commands = new GroupCommandCalls(this, places, clock, SILENT_LOGGER)
  }

  serve(): void {}

  call(to: NodeId, _method: number, _body: Uint8Array, _timeoutMs: number, done: (outcome: CallOutcome) => void): void {
    this.asked.push(to)
    const given = this.#answers(to)
    const isOutcome = given.kind === 'answered' || given.kind === 'unreachable' || given.kind === 'unknown'
    const outcome: CallOutcome = isOutcome ? given : { kind: 'answered', reply: encodeGroupReply(given) }
    this.#scheduler.after(1, 'answer', () => done(outcome))
  }

  /** What came, each once. */
  cancel(): GroupAnswer[] {
    const answers: GroupAnswer[] = []
    this.commands.cancel(GROUP, 12, 5, (answer) => answers.push(answer))
    expect(answers).toEqual([])
    this.#scheduler.runUntil(100)
    return answers
  }

  sourceStanding(): (string | null)[] {
    const answers: (string | null)[] = []
    this.commands.sourceStanding(GROUP, 12, SLOTS, (standing) => answers.push(standing))
    this.#scheduler.runUntil(100)
    return answers
  }
}

const DONE: GroupReply = { kind: 'applied', reply: { outcome: 'done', index: 3 } }
const elsewhere = (leader: number | null): GroupReply => ({
  kind: 'elsewhere',
  leader: leader === null ? null : asNodeId(leader),
})

describe('the way to the leader', () => {
  it('is the one that is known, else through the members, else where they point', () => {
    const known = new Scripted(3, [1, 2, 3], () => DONE)
    expect(known.cancel()).toEqual([{ kind: 'applied', outcome: 'done' }])
    expect(known.asked).toEqual([3])
    const turn = new Scripted(null, [1, 2, 3], (node) => (node === 3 ? DONE : elsewhere(null)))
    expect(turn.cancel()).toEqual([{ kind: 'applied', outcome: 'done' }])
    expect(turn.asked).toEqual([1, 2, 3])
    const away = new Scripted(9, [1, 2, 3], (node) => {
      if (node === 9) return { kind: 'unreachable' }
      return node === 5 ? DONE : elsewhere(5)
    })
    expect(away.cancel()).toEqual([{ kind: 'applied', outcome: 'done' }])
    expect(away.asked).toEqual([9, 1, 5])
  })

  it('ends, where they point at each other', () => {
    const circle = new Scripted(null, [1, 2], (node) => elsewhere(node === 1 ? 2 : 1))
    expect(circle.cancel()).toEqual([{ kind: 'unreachable' }])
    expect(circle.asked.length).toBeLessThan(8)
    expect(new Scripted(null, [], () => DONE).cancel()).toEqual([{ kind: 'unreachable' }])
  })

  it('goes no further for a command that may have been carried out, and does for a question', () => {
    for (const lost of [{ kind: 'unknown' }, { kind: 'answered', reply: latin1Bytes('?') }] as const) {
      const script = (node: NodeId): CallOutcome | GroupReply => {
        return node === 1 ? lost : { kind: 'standing', standing: 'kept' }
      }
      const command = new Scripted(null, [1, 2], script)
      expect(command.cancel()).toEqual([{ kind: 'unknown' }])
      expect(command.asked).toEqual([1])
      const question = new Scripted(null, [1, 2], script)
      expect(question.sourceStanding()).toEqual(['kept'])
    }
    expect(new Scripted(null, [1], () => ({ kind: 'unreachable' })).sourceStanding()).toEqual([null])
    // Not an answer to this question.
    expect(new Scripted(null, [1], () => ({ kind: 'standing', standing: 'staging' })).sourceStanding()).toEqual([null])
  })
})
