/** The base files of one node: after the node's life nothing is written to them, and what it had open is closed once nothing uses it. */
import type { BaseFile, BaseFileStore, BaseImage, BaseInstall } from '../ports/base-file.ts'
import type { DiskDone, DiskError } from '../ports/disk.ts'
import type { NodeLife } from './node-life.ts'
import { PendingCalls } from './pending-calls.ts'

/** A store that owns a thread. */
export interface StoppableStore extends BaseFileStore {
  stop(): Promise<void>
}

export class GuardedBaseFiles implements BaseFileStore {
  readonly #store: StoppableStore
  readonly #life: NodeLife
  readonly #calls: PendingCalls
  readonly #bases = new Set<BaseFile>()
  readonly #images = new Set<BaseImage>()
  readonly #installs = new Set<BaseInstall>()

  constructor(store: StoppableStore, life: NodeLife) {
    this.#store = store
    this.#life = life
    this.#calls = new PendingCalls(life)
  }

  open(path: string, directory: number, done: (error: DiskError | null, base: BaseFile | null) => void): void {
    if (this.#life.over) return
    const answer = this.#calls.expect(done)
    this.#store.open(path, directory, (error, base) => {
      if (base !== null) this.#bases.add(base)
      answer(error, base === null ? null : this.#guardBase(base))
    })
  }

  install(path: string, directory: number, done: (error: DiskError | null, install: BaseInstall | null) => void): void {
    if (this.#life.over) return
    const answer = this.#calls.expect(done)
    this.#store.install(path, directory, (error, install) => {
      if (install !== null) this.#installs.add(install)
      answer(error, install === null ? null : this.#guardInstall(install))
    })
  }

  removeOthers(path: string, keep: number, done: DiskDone): void {
    if (!this.#life.over) this.#store.removeOthers(path, keep, this.#calls.expect(done))
  }

  /** After the life's end: once it resolves, nothing of the node's is open or under way. A half-made install stays for the next start to remove. */
  async end(): Promise<void> {
    await this.#calls.whenNone()
    for (const image of this.#images) image.close()
    for (const install of this.#installs) install.abort()
    const bases = [...this.#bases]
    this.#bases.clear()
    await Promise.all(bases.map((base) => new Promise<void>((closed) => base.close(closed))))
    await this.#store.stop()
  }

  #guardBase(base: BaseFile): BaseFile {
    const life = this.#life
    const calls = this.#calls
    return {
      meta: () => base.meta(),
      get: (key) => base.get(key),
      range: (from, to, limit, visit) => base.range(from, to, limit, visit),
      keyCount: (prefix) => base.keyCount(prefix),
      refresh: () => base.refresh(),
      sizeBytes: () => base.sizeBytes(),
      commitSorted: (run, meta, done) => {
        if (!life.over) base.commitSorted(run, meta, calls.expect(done))
      },
      image: (done) => {
        if (life.over) return
        const answer = calls.expect(done)
        base.image((error, image) => {
          if (image !== null) this.#images.add(image)
          answer(error, image === null ? null : this.#guardImage(image))
        })
      },
      close: (done) => {
        if (life.over) return
        this.#bases.delete(base)
        base.close(calls.expect(done))
      },
    }
  }

  #guardImage(image: BaseImage): BaseImage {
    return {
      sizeBytes: image.sizeBytes,
      read: (offset, lengthBytes, done) => {
        if (!this.#life.over) image.read(offset, lengthBytes, this.#calls.expect(done))
      },
      close: () => {
        this.#images.delete(image)
        image.close()
      },
    }
  }

  #guardInstall(install: BaseInstall): BaseInstall {
    const life = this.#life
    const calls = this.#calls
    return {
      write: (offset, bytes, done) => {
        if (!life.over) install.write(offset, bytes, calls.expect(done))
      },
      finish: (sizeBytes, crc32c, done) => {
        if (life.over) return
        // It closes its file by itself, whatever comes of it.
        this.#installs.delete(install)
        install.finish(sizeBytes, crc32c, calls.expect(done))
      },
      abort: () => {
        this.#installs.delete(install)
        install.abort()
      },
    }
  }
}
