/**
 * A disk on the scheduler, one for each node; it outlives the node's crashes.
 *
 * What a crash (`crash()`, the power goes) leaves: what was synced; of the writes since then any subset, torn at 512-byte sectors;
 * of the creations, renames and removals since the directory was last synced any subset, each as a whole. What a
 * killed process (`kill()`) leaves: everything, as the page cache has it. Calls under way never answer after either.
 *
 * A sync that fails has marked its pages clean: some of them are not on the disk, reads still show them, and no later sync writes
 * them (PostgreSQL's fsync findings; Rebello et al., ATC '20).
 */
import { assert } from '../base/assert.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { Prng } from '../base/prng.ts'
import type { Disk, DiskDone, DiskError, DiskErrorCode, DiskFile, OpenMode } from '../ports/disk.ts'
import type { Scheduler } from './scheduler.ts'

export const SECTOR_BYTES = 512

export type DiskOperation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'size'
  | 'list'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'syncDirectory'

export interface SimDiskOptions {
  /** Milliseconds, drawn uniformly for each call. */
  readonly accessMs: readonly [number, number]
  readonly syncMs: readonly [number, number]
  /** How often a sync is slow, and how slow it is then. */
  readonly slowSyncChance: number
  readonly slowSyncMs: readonly [number, number]
  /** Bytes of all files together; null: no limit. */
  readonly capacityBytes: number | null
}

export const SIM_DISK_DEFAULTS: SimDiskOptions = {
  accessMs: [0.01, 0.06],
  syncMs: [0.08, 0.4],
  slowSyncChance: 0.01,
  slowSyncMs: [2, 40],
  capacityBytes: null,
}

interface UnsyncedWrite {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** A file's contents: as the disk has them, and as a reader sees them. */
class Inode {
  durable: Uint8Array = EMPTY_BYTES
  cache: Uint8Array = EMPTY_BYTES
  unsynced: UnsyncedWrite[] = []
}

/** One creation, renaming or removal that a crash may undo: what the names meant afterwards. */
interface UnsyncedNames {
  readonly directory: string
  readonly names: readonly (readonly [string, Inode | null])[]
}

interface FaultRule {
  readonly operation: DiskOperation
  readonly code: DiskErrorCode
  /** Fails this call from now (1: the next), once; 0: by chance. */
  inCalls: number
  readonly chance: number
}

export class SimDisk implements Disk {
  readonly #scheduler: Scheduler
  readonly #random: Prng
  readonly #options: SimDiskOptions
  #capacityBytes: number | null
  #slowSyncChance: number
  #files = new Map<string, Inode>()
  #durableFiles = new Map<string, Inode>()
  #unsyncedNames: UnsyncedNames[] = []
  readonly #directories = new Set<string>(['', '.'])
  #rules: FaultRule[] = []
  /** Raised by a crash: callbacks of an older life are dropped. */
  #life = 0
  readonly counts = { reads: 0, writes: 0, syncs: 0, writtenBytes: 0, faults: 0 }

  constructor(scheduler: Scheduler, random: Prng, options: Partial<SimDiskOptions> = {}) {
    this.#scheduler = scheduler
    this.#random = random
    this.#options = { ...SIM_DISK_DEFAULTS, ...options }
    this.#capacityBytes = this.#options.capacityBytes
    this.#slowSyncChance = this.#options.slowSyncChance
  }

  // What tests and the nemesis do.

  /** The power goes: see above. */
  crash(): void {
    this.#life++
    // The extremes, of one write and of all, matter most.
    const keep = this.#random.pick([0, 1, this.#random.unit(), this.#random.unit()])
    for (const inode of this.#allInodes()) {
      for (const write of inode.unsynced) this.#tear(inode, write, this.#random.pick([0, 1, keep]))
      inode.unsynced = []
      inode.cache = inode.durable.slice()
    }
    for (const change of this.#unsyncedNames) {
      if (this.#random.chance(keep)) assign(this.#durableFiles, change)
    }
    this.#unsyncedNames = []
    this.#files = new Map(this.#durableFiles)
  }

  /** The process dies and the machine lives on: the page cache stays. */
  kill(): void {
    this.#life++
  }

  /** The `inCalls`-th call of this operation from now (1: the next) fails, once. */
  failOnce(operation: DiskOperation, code: DiskErrorCode, inCalls = 1): void {
    assert(inCalls >= 1, 'SimDisk.failOnce: counts from 1')
    this.#rules.push({ operation, code, inCalls, chance: 0 })
  }

  failByChance(operation: DiskOperation, code: DiskErrorCode, chance: number): void {
    this.#rules.push({ operation, code, inCalls: 0, chance })
  }

  clearFaults(): void {
    this.#rules = []
  }

  setCapacity(bytes: number | null): void {
    this.#capacityBytes = bytes
  }

  /** Null: as the options have it. */
  setSlowSyncChance(chance: number | null): void {
    this.#slowSyncChance = chance ?? this.#options.slowSyncChance
  }

  usedBytes(): number {
    let bytes = 0
    for (const inode of new Set(this.#files.values())) bytes += inode.cache.length
    return bytes
  }

  /** Rots one bit, on the disk and in the cache. */
  flipBit(path: string, offset: number, bit = 0): void {
    const inode = this.#files.get(path)
    assert(inode !== undefined && offset < inode.cache.length, `SimDisk.flipBit: ${path} has no byte ${offset}`)
    inode.cache[offset] ^= 1 << bit
    if (offset < inode.durable.length) inode.durable[offset] ^= 1 << bit
  }

  /** Puts a file's contents in place, durably: to set up damage. */
  plant(path: string, bytes: Uint8Array): void {
    const inode = new Inode()
    inode.durable = bytes.slice()
    inode.cache = bytes.slice()
    this.#files.set(path, inode)
    this.#durableFiles.set(path, inode)
    for (let above = parentOf(path); !this.#directories.has(above); above = parentOf(above))
      this.#directories.add(above)
  }

  /** Takes a file away, durably. */
  vanish(path: string): void {
    assert(this.#files.delete(path), `SimDisk.vanish: no ${path}`)
    this.#durableFiles.delete(path)
  }

  /** Every file as a reader sees it; copies. */
  snapshot(): Map<string, Uint8Array> {
    return new Map([...this.#files].sort(byName).map(([path, inode]) => [path, inode.cache.slice()]))
  }

  // The port.

  open(path: string, mode: OpenMode, done: (error: DiskError | null, file: DiskFile | null) => void): void {
    this.#later('open', path, this.#accessMs(), () => {
      const error = this.#fault(mode === 'create' ? 'create' : 'open', path)
      if (error !== null) return () => done(error, null)
      const existing = this.#files.get(path)
      if (mode !== 'create') {
        if (existing === undefined) return () => done(failure('not-found', 'open', path), null)
        return () => done(null, new SimFile(this, path, existing))
      }
      if (existing !== undefined) return () => done(failure('exists', 'create', path), null)
      if (!this.#directories.has(parentOf(path))) return () => done(failure('not-found', 'create', path), null)
      const inode = new Inode()
      this.#rename(path, [[path, inode]])
      return () => done(null, new SimFile(this, path, inode))
    })
  }

  list(directory: string, done: (error: DiskError | null, names: readonly string[]) => void): void {
    this.#later('list', directory, this.#accessMs(), () => {
      const error = this.#fault('list', directory)
      if (error !== null) return () => done(error, [])
      if (!this.#directories.has(directory)) return () => done(failure('not-found', 'list', directory), [])
      const names = [...this.#files.keys(), ...this.#directories].filter((path) => path !== '' && path !== '.')
      const inside = names
        .filter((path) => parentOf(path) === directory)
        .map((path) => path.slice(path.lastIndexOf('/') + 1))
      return () => done(null, inside.sort())
    })
  }

  /** Directories are durable at once: what may be lost is what they name. */
  makeDirectory(path: string, done: DiskDone): void {
    this.#later('makeDirectory', path, this.#accessMs(), () => {
      const error = this.#fault('makeDirectory', path)
      if (error !== null) return () => done(error)
      if (!this.#directories.has(parentOf(path))) return () => done(failure('not-found', 'makeDirectory', path))
      this.#directories.add(path)
      return () => done(null)
    })
  }

  rename(from: string, to: string, done: DiskDone): void {
    this.#later('rename', from, this.#accessMs(), () => {
      const error = this.#fault('rename', from)
      if (error !== null) return () => done(error)
      const inode = this.#files.get(from)
      if (inode === undefined) return () => done(failure('not-found', 'rename', from))
      this.#rename(to, [
        [from, null],
        [to, inode],
      ])
      return () => done(null)
    })
  }

  remove(path: string, done: DiskDone): void {
    this.#later('remove', path, this.#accessMs(), () => {
      const error = this.#fault('remove', path)
      if (error !== null) return () => done(error)
      if (!this.#files.has(path)) return () => done(failure('not-found', 'remove', path))
      this.#rename(path, [[path, null]])
      return () => done(null)
    })
  }

  removeTree(path: string, done: DiskDone): void {
    this.#later('remove', path, this.#accessMs(), () => {
      const error = this.#fault('remove', path)
      if (error !== null) return () => done(error)
      for (const name of [...this.#files.keys()]) if (name.startsWith(`${path}/`)) this.#rename(name, [[name, null]])
      for (const name of [...this.#directories]) {
        if (name === path || name.startsWith(`${path}/`)) this.#directories.delete(name)
      }
      return () => done(null)
    })
  }

  syncDirectory(path: string, done: DiskDone): void {
    const covered = this.#unsyncedNames.filter((change) => change.directory === path)
    this.#later('syncDirectory', path, this.#syncMs(), () => {
      const error = this.#fault('syncDirectory', path)
      if (error !== null) return () => done(error)
      for (const change of covered) assign(this.#durableFiles, change)
      this.#unsyncedNames = this.#unsyncedNames.filter((change) => !covered.includes(change))
      return () => done(null)
    })
  }

  // What SimFile calls.

  readFile(
    path: string,
    inode: Inode,
    offset: number,
    length: number,
    done: (error: DiskError | null, bytes: Uint8Array) => void,
  ): void {
    this.counts.reads++
    this.#later('read', path, this.#accessMs(), () => {
      const error = this.#fault('read', path)
      if (error !== null) return () => done(error, EMPTY_BYTES)
      const bytes = inode.cache.slice(offset, offset + length)
      return () => done(null, bytes)
    })
  }

  /** The write is in the cache, and may be on the disk after a crash, from the moment it is asked for. */
  writeFile(path: string, inode: Inode, offset: number, bytes: Uint8Array, done: DiskDone): void {
    this.counts.writes++
    this.counts.writtenBytes += bytes.length
    const error = this.#fault('write', path) ?? this.#full(path, inode, offset + bytes.length)
    const asked = bytes.slice()
    if (error === null) {
      inode.cache = written(inode.cache, offset, asked)
      inode.unsynced.push({ offset, bytes: asked })
    }
    this.#later('write', path, this.#accessMs(), () => {
      for (let i = 0; i < asked.length; i += 61) assert(asked[i] === bytes[i], `${path}: bytes changed during a write`)
      return () => done(error)
    })
  }

  syncFile(path: string, inode: Inode, done: DiskDone): void {
    this.counts.syncs++
    const covered = inode.unsynced.slice()
    this.#later('sync', path, this.#syncMs(), () => {
      const error = this.#fault('sync', path)
      for (const write of covered) {
        if (error === null) inode.durable = written(inode.durable, write.offset, write.bytes)
        else this.#tear(inode, write, 0.5)
      }
      inode.unsynced = inode.unsynced.filter((write) => !covered.includes(write))
      return () => done(error)
    })
  }

  sizeOfFile(path: string, inode: Inode, done: (error: DiskError | null, sizeBytes: number) => void): void {
    this.#later('size', path, this.#accessMs(), () => {
      const error = this.#fault('size', path)
      return () => done(error, error === null ? inode.cache.length : 0)
    })
  }

  closeFile(path: string, done: DiskDone): void {
    this.#later('close', path, this.#accessMs(), () => () => done(null))
  }

  // Inside.

  /** Applies the effect when the time has come, unless the node has crashed meanwhile, and answers in the same event. */
  #later(label: string, path: string, delayMs: number, effect: () => () => void): void {
    const life = this.#life
    this.#scheduler.after(delayMs, `disk ${label} ${path}`, () => {
      if (life === this.#life) effect()()
    })
  }

  #accessMs(): number {
    const [low, high] = this.#options.accessMs
    return low + this.#random.unit() * (high - low)
  }

  #syncMs(): number {
    const { syncMs, slowSyncMs } = this.#options
    const [low, high] = this.#random.chance(this.#slowSyncChance) ? slowSyncMs : syncMs
    return low + this.#random.unit() * (high - low)
  }

  #fault(operation: DiskOperation, path: string): DiskError | null {
    for (const rule of this.#rules) {
      if (rule.operation !== operation) continue
      const due = rule.inCalls > 0 ? --rule.inCalls === 0 : rule.chance > 0 && this.#random.chance(rule.chance)
      if (!due) continue
      if (rule.chance === 0) this.#rules = this.#rules.filter((other) => other !== rule)
      this.counts.faults++
      return failure(rule.code, operation, path)
    }
    return null
  }

  #full(path: string, inode: Inode, end: number): DiskError | null {
    const growth = end - inode.cache.length
    if (this.#capacityBytes === null || growth <= 0 || this.usedBytes() + growth <= this.#capacityBytes) return null
    this.counts.faults++
    return failure('no-space', 'write', path)
  }

  #rename(path: string, names: readonly (readonly [string, Inode | null])[]): void {
    const change = { directory: parentOf(path), names }
    assign(this.#files, change)
    this.#unsyncedNames.push(change)
  }

  /** Writes each of the write's sectors to the disk with this probability. */
  #tear(inode: Inode, write: UnsyncedWrite, keep: number): void {
    const end = write.offset + write.bytes.length
    let at = write.offset
    while (at < end) {
      const sectorEnd = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES)
      if (this.#random.chance(keep)) {
        inode.durable = written(inode.durable, at, write.bytes.subarray(at - write.offset, sectorEnd - write.offset))
      }
      at = sectorEnd
    }
  }

  #allInodes(): Set<Inode> {
    const inodes = new Set([...this.#files.values(), ...this.#durableFiles.values()])
    for (const change of this.#unsyncedNames)
      for (const [, inode] of change.names) if (inode !== null) inodes.add(inode)
    return inodes
  }
}

class SimFile implements DiskFile {
  readonly path: string
  readonly #disk: SimDisk
  readonly #inode: Inode
  #closed = false

  constructor(disk: SimDisk, path: string, inode: Inode) {
    this.#disk = disk
    this.path = path
    this.#inode = inode
  }

  read(offset: number, lengthBytes: number, done: (error: DiskError | null, bytes: Uint8Array) => void): void {
    this.#assertOpen()
    this.#disk.readFile(this.path, this.#inode, offset, lengthBytes, done)
  }

  write(offset: number, bytes: Uint8Array, done: DiskDone): void {
    this.#assertOpen()
    this.#disk.writeFile(this.path, this.#inode, offset, bytes, done)
  }

  sync(done: DiskDone): void {
    this.#assertOpen()
    this.#disk.syncFile(this.path, this.#inode, done)
  }

  size(done: (error: DiskError | null, sizeBytes: number) => void): void {
    this.#assertOpen()
    this.#disk.sizeOfFile(this.path, this.#inode, done)
  }

  close(done: DiskDone): void {
    this.#assertOpen()
    this.#closed = true
    this.#disk.closeFile(this.path, done)
  }

  #assertOpen(): void {
    assert(!this.#closed, `${this.path}: used after close`)
  }
}

function failure(code: DiskErrorCode, operation: string, path: string): DiskError {
  return { code, message: `${path}: ${operation}: ${code} (simulated)` }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '.' : path.slice(0, slash)
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}

function assign(files: Map<string, Inode>, change: UnsyncedNames): void {
  for (const [name, inode] of change.names) {
    if (inode === null) files.delete(name)
    else files.set(name, inode)
  }
}

/** The contents after a write; grows, with zeros in between. */
function written(contents: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const end = offset + bytes.length
  let target = contents
  if (end > contents.length) {
    target = new Uint8Array(end)
    target.set(contents)
  }
  target.set(bytes, offset)
  return target
}
