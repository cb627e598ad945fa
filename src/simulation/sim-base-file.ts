/**
 * The port BaseFile in memory: what a node's disk holds of its base files, across the node's crashes. The seed decides when a
 * commit completes and whether a crash during one leaves the old state or the new (never between: that is the port's promise,
 * and the mutation `checkpointNotAtomic` breaks it). A handle shows what it showed at its last refresh, as LMDB's open read
 * transaction does. Sealing and sorting a run is the same pure function that the LMDB worker calls, run in place.
 */
import { assert, present } from '../base/assert.ts'
import { BytesReader, BytesWriter, compareBytes, DecodeError, equalBytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import type { BaseFile, BaseFileStore, BaseImage, BaseInstall, SortedRun } from '../ports/base-file.ts'
import type { DiskDone, DiskError } from '../ports/disk.ts'
import { KeyCounts } from '../ports/key-counts.ts'
import { RunReader, sealRun } from '../ports/sorted-run.ts'
import type { Scheduler } from './scheduler.ts'

export interface SimBaseFileOptions {
  /** How long a commit or the making of an image takes: uniform between these. */
  readonly commitMsMin?: number
  readonly commitMsMax?: number
  /** Mutation: a crash during a commit leaves a part of the run applied under the old meta. */
  readonly checkpointNotAtomic?: boolean
}

/** Never changed once made: handles keep showing old ones. */
interface State {
  readonly keys: readonly Uint8Array[]
  readonly values: readonly Uint8Array[]
  readonly counts: KeyCounts
  readonly meta: Uint8Array | null
}

const EMPTY: State = { keys: [], values: [], counts: KeyCounts.empty(), meta: null }

interface Directory {
  readonly path: string
  readonly number: number
  /** Null: an install that was not finished. */
  committed: State | null
}

interface RunningCommit {
  readonly directory: Directory
  readonly run: SortedRun
  readonly meta: Uint8Array
}

const SMALL_DELAY_MS = 0.05

export class SimBaseFileStore implements BaseFileStore {
  /** While set, commits and installs fail with 'no-space'. */
  full = false
  readonly scheduler: Scheduler
  readonly #options: SimBaseFileOptions
  readonly #directories = new Map<string, Directory>()
  readonly #commits = new Set<RunningCommit>()
  /** Counts crashes: what an earlier life of the node began never calls back. */
  #life = 0

  constructor(scheduler: Scheduler, options: SimBaseFileOptions = {}) {
    this.scheduler = scheduler
    this.#options = options
  }

  /** The node dies: running commits end one way or the other, nothing calls back, all handles are dead. */
  crash(): void {
    this.#life++
    for (const commit of this.#commits) {
      const old = present(commit.directory.committed, 'sim base file: a commit into an unfinished install')
      if (this.#options.checkpointNotAtomic) {
        const part = this.scheduler.random.below(commit.run.count + 1)
        commit.directory.committed = applyRun(old, commit.run, old.meta, part)
      } else if (this.scheduler.random.chance(0.5)) {
        commit.directory.committed = applyRun(old, commit.run, commit.meta, commit.run.count)
      }
    }
    this.#commits.clear()
  }

  /** Turns one bit of one stored value; false where there is none. */
  flipBit(): boolean {
    const holding = [...this.#directories.values()].filter((directory) => (directory.committed?.keys.length ?? 0) > 0)
    if (holding.length === 0) return false
    const directory = this.scheduler.random.pick(holding)
    const state = present(directory.committed, 'sim base file: no state')
    const at = this.scheduler.random.below(state.values.length)
    const value = state.values[at].slice()
    value[this.scheduler.random.below(value.length)] ^= 1 << this.scheduler.random.below(8)
    directory.committed = { ...state, values: state.values.with(at, value) }
    return true
  }

  open(path: string, directory: number, done: (error: DiskError | null, base: BaseFile | null) => void): void {
    this.#later('base-open', SMALL_DELAY_MS, () => {
      const name = directoryName(path, directory)
      let found = this.#directories.get(name)
      if (found === undefined && directory === 0) {
        found = { path, number: 0, committed: EMPTY }
        this.#directories.set(name, found)
      }
      if (found === undefined) return done({ code: 'not-found', message: `open ${name}: no such directory` }, null)
      if (found.committed === null) return done({ code: 'io', message: `open ${name}: an unfinished install` }, null)
      done(null, new SimBaseFile(this, found, this.#life))
    })
  }

  install(path: string, directory: number, done: (error: DiskError | null, install: BaseInstall | null) => void): void {
    this.#later('base-install', SMALL_DELAY_MS, () => {
      const target: Directory = { path, number: directory, committed: null }
      this.#directories.set(directoryName(path, directory), target)
      done(null, new SimInstall(this, target))
    })
  }

  removeOthers(path: string, keep: number, done: DiskDone): void {
    this.#later('base-remove-others', SMALL_DELAY_MS, () => {
      for (const [name, directory] of this.#directories) {
        if (directory.path === path && directory.number !== keep) this.#directories.delete(name)
      }
      done(null)
    })
  }

  // For the handles.

  #later(label: string, delayMs: number, callback: () => void): void {
    const life = this.#life
    this.scheduler.after(delayMs, label, () => {
      if (life === this.#life) callback()
    })
  }

  later(label: string, callback: () => void): void {
    this.#later(label, SMALL_DELAY_MS, callback)
  }

  laterByWork(label: string, callback: () => void): void {
    const least = this.#options.commitMsMin ?? 1
    const most = this.#options.commitMsMax ?? 200
    this.#later(label, least + this.scheduler.random.unit() * (most - least), callback)
  }

  assertAlive(life: number): void {
    assert(life === this.#life, 'sim base file: a handle of a dead process')
  }

  commit(directory: Directory, run: SortedRun, meta: Uint8Array, done: DiskDone): void {
    const commit: RunningCommit = { directory, run, meta: meta.slice() }
    for (const other of this.#commits) assert(other.directory !== directory, 'sim base file: two commits at once')
    this.#commits.add(commit)
    this.laterByWork('base-commit', () => {
      this.#commits.delete(commit)
      if (this.full)
        return done({ code: 'no-space', message: `commit ${directoryName(directory.path, directory.number)}` })
      const old = present(directory.committed, 'sim base file: a commit into an unfinished install')
      directory.committed = applyRun(old, run, commit.meta, run.count)
      done(null)
    })
  }

  isCommitting(directory: Directory): boolean {
    for (const commit of this.#commits) if (commit.directory === directory) return true
    return false
  }

  remove(directory: Directory): void {
    const name = directoryName(directory.path, directory.number)
    if (this.#directories.get(name) === directory) this.#directories.delete(name)
  }
}

function directoryName(path: string, directory: number): string {
  return `${path}/base-${directory}`
}

class SimBaseFile implements BaseFile {
  readonly #store: SimBaseFileStore
  readonly #directory: Directory
  readonly #life: number
  #visible: State
  #open = true

  constructor(store: SimBaseFileStore, directory: Directory, life: number) {
    this.#store = store
    this.#directory = directory
    this.#life = life
    this.#visible = present(directory.committed, 'sim base file: an unfinished install')
  }

  #state(): State {
    assert(this.#open, 'sim base file: closed')
    this.#store.assertAlive(this.#life)
    return this.#visible
  }

  meta(): Uint8Array | null {
    return this.#state().meta
  }

  get(key: Uint8Array): Uint8Array | null {
    const { keys, values } = this.#state()
    const at = firstAtOrAbove(keys, key)
    return at < keys.length && equalBytes(keys[at], key) ? values[at] : null
  }

  range(from: Uint8Array, to: Uint8Array, limit: number, visit: (key: Uint8Array, value: Uint8Array) => boolean): void {
    const { keys, values } = this.#state()
    let left = limit
    for (let at = firstAtOrAbove(keys, from); at < keys.length && left > 0; at++, left--) {
      if (compareBytes(keys[at], to) >= 0 || !visit(keys[at], values[at])) return
    }
  }

  keyCount(prefix: Uint8Array): number {
    return this.#state().counts.get(prefix)
  }

  commitSorted(run: SortedRun, meta: Uint8Array, done: DiskDone): void {
    this.#state()
    this.#store.commit(this.#directory, run, meta, done)
  }

  refresh(): void {
    this.#state()
    this.#visible = present(this.#directory.committed, 'sim base file: an unfinished install')
  }

  image(done: (error: DiskError | null, image: BaseImage | null) => void): void {
    this.#state()
    assert(!this.#store.isCommitting(this.#directory), 'sim base file: an image during a commit')
    this.#store.laterByWork('base-image', () => {
      if (this.#store.full) return done({ code: 'no-space', message: `image of ${this.#directory.path}` }, null)
      assert(!this.#store.isCommitting(this.#directory), 'sim base file: a commit during an image')
      const state = present(this.#directory.committed, 'sim base file: an unfinished install')
      done(null, new SimImage(this.#store, encodeState(state)))
    })
  }

  sizeBytes(): number {
    let size = 0
    const { keys, values } = this.#state()
    for (let i = 0; i < keys.length; i++) size += keys[i].length + values[i].length
    return size
  }

  close(done: () => void): void {
    this.#state()
    this.#open = false
    this.#store.later('base-close', done)
  }
}

/** The first place whose key is not below `key`. */
function firstAtOrAbove(keys: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes(keys[middle], key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The first `part` changes of the run (in key order) over the old state. */
function applyRun(old: State, run: SortedRun, meta: Uint8Array | null, part: number): State {
  const order = sealRun(run)
  const reader = new RunReader(run)
  const keys: Uint8Array[] = []
  const values: Uint8Array[] = []
  const counts = old.counts.copy()
  let at = 0
  const keepBelow = (limit: Uint8Array | null): void => {
    while (at < old.keys.length && (limit === null || compareBytes(old.keys[at], limit) < 0)) {
      keys.push(old.keys[at])
      values.push(old.values[at++])
    }
  }
  for (let i = 0; i < part; i++) {
    const key = reader.key(order[i])
    const value = reader.value(order[i])
    keepBelow(key)
    const existed = at < old.keys.length && equalBytes(old.keys[at], key)
    if (existed) at++
    counts.add(key, (value === null ? 0 : 1) - (existed ? 1 : 0))
    if (value === null) continue
    keys.push(key.slice())
    values.push(value.slice())
  }
  keepBelow(null)
  return { keys, values, counts, meta }
}

//   image := u32 count | (blob key | blob value)* | blob counts | u8 has meta | blob meta

function encodeState(state: State): Uint8Array {
  const writer = new BytesWriter(4096)
  writer.u32(state.keys.length)
  for (let i = 0; i < state.keys.length; i++) {
    writer.blob(state.keys[i])
    writer.blob(state.values[i])
  }
  writer.blob(state.counts.encode())
  writer.u8(state.meta === null ? 0 : 1)
  writer.blob(state.meta ?? new Uint8Array(0))
  return writer.copy()
}

/** Throws DecodeError. */
function decodeState(bytes: Uint8Array): State {
  const reader = new BytesReader(bytes)
  const keys: Uint8Array[] = []
  const values: Uint8Array[] = []
  const count = reader.u32()
  for (let i = 0; i < count; i++) {
    keys.push(reader.blob().slice())
    values.push(reader.blob().slice())
  }
  const counts = KeyCounts.decode(reader.blob())
  const hasMeta = reader.u8() === 1
  const meta = reader.blob().slice()
  reader.expectEnd()
  return { keys, values, counts, meta: hasMeta ? meta : null }
}

class SimImage implements BaseImage {
  readonly #store: SimBaseFileStore
  readonly #bytes: Uint8Array
  #open = true

  constructor(store: SimBaseFileStore, bytes: Uint8Array) {
    this.#store = store
    this.#bytes = bytes
  }

  get sizeBytes(): number {
    return this.#bytes.length
  }

  read(offset: number, lengthBytes: number, done: (error: DiskError | null, bytes: Uint8Array) => void): void {
    assert(this.#open, 'sim image: closed')
    this.#store.later('image-read', () => done(null, this.#bytes.slice(offset, offset + lengthBytes)))
  }

  close(): void {
    this.#open = false
  }
}

class SimInstall implements BaseInstall {
  readonly #store: SimBaseFileStore
  readonly #directory: Directory
  readonly #written = new BytesWriter(4096)
  /** As strict as a file handle is: no write after finish, no finish during a write. */
  #writing = 0
  #finished = false

  constructor(store: SimBaseFileStore, directory: Directory) {
    this.#store = store
    this.#directory = directory
  }

  write(offset: number, bytes: Uint8Array, done: DiskDone): void {
    assert(!this.#finished, 'sim install: finished')
    const copy = bytes.slice()
    this.#writing++
    this.#store.later('install-write', () => {
      this.#writing--
      if (this.#store.full) return done({ code: 'no-space', message: `install ${this.#directory.path}` })
      const end = offset + copy.length
      if (end > this.#written.length) this.#written.reserve(end - this.#written.length)
      this.#written.bytes.set(copy, offset)
      done(null)
    })
  }

  finish(sizeBytes: number, crc: number, done: DiskDone): void {
    assert(this.#writing === 0 && !this.#finished, 'sim install: finished while writing, or twice')
    this.#finished = true
    this.#store.later('install-finish', () => {
      const bytes = this.#written.finish()
      if (bytes.length !== sizeBytes || crc32c(bytes) !== crc) {
        return done({
          code: 'io',
          message: `install ${this.#directory.path}: size or checksum differs from the sender's`,
        })
      }
      try {
        this.#directory.committed = decodeState(bytes)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        return done({ code: 'io', message: `install ${this.#directory.path}: ${error.message}` })
      }
      done(null)
    })
  }

  abort(): void {
    this.#store.remove(this.#directory)
  }
}
