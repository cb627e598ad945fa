/**
 * The Disk port on node:fs, callbacks only: the calls run on libuv's threads and never block the loop. And the lock that keeps two
 * processes out of one data directory.
 */
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { EMPTY_BYTES } from '../base/bytes.ts'
import type { Disk, DiskDone, DiskError, DiskErrorCode, DiskFile, OpenMode } from '../ports/disk.ts'

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EEXIST: 'exists',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
}

function diskError(operation: string, path: string, error: NodeJS.ErrnoException): DiskError {
  const reason = error.code ?? error.message
  return { code: CODES[error.code ?? ''] ?? 'io', message: `${path}: ${operation}: ${reason}` }
}

/** Node's callback for a call without a result. */
function mapped(operation: string, path: string, done: DiskDone): (error: NodeJS.ErrnoException | null) => void {
  return (error) => done(error === null ? null : diskError(operation, path, error))
}

const FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', write: 'r+', create: 'wx+' }

export class NodeDisk implements Disk {
  open(path: string, mode: OpenMode, done: (error: DiskError | null, file: DiskFile | null) => void): void {
    fs.open(path, FLAGS[mode], (error, descriptor) => {
      if (error !== null) done(diskError(mode === 'create' ? 'create' : 'open', path, error), null)
      else done(null, new NodeFile(path, descriptor))
    })
  }

  list(directory: string, done: (error: DiskError | null, names: readonly string[]) => void): void {
    fs.readdir(directory, (error, names) => {
      if (error !== null) done(diskError('list', directory, error), [])
      else done(null, names.sort())
    })
  }

  makeDirectory(path: string, done: DiskDone): void {
    fs.mkdir(path, (error) => {
      if (error?.code !== 'EEXIST') {
        done(error === null ? null : diskError('makeDirectory', path, error))
        return
      }
      fs.stat(path, (statError, stats) => {
        if (statError === null && stats.isDirectory()) done(null)
        else done(diskError('makeDirectory', path, error))
      })
    })
  }

  rename(from: string, to: string, done: DiskDone): void {
    fs.rename(from, to, mapped(`rename to ${to}`, from, done))
  }

  remove(path: string, done: DiskDone): void {
    fs.unlink(path, mapped('remove', path, done))
  }

  removeTree(path: string, done: DiskDone): void {
    fs.rm(path, { recursive: true, force: true }, mapped('removeTree', path, done))
  }

  syncDirectory(path: string, done: DiskDone): void {
    fs.open(path, 'r', (openError, descriptor) => {
      if (openError !== null) {
        done(diskError('syncDirectory', path, openError))
        return
      }
      fs.fsync(descriptor, (syncError) => {
        fs.close(descriptor, (closeError) => {
          const error = syncError ?? closeError
          done(error === null || error === undefined ? null : diskError('syncDirectory', path, error))
        })
      })
    })
  }
}

class NodeFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number

  constructor(path: string, descriptor: number) {
    this.path = path
    this.#descriptor = descriptor
  }

  read(offset: number, lengthBytes: number, done: (error: DiskError | null, bytes: Uint8Array) => void): void {
    const bytes = new Uint8Array(lengthBytes)
    const readFrom = (filled: number): void => {
      if (filled === lengthBytes) {
        done(null, bytes)
        return
      }
      fs.read(this.#descriptor, bytes, filled, lengthBytes - filled, offset + filled, (error, count) => {
        if (error !== null) done(diskError('read', this.path, error), EMPTY_BYTES)
        else if (count === 0) done(null, bytes.subarray(0, filled))
        else readFrom(filled + count)
      })
    }
    if (lengthBytes === 0) setImmediate(() => done(null, bytes))
    else readFrom(0)
  }

  write(offset: number, bytes: Uint8Array, done: DiskDone): void {
    const writeFrom = (written: number): void => {
      fs.write(this.#descriptor, bytes, written, bytes.length - written, offset + written, (error, count) => {
        if (error !== null) done(diskError('write', this.path, error))
        else if (written + count === bytes.length) done(null)
        else if (count === 0) done({ code: 'io', message: `${this.path}: write: no byte was taken` })
        else writeFrom(written + count)
      })
    }
    writeFrom(0)
  }

  sync(done: DiskDone): void {
    fs.fdatasync(this.#descriptor, mapped('sync', this.path, done))
  }

  size(done: (error: DiskError | null, sizeBytes: number) => void): void {
    fs.fstat(this.#descriptor, (error, stats) => {
      if (error !== null) done(diskError('size', this.path, error), 0)
      else done(null, stats.size)
    })
  }

  close(done: DiskDone): void {
    fs.close(this.#descriptor, (error) => mapped('close', this.path, done)(error ?? null))
  }
}

export interface DirectoryLock {
  release(done: () => void): void
}

const LOCK_FILE = 'lock'
/** BSD's and macOS's open flag O_EXLOCK; Linux has none. */
const OPEN_EXCLUSIVE_LOCK = 0x20
/** util-linux and busybox both say "somebody else has it" with 1. */
const FLOCK_TAKEN = 1

/**
 * Takes the directory for this process; `locked` where another one has it. The lock is flock(2) on the file `lock`: the kernel drops it with
 * the last descriptor, so a SIGKILL releases it; it hangs on the inode, so mounts, symlinks, network and pid namespaces do not get
 * around it. The other ways have holes: a pid file is taken over by two at once (and pids come again, and differ between
 * containers), a socket file must be removed when stale, with the same race, and abstract sockets are blind across network namespaces.
 *
 * Node has no flock. A descriptor's lock belongs to the open file, not to the process that asked: so `flock -n 3` (util-linux,
 * busybox) locks the descriptor that it inherits from us, ends, and we keep the lock. Descriptors are
 * opened close-on-exec, so no other child holds it on. macOS and the BSDs take the lock in open itself.
 */
export function lockDirectory(path: string, done: (error: DiskError | null, lock: DirectoryLock | null) => void): void {
  const file = join(path, LOCK_FILE)
  const { O_RDWR, O_CREAT, O_NONBLOCK } = fs.constants
  const locksInOpen = process.platform !== 'linux'
  const flags = O_RDWR | O_CREAT | (locksInOpen ? OPEN_EXCLUSIVE_LOCK | O_NONBLOCK : 0)
  fs.open(file, flags, 0o644, (error, descriptor) => {
    if (error !== null) {
      if (locksInOpen && (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK')) refuse(path, file, null, done)
      else done(diskError('lock', file, error), null)
    } else if (locksInOpen) hold(file, descriptor, done)
    else lockDescriptor(path, file, descriptor, done)
  })
}

function lockDescriptor(
  path: string,
  file: string,
  descriptor: number,
  done: (error: DiskError | null, lock: DirectoryLock | null) => void,
): void {
  let ended = false
  const end = (error: DiskError | null, taken: boolean): void => {
    if (ended) return
    ended = true
    if (taken) refuse(path, file, descriptor, done)
    else if (error !== null) fs.close(descriptor, () => done(error, null))
    else hold(file, descriptor, done)
  }
  const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] })
  child.on('error', (error) => {
    const message = `${file}: lock: the command flock (util-linux) does not run: ${error.message}`
    end({ code: 'io', message }, false)
  })
  child.on('exit', (status) => {
    if (status === 0) end(null, false)
    else if (status === FLOCK_TAKEN) end(null, true)
    else end({ code: 'io', message: `${file}: lock: flock ended with ${String(status)}` }, false)
  })
}

/** The file's contents are for people only: who holds it. */
function hold(
  file: string,
  descriptor: number,
  done: (error: DiskError | null, lock: DirectoryLock | null) => void,
): void {
  const lock: DirectoryLock = { release: (released) => fs.close(descriptor, () => released()) }
  fs.ftruncate(descriptor, 0, () => {
    fs.write(descriptor, `${process.pid}\n`, 0, (error) => {
      if (error === null) done(null, lock)
      // On a full disk the lock is as good without the number.
      else if (error.code === 'ENOSPC' || error.code === 'EDQUOT') done(null, lock)
      else fs.close(descriptor, () => done(diskError('lock', file, error), null))
    })
  })
}

function refuse(
  path: string,
  file: string,
  descriptor: number | null,
  done: (error: DiskError | null, lock: DirectoryLock | null) => void,
): void {
  fs.readFile(file, 'latin1', (error, text) => {
    const pid = error === null && /^\d+$/.test(text.trim()) ? ` (process ${text.trim()})` : ''
    const answer = (): void => done({ code: 'locked', message: `${path}: in use by another process${pid}` }, null)
    if (descriptor === null) answer()
    else fs.close(descriptor, answer)
  })
}
