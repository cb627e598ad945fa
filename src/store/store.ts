/**
 * All keys of one replica: what changed since the last checkpoint in a memtable, the rest in the base file, and the
 * checkpoint that moves the one into the other. It keeps these promises:
 *
 * - a checkpoint is one atomic, durable transaction of exactly the state at the call, with its meta;
 * - the frozen memtable goes only after the base file shows that checkpoint: no read ever sees a gap;
 * - nothing here waits: puts, gets and scans go on while a checkpoint or an image is written.
 *
 *   active memtable      newest; takes all writes
 *   frozen memtable      while a checkpoint runs, or after one failed
 *   base file            the last completed checkpoint
 */
import { AssertionError, assert, present } from '../base/assert.ts'
import type { GroupId, LogIndex, SlotId } from '../base/brand.ts'
import { DecodeError, latin1Text } from '../base/bytes.ts'
import { type KeyHash, makeKeyHash48 } from '../base/half-siphash.ts'
import { type BaseFile, type BaseFileStore, type BaseImage, KEY_HEADER_BYTES } from '../ports/base-file.ts'
import type { DiskError } from '../ports/disk.ts'
import { type Generation, type KeySpace, SCAN_END, type ScanPosition, type StoredValue } from '../ports/key-space.ts'
import { checksumHolds, hashInKey } from '../ports/sorted-run.ts'
import { type CheckpointMeta, decodeBaseMeta, encodeBaseMeta } from './checkpoint-meta.ts'
import {
  endOfGeneration,
  lowestKey,
  RECORD_OVERHEAD_BYTES,
  storedValue,
  writeHash,
  writePrefix,
} from './composite-key.ts'
import { type Below, Memtable } from './memtable.ts'
import { mergedVisit } from './merged-visit.ts'
import { SlabPool } from './slab-arena.ts'

export type { CheckpointMeta } from './checkpoint-meta.ts'
export { SlabPool } from './slab-arena.ts'

export interface StoreOptions {
  /** For messages. */
  readonly group: GroupId
  /** 8 bytes, the same on every replica of the group for ever: images and SCAN cursors carry the hash. */
  readonly hashKey: Uint8Array
  /** 1,024 unless given; LMDB takes up to 1,962. */
  readonly maxKeyBytes?: number
  /** Memory for memtables; give all stores of a node the same one. */
  readonly slabs?: SlabPool
  /** Told before the AssertionError that ends the replica: the base file holds something that was not written. */
  readonly onCorruption?: (message: string) => void
  /** Another hash than HalfSipHash-2-4: tests force collisions with it. */
  readonly hash?: KeyHash
}

export interface StoreOpenError {
  readonly code: DiskError['code'] | 'corrupt'
  readonly message: string
}

const SLAB_BYTES = 1024 * 1024
/** Of a store that was given no shared pool. */
const POOL_BYTES = 4 * SLAB_BYTES
const MAX_KEY_BYTES = 1024
/** Removed keys that one scan passes over before it returns early. */
const SCAN_MAX_REMOVED = 8192
const MAX_QUEUED_IMAGES = 8

type ImageDone = (error: DiskError | null, image: BaseImage | null, meta: CheckpointMeta | null) => void

export class ReplicaStore implements KeySpace {
  readonly #base: BaseFile
  readonly #options: StoreOptions
  readonly #hash: KeyHash
  readonly #pool: SlabPool
  #meta: CheckpointMeta | null
  #active: Memtable
  #frozen: { readonly memtable: Memtable; readonly meta: CheckpointMeta } | null = null
  #checkpointDone: ((error: DiskError | null) => void) | null = null
  #committing = false
  #imaging = false
  readonly #imagesWanted: ImageDone[] = []
  #closed: (() => void) | null = null
  #visiting = false

  /** The composite key of the current call. */
  readonly #key: Uint8Array
  #keyLength = 0
  #tag = 0
  /** The last key looked up below the active memtable, and what was found: a write that follows its read knows without asking. */
  readonly #lookedUp: Uint8Array
  #lookedUpLength = 0
  #lookedUpBelow: Below = 'unknown'
  /** Where the dropping of a generation goes on, by slot: below this key all are gone. Only a shortcut, so not durable. */
  readonly #dropped = new Map<SlotId, { readonly generation: Generation; readonly from: Uint8Array }>()

  private constructor(base: BaseFile, meta: CheckpointMeta | null, hash: KeyHash, options: StoreOptions) {
    this.#base = base
    this.#meta = meta
    this.#hash = hash
    this.#options = options
    this.#pool = options.slabs ?? new SlabPool(SLAB_BYTES, POOL_BYTES)
    this.#active = new Memtable(this.#pool)
    this.#key = new Uint8Array(KEY_HEADER_BYTES + (options.maxKeyBytes ?? MAX_KEY_BYTES))
    this.#lookedUp = new Uint8Array(this.#key.length)
  }

  static open(
    files: BaseFileStore,
    path: string,
    directory: number,
    options: StoreOptions,
    done: (error: StoreOpenError | null, store: ReplicaStore | null) => void,
  ): void {
    const hash = options.hash ?? makeKeyHash48(options.hashKey)
    files.open(path, directory, (error, base) => {
      if (error !== null) return done(error, null)
      const opened = present(base, 'base file: opened, but not given')
      const blob = opened.meta()
      let meta: CheckpointMeta | null = null
      try {
        if (blob !== null) meta = decodeBaseMeta(blob, hash)
      } catch (failure) {
        if (!(failure instanceof DecodeError)) throw failure
        const message = `group ${options.group}: base file ${path}/base-${directory}: ${failure.message}`
        opened.close(() => done({ code: 'corrupt', message }, null))
        return
      }
      done(null, new ReplicaStore(opened, meta, hash, options))
    })
  }

  /** Of the last completed checkpoint; null: there has been none. */
  get meta(): CheckpointMeta | null {
    return this.#meta
  }

  /** Memory of the memtable that takes the writes. */
  get memtableBytes(): number {
    return this.#active.bytes
  }

  get memtableEntries(): number {
    return this.#active.entries
  }

  /** From `checkpoint` until its callback. */
  get checkpointing(): boolean {
    return this.#checkpointDone !== null
  }

  /** Size of the base file on disk. */
  get baseBytes(): number {
    return this.#base.sizeBytes()
  }

  // Keys

  #compose(slot: SlotId, generation: Generation, key: Uint8Array): void {
    const length = KEY_HEADER_BYTES + key.length
    const target = this.#key
    assert(!this.#visiting, 'store: called from inside a visit')
    assert(length <= target.length, `store: a key of ${key.length} bytes`)
    const hash = this.#hash(key, 0, key.length)
    writePrefix(target, slot, generation)
    writeHash(target, hash)
    for (let i = 0, at = KEY_HEADER_BYTES; at < length; i++, at++) target[at] = key[i]
    this.#keyLength = length
    this.#tag = (hash ^ Math.imul(Math.floor(hash / 0x1_0000_0000), 0x9e3779b1)) >>> 0
  }

  get(slot: SlotId, generation: Generation, key: Uint8Array): StoredValue | null {
    this.#compose(slot, generation, key)
    const active = this.#active.find(this.#key, this.#keyLength, this.#tag)
    if (active >= 0) return this.#active.isPresent(active) ? this.#active.stored(active) : null
    const record = this.#getBelow()
    this.#lookedUpBelow = record === null ? 'absent' : 'present'
    this.#lookedUpLength = this.#keyLength
    for (let i = 0; i < this.#keyLength; i++) this.#lookedUp[i] = this.#key[i]
    return record === null ? null : storedValue(record, 0, record.length)
  }

  /** The composed key's record below the active memtable. */
  #getBelow(): Uint8Array | null {
    if (this.#frozen !== null) {
      const { memtable } = this.#frozen
      const found = memtable.find(this.#key, this.#keyLength, this.#tag)
      if (found >= 0) return memtable.isPresent(found) ? memtable.record(found) : null
    }
    // The key count answers for a whole generation that the base file does not know.
    if (this.#base.keyCount(this.#key) === 0) return null
    const key = this.#key.subarray(0, this.#keyLength)
    const record = this.#base.get(key)
    if (record !== null) this.#check(key, record)
    return record
  }

  #check(key: Uint8Array, record: Uint8Array): void {
    if (record.length >= RECORD_OVERHEAD_BYTES && checksumHolds(key, record)) return
    const name = latin1Text(key, KEY_HEADER_BYTES).replace(/[^\x20-\x7e]/g, '?')
    const message = `group ${this.#options.group}: base file corrupt: bad checksum under key "${name}"`
    this.#options.onCorruption?.(message)
    throw new AssertionError(message)
  }

  #knownBelow(): Below {
    if (this.#lookedUpLength !== this.#keyLength) return 'unknown'
    for (let i = this.#keyLength - 1; i >= 0; i--) if (this.#lookedUp[i] !== this.#key[i]) return 'unknown'
    return this.#lookedUpBelow
  }

  #write(slot: SlotId, generation: Generation, value: Uint8Array | null, expiresAtMs: number, index: number): void {
    const below = this.#knownBelow()
    this.#active.write(this.#key, this.#keyLength, this.#tag, slot, generation, value, expiresAtMs, index, below)
  }

  put(
    slot: SlotId,
    generation: Generation,
    key: Uint8Array,
    value: Uint8Array,
    expiresAtMs: number,
    modificationIndex: LogIndex,
  ): void {
    this.#compose(slot, generation, key)
    if (this.#dropped.size > 0 && this.#dropped.get(slot)?.generation === generation) this.#dropped.delete(slot)
    this.#write(slot, generation, value, expiresAtMs, modificationIndex)
  }

  remove(slot: SlotId, generation: Generation, key: Uint8Array, modificationIndex: LogIndex): void {
    this.#compose(slot, generation, key)
    this.#write(slot, generation, null, 0, modificationIndex)
  }

  #layers(slot: SlotId, generation: Generation) {
    const layers = [{ memtable: this.#active, chain: this.#active.chain(slot, generation) }]
    if (this.#frozen !== null) {
      const { memtable } = this.#frozen
      layers.push({ memtable, chain: memtable.chain(slot, generation) })
    }
    return layers
  }

  scan(
    slot: SlotId,
    generation: Generation,
    position: ScanPosition,
    limit: number,
    visit: (key: Uint8Array, value: StoredValue) => void,
  ): ScanPosition {
    assert(!this.#visiting, 'store: called from inside a visit')
    assert(position >= 0 && position < 2 ** 48 && limit > 0, 'store: scan position or limit out of range')
    let next: ScanPosition = SCAN_END
    let lastHash = -1
    let seen = 0
    let removed = 0
    const from = lowestKey(slot, generation, position)
    this.#visiting = true
    try {
      mergedVisit(
        this.#layers(slot, generation),
        this.#base,
        from,
        endOfGeneration(slot, generation),
        (key, record) => {
          const hash = hashInKey(key, 0)
          if (hash !== lastHash && (seen >= limit || removed >= SCAN_MAX_REMOVED)) {
            next = hash
            return false
          }
          lastHash = hash
          if (record === null) removed++
          else {
            seen++
            visit(key.subarray(KEY_HEADER_BYTES), storedValue(record, 0, record.length))
          }
          return true
        },
      )
    } finally {
      this.#visiting = false
    }
    return next
  }

  /**
   * The base file knows how many keys it holds; the memtables know what they add or take, as soon as it is known for each of
   * their keys whether it is there below. That is looked up here, once a key and memtable, and not at all where nothing is below.
   */
  count(slot: SlotId, generation: Generation): number {
    assert(!this.#visiting, 'store: called from inside a visit')
    const inBase = this.#base.keyCount(lowestKey(slot, generation, 0))
    const isInBase = (key: Uint8Array): boolean => inBase > 0 && this.#base.get(key) !== null
    const frozen = this.#frozen?.memtable ?? null
    const frozenChain = frozen === null ? null : frozen.chain(slot, generation)
    const chain = this.#active.chain(slot, generation)
    if (frozen === null || frozenChain === null) {
      if (chain === null) return inBase
      return inBase === 0 ? chain.present : inBase + this.#active.difference(chain, isInBase)
    }
    const belowActive = inBase === 0 ? frozenChain.present : inBase + frozen.difference(frozenChain, isInBase)
    if (chain === null) return belowActive
    const isBelow = (key: Uint8Array): boolean => {
      const found = frozen.find(key, key.length, this.#tagOf(key))
      return found >= 0 ? frozen.isPresent(found) : isInBase(key)
    }
    return belowActive + this.#active.difference(chain, isBelow)
  }

  #tagOf(compositeKey: Uint8Array): number {
    const hash = hashInKey(compositeKey, 0)
    return (hash ^ Math.imul(Math.floor(hash / 0x1_0000_0000), 0x9e3779b1)) >>> 0
  }

  dropGeneration(slot: SlotId, generation: Generation, maxKeys: number): boolean {
    assert(!this.#visiting && maxKeys > 0, 'store: dropGeneration inside a visit, or of no keys')
    const progress = this.#dropped.get(slot)
    const from = progress?.generation === generation ? progress.from : lowestKey(slot, generation, 0)
    const doomed: Uint8Array[] = []
    // One key more than may go tells whether any is left; which keys go depends on the state alone, never on checkpoints.
    const all = mergedVisit(
      this.#layers(slot, generation),
      this.#base,
      from,
      endOfGeneration(slot, generation),
      (key, record) => {
        if (record === null) return true
        if (doomed.length === maxKeys) return false
        doomed.push(key.slice())
        return true
      },
    )
    for (const key of doomed) {
      this.#active.write(key, key.length, this.#tagOf(key), slot, generation, null, 0, 0, 'present')
    }
    this.#lookedUpLength = 0
    if (all) this.#dropped.delete(slot)
    else
      this.#dropped.set(slot, { generation, from: present(doomed.at(-1), 'store: nothing dropped, yet keys are left') })
    return all
  }

  // Checkpoints and images

  /**
   * Writes everything as it is now, with `meta`, in one transaction. The state is frozen inside the call, in constant
   * time. After an error the frozen state stays readable and is written first by the next call, which then reports 'no-space'
   * again and wants to be repeated: its own state was not frozen.
   */
  checkpoint(meta: CheckpointMeta, done: (error: DiskError | null) => void): void {
    assert(this.#checkpointDone === null, 'store: one checkpoint at a time')
    assert(this.#closed === null, 'store: closed')
    if (this.#frozen !== null) {
      const earlier = this.#frozen.meta.applied
      this.#checkpointDone = (error) => {
        const message = `the checkpoint of ${earlier}, which had failed, is written now; that of ${meta.applied} was not begun`
        done(error ?? { code: 'no-space', message })
      }
    } else {
      assert(this.#meta === null || meta.applied >= this.#meta.applied, 'store: a checkpoint older than the last one')
      this.#frozen = { memtable: this.#active, meta }
      this.#active = new Memtable(this.#pool)
      this.#lookedUpLength = 0
      this.#checkpointDone = done
    }
    this.#next()
  }

  /** A copy of the last completed checkpoint. Waits for a running checkpoint, as a later one waits for it. */
  image(done: ImageDone): void {
    assert(this.#closed === null, 'store: closed')
    if (this.#imagesWanted.length >= MAX_QUEUED_IMAGES) {
      const message = `group ${this.#options.group}: too many images wanted at once`
      done({ code: 'locked', message }, null, null)
      return
    }
    this.#imagesWanted.push(done)
    this.#next()
  }

  /** Waits for what runs. */
  close(done: () => void): void {
    assert(this.#closed === null, 'store: closed twice')
    this.#closed = done
    this.#next()
  }

  /** Starts the next of: a frozen checkpoint, a wanted image, closing. Never two at a time. */
  #next(): void {
    if (this.#committing || this.#imaging) return
    const imageDone = this.#checkpointDone === null ? this.#imagesWanted.shift() : undefined
    if (this.#checkpointDone !== null) this.#commit()
    else if (imageDone !== undefined) this.#takeImage(imageDone)
    else if (this.#closed !== null) this.#close(this.#closed)
  }

  #close(closed: () => void): void {
    this.#committing = true
    this.#base.close(() => {
      this.#active.release()
      this.#frozen?.memtable.release()
      closed()
    })
  }

  #commit(): void {
    const frozen = present(this.#frozen, 'store: a checkpoint without a frozen memtable')
    this.#committing = true
    this.#base.commitSorted(frozen.memtable.run(), encodeBaseMeta(frozen.meta, this.#hash), (error) => {
      this.#committing = false
      if (error === null) this.#dropFrozen(frozen.memtable, frozen.meta)
      const done = present(this.#checkpointDone, 'store: a checkpoint that nobody waits for')
      this.#checkpointDone = null
      done(error)
      this.#next()
    })
  }

  /** Only once the base file shows the checkpoint (a stale read transaction would hide what the frozen memtable held). */
  #dropFrozen(memtable: Memtable, meta: CheckpointMeta): void {
    this.#base.refresh()
    const blob = present(this.#base.meta(), 'store: a completed checkpoint does not show')
    const shown = decodeBaseMeta(blob, this.#hash)
    assert(
      shown.applied === meta.applied && shown.term === meta.term,
      `group ${this.#options.group}: the base file shows ${shown.applied}, the checkpoint was of ${meta.applied}`,
    )
    this.#meta = shown
    this.#frozen = null
    memtable.release()
  }

  #takeImage(done: ImageDone): void {
    const meta = this.#meta
    if (meta === null) {
      const message = `group ${this.#options.group}: no checkpoint yet to make an image of`
      done({ code: 'not-found', message }, null, null)
      this.#next()
      return
    }
    this.#imaging = true
    this.#base.image((error, image) => {
      this.#imaging = false
      done(error, image, error === null ? meta : null)
      this.#next()
    })
  }
}
