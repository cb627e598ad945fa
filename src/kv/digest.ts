/**
 * A digest of a group's replicated state: all keys of the live generations, in slot and hash order, then the checkpoint state. Two
 * replicas that have applied the same log have the same digest, however their keys are split between memtable and base file.
 *
 * A live node takes it in bounded steps. It is of one index: when an entry is applied between two steps the run is stale and must be
 * begun again, so a node that is asked holds that group's apply back until the run is over, or tries again.
 */
import { assert } from '../base/assert.ts'
import { asSlotId, type LogIndex } from '../base/brand.ts'
import { BytesWriter } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { type KeySpace, SCAN_END, type ScanPosition, type StoredValue } from '../ports/key-space.ts'
import type { SlotStates } from './slot-states.ts'

export type DigestStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'done'; readonly digest: string; readonly keys: number; readonly appliedIndex: LogIndex }

/** What a run needs to see of the state machine, as it is now. */
export interface DigestSource {
  readonly keySpace: KeySpace
  readonly slots: SlotStates
  readonly appliedIndex: LogIndex
  /** Counts restores: another state under the same index. */
  readonly incarnation: number
  checkpointState(): Uint8Array
}

export class DigestRun {
  readonly #source: DigestSource
  readonly #slots: SlotStates
  readonly #appliedIndex: LogIndex
  readonly #incarnation: number
  readonly #head = new BytesWriter(64)
  #crc = 0
  #mix = 0x9747b28c
  #slot = 0
  #position: ScanPosition = 0
  #keys = 0

  constructor(source: DigestSource) {
    this.#source = source
    this.#slots = source.slots
    this.#appliedIndex = source.appliedIndex
    this.#incarnation = source.incarnation
  }

  /** Looks at about `maxKeys` keys (equal hashes are never split) and at no more than `maxKeys` slots. */
  step(maxKeys: number): DigestStep {
    assert(maxKeys >= 1, 'digest: at least one key a step')
    const { appliedIndex, incarnation } = this.#source
    if (appliedIndex !== this.#appliedIndex || incarnation !== this.#incarnation) return { kind: 'stale' }
    let budget = maxKeys
    while (budget > 0 && this.#slot < this.#slots.slotCount) {
      const slot = asSlotId(this.#slot)
      if (this.#slots.owns(slot)) budget -= this.#addKeys(budget)
      else this.#slot++
      budget--
    }
    if (this.#slot < this.#slots.slotCount) return { kind: 'more' }
    this.#add(this.#source.checkpointState())
    const hex = (part: number): string => (part >>> 0).toString(16).padStart(8, '0')
    const digest = `${hex(this.#crc)}${hex(this.#mix)}`
    return { kind: 'done', digest, keys: this.#keys, appliedIndex: this.#appliedIndex }
  }

  #addKeys(limit: number): number {
    const slot = asSlotId(this.#slot)
    const before = this.#keys
    const generation = this.#slots.generation(slot)
    const { keySpace } = this.#source
    this.#position = keySpace.scan(slot, generation, this.#position, limit, (key, stored) => this.#addKey(key, stored))
    if (this.#position === SCAN_END) {
      this.#slot++
      this.#position = 0
    }
    return this.#keys - before
  }

  #addKey(key: Uint8Array, stored: StoredValue): void {
    this.#keys++
    this.#head.reset()
    this.#head.u16(this.#slot)
    this.#head.u64(this.#slots.generation(asSlotId(this.#slot)))
    this.#head.u32(key.length)
    this.#head.u32(stored.value.length)
    this.#head.u64(stored.expiresAtMs)
    this.#head.u64(stored.modificationIndex)
    this.#add(this.#head.finish())
    this.#add(key)
    this.#add(stored.value)
  }

  /** Two hashes of 32 bits that fail differently: CRC-32C, and a multiply-and-rotate mix of four bytes a step (murmur3's). */
  #add(bytes: Uint8Array): void {
    this.#crc = crc32c(bytes, 0, bytes.length, this.#crc)
    let mix = this.#mix
    for (let i = 0; i < bytes.length; i += 4) {
      const block = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
      const spread = Math.imul(block, 0xcc9e2d51)
      mix ^= Math.imul((spread << 15) | (spread >>> 17), 0x1b873593)
      mix = (Math.imul((mix << 13) | (mix >>> 19), 5) + 0xe6546b64) | 0
    }
    this.#mix = mix ^ bytes.length
  }
}
