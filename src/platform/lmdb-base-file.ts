/**
 * The port BaseFile on LMDB: one environment for each replica in `<path>/base-<number>/`. Reads run on the main thread
 * through one read transaction that `refresh` renews (0.6 us a get for what is in the page cache); all writing is the worker's.
 * A kept read transaction holds back the pages of one old state, so the file stays below about three times its data.
 */
import { close, fstat, fsync, mkdir, open as openFile, read, readdir, rm, stat, statSync, write } from 'node:fs'
import { dirname } from 'node:path'
import { assert, present } from '../base/assert.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { BaseFile, BaseFileStore, BaseImage, BaseInstall, SortedRun } from '../ports/base-file.ts'
import type { DiskDone, DiskError } from '../ports/disk.ts'
import { KeyCounts } from '../ports/key-counts.ts'
import {
  COUNTS_KEY,
  DEFAULT_MAP_BYTES,
  diskErrorOf,
  type Environment,
  META_KEY,
  openEnvironment,
} from './lmdb-environment.ts'
import { LmdbWriter } from './lmdb-writer.ts'

const DATA_FILE = 'data.mdb'
const IMAGE_PREFIX = 'image-'

type ReadTransaction = ReturnType<Environment['useReadTransaction']>

/** What lmdb-js does and its types leave out. */
interface FastReads {
  /** Length of the value last read: small ones come in one buffer that is used again and again. */
  readonly lastSize: number
  getBinaryFast(key: Uint8Array, options: { readonly transaction: ReadTransaction }): Uint8Array | undefined
}

export class LmdbBaseFileStore implements BaseFileStore {
  readonly #writer = new LmdbWriter()
  readonly #mapBytes: number
  #images = 0
  /** Image directories of this process, so that clearing leftovers spares them. */
  readonly #liveImages = new Set<string>()

  /** `mapBytes`: address space for each file to begin with; tests make it small. */
  constructor(mapBytes: number = DEFAULT_MAP_BYTES) {
    this.#mapBytes = mapBytes
  }

  /** Ends the writing thread; every base file must be closed. */
  stop(): Promise<void> {
    return this.#writer.stop()
  }

  open(path: string, directory: number, done: (error: DiskError | null, base: BaseFile | null) => void): void {
    const target = `${path}/base-${directory}`
    const opened = (error: Error | null): void => {
      if (error) done(diskErrorOf('open', target, error), null)
      else this.#openEnvironment(path, target, done)
    }
    if (directory === 0) mkdir(target, { recursive: true }, opened)
    // An install made it; to make it here would be to start from nothing without saying so.
    else stat(`${target}/${DATA_FILE}`, opened)
  }

  #openEnvironment(path: string, target: string, done: (error: DiskError | null, base: BaseFile | null) => void): void {
    let base: LmdbBaseFile
    try {
      const environment = openEnvironment(target, this.#mapBytes)
      base = new LmdbBaseFile(this.#writer, environment, target, this.#mapBytes, () => this.#newImage(path))
    } catch (failure) {
      done(diskErrorOf('open', target, failure), null)
      return
    }
    syncPaths([target, path, dirname(path)], (error) => {
      if (error === null) done(null, base)
      else base.close(() => done(error, null))
    })
  }

  #newImage(path: string): LiveImage {
    const directory = `${path}/${IMAGE_PREFIX}${process.pid}-${++this.#images}`
    this.#liveImages.add(directory)
    return { directory, forget: () => this.#liveImages.delete(directory) }
  }

  install(path: string, directory: number, done: (error: DiskError | null, install: BaseInstall | null) => void): void {
    const target = `${path}/base-${directory}`
    // What a crash left of an earlier attempt goes first.
    rm(target, { recursive: true, force: true }, (removeError) => {
      if (removeError) return done(diskErrorOf('remove', target, removeError), null)
      mkdir(target, { recursive: true }, (makeError) => {
        if (makeError) return done(diskErrorOf('make', target, makeError), null)
        const file = `${target}/${DATA_FILE}`
        openFile(file, 'wx+', (openError, handle) => {
          if (openError) return done(diskErrorOf('create', file, openError), null)
          done(null, new LmdbInstall(this.#writer, path, target, handle))
        })
      })
    })
  }

  removeOthers(path: string, keep: number, done: DiskDone): void {
    readdir(path, (listError, names) => {
      if (listError) return done(diskErrorOf('list', path, listError))
      const doomed = names.filter((name) =>
        name.startsWith(IMAGE_PREFIX)
          ? !this.#liveImages.has(`${path}/${name}`)
          : /^base-\d+$/.test(name) && name !== `base-${keep}`,
      )
      const next = (error: DiskError | null): void => {
        const name = doomed.pop()
        const target = `${path}/${name}`
        if (error !== null) done(error)
        else if (name === undefined) syncPaths([path], done)
        else
          rm(target, { recursive: true, force: true }, (failure) =>
            next(failure && diskErrorOf('remove', target, failure)),
          )
      }
      next(null)
    })
  }
}

interface LiveImage {
  readonly directory: string
  forget(): void
}

/** fsync of files or directories, one after the other. */
function syncPaths(paths: readonly string[], done: DiskDone): void {
  const path = paths[0]
  if (path === undefined) {
    done(null)
    return
  }
  openFile(path, 'r', (openError, handle) => {
    if (openError) return done(diskErrorOf('sync', path, openError))
    fsync(handle, (syncError) => {
      close(handle, () => {
        if (syncError) done(diskErrorOf('sync', path, syncError))
        else syncPaths(paths.slice(1), done)
      })
    })
  })
}

class LmdbBaseFile implements BaseFile {
  readonly #writer: LmdbWriter
  readonly #environment: Environment
  readonly #reads: FastReads
  readonly #directory: string
  readonly #mapBytes: number
  readonly #newImage: () => LiveImage
  #transaction: ReadTransaction
  #readOptions: { readonly transaction: ReadTransaction }
  #meta: Uint8Array | null = null
  #counts = KeyCounts.empty()
  #committing = false
  #imaging = false
  #ranging = false
  #open = true

  constructor(
    writer: LmdbWriter,
    environment: Environment,
    directory: string,
    mapBytes: number,
    newImage: () => LiveImage,
  ) {
    this.#writer = writer
    this.#environment = environment
    this.#reads = environment as unknown as FastReads
    this.#directory = directory
    this.#mapBytes = mapBytes
    this.#newImage = newImage
    this.#transaction = environment.useReadTransaction()
    this.#readOptions = { transaction: this.#transaction }
    this.#readOwnKeys()
  }

  #readOwnKeys(): void {
    const meta = this.get(META_KEY)
    this.#meta = meta === null ? null : Uint8Array.from(meta)
    const counts = this.get(COUNTS_KEY)
    this.#counts = counts === null ? KeyCounts.empty() : KeyCounts.decode(Uint8Array.from(counts))
  }

  meta(): Uint8Array | null {
    return this.#meta
  }

  get(key: Uint8Array): Uint8Array | null {
    assert(this.#open, 'lmdb base file: closed')
    const bytes = this.#reads.getBinaryFast(key, this.#readOptions)
    return bytes === undefined ? null : bytes.subarray(0, this.#reads.lastSize)
  }

  range(from: Uint8Array, to: Uint8Array, limit: number, visit: (key: Uint8Array, value: Uint8Array) => boolean): void {
    assert(this.#open && !this.#ranging, 'lmdb base file: closed, or a range inside a range')
    const { transaction } = this.#readOptions
    this.#ranging = true
    try {
      for (const { key, value } of this.#environment.getRange({ start: from, end: to, limit, transaction })) {
        if (!visit(key as Uint8Array, value)) break
      }
    } finally {
      this.#ranging = false
    }
  }

  keyCount(prefix: Uint8Array): number {
    return this.#counts.get(prefix)
  }

  commitSorted(run: SortedRun, meta: Uint8Array, done: DiskDone): void {
    assert(this.#open && !this.#committing && !this.#imaging, 'lmdb base file: closed, or a commit or image under way')
    this.#committing = true
    const body = { kind: 'commit', directory: this.#directory, mapBytes: this.#mapBytes, run, meta } as const
    this.#writer.request(body, (error) => {
      this.#committing = false
      done(error)
    })
  }

  refresh(): void {
    assert(this.#open && !this.#ranging, 'lmdb base file: closed, or refreshed inside a range')
    this.#transaction.done()
    this.#environment.resetReadTxn()
    this.#transaction = this.#environment.useReadTransaction()
    this.#readOptions = { transaction: this.#transaction }
    this.#readOwnKeys()
  }

  image(done: (error: DiskError | null, image: BaseImage | null) => void): void {
    assert(this.#open && !this.#committing && !this.#imaging, 'lmdb base file: closed, or a commit or image under way')
    this.#imaging = true
    const live = this.#newImage()
    const finish = (error: DiskError | null, image: BaseImage | null): void => {
      this.#imaging = false
      // On Linux an open file outlives its name: nothing is left behind, however the process ends.
      rm(live.directory, { recursive: true, force: true }, () => {
        live.forget()
        done(error, image)
      })
    }
    mkdir(live.directory, (makeError) => {
      if (makeError) return finish(diskErrorOf('make', live.directory, makeError), null)
      const body = {
        kind: 'image',
        directory: this.#directory,
        mapBytes: this.#mapBytes,
        target: live.directory,
      } as const
      this.#writer.request(body, (error) => {
        if (error !== null) return finish(error, null)
        openImage(`${live.directory}/${DATA_FILE}`, finish)
      })
    })
  }

  sizeBytes(): number {
    return statSync(`${this.#directory}/${DATA_FILE}`).size
  }

  close(done: () => void): void {
    assert(this.#open && !this.#committing && !this.#imaging, 'lmdb base file: closed, or a commit or image under way')
    this.#open = false
    this.#transaction.done()
    this.#writer.request({ kind: 'close', directory: this.#directory }, () => {
      void this.#environment.close().then(done)
    })
  }
}

function openImage(file: string, done: (error: DiskError | null, image: BaseImage | null) => void): void {
  openFile(file, 'r', (openError, handle) => {
    if (openError) return done(diskErrorOf('open', file, openError), null)
    fstat(handle, (statError, stats) => {
      if (statError) return close(handle, () => done(diskErrorOf('stat', file, statError), null))
      done(null, new LmdbImage(file, handle, stats.size))
    })
  })
}

/** A compacted copy, already without a name: it is gone with its handle. */
class LmdbImage implements BaseImage {
  readonly sizeBytes: number
  readonly #file: string
  #handle: number | null
  /** The handle closes once no read uses it: its number could be another file's by then. */
  #reading = 0
  #closing = false

  constructor(file: string, handle: number, sizeBytes: number) {
    this.#file = file
    this.#handle = handle
    this.sizeBytes = sizeBytes
  }

  read(offset: number, lengthBytes: number, done: (error: DiskError | null, bytes: Uint8Array) => void): void {
    assert(!this.#closing, 'lmdb image: closed')
    const handle = present(this.#handle, 'lmdb image: no handle')
    const buffer = new Uint8Array(Math.max(0, Math.min(lengthBytes, this.sizeBytes - offset)))
    this.#reading++
    const finish = (error: DiskError | null, bytes: Uint8Array): void => {
      this.#reading--
      this.#closeIfUnused()
      done(error, bytes)
    }
    const more = (filled: number): void => {
      read(handle, buffer, filled, buffer.length - filled, offset + filled, (error, count) => {
        if (error) return finish(diskErrorOf('read', this.#file, error), EMPTY_BYTES)
        if (filled + count === buffer.length) return finish(null, buffer)
        if (count === 0) return finish({ code: 'io', message: `read ${this.#file}: ended early` }, EMPTY_BYTES)
        more(filled + count)
      })
    }
    more(0)
  }

  close(): void {
    this.#closing = true
    this.#closeIfUnused()
  }

  #closeIfUnused(): void {
    if (!this.#closing || this.#reading > 0 || this.#handle === null) return
    const handle = this.#handle
    this.#handle = null
    close(handle, () => {})
  }
}

class LmdbInstall implements BaseInstall {
  readonly #writer: LmdbWriter
  readonly #path: string
  readonly #target: string
  readonly #file: string
  #handle: number | null
  #writing = 0
  #aborted = false

  constructor(writer: LmdbWriter, path: string, target: string, handle: number) {
    this.#writer = writer
    this.#path = path
    this.#target = target
    this.#file = `${target}/${DATA_FILE}`
    this.#handle = handle
  }

  write(offset: number, bytes: Uint8Array, done: DiskDone): void {
    const handle = present(this.#handle, 'lmdb install: finished')
    assert(!this.#aborted, 'lmdb install: aborted')
    this.#writing++
    const more = (written: number): void => {
      write(handle, bytes, written, bytes.length - written, offset + written, (error, count) => {
        if (!error && written + count < bytes.length) return more(written + count)
        this.#writing--
        this.#removeIfAborted()
        done(error ? diskErrorOf('write', this.#file, error) : null)
      })
    }
    more(0)
  }

  /** Syncs first, then reads back what the file holds: size and checksum must be the sender's. */
  finish(sizeBytes: number, crc: number, done: DiskDone): void {
    const handle = present(this.#handle, 'lmdb install: finished twice')
    assert(this.#writing === 0 && !this.#aborted, 'lmdb install: finished while writing, or after abort')
    this.#handle = null
    fsync(handle, (syncError) => {
      close(handle, () => {
        if (syncError) return done(diskErrorOf('sync', this.#file, syncError))
        this.#writer.request({ kind: 'verify', file: this.#file, sizeBytes, crc32c: crc }, (error) => {
          if (error !== null) return done(error)
          syncPaths([this.#target, this.#path], done)
        })
      })
    })
  }

  abort(): void {
    this.#aborted = true
    this.#removeIfAborted()
  }

  #removeIfAborted(): void {
    if (!this.#aborted || this.#writing > 0) return
    const remove = (): void => rm(this.#target, { recursive: true, force: true }, () => {})
    const handle = this.#handle
    this.#handle = null
    if (handle === null) remove()
    else close(handle, remove)
  }
}
