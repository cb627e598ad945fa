/**
 * Append-only memory for the memtable: slabs of shared memory, which a worker reads without a copy and the collector never
 * walks. Nothing is freed one by one; a slab that holds one large record goes when that record is replaced, the rest goes with
 * the arena. Whole slabs are used again through a pool: freshly allocated ones wait for the collector, which does not hurry.
 */
import { assert } from '../base/assert.ts'

const FIRST_SLAB_BYTES = 32 * 1024
const EMPTY_SLAB = new SharedArrayBuffer(0)

/** Full-sized slabs that dropped memtables gave back. One pool may serve all stores of a node. */
export class SlabPool {
  readonly slabBytes: number
  readonly #maxSlabs: number
  readonly #free: SharedArrayBuffer[] = []

  constructor(slabBytes: number, maxBytes: number) {
    assert(slabBytes >= 4096 && slabBytes <= 2 ** 30, 'slab pool: slab size out of range')
    this.slabBytes = slabBytes
    this.#maxSlabs = Math.floor(maxBytes / slabBytes)
  }

  get freeSlabs(): number {
    return this.#free.length
  }

  take(): SharedArrayBuffer {
    return this.#free.pop() ?? new SharedArrayBuffer(this.slabBytes)
  }

  give(slab: SharedArrayBuffer): void {
    if (slab.byteLength === this.slabBytes && this.#free.length < this.#maxSlabs) this.#free.push(slab)
  }
}

export class SlabArena {
  readonly slabs: SharedArrayBuffer[] = []
  readonly bytes: Uint8Array[] = []
  readonly views: DataView[] = []
  /** Where the last `allocate` put its bytes. */
  slab = 0
  offset = 0
  /** Bytes of all slabs, used or not. */
  allocatedBytes = 0

  readonly #pool: SlabPool
  /** The slab that fills; its end. */
  #open = -1
  #used = 0
  #nextSlabBytes = FIRST_SLAB_BYTES
  readonly #vacant: number[] = []

  constructor(pool: SlabPool) {
    this.#pool = pool
  }

  /** Sets `slab` and `offset`. What needs more than a quarter of a slab gets one of its own. */
  allocate(lengthBytes: number): void {
    if (this.#open >= 0 && this.#used + lengthBytes <= this.slabs[this.#open].byteLength) {
      this.slab = this.#open
      this.offset = this.#used
      this.#used += lengthBytes
      return
    }
    if (lengthBytes > this.#pool.slabBytes / 4) {
      this.slab = this.#add(new SharedArrayBuffer(lengthBytes))
      this.offset = 0
      return
    }
    this.#openSlab(lengthBytes)
    this.slab = this.#open
    this.offset = 0
    this.#used = lengthBytes
  }

  /** Small slabs first: a node has many groups, most of them quiet. */
  #openSlab(atLeastBytes: number): void {
    while (this.#nextSlabBytes < atLeastBytes) this.#nextSlabBytes *= 4
    const full = this.#nextSlabBytes >= this.#pool.slabBytes
    this.#open = this.#add(full ? this.#pool.take() : new SharedArrayBuffer(this.#nextSlabBytes))
    this.#nextSlabBytes *= 4
  }

  #add(slab: SharedArrayBuffer): number {
    const at = this.#vacant.pop() ?? this.slabs.length
    this.slabs[at] = slab
    this.bytes[at] = new Uint8Array(slab)
    this.views[at] = new DataView(slab)
    this.allocatedBytes += slab.byteLength
    return at
  }

  /** Gives a slab's memory back if all of it was the record at `offset`; false: it was not. */
  freeIfAlone(slab: number, offset: number, lengthBytes: number): boolean {
    if (slab === this.#open || offset !== 0 || lengthBytes !== this.slabs[slab].byteLength) return false
    this.allocatedBytes -= lengthBytes
    this.slabs[slab] = EMPTY_SLAB
    this.bytes[slab] = new Uint8Array(EMPTY_SLAB)
    this.views[slab] = new DataView(EMPTY_SLAB)
    this.#vacant.push(slab)
    return true
  }

  /** The arena must not be used any more. */
  release(): void {
    for (const slab of this.slabs) this.#pool.give(slab)
    this.slabs.length = 0
    this.bytes.length = 0
    this.views.length = 0
    this.#open = -1
  }
}
