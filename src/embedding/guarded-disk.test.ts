// What a killed node leaves on the disk: calls under way end, nothing new begins, descriptors close last.
import { expect, test } from 'vitest'
import type { Disk, DiskDone, DiskFile } from '../ports/disk.ts'
import { GuardedDisk } from './guarded-disk.ts'
import { NodeLife } from './node-life.ts'

/** A disk that answers when it is told to, and tells what it was asked. */
class SlowDisk {
  readonly asked: string[] = []
  readonly #answers: (() => void)[] = []

  answerAll(): void {
    for (const answer of this.#answers.splice(0)) answer()
  }

  #ask(what: string, answer: () => void): void {
    this.asked.push(what)
    this.#answers.push(answer)
  }

  readonly disk = {
    open: (path: string, _mode: string, done: (error: null, file: DiskFile) => void) =>
      this.#ask(`open ${path}`, () => done(null, this.#file(path))),
    rename: (from: string, _to: string, done: DiskDone) => this.#ask(`rename ${from}`, () => done(null)),
  } as unknown as Disk

  #file(path: string): DiskFile {
    return {
      path,
      write: (_offset: number, _bytes: Uint8Array, done: DiskDone) => this.#ask(`write ${path}`, () => done(null)),
      sync: (done: DiskDone) => this.#ask(`sync ${path}`, () => done(null)),
      close: (done: DiskDone) => {
        this.asked.push(`close ${path}`)
        done(null)
      },
    } as unknown as DiskFile
  }
}

function openFile(slow: SlowDisk, disk: Disk, path: string): DiskFile {
  let opened: DiskFile | null = null
  disk.open(path, 'write', (_error, file) => {
    opened = file
  })
  slow.answerAll()
  if (opened === null) throw new Error('not opened')
  return opened
}

test('descriptors close once the calls under way have ended; the node hears nothing of it', async () => {
  const slow = new SlowDisk()
  const life = new NodeLife(() => {})
  const disk = new GuardedDisk(slow.disk, life)
  const log = openFile(slow, disk, 'log')
  openFile(slow, disk, 'spare')
  const heard: string[] = []
  log.write(0, new Uint8Array(1), () => heard.push('written'))
  disk.open('late', 'read', () => heard.push('opened'))
  life.end()
  log.sync(() => heard.push('synced'))
  disk.rename('a', 'b', () => heard.push('renamed'))
  let ended = false
  const end = disk.end().then(() => {
    ended = true
  })
  await Promise.resolve()
  expect(ended).toBe(false)
  expect(slow.asked).toEqual(['open log', 'open spare', 'write log', 'open late'])
  slow.answerAll()
  await end
  expect(slow.asked.slice(4).sort()).toEqual(['close late', 'close log', 'close spare'])
  expect(heard).toEqual([])
})

test('what the node throws ends its life', () => {
  const slow = new SlowDisk()
  const errors: unknown[] = []
  const life: NodeLife = new NodeLife((error) => {
    errors.push(error)
    life.end()
  })
  const disk = new GuardedDisk(slow.disk, life)
  disk.rename('a', 'b', () => {
    throw new Error('broken')
  })
  disk.rename('c', 'd', () => errors.push('went on'))
  slow.answerAll()
  expect(errors).toEqual([new Error('broken')])
})
