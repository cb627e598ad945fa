/**
 * Files. Real: platform/ (node:fs callbacks). Simulated: simulation/, where a crash keeps any subset of the unsynced
 * writes, torn at 512-byte sectors, and loses unsynced directory entries.
 * Callbacks run as events of their own. Paths use "/".
 */
export type DiskErrorCode = 'not-found' | 'exists' | 'no-space' | 'denied' | 'locked' | 'io'

export interface DiskError {
  readonly code: DiskErrorCode
  /** Names the path and the operation. */
  readonly message: string
}

export type DiskDone = (error: DiskError | null) => void

export interface DiskFile {
  readonly path: string
  /** Fewer bytes than asked only at the end of the file. The array is the caller's. */
  read(offset: number, lengthBytes: number, done: (error: DiskError | null, bytes: Uint8Array) => void): void
  /** All or an error; `bytes` must not change until `done`. Durable only after a sync that began later. */
  write(offset: number, bytes: Uint8Array, done: DiskDone): void
  /** fdatasync. After an error nothing is known about what reached the disk: the caller must end, never retry. */
  sync(done: DiskDone): void
  size(done: (error: DiskError | null, sizeBytes: number) => void): void
  close(done: DiskDone): void
}

/** `create` fails where the file exists; `write` and `read` fail where it does not. */
export type OpenMode = 'read' | 'write' | 'create'

export interface Disk {
  open(path: string, mode: OpenMode, done: (error: DiskError | null, file: DiskFile | null) => void): void
  /** Names, sorted, without the directory. */
  list(directory: string, done: (error: DiskError | null, names: readonly string[]) => void): void
  /** An existing directory is fine; parents must exist. */
  makeDirectory(path: string, done: DiskDone): void
  rename(from: string, to: string, done: DiskDone): void
  /** A file; a missing one is 'not-found'. */
  remove(path: string, done: DiskDone): void
  /** A directory with all in it; a missing one is fine. */
  removeTree(path: string, done: DiskDone): void
  /** Makes creations, renames and removals in this directory durable. */
  syncDirectory(path: string, done: DiskDone): void
}
