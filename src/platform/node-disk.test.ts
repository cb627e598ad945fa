import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DiskError, DiskFile } from '../ports/disk.ts'
import { type DirectoryLock, lockDirectory, NodeDisk } from './node-disk.ts'

let directory = ''
const disk = new NodeDisk()

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-disk-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** A call that answers with an error or null. */
const told = (call: (done: (error: DiskError | null) => void) => void): Promise<DiskError | null> => new Promise(call)

function open(path: string, mode: 'read' | 'write' | 'create'): Promise<[DiskError | null, DiskFile | null]> {
  return new Promise((done) => disk.open(path, mode, (error, file) => done([error, file])))
}

async function opened(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
  const [error, file] = await open(path, mode)
  if (file === null) throw new Error(error?.message)
  return file
}

const read = (file: DiskFile, offset: number, length: number): Promise<Uint8Array> =>
  new Promise((done, fail) =>
    file.read(offset, length, (error, bytes) => (error === null ? done(bytes) : fail(new Error(error.message)))),
  )

describe('NodeDisk', () => {
  it('writes, syncs and reads back, short only at the end', async () => {
    const file = await opened(join(directory, 'a'), 'create')
    expect(await told((done) => file.write(4096, Uint8Array.of(1, 2, 3), done))).toBeNull()
    expect(await told((done) => file.sync(done))).toBeNull()
    expect(await new Promise((done) => file.size((_, bytes) => done(bytes)))).toBe(4099)
    expect([...(await read(file, 4095, 100))]).toEqual([0, 1, 2, 3])
    expect(await read(file, 5000, 10)).toHaveLength(0)
    expect(await read(file, 0, 0)).toHaveLength(0)
    expect(await told((done) => file.close(done))).toBeNull()
  })

  it('tells what is missing, what exists, what is denied, with path and operation', async () => {
    const path = join(directory, 'a')
    expect((await open(path, 'read'))[0]).toEqual({ code: 'not-found', message: `${path}: open: ENOENT` })
    expect((await open(path, 'write'))[0]?.code).toBe('not-found')
    await told((done) => opened(path, 'create').then((file) => file.close(done)))
    expect((await open(path, 'create'))[0]).toEqual({ code: 'exists', message: `${path}: create: EEXIST` })
    expect((await told((done) => disk.remove(join(directory, 'b'), done)))?.code).toBe('not-found')
    expect((await told((done) => disk.rename(join(directory, 'b'), path, done)))?.code).toBe('not-found')
    expect((await told((done) => disk.makeDirectory(path, done)))?.code).toBe('exists')
    expect((await told((done) => disk.syncDirectory(join(directory, 'c'), done)))?.code).toBe('not-found')
    const readOnly = await opened(path, 'read')
    expect((await told((done) => readOnly.write(0, Uint8Array.of(1), done)))?.message).toContain(`${path}: write: `)
    await told((done) => readOnly.close(done))
  })

  it('lists sorted names, renames, removes', async () => {
    const sub = join(directory, 'sub')
    expect(await told((done) => disk.makeDirectory(sub, done))).toBeNull()
    expect(await told((done) => disk.makeDirectory(sub, done))).toBeNull()
    for (const name of ['b', 'a', 'c']) writeFileSync(join(sub, name), name)
    await told((done) => disk.rename(join(sub, 'c'), join(sub, 'a'), done))
    expect(await told((done) => disk.syncDirectory(sub, done))).toBeNull()
    const names = await new Promise((done) => disk.list(sub, (_, found) => done(found)))
    expect(names).toEqual(['a', 'b'])
    expect(readFileSync(join(sub, 'a'), 'latin1')).toBe('c')
    expect(await told((done) => disk.removeTree(sub, done))).toBeNull()
    expect(await told((done) => disk.removeTree(sub, done))).toBeNull()
    const [error] = await new Promise<[DiskError | null]>((done) => disk.list(sub, (failure) => done([failure])))
    expect(error?.code).toBe('not-found')
  })
})

function lock(path: string): Promise<{ error: DiskError | null; lock: DirectoryLock | null }> {
  return new Promise((done) => lockDirectory(path, (error, held) => done({ error, lock: held })))
}

describe('lockDirectory', () => {
  it('lets one in, by whatever path, until it lets go', async () => {
    const first = await lock(directory)
    expect(first.error).toBeNull()
    const link = `${directory}-link`
    symlinkSync(directory, link)
    const second = await lock(link)
    rmSync(link)
    expect(second.lock).toBeNull()
    expect(second.error).toEqual({
      code: 'locked',
      message: `${link}: in use by another process (process ${process.pid})`,
    })
    await new Promise<void>((done) => first.lock?.release(done))
    const third = await lock(directory)
    expect(third.error).toBeNull()
    await new Promise<void>((done) => third.lock?.release(done))
  })

  it('lets exactly one of many in', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, () => lock(directory)))
    expect(all.filter((one) => one.lock !== null)).toHaveLength(1)
    expect(all.filter((one) => one.error?.code === 'locked')).toHaveLength(11)
    for (const one of all) if (one.lock !== null) await new Promise<void>((done) => one.lock?.release(done))
  })

  it('is not kept by children, and goes with a process that is killed', async () => {
    const held = await lock(directory)
    const child = spawn('sleep', ['60'])
    await new Promise<void>((done) => held.lock?.release(done))
    const again = await lock(directory)
    child.kill('SIGKILL')
    expect(again.error).toBeNull()
    await new Promise<void>((done) => again.lock?.release(done))

    const holder = spawn('flock', ['-n', join(directory, 'lock'), '-c', 'echo held; exec sleep 60'], { detached: true })
    await new Promise<void>((done) => holder.stdout.once('data', () => done()))
    expect((await lock(directory)).error?.code).toBe('locked')
    // The whole group: flock's child has the descriptor too.
    process.kill(-Number(holder.pid), 'SIGKILL')
    await new Promise((done) => holder.once('close', done))
    // The kernel takes the last of the group apart in its own time.
    let after = await lock(directory)
    for (let attempt = 0; attempt < 200 && after.lock === null; attempt++) after = await lock(directory)
    expect(after.error).toBeNull()
    await new Promise<void>((done) => after.lock?.release(done))
  })

  it('says where the directory is missing', async () => {
    const { error } = await lock(join(directory, 'none'))
    expect(error?.code).toBe('not-found')
    expect(error?.message).toContain(join(directory, 'none'))
  })
})
