// The leader's side of passed-on requests: order within an epoch, nothing after a refusal, answers that fit and are bounded.
import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asNodeId, asSlotId } from '../base/brand.ts'
import { BytesReader, latin1Bytes, latin1Text } from '../base/bytes.ts'
import type { PeerChannel } from '../ports/peer-channel.ts'
import { encodeCommand, encodePayload, PAYLOAD_WRITE } from '../protocol/command.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { MAX_MESSAGE_BYTES } from '../protocol/frame.ts'
import {
  decodeRequestMessage,
  OUTCOME_REFUSED,
  OUTCOME_REPLY,
  type PassedResponse,
  REQUEST_FLAG_AFTER_WRITES,
  REQUEST_READ,
  REQUEST_WRITE,
  type RequestKind,
} from '../protocol/request-message.ts'
import { ReplicaWorld, type WorldNode } from '../replication/raft/replica-world.testkit.ts'
import { PassedRequests } from './passed-requests.ts'

const ASKER = asNodeId(9)
const STREAM = 1

class World {
  readonly replicas: ReplicaWorld
  readonly leader: WorldNode
  readonly passed: PassedRequests
  readonly answers: PassedResponse[] = []
  /** Messages that the lane still takes; Infinity: all. */
  room = Number.POSITIVE_INFINITY
  connected = true
  largest = 0
  #sequence = 0
  #id = 0

  constructor(seed: number) {
    this.replicas = new ReplicaWorld({ seed, nodes: 3 })
    this.leader = this.replicas.leader()
    const peers: PeerChannel = {
      send: (_to, _lane, bytes) => this.#send(bytes),
      flush() {},
      isConnected: () => this.connected,
      queuedBytes: () => 0,
    }
    this.passed = new PassedRequests(
      peers,
      () => this.leader.replica,
      () => {},
    )
  }

  #send(bytes: Uint8Array): boolean {
    this.largest = Math.max(this.largest, bytes.length)
    if (!this.connected || this.room <= 0) return false
    this.room--
    const message = decodeRequestMessage(new BytesReader(bytes))
    if (message.type === 'response') this.answers.push(message)
    return true
  }

  request(epoch: number, kind: RequestKind, words: readonly string[], stream = STREAM): number {
    const id = ++this.#id
    const command = commandOf(words)
    const sequence = ++this.#sequence
    const header = { kind: PAYLOAD_WRITE, slot: asSlotId(0), stampMs: 0, session: 5, sequence } as const
    const body =
      kind === REQUEST_READ
        ? command
        : encodePayload({ ...header, lowestUnanswered: sequence, retryUntilMs: 2 ** 45 }, command)
    const flags = kind === REQUEST_READ ? REQUEST_FLAG_AFTER_WRITES : 0
    const request = {
      type: 'request',
      group: asGroupId(1),
      epoch,
      id,
      kind,
      flags,
      slot: asSlotId(0),
      slotEpoch: 0,
      body,
    } as const
    this.passed.onRequest(ASKER, stream, request)
    return id
  }

  outcomes(): number[] {
    return [...this.answers].sort((a, b) => a.id - b.id).map(({ outcome }) => outcome)
  }

  replyTo(id: number): string {
    return latin1Text(
      present(
        this.answers.find((answer) => answer.id === id),
        `no answer to ${id}`,
      ).reply,
    )
  }
}

function commandOf(words: readonly string[]): Uint8Array {
  const spec = present(COMMANDS_BY_NAME.get(words[0].toLowerCase()), `no command ${words[0]}`)
  return encodeCommand(spec.opcode, words.slice(1).map(latin1Bytes))
}

describe('an epoch', () => {
  it('runs in its order, reads after the writes before them', () => {
    const world = new World(1)
    for (let i = 0; i < 5; i++) world.request(1, REQUEST_WRITE, ['APPEND', 'k', String(i)])
    const read = world.request(1, REQUEST_READ, ['GET', 'k'])
    world.request(1, REQUEST_WRITE, ['APPEND', 'k', '!'])
    world.replicas.runFor(100)
    expect(world.outcomes()).toEqual(new Array(7).fill(OUTCOME_REPLY))
    expect(world.replyTo(read)).toMatch(/^\$[56]\r\n01234/)
  })

  it('is over with its stream: what comes by another one in it is refused, a new epoch is taken', () => {
    const world = new World(2)
    world.request(1, REQUEST_WRITE, ['SET', 'k', '1'])
    world.request(1, REQUEST_WRITE, ['SET', 'k', '2'], STREAM + 1)
    world.request(1, REQUEST_WRITE, ['SET', 'k', '3'])
    world.request(2, REQUEST_WRITE, ['SET', 'k', '4'], STREAM + 1)
    // The old connection was given up, yet its bytes still come out.
    world.request(1, REQUEST_WRITE, ['SET', 'k', '5'])
    world.replicas.runFor(100)
    expect(world.outcomes()).toEqual([OUTCOME_REPLY, OUTCOME_REFUSED, OUTCOME_REFUSED, OUTCOME_REPLY, OUTCOME_REFUSED])
    const read = world.request(2, REQUEST_READ, ['GET', 'k'], STREAM + 1)
    world.replicas.runFor(100)
    expect(world.replyTo(read)).toBe('$1\r\n4\r\n')
  })

  it('is over with the leadership: nothing later overtakes what was refused, also when this node leads again', () => {
    const world = new World(3)
    world.replicas.runFor(200)
    const followers = world.replicas.followers()
    for (const follower of followers) world.replicas.cut(follower)
    world.request(1, REQUEST_WRITE, ['SET', 'k', '1'])
    world.replicas.runFor(2_000)
    expect(world.leader.replica.isLeader).toBe(false)
    for (const follower of followers) world.replicas.mend(follower)
    world.replicas.runUntil(() => world.replicas.leader() !== undefined, 'somebody leads')
    if (!world.leader.replica.isLeader) {
      world.replicas.leader().replica.transferLeadership(world.leader.replica.replicaId)
      world.replicas.runUntil(() => world.leader.replica.isLeader, 'this one leads again')
    }
    world.request(1, REQUEST_WRITE, ['SET', 'k', '2'])
    world.request(2, REQUEST_WRITE, ['SET', 'k', '3'])
    world.replicas.runFor(200)
    expect(world.outcomes().slice(1)).toEqual([OUTCOME_REFUSED, OUTCOME_REPLY])
  })

  it('ends with a replica that closes: everything has its answer', () => {
    const world = new World(4)
    world.request(1, REQUEST_WRITE, ['SET', 'k', '1'])
    world.request(1, REQUEST_READ, ['GET', 'k'])
    world.leader.replica.close(() => {})
    world.request(1, REQUEST_WRITE, ['SET', 'k', '2'])
    world.request(2, REQUEST_READ, ['GET', 'k'])
    expect(world.outcomes()).toEqual(new Array(4).fill(OUTCOME_REFUSED))
  })
})

describe('answers', () => {
  it('wait for room on the lane and then go in order', () => {
    const world = new World(5)
    world.room = 2
    for (let i = 0; i < 10; i++) world.request(1, REQUEST_WRITE, ['SET', 'k', String(i)])
    world.replicas.runFor(100)
    expect(world.answers.length).toBe(2)
    world.room = 3
    world.passed.onWritable(ASKER)
    expect(world.answers.length).toBe(5)
    world.room = 100
    world.passed.onWritable(ASKER)
    expect(world.answers.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  it('that wait are thrown away with the way back, and take bounded memory', () => {
    const world = new World(6)
    world.request(1, REQUEST_WRITE, ['SET', 'k', '1'])
    world.replicas.runFor(100)
    world.room = 0
    const bytes = new Uint8Array(1024 * 1024)
    for (let i = 0; i < 100; i++) world.passed.send(ASKER, bytes)
    world.room = 1_000
    const before = world.largest
    let taken = 0
    const room = world.room
    world.answers.length = 0
    // A reply that is no message: only counted.
    try {
      world.passed.onWritable(ASKER)
    } catch {
      taken = room - world.room
    }
    expect(before).toBe(bytes.length)
    expect(taken).toBeLessThanOrEqual(64)
    world.passed.onStreamClosed(ASKER)
    world.passed.onWritable(ASKER)
    expect(world.answers.length).toBe(0)
  })

  it('that no message could carry are replaced by an error, for a message that is too large ends the process', () => {
    const world = new World(7)
    const value = 'x'.repeat(20_000)
    for (let i = 0; i < 10; i++) world.request(1, REQUEST_WRITE, ['SET', `k${i}`, value])
    world.replicas.runFor(200)
    const keys = Array.from({ length: 600 }, (_, i) => `k${i % 10}`)
    const read = world.request(1, REQUEST_READ, ['MGET', ...keys])
    world.replicas.runFor(200)
    expect(world.replyTo(read)).toMatch(/^-ERR the reply takes more than/)
    expect(world.largest).toBeLessThanOrEqual(MAX_MESSAGE_BYTES)
  })
})
