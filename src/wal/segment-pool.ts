/**
 * The segment files that are not yet in use: spares (zero-written once, recycled later, so that a sync needs no metadata) and the next
 * segment, which is prepared ahead: its header with a new incarnation is written and synced, it is renamed, the
 * directory is synced; only then may a batch go into it. A recycled segment's old batches carry an older incarnation.
 *
 * On a full disk no new spare can be made. `lowOnSpace` says so while there are still spares, for the writes that must
 * go on; with none left the log waits (and asks again each second) until a segment is freed or there is room.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk, DiskDone, DiskError, DiskFile } from '../ports/disk.ts'
import type { Logger } from '../ports/logger.ts'
import { encodeSegmentHeader, FORMAT_VERSION, segmentName, spareName, unfinishedName } from './format.ts'

const ZERO_CHUNK_BYTES = 1024 * 1024
const ZEROS = new Uint8Array(ZERO_CHUNK_BYTES)
const RETRY_AFTER_MS = 1000

/** A segment whose incarnation is durable, open for writing. */
export interface PreparedSegment {
  readonly file: DiskFile
  readonly incarnation: number
}

export interface SegmentPoolOptions {
  readonly directory: string
  readonly segmentBytes: number
  /** Free segments to keep, the prepared next one among them. At least 1. */
  readonly spareSegments: number
  readonly logId: number
  readonly highestIncarnation: number
  readonly spareNumbers: readonly number[]
  readonly unfinishedNumbers: readonly number[]
}

export class SegmentPool {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: SegmentPoolOptions
  readonly #onFatal: (message: string) => void
  readonly #spares: number[]
  readonly #leftovers: string[]
  readonly #freed: { readonly incarnation: number; readonly sizeBytes: number }[] = []
  #next: PreparedSegment | null = null
  #taker: ((segment: PreparedSegment) => void) | null = null
  #newestIncarnation: number
  #nextNumber: number
  #busy = false
  #stopped = false
  #noSpace = false
  #retryLater = false
  #idle: (() => void) | null = null
  /** While the log opens there is nothing to wait for: a full disk is then an error. */
  waitsForSpace = false

  constructor(
    disk: Disk,
    clock: Clock,
    logger: Logger,
    options: SegmentPoolOptions,
    onFatal: (message: string) => void,
  ) {
    assert(options.spareSegments >= 1, 'SegmentPool: at least one free segment')
    this.#disk = disk
    this.#clock = clock
    this.#logger = logger
    this.#options = options
    this.#onFatal = onFatal
    this.#newestIncarnation = options.highestIncarnation
    this.#spares = [...options.spareNumbers]
    this.#leftovers = options.unfinishedNumbers.map((number) => this.#path(unfinishedName(number)))
    this.#nextNumber = Math.max(0, ...options.spareNumbers, ...options.unfinishedNumbers) + 1
  }

  /** The newest incarnation that the directory durably names. */
  get newestIncarnation(): number {
    return this.#newestIncarnation
  }

  get freeSegments(): number {
    return this.#spares.length + (this.#next === null ? 0 : 1)
  }

  get lowOnSpace(): boolean {
    return this.#noSpace && this.freeSegments < this.#options.spareSegments
  }

  /** Hands over the next segment, at once where it is prepared. One taker at a time. */
  take(done: (segment: PreparedSegment) => void): void {
    assert(this.#taker === null, 'SegmentPool: one taker at a time')
    const next = this.#next
    if (next !== null) {
      this.#next = null
      done(next)
    } else this.#taker = done
    this.tend()
  }

  /** Takes back a segment in which nothing counts any more. In order: its removal is durable before the next one's. */
  recycle(incarnation: number, sizeBytes: number): void {
    this.#freed.push({ incarnation, sizeBytes })
    this.tend()
  }

  /** Calls back once the step under way has ended and nothing is left to recycle; no step begins after that. */
  stop(done: () => void): void {
    this.#idle = done
    this.tend()
  }

  /** The log has failed: no further step. */
  halt(): void {
    this.#stopped = true
  }

  /** Begins whatever is due next, one step at a time. */
  tend(): void {
    if (this.#busy || this.#stopped) return
    const leftover = this.#leftovers.pop()
    const freed = this.#freed.shift()
    if (freed !== undefined) {
      if (leftover !== undefined) this.#leftovers.push(leftover)
      return this.#recycleFreed(freed.incarnation, freed.sizeBytes)
    }
    if (this.#idle !== null) return this.#finishStop(this.#idle)
    if (leftover !== undefined) return this.#begin((done) => this.#removeQuietly(leftover, done))
    if (this.#next === null && this.#spares.length > 0) return this.#prepare()
    if (this.freeSegments < this.#options.spareSegments) this.#create()
  }

  #path(name: string): string {
    return `${this.#options.directory}/${name}`
  }

  #finishStop(done: () => void): void {
    this.#stopped = true
    const next = this.#next
    if (next === null) return done()
    next.file.close(() => done())
  }

  #begin(step: (done: () => void) => void): void {
    this.#busy = true
    step(() => {
      this.#busy = false
      this.tend()
    })
  }

  #fail(error: DiskError): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#onFatal(error.message)
  }

  /** Runs the rest, or ends the node. */
  #orFail(rest: () => void): DiskDone {
    return (error) => {
      if (this.#stopped) return
      if (error === null) rest()
      else this.#fail(error)
    }
  }

  /** Both removal and renaming must be durable before the header is written over: a header of a newer incarnation under the old name would be damage. */
  #recycleFreed(incarnation: number, sizeBytes: number): void {
    const { segmentBytes, spareSegments, directory } = this.#options
    const path = this.#path(segmentName(incarnation))
    this.#begin((done) => {
      const synced = this.#orFail(() => this.#disk.syncDirectory(directory, this.#orFail(done)))
      if (sizeBytes !== segmentBytes || this.freeSegments >= spareSegments) return this.#disk.remove(path, synced)
      const number = this.#nextNumber++
      this.#disk.rename(
        path,
        this.#path(spareName(number)),
        this.#orFail(() => {
          this.#disk.syncDirectory(
            directory,
            this.#orFail(() => {
              this.#spares.push(number)
              done()
            }),
          )
        }),
      )
    })
  }

  #removeQuietly(path: string, done: () => void): void {
    this.#disk.remove(path, (error) => {
      if (this.#stopped) return
      if (error !== null && error.code !== 'not-found') {
        this.#logger.warn('a leftover of the log cannot be removed', { error: error.message })
      }
      done()
    })
  }

  /** Makes a spare the next segment: header, sync, name, directory sync. */
  #prepare(): void {
    const number = this.#spares.shift()
    assert(number !== undefined, 'SegmentPool: no spare to prepare')
    const { directory, segmentBytes, logId } = this.#options
    const path = this.#path(spareName(number))
    const incarnation = this.#newestIncarnation + 1
    this.#begin((done) => {
      this.#disk.open(path, 'write', (openError, file) => {
        if (this.#stopped) return
        if (openError !== null || file === null) return this.#fail(openError ?? noFile(path))
        file.size((sizeError, sizeBytes) => {
          if (this.#stopped) return
          if (sizeError !== null) return this.#fail(sizeError)
          // Another segment size was in force when this spare was made, or a crash cut it short.
          if (sizeBytes !== segmentBytes) return file.close(() => this.#removeQuietly(path, done))
          const header = encodeSegmentHeader({ version: FORMAT_VERSION, incarnation, segmentBytes, logId })
          const rename = (): void => this.#disk.rename(path, this.#path(segmentName(incarnation)), this.#orFail(sync))
          const sync = (): void =>
            this.#disk.syncDirectory(
              directory,
              this.#orFail(() => this.#give(file, incarnation, done)),
            )
          file.write(
            0,
            header,
            this.#orFail(() => file.sync(this.#orFail(rename))),
          )
        })
      })
    })
  }

  #give(file: DiskFile, incarnation: number, done: () => void): void {
    assert(incarnation > this.#newestIncarnation, 'SegmentPool: incarnations rise')
    this.#newestIncarnation = incarnation
    const segment = { file, incarnation }
    const taker = this.#taker
    this.#taker = null
    if (taker === null) this.#next = segment
    else taker(segment)
    done()
  }

  /** A new zero-written spare; where the disk is full, later again. */
  #create(): void {
    if (this.#retryLater) return
    const number = this.#nextNumber++
    const path = this.#path(unfinishedName(number))
    this.#begin((done) => {
      this.#disk.open(path, 'create', (error, file) => {
        if (this.#stopped) return
        if (error !== null || file === null) return this.#creationFailed(path, null, error ?? noFile(path), done)
        this.#writeZeros(file, 0, (writeError) => {
          if (this.#stopped) return
          if (writeError !== null) return this.#creationFailed(path, file, writeError, done)
          file.close((closeError) => {
            if (this.#stopped) return
            if (closeError !== null) return this.#creationFailed(path, null, closeError, done)
            const renamed = (): void => {
              this.#noSpace = false
              this.#spares.push(number)
              done()
            }
            this.#disk.rename(path, this.#path(spareName(number)), this.#orFail(renamed))
          })
        })
      })
    })
  }

  /** In steps, each synced, so that the log's own syncs never wait behind a whole segment; at once where a taker waits. */
  #writeZeros(file: DiskFile, offset: number, done: DiskDone): void {
    const bytes = Math.min(ZERO_CHUNK_BYTES, this.#options.segmentBytes - offset)
    if (bytes === 0) return file.sync(done)
    file.write(offset, ZEROS.subarray(0, bytes), (error) => {
      if (this.#stopped) return
      if (error !== null) return done(error)
      const goOn = (): void => this.#writeZeros(file, offset + bytes, done)
      if (this.#taker !== null) return goOn()
      file.sync((syncError) => (syncError === null ? goOn() : done(syncError)))
    })
  }

  /** Nothing was in the file that anyone relies on, so it can simply be dropped. */
  #creationFailed(path: string, file: DiskFile | null, error: DiskError, done: () => void): void {
    if (error.code !== 'no-space') return this.#fail(error)
    if (!this.waitsForSpace && this.#taker !== null) return this.#fail(error)
    if (!this.#noSpace) this.#logger.warn('no room for another log segment', { error: error.message })
    this.#noSpace = true
    this.#retryLater = true
    this.#clock.setTimer(RETRY_AFTER_MS, () => {
      this.#retryLater = false
      this.tend()
    })
    const remove = (): void => this.#removeQuietly(path, done)
    if (file === null) remove()
    else file.close(remove)
  }
}

function noFile(path: string): DiskError {
  return { code: 'io', message: `${path}: open gave no file` }
}
