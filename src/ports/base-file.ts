/**
 * The base file of one replica: the sorted, durable map that a checkpoint writes in one transaction. Real: LMDB, in
 * platform/, written by a worker thread. Simulated: in memory, in simulation/. One contract suite holds for both.
 *
 * Reads show the state of the last `refresh()`: a commit becomes visible to this handle only when refresh() is called after its
 * completion (LMDB keeps a read transaction open; a stale one hides the new state).
 */
import type { DiskError } from './disk.ts'

/** One change of a checkpoint; a null value removes the key. */
export interface SortedChange {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/**
 * A frozen set of changes in ascending key order that a worker thread can read without copying: slabs of shared
 * memory, and for each change where its key and value lie. Layout of `index`, five u32 a change, in key order:
 * key slab, key offset, key length, value offset, value length (0xffff_ffff: removal); the value lies in the key's slab.
 */
export interface SortedRun {
  readonly slabs: readonly SharedArrayBuffer[]
  readonly index: SharedArrayBuffer
  readonly count: number
}

/** A whole copy of the base file as bytes, to be sent to another replica. Bounded reads, then close. */
export interface BaseImage {
  readonly sizeBytes: number
  read(offset: number, lengthBytes: number, done: (error: DiskError | null, bytes: Uint8Array) => void): void
  /** Removes the copy. */
  close(): void
}

/** Writes an image's bytes into a new base directory; `finish` checks, syncs file and directory, and closes. */
export interface BaseInstall {
  write(offset: number, bytes: Uint8Array, done: (error: DiskError | null) => void): void
  finish(sizeBytes: number, crc32c: number, done: (error: DiskError | null) => void): void
  /** Removes what was written. */
  abort(): void
}

export interface BaseFile {
  /** The blob that the last visible commit carried; null before the first. */
  meta(): Uint8Array | null
  /** A view valid until the next call on this base file. */
  get(key: Uint8Array): Uint8Array | null
  /** Ascending keys in [from, to), at most `limit`; stops early where visit returns false. Views valid during the visit. */
  range(from: Uint8Array, to: Uint8Array, limit: number, visit: (key: Uint8Array, value: Uint8Array) => boolean): void
  /** One atomic, durable transaction: all changes and the new meta blob. At most one at a time. */
  commitSorted(run: SortedRun, meta: Uint8Array, done: (error: DiskError | null) => void): void
  /** Makes the last completed commit visible to meta, get and range. */
  refresh(): void
  /** A consistent copy of the last completed commit, for sending. Must not run while a commit does. */
  image(done: (error: DiskError | null, image: BaseImage | null) => void): void
  sizeBytes(): number
  close(done: () => void): void
}

/** Base files live in numbered directories below the replica's own: `<path>/base-<number>`. */
export interface BaseFileStore {
  open(path: string, directory: number, done: (error: DiskError | null, base: BaseFile | null) => void): void
  install(path: string, directory: number, done: (error: DiskError | null, install: BaseInstall | null) => void): void
  /** Removes every numbered directory but the given one (leftovers of installs that never became the base). */
  removeOthers(path: string, keep: number, done: (error: DiskError | null) => void): void
}
