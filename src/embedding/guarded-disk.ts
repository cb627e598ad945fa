/** The Disk of one node: after the node's life no further write goes out, and what it had open is closed once nothing uses it. */
import type { Disk, DiskDone, DiskError, DiskFile, OpenMode } from '../ports/disk.ts'
import type { NodeLife } from './node-life.ts'
import { PendingCalls } from './pending-calls.ts'

export class GuardedDisk implements Disk {
  readonly #disk: Disk
  readonly #life: NodeLife
  readonly #calls: PendingCalls
  readonly #files = new Set<DiskFile>()

  constructor(disk: Disk, life: NodeLife) {
    this.#disk = disk
    this.#life = life
    this.#calls = new PendingCalls(life)
  }

  open(path: string, mode: OpenMode, done: (error: DiskError | null, file: DiskFile | null) => void): void {
    if (this.#life.over) return
    const answer = this.#calls.expect(done)
    this.#disk.open(path, mode, (error, file) => {
      if (file !== null) this.#files.add(file)
      answer(error, file === null ? null : this.#guard(file))
    })
  }

  list(directory: string, done: (error: DiskError | null, names: readonly string[]) => void): void {
    if (!this.#life.over) this.#disk.list(directory, this.#calls.expect(done))
  }

  makeDirectory(path: string, done: DiskDone): void {
    if (!this.#life.over) this.#disk.makeDirectory(path, this.#calls.expect(done))
  }

  rename(from: string, to: string, done: DiskDone): void {
    if (!this.#life.over) this.#disk.rename(from, to, this.#calls.expect(done))
  }

  remove(path: string, done: DiskDone): void {
    if (!this.#life.over) this.#disk.remove(path, this.#calls.expect(done))
  }

  removeTree(path: string, done: DiskDone): void {
    if (!this.#life.over) this.#disk.removeTree(path, this.#calls.expect(done))
  }

  syncDirectory(path: string, done: DiskDone): void {
    if (!this.#life.over) this.#disk.syncDirectory(path, this.#calls.expect(done))
  }

  /** After the life's end: once it resolves, nothing of the node's is open or under way on the disk. */
  async end(): Promise<void> {
    await this.#calls.whenNone()
    const files = [...this.#files]
    this.#files.clear()
    await Promise.all(files.map((file) => new Promise<void>((closed) => file.close(() => closed()))))
  }

  #guard(file: DiskFile): DiskFile {
    const life = this.#life
    const calls = this.#calls
    return {
      path: file.path,
      read: (offset, lengthBytes, done) => {
        if (!life.over) file.read(offset, lengthBytes, calls.expect(done))
      },
      write: (offset, bytes, done) => {
        if (!life.over) file.write(offset, bytes, calls.expect(done))
      },
      sync: (done) => {
        if (!life.over) file.sync(calls.expect(done))
      },
      size: (done) => {
        if (!life.over) file.size(calls.expect(done))
      },
      close: (done) => {
        if (life.over) return
        this.#files.delete(file)
        file.close(calls.expect(done))
      },
    }
  }
}
