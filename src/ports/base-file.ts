/**
 * The base file of one replica: the sorted, durable map that a checkpoint writes in one transaction. Real: LMDB, in
 * platform/, written by a worker thread. Simulated: in memory, in simulation/. One contract suite holds for both.
 *
 * Reads show the state of the last `refresh()`: a commit becomes visible to this handle only when refresh() is called after its
 * completion (LMDB keeps a read transaction open; a stale one hides the new state).
 */
import type { DiskError } from './disk.ts'

/** A key begins with its slot and generation (10 bytes); keys are counted by this prefix. Its first byte is below 0xff: what is above is the base file's own. */
export const KEY_PREFIX_BYTES = 10
/** The prefix and the 48-bit hash, both big-endian: the shortest key. */
export const KEY_HEADER_BYTES = 16
/** A value ends with a CRC-32C over key and value, which the writer of the checkpoint fills in (`sealRun`). */
export const VALUE_CHECKSUM_BYTES = 4

/**
 * A frozen set of changes, each key once, in any order, that a worker thread can read without copying: slabs of shared
 * memory, and for each change a row that says where its key and value lie. `sealRun` (sorted-run.ts) sorts it, as sorting
 * 100 k keys on the main thread would be a stall. Nobody but the committer writes to the slabs until the commit is done.
 *
 *   row := u32 key slab | key offset | key length | value slab | value offset | value length (REMOVED_LENGTH: the key goes)
 *          | 3 words of the run's maker
 *
 * Rows lie in chunks of ROWS_PER_CHUNK.
 */
export interface SortedRun {
  readonly slabs: readonly SharedArrayBuffer[]
  readonly rows: readonly SharedArrayBuffer[]
  readonly count: number
}

export const ROW_WORDS = 9
export const ROWS_PER_CHUNK = 2048
export const REMOVED_LENGTH = 0xffff_ffff

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
  /** How many visible keys begin with this prefix of KEY_PREFIX_BYTES. Kept in the same transactions as the keys; costs no look-up. */
  keyCount(prefix: Uint8Array): number
  /** One atomic, durable transaction: all changes, their effect on the key counts, and the new meta blob. At most one at a time. */
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
  /** Makes directory 0 where it does not exist; any other one must be there ('not-found'): an install made it. */
  open(path: string, directory: number, done: (error: DiskError | null, base: BaseFile | null) => void): void
  install(path: string, directory: number, done: (error: DiskError | null, install: BaseInstall | null) => void): void
  /** Removes every numbered directory but the given one (leftovers of installs that never became the base). */
  removeOthers(path: string, keep: number, done: (error: DiskError | null) => void): void
}
