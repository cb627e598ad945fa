/**
 * Clients that write bursts under sessions to whoever leads the group that owns their key's slot, and know what every reply must be: each write of a burst
 * is sent before the replies of those before it, and again until it has its reply; so what is lost, runs twice, or overtakes another shows.
 */
import { assert } from '../../base/assert.ts'
import { asSlotId, type GroupId, type NodeId, type SlotId } from '../../base/brand.ts'
import { latin1Text } from '../../base/bytes.ts'
import type { Prng } from '../../base/prng.ts'
import { commandBytes, slotOfText } from '../../kv/kv-driver.testkit.ts'
import { encodePayload, PAYLOAD_WRITE } from '../../protocol/command.ts'
import { OUTCOME_REPLY, type RequestOutcome } from '../../protocol/request-message.ts'
import type { RaftReplica } from '../../replication/raft/raft-replica.ts'
import { kvOf, SLOTS } from './moves-node.testkit.ts'
import type { MovesWorld } from './moves-world.testkit.ts'

const RETRY_MS = 5
const BURST_MAX = 4
const READS_AT_ONCE = 500
/** Beyond all that a write is held up: whoever had it is gone. */
const PATIENCE_MS = 4_000
const RETRY_UNTIL_MS = 2 ** 45

export interface ClientOptions {
  readonly clients: number
  readonly keys: number
  readonly valueBytes: number
  readonly thinkMs: number
}

interface Write {
  readonly words: readonly string[]
  readonly sequence: number
  readonly expected: string
  isDone: boolean
}

interface Burst {
  readonly client: number
  readonly key: string
  readonly slot: SlotId
  readonly writes: readonly Write[]
  readonly value: string | null
  attempt: number
  atNode: NodeId | 0
}

export class MovesClients {
  readonly model = new Map<string, string>()
  writes = 0
  reads = 0
  /** By slot, the longest time from an attempt to its reply. */
  readonly longestMs = new Array<number>(SLOTS).fill(0)
  readonly #world: MovesWorld
  readonly #options: ClientOptions
  readonly #random: Prng
  readonly #underWay = new Set<Burst>()
  readonly #sequences = new Map<string, number>()
  readonly #lastOfKey = new Map<string, Burst>()
  readonly #done = new Map<Burst, () => void>()
  #running = false

  constructor(world: MovesWorld, options: ClientOptions) {
    this.#world = world
    this.#options = options
    this.#random = world.scheduler.random.fork()
  }

  get isQuiet(): boolean {
    return this.#underWay.size === 0
  }

  preload(): void {
    for (let number = 0; number < this.#options.keys; number++) {
      this.#enter(this.#burst(1_000 + number, `k${number}`), () => {})
    }
    this.#world.run(() => this.isQuiet, 'the first keys are written')
  }

  start(): void {
    this.#running = true
    for (let client = 0; client < this.#options.clients; client++) this.#think(client)
  }

  stop(): void {
    this.#running = false
  }

  /** Whoever had requests there asks again. */
  nodeCrashed(node: NodeId): void {
    for (const burst of [...this.#underWay]) if (burst.atNode === node) this.#retry(burst)
  }

  /** All keys, as their groups' leaders serve them now. */
  checkAll(): void {
    for (let first = 0; first < this.#options.keys; first += READS_AT_ONCE) {
      let open = 0
      for (let number = first; number < Math.min(this.#options.keys, first + READS_AT_ONCE); number++) {
        open++
        this.#check(`k${number}`, () => open--)
      }
      this.#world.run(() => open === 0, 'the keys are read')
    }
  }

  #check(key: string, done: () => void): void {
    const slot = asSlotId(slotOfText(key, SLOTS))
    const found = this.#ownerOf(slot)
    assert(found !== null, `nobody serves ${key}`)
    const settle = (outcome: RequestOutcome, reply: Uint8Array): void => {
      assert(outcome === OUTCOME_REPLY, 'a read that is refused')
      const text = latin1Text(reply)
      assert(text === bulk(this.model.get(key) ?? null), `${key}: ${text} for ${this.model.get(key)}`)
      done()
    }
    const epoch = kvOf(found.replica).slots.lastReconfig(slot)
    assert(found.replica.read(slot, epoch, commandBytes(['GET', key]), true, { settle }), 'a read is not taken')
  }

  #think(client: number): void {
    this.#world.scheduler.after(this.#random.unit() * 2 * this.#options.thinkMs, 'think', () => {
      if (!this.#running) return
      const { keys, clients } = this.#options
      const number = client + clients * this.#random.below(Math.max(1, Math.floor(keys / clients)))
      this.#enter(this.#burst(client, `k${number}`), () => this.#think(client))
    })
  }

  #enter(burst: Burst, done: () => void): void {
    this.#underWay.add(burst)
    this.#lastOfKey.set(burst.key, burst)
    this.#done.set(burst, done)
    this.#attempt(burst)
  }

  #burst(client: number, key: string): Burst {
    const slot = asSlotId(slotOfText(key, SLOTS))
    const writes: Write[] = []
    let value = this.model.get(key) ?? null
    for (let count = 1 + this.#random.below(BURST_MAX); count > 0; count--) {
      const [words, expected, after] = this.#operation(key, value)
      value = after
      writes.push({ words, expected, sequence: this.#nextSequence(client, slot), isDone: false })
    }
    return { client, key, slot, writes, value, attempt: 0, atNode: 0 }
  }

  #operation(key: string, old: string | null): [words: string[], expected: string, value: string | null] {
    const dice = this.#random.below(10)
    if (dice < 1) return [['DEL', key], `:${old === null ? 0 : 1}\r\n`, null]
    if (dice < 6 && (old?.length ?? 0) < 4 * this.#options.valueBytes) {
      const digit = String(this.#random.below(10))
      const value = (old ?? '') + digit
      return [['APPEND', key, digit], `:${value.length}\r\n`, value]
    }
    const length = 1 + this.#random.below(this.#options.valueBytes)
    const value = `v${this.#random.below(1e9)}`.padEnd(length, '.')
    return [['SET', key, value], '+OK\r\n', value]
  }

  #nextSequence(client: number, slot: SlotId): number {
    const name = `${client} ${slot}`
    const sequence = (this.#sequences.get(name) ?? 0) + 1
    this.#sequences.set(name, sequence)
    return sequence
  }

  #ownerOf(slot: SlotId): { readonly node: NodeId; readonly replica: RaftReplica } | null {
    for (const group of [1, 2] as GroupId[]) {
      const leader = this.#world.leaderOf(group)
      if (leader !== null && kvOf(leader.replica).slots.owns(slot)) {
        return { node: leader.node.nodeId, replica: leader.replica }
      }
    }
    return null
  }

  #attempt(burst: Burst): void {
    const owner = this.#ownerOf(burst.slot)
    if (owner === null) return this.#retry(burst)
    const attempt = ++burst.attempt
    burst.atNode = owner.node
    const left = burst.writes.filter(({ isDone }) => !isDone)
    const sentAtMs = this.#world.scheduler.nowMs
    let open = left.length
    let settled = 0
    const settledOne = (): void => {
      settled++
      if (--open === 0 && burst.attempt === attempt) this.#attemptOver(burst)
    }
    for (const write of left) {
      const settle = (outcome: RequestOutcome, reply: Uint8Array): void => {
        if (outcome === OUTCOME_REPLY) this.#replied(burst, write, latin1Text(reply), sentAtMs)
        settledOne()
      }
      const payload = this.#payload(burst, write, left[0].sequence, owner.replica)
      if (!owner.replica.propose(payload, { settle })) this.#world.scheduler.after(0, 'refused', settledOne)
    }
    this.#readBack(burst, owner.replica, () => settled === left.length)
    this.#world.scheduler.after(PATIENCE_MS, 'patience', () => {
      if (burst.attempt === attempt && this.#underWay.has(burst)) this.#retry(burst)
    })
  }

  #payload({ client, slot }: Burst, { words, sequence }: Write, lowest: number, replica: RaftReplica): Uint8Array {
    const slotEpoch = kvOf(replica).slots.lastReconfig(slot)
    const session = { session: client + 1, sequence, lowestUnanswered: lowest, retryUntilMs: RETRY_UNTIL_MS }
    return encodePayload({ kind: PAYLOAD_WRITE, slot, slotEpoch, stampMs: 0, ...session }, commandBytes(words))
  }

  #replied(burst: Burst, write: Write, text: string, sentAtMs: number): void {
    if (text.startsWith('-NOTRESPONSIBLE') || text.startsWith('-DISKFULL')) return
    // A late answer of an attempt that was given up, to a write that has its reply already: told that it is too old.
    if (write.isDone) return
    const { words, expected } = write
    assert(text === expected, `${words.join(' ')}: ${text.slice(0, 60)} for ${expected.slice(0, 60)}`)
    write.isDone = true
    this.writes++
    this.longestMs[burst.slot] = Math.max(this.longestMs[burst.slot], this.#world.scheduler.nowMs - sentAtMs)
    assert(this.#underWay.has(burst), 'a reply after the end')
  }

  /** A read behind the burst, sent before its replies: it comes after them, and sees them. */
  #readBack(burst: Burst, replica: RaftReplica, allSettled: () => boolean): void {
    const { attempt, slot, key } = burst
    const settle = (outcome: RequestOutcome, reply: Uint8Array): void => {
      if (outcome !== OUTCOME_REPLY) return
      assert(allSettled(), 'a read overtook the replies of writes before it')
      const isLast = this.#lastOfKey.get(key) === burst && burst.attempt === attempt
      const isRead = isLast && burst.writes.every(({ isDone }) => isDone)
      const text = latin1Text(reply)
      if (!isRead || text.startsWith('-')) return
      this.reads++
      assert(text === bulk(burst.value), `GET ${key}: ${text} for ${burst.value}`)
    }
    replica.read(slot, kvOf(replica).slots.lastReconfig(slot), commandBytes(['GET', key]), true, { settle })
  }

  #attemptOver(burst: Burst): void {
    if (!burst.writes.every(({ isDone }) => isDone)) return this.#retry(burst)
    if (burst.value === null) this.model.delete(burst.key)
    else this.model.set(burst.key, burst.value)
    this.#underWay.delete(burst)
    const done = this.#done.get(burst)
    this.#done.delete(burst)
    done?.()
  }

  #retry(burst: Burst): void {
    burst.attempt++
    burst.atNode = 0
    this.#world.scheduler.after(RETRY_MS, 'retry', () => this.#attempt(burst))
  }
}

function bulk(value: string | null): string {
  return value === null ? '_\r\n' : `$${value.length}\r\n${value}\r\n`
}
