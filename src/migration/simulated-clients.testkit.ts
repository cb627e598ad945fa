/**
 * Clients that write to whoever owns the key, each its own keys, and know what every reply must be. A write that nobody answered is sent again under
 * its session until it is: so what runs twice, or is lost, shows.
 */
import { assert } from '../base/assert.ts'
import { asSlotId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import { commandBytes, slotOfText } from '../kv/kv-driver.testkit.ts'
import type { EventQueue } from './event-queue.testkit.ts'
import { type SimulatedGroup, SLOTS, textOf, writePayload } from './simulated-group.testkit.ts'

const RETRY_MS = 5

export interface ClientOptions {
  readonly clients: number
  readonly keys: number
  /** All in one slot. */
  readonly oneSlot: boolean
  readonly valueBytes: number
  /** Now and then a value of so many bytes; 0: never. */
  readonly largeValueBytes: number
  readonly thinkMs: number
  readonly flushes: boolean
}

interface Write {
  readonly key: string
  readonly slot: number
  readonly words: readonly string[]
  readonly session: number
  readonly sequence: number
  readonly expected: string
  readonly done: () => void
}

export class SimulatedClients {
  readonly model = new Map<string, string>()
  writes = 0
  #running = true
  readonly #busySlots = new Map<number, number>()
  readonly #flushing = new Set<number>()
  readonly #sequences = new Map<number, number>()
  #admittedAtMs = 0

  readonly #options: ClientOptions
  readonly #groups: readonly SimulatedGroup[]
  readonly #events: EventQueue
  readonly #random: Prng

  constructor(options: ClientOptions, groups: readonly SimulatedGroup[], events: EventQueue, random: Prng) {
    this.#options = options
    this.#groups = groups
    this.#events = events
    this.#random = random
    for (let client = 0; client < options.clients; client++) this.#think(client)
    if (options.flushes) this.#flushLater()
  }

  stop(): void {
    this.#running = false
  }

  get isQuiet(): boolean {
    return this.#busySlots.size === 0
  }

  /** What is served of the key must be what was written, unless a write of it is under way. */
  check(key: string): void {
    const slot = slotOfText(key, SLOTS)
    if (this.#busySlots.has(slot)) return
    this.checkNow(key)
  }

  checkNow(key: string): void {
    const slot = slotOfText(key, SLOTS)
    const owner = this.#owner(slot)
    if (owner === null) return
    const { machine } = owner.authority
    const result = machine.query(commandBytes(['GET', key]), machine.logTimeMs, asSlotId(slot))
    assert(result.kind === 'reply', 'a read that waits')
    const value = this.model.get(key)
    const expected = value === undefined ? '_\r\n' : `$${value.length}\r\n${value}\r\n`
    const found = textOf(result.reply)
    assert(found === expected, `GET ${key}: ${found.slice(0, 60)} for ${expected.slice(0, 60)}`)
  }

  keyOf(number: number): string {
    return this.#options.oneSlot ? `{k}${number}` : `k${number}`
  }

  #owner(slot: number): SimulatedGroup | null {
    return this.#groups.find(({ authority }) => authority.machine.slots.owns(asSlotId(slot))) ?? null
  }

  #think(client: number): void {
    this.#events.after(this.#random.unit() * 2 * this.#options.thinkMs, () => this.#write(client))
  }

  #write(client: number): void {
    if (!this.#running) return
    const { keys, clients } = this.#options
    const key = this.keyOf(client + clients * this.#random.below(Math.max(1, Math.floor(keys / clients))))
    const slot = slotOfText(key, SLOTS)
    if (this.#flushing.has(slot)) return this.#think(client)
    const [words, expected, value] = this.#operation(key)
    this.#send({
      key,
      slot,
      words,
      session: client + 1,
      sequence: this.#nextSequence(client + 1),
      expected,
      done: () => {
        if (value === null) this.model.delete(key)
        else this.model.set(key, value)
        this.#think(client)
      },
    })
  }

  #operation(key: string): [words: string[], expected: string, value: string | null] {
    const { valueBytes, largeValueBytes } = this.#options
    const old = this.model.get(key)
    const dice = this.#random.below(10)
    if (dice < 2) return [['DEL', key], `:${old === undefined ? 0 : 1}\r\n`, null]
    if (dice < 5) {
      const digit = String(this.#random.below(10))
      const value = (old ?? '') + digit
      return [['APPEND', key, digit], `:${value.length}\r\n`, value]
    }
    const isLarge = largeValueBytes > 0 && this.#random.chance(0.02)
    const value = `v${this.#random.below(1e9)}`.padEnd(
      isLarge ? largeValueBytes : this.#random.below(valueBytes) + 1,
      '.',
    )
    return [['SET', key, value], '+OK\r\n', value]
  }

  #flushLater(): void {
    this.#events.after(100 + this.#random.below(400), () => {
      if (!this.#running) return
      const slot = this.#random.below(SLOTS)
      if (this.#busySlots.has(slot) || this.#flushing.has(slot)) return this.#flushLater()
      this.#flushing.add(slot)
      const session = 1000
      const words = ['FLUSHALL']
      const done = (): void => {
        this.#flushing.delete(slot)
        for (const key of [...this.model.keys()]) if (slotOfText(key, SLOTS) === slot) this.model.delete(key)
        this.#flushLater()
      }
      this.#send({ key: '', slot, words, session, sequence: this.#nextSequence(session), expected: '+OK\r\n', done })
    })
  }

  #nextSequence(session: number): number {
    const sequence = (this.#sequences.get(session) ?? 0) + 1
    this.#sequences.set(session, sequence)
    return sequence
  }

  #send(write: Write): void {
    this.#busySlots.set(write.slot, (this.#busySlots.get(write.slot) ?? 0) + 1)
    this.#attempt(write)
  }

  #attempt(write: Write): void {
    const { slot, session, sequence, words } = write
    const owner = this.#owner(slot)
    if (owner === null) return this.#retry(write)
    const slotEpoch = owner.authority.machine.slots.lastReconfig(asSlotId(slot))
    const payload = writePayload(slot, slotEpoch, session, sequence, commandBytes(words))
    const waitMs = this.#admit(owner, slot, payload.length)
    if (waitMs > 0) return this.#events.after(waitMs, () => this.#attempt(write))
    owner.propose(payload, (reply) => {
      const text = reply === null ? null : textOf(reply)
      if (text === null || text.startsWith('-NOTRESPONSIBLE')) return this.#retry(write)
      assert(text === write.expected, `${words[0]} ${write.key}: ${text} for ${write.expected}`)
      const index = owner.leader?.replica.applied ?? 0
      const retry = (): void => this.#retry(write)
      owner.answer(slot, index, payload.length, () => this.#done(write), retry)
    })
  }

  /** Under a throttle: how long the write is to wait. */
  #admit(owner: SimulatedGroup, slot: number, bytes: number): number {
    const { nowMs } = this.#events
    const perSecond = owner.leader?.migration.admittedBytesPerSecond(asSlotId(slot), nowMs) ?? null
    if (perSecond === null) return 0
    if (this.#admittedAtMs > nowMs) return Math.min(1000, this.#admittedAtMs - nowMs)
    this.#admittedAtMs = nowMs + (bytes / perSecond) * 1000
    return 0
  }

  #retry(write: Write): void {
    this.#events.after(RETRY_MS, () => this.#attempt(write))
  }

  #done(write: Write): void {
    const left = (this.#busySlots.get(write.slot) ?? 1) - 1
    if (left === 0) this.#busySlots.delete(write.slot)
    else this.#busySlots.set(write.slot, left)
    this.writes++
    write.done()
  }
}
