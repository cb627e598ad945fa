/**
 * Drives a ReplicaStore and a plain Map through the same random operations and compares every answer. The bed decides
 * what lies below; with `crash` the node dies at random points and the store must come back as one of its checkpoints.
 */
import { expect } from 'vitest'
import { present } from '../base/assert.ts'
import {
  asGroupId,
  asLogIndex,
  asNodeId,
  asReplicaId,
  asSlotId,
  asTerm,
  type LogIndex,
  type SlotId,
} from '../base/brand.ts'
import { compareBytes, latin1Bytes } from '../base/bytes.ts'
import { type KeyHash, makeKeyHash48 } from '../base/half-siphash.ts'
import { Prng } from '../base/prng.ts'
import type { DiskError } from '../ports/disk.ts'
import { type Generation, makeGeneration, SCAN_END, type StoredValue } from '../ports/key-space.ts'
import { type BaseFileBed, copyImage } from './base-file-contract.testkit.ts'
import { type CheckpointMeta, ReplicaStore, type StoreOptions } from './store.ts'

export const HASH_KEY: Uint8Array = latin1Bytes('testhash')

export interface ModelOptions {
  readonly seed: number
  readonly steps: number
  /** Forces collisions of keys' hashes. */
  readonly weakHash?: boolean
  /** Kills the node; what it began never calls back. */
  readonly crash?: () => void
  /** Lets some of what is under way happen. */
  readonly pass: () => Promise<void>
  readonly largestValueBytes?: number
}

interface Expected {
  readonly slot: SlotId
  readonly generation: Generation
  readonly key: Uint8Array
  readonly hash: number
  readonly value: Uint8Array
  readonly expiresAtMs: number
  readonly modificationIndex: LogIndex
}

type State = Map<string, Expected>

export const weakHash: KeyHash = (bytes, from, to) => {
  let sum = 0
  for (let i = from; i < to; i++) sum += bytes[i]
  return (sum % 3) * 0x4000_0000_0001
}

export function generationOf(reconfigId: number, counter: number): Generation {
  return present(makeGeneration(reconfigId, counter), 'generation out of range')
}

export function metaAt(applied: number, state: Uint8Array = latin1Bytes(`state ${applied}`)): CheckpointMeta {
  const members = [{ replicaId: asReplicaId(7), nodeId: asNodeId(2), role: 'voter' as const }]
  return { applied: asLogIndex(applied), term: asTerm(3), membership: { members }, state }
}

export function openStore(bed: BaseFileBed, options?: Partial<StoreOptions>, directory = 0): Promise<ReplicaStore> {
  return bed.run((done) =>
    ReplicaStore.open(
      bed.files,
      bed.path,
      directory,
      { group: asGroupId(1), hashKey: HASH_KEY, ...options },
      (error, store) => {
        expect(error).toBeNull()
        done(present(store, 'no store'))
      },
    ),
  )
}

export function checkpoint(bed: BaseFileBed, store: ReplicaStore, applied: number): Promise<DiskError | null> {
  return bed.run((done) => store.checkpoint(metaAt(applied), done))
}

export class StoreModel {
  readonly #bed: BaseFileBed
  readonly #options: ModelOptions
  readonly #hash: KeyHash
  readonly #random: Prng
  #store: ReplicaStore
  #state: State = new Map()
  #index = 0
  /** What each checkpoint froze, by its applied index; 0: the beginning. */
  readonly #frozen = new Map<number, State>([[0, new Map()]])
  #lastCompleted = 0
  #directory = 0
  readonly did = { checkpoints: 0, crashes: 0, reopened: 0, dropped: 0, images: 0 }

  private constructor(bed: BaseFileBed, options: ModelOptions, store: ReplicaStore) {
    this.#bed = bed
    this.#options = options
    this.#hash = options.weakHash ? weakHash : makeKeyHash48(HASH_KEY)
    this.#random = new Prng(options.seed)
    this.#store = store
  }

  static async run(bed: BaseFileBed, options: ModelOptions): Promise<StoreModel> {
    const model = new StoreModel(bed, options, await openStore(bed, options.weakHash ? { hash: weakHash } : {}))
    for (let step = 0; step < options.steps; step++) await model.#step()
    await model.#finish()
    await bed.run<void>((done) => model.#store.close(() => done(undefined)))
    return model
  }

  #storeOptions(): Partial<StoreOptions> {
    return this.#options.weakHash ? { hash: weakHash } : {}
  }

  async #step(): Promise<void> {
    const action = this.#random.below(100)
    if (action < 70) this.#write()
    else if (action < 85) this.#readOne()
    else if (action < 90) this.#compareAll()
    else if (action < 92) this.#drop()
    else if (action < 95) this.#startCheckpoint()
    else if (action < 98) await this.#options.pass()
    else if (action < 99) await this.#reopen()
    else await this.#moveByImage()
  }

  #place(): { readonly slot: SlotId; readonly generation: Generation; readonly key: Uint8Array } {
    const random = this.#random
    const length = random.chance(0.02) ? 1024 : random.below(4)
    return {
      slot: asSlotId(random.pick([0, 3, 16383])),
      generation: random.pick([generationOf(0, 1), generationOf(0, 2), generationOf(2 ** 29 - 1, 2 ** 24 - 1)]),
      key: new Uint8Array(length).map(() => random.below(5) * 60),
    }
  }

  #name(place: { readonly slot: number; readonly generation: number; readonly key: Uint8Array }): string {
    return `${place.slot}|${place.generation}|${Buffer.from(place.key).toString('hex')}`
  }

  #write(): void {
    const place = this.#place()
    const { slot, generation, key } = place
    const index = asLogIndex(++this.#index)
    if (this.#random.chance(0.3)) this.#readOne(place)
    if (this.#random.chance(0.3)) {
      this.#store.remove(slot, generation, key, index)
      this.#state.delete(this.#name(place))
      return
    }
    const large = this.#random.chance(0.02)
    const length = this.#random.below(large ? (this.#options.largestValueBytes ?? 5_000) : 40)
    const value = new Uint8Array(length).fill(this.#random.below(256))
    const expiresAtMs = this.#random.chance(0.5) ? 0 : this.#random.below(2 ** 31) * 1000
    this.#store.put(slot, generation, key, value, expiresAtMs, index)
    const hash = this.#hash(key, 0, key.length)
    this.#state.set(this.#name(place), { ...place, hash, value, expiresAtMs, modificationIndex: index })
  }

  #readOne(place = this.#place()): void {
    const found = this.#store.get(place.slot, place.generation, place.key)
    expectSame(found, this.#state.get(this.#name(place)), `get ${this.#name(place)}`)
  }

  #expectedIn(slot: SlotId, generation: Generation): Expected[] {
    const found = [...this.#state.values()].filter((one) => one.slot === slot && one.generation === generation)
    return found.sort((a, b) => a.hash - b.hash || compareBytes(a.key, b.key))
  }

  #compareAll(): void {
    const { slot, generation } = this.#place()
    const expected = this.#expectedIn(slot, generation)
    const limit = 1 + this.#random.below(6)
    const seen: Expected[] = []
    let position = 0
    while (position !== SCAN_END) {
      const batch: Expected[] = []
      const next = this.#store.scan(slot, generation, position, limit, (key, stored) => {
        const hash = this.#hash(key, 0, key.length)
        batch.push({ ...stored, slot, generation, key: key.slice(), value: stored.value.slice(), hash })
      })
      this.#checkBatch(batch, position, next, limit)
      seen.push(...batch)
      position = next
    }
    expect(seen.length, 'keys in a scan').toBe(expected.length)
    for (const [i, one] of seen.entries()) {
      expect(compareBytes(one.key, expected[i].key)).toBe(0)
      expectSame(one, expected[i], 'scan')
    }
    expect(this.#store.count(slot, generation), 'count').toBe(expected.length)
  }

  /** At least one hash's keys, then no more than the limit asks for; equal hashes together. */
  #checkBatch(batch: readonly Expected[], position: number, next: number, limit: number): void {
    for (const one of batch) expect(one.hash).toBeGreaterThanOrEqual(position)
    if (next === SCAN_END) return
    expect(batch.length).toBeGreaterThanOrEqual(limit)
    const last = present(batch.at(-1), 'an empty batch')
    expect(next).toBeGreaterThan(last.hash)
    if (batch.length > limit) expect(batch[limit - 1].hash).toBe(last.hash)
  }

  #drop(): void {
    const { slot, generation } = this.#place()
    const maxKeys = 1 + this.#random.below(8)
    for (let turn = 0; turn < 2; turn++) {
      const doomed = this.#expectedIn(slot, generation)
      const all = this.#store.dropGeneration(slot, generation, maxKeys)
      expect(all, 'dropGeneration: none left').toBe(doomed.length <= maxKeys)
      for (const one of doomed.slice(0, maxKeys)) this.#state.delete(this.#name(one))
      this.#index++
      this.did.dropped++
    }
    expect(this.#store.count(slot, generation)).toBe(this.#expectedIn(slot, generation).length)
  }

  #startCheckpoint(): void {
    if (this.#store.checkpointing) return
    const applied = ++this.#index
    this.#frozen.set(applied, new Map(this.#state))
    this.#store.checkpoint(metaAt(applied), (error) => {
      expect(error).toBeNull()
      expect(this.#store.meta?.applied).toBe(applied)
      this.#lastCompleted = applied
      this.did.checkpoints++
    })
    expect(this.#store.memtableEntries).toBe(0)
  }

  async #finish(): Promise<void> {
    while (this.#store.checkpointing) await this.#options.pass()
    for (const slot of [0, 3, 16383]) this.#compareSlot(asSlotId(slot))
  }

  #compareSlot(slot: SlotId): void {
    for (const generation of [generationOf(0, 1), generationOf(0, 2), generationOf(2 ** 29 - 1, 2 ** 24 - 1)]) {
      expect(this.#store.count(slot, generation)).toBe(this.#expectedIn(slot, generation).length)
    }
  }

  /** Stops or dies, opens again: the state must be that of the last checkpoint, or of the one under way. */
  async #reopen(): Promise<void> {
    const dies = this.#options.crash !== undefined && this.#random.chance(0.7)
    if (dies) this.#options.crash?.()
    else await this.#bed.run<void>((done) => this.#store.close(() => done(undefined)))
    this.#store = await openStore(this.#bed, this.#storeOptions(), this.#directory)
    const applied = this.#store.meta?.applied ?? 0
    const newest = Math.max(...this.#frozen.keys())
    if (applied !== newest) expect(applied, 'after a restart').toBe(this.#lastCompleted)
    if (!dies) expect(applied, 'closing waits for the checkpoint').toBe(newest)
    this.#state = new Map(present(this.#frozen.get(applied), `no checkpoint of ${applied}`))
    if (applied > 0) expect(this.#store.meta).toEqual(metaAt(applied))
    this.#lastCompleted = applied
    for (const known of this.#frozen.keys()) if (known !== applied) this.#frozen.delete(known)
    if (dies) this.did.crashes++
    else this.did.reopened++
    this.#compareAll()
  }

  /** Goes on in a copy of the last checkpoint, as a replica does that received an image. */
  async #moveByImage(): Promise<void> {
    if (this.#store.meta === null) return
    while (this.#store.checkpointing) await this.#options.pass()
    const image = await this.#bed.run<Parameters<Parameters<ReplicaStore['image']>[0]>>((done) =>
      this.#store.image((...answer) => done(answer)),
    )
    expect(image[0]).toBeNull()
    const applied = present(image[2], 'an image without meta').applied
    expect(await copyImage(this.#bed, present(image[1], 'no image'), ++this.#directory)).toBeNull()
    await this.#bed.run<void>((done) => this.#store.close(() => done(undefined)))
    this.#store = await openStore(this.#bed, this.#storeOptions(), this.#directory)
    expect(this.#store.meta?.applied).toBe(applied)
    this.#state = new Map(present(this.#frozen.get(applied), `no checkpoint of ${applied}`))
    this.did.images++
  }
}

function expectSame(found: StoredValue | null, expected: Expected | undefined, what: string): void {
  if (expected === undefined || found === null) {
    expect(found === null, what).toBe(expected === undefined)
    return
  }
  expect(compareBytes(found.value, expected.value), what).toBe(0)
  expect([found.expiresAtMs, found.modificationIndex], what).toEqual([expected.expiresAtMs, expected.modificationIndex])
}
