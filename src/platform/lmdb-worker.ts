/**
 * The thread that writes base files: checkpoints, one synced LMDB transaction each, images and the checking of installed
 * ones. One a process serves all replicas, one request after the other: disks gain nothing from two checkpoints at once, and a
 * worker each would cost every group megabytes. Requests run in the order of their sending.
 */
import { closeSync, fstatSync, openSync, readSync, statfsSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { assert, present } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { REMOVED_LENGTH, type SortedRun } from '../ports/base-file.ts'
import type { DiskError } from '../ports/disk.ts'
import { KeyCounts } from '../ports/key-counts.ts'
import { RunReader, sealRun } from '../ports/sorted-run.ts'
import { COUNTS_KEY, diskErrorOf, type Environment, META_KEY, openEnvironment } from './lmdb-environment.ts'
import { seedFreeList } from './lmdb-free-list.ts'

export type LmdbRequest =
  | {
      readonly kind: 'commit'
      readonly directory: string
      readonly mapBytes: number
      readonly run: SortedRun
      readonly meta: Uint8Array
    }
  | { readonly kind: 'image'; readonly directory: string; readonly mapBytes: number; readonly target: string }
  | { readonly kind: 'verify'; readonly file: string; readonly sizeBytes: number; readonly crc32c: number }
  | { readonly kind: 'close'; readonly directory: string }

export interface LmdbAnswer {
  readonly request: number
  readonly error: DiskError | null
}

const VERIFY_CHUNK_BYTES = 1024 * 1024

/** LMDB's binding takes the address of an ordinary buffer; shared memory has none it can see, so values pass through here. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024)

const environments = new Map<string, Environment>()

function environmentAt(directory: string, mapBytes: number): Environment {
  const known = environments.get(directory)
  if (known !== undefined) return known
  const opened = openEnvironment(directory, mapBytes)
  seedFreeList(opened)
  environments.set(directory, opened)
  return opened
}

function commit(environment: Environment, run: SortedRun, meta: Uint8Array): void {
  const order = sealRun(run)
  const reader = new RunReader(run)
  environment.transactionSync(() => {
    const stored = environment.getBinary(COUNTS_KEY)
    const counts = stored === undefined ? KeyCounts.empty() : KeyCounts.decode(stored)
    for (const row of order) counts.add(reader.key(row), writeChange(environment, reader.key(row), reader.value(row)))
    environment.putSync(COUNTS_KEY, Buffer.from(counts.encode()))
    environment.putSync(META_KEY, Buffer.from(meta))
  })
}

/** Returns by how much the number of keys changes. */
function writeChange(environment: Environment, key: Uint8Array, value: Uint8Array | null): number {
  if (value === null) return environment.removeSync(key) ? -1 : 0
  assert(value.length < REMOVED_LENGTH, 'lmdb worker: value too long')
  if (value.length > scratch.length) scratch = Buffer.allocUnsafeSlow(value.length * 2)
  scratch.set(value)
  const copy = scratch.subarray(0, value.length)
  // The type says void; lmdb-js returns whether the condition held. A second descent only where the key was there.
  const inserted: unknown = environment.putSync(key, copy, { noOverwrite: true })
  if (inserted === true) return 1
  const replaced: unknown = environment.putSync(key, copy)
  assert(replaced === true, 'lmdb worker: a put was refused')
  return 0
}

/**
 * LMDB calls a write that the disk cut short for want of space an input/output error. With less room left than the pages of
 * such a run may need it is taken for what it most likely is; the transaction is undone either way, and writing it again is sound.
 */
function namedForFullDisk(error: DiskError, directory: string, run: SortedRun): DiskError {
  if (error.code !== 'io') return error
  let runBytes = 0
  for (const slab of run.slabs) runBytes += slab.byteLength
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize > 2 * runBytes + 4096 * run.count + 1024 * 1024) return error
  return { code: 'no-space', message: `${error.message} (the disk has ${bavail * bsize} bytes left)` }
}

function verify(file: string, sizeBytes: number, expected: number): DiskError | null {
  const handle = openSync(file, 'r')
  try {
    const size = fstatSync(handle).size
    if (size !== sizeBytes) return { code: 'io', message: `image ${file}: ${size} bytes, the sender had ${sizeBytes}` }
    const chunk = Buffer.allocUnsafeSlow(VERIFY_CHUNK_BYTES)
    let crc = 0
    for (let offset = 0; offset < size; ) {
      const length = readSync(handle, chunk, 0, Math.min(chunk.length, size - offset), offset)
      if (length === 0) return { code: 'io', message: `image ${file}: ends at ${offset} of ${size}` }
      crc = crc32c(chunk, 0, length, crc)
      offset += length
    }
    return crc === expected ? null : { code: 'io', message: `image ${file}: checksum differs from the sender's` }
  } finally {
    closeSync(handle)
  }
}

async function serve(request: LmdbRequest): Promise<DiskError | null> {
  switch (request.kind) {
    case 'commit':
      commit(environmentAt(request.directory, request.mapBytes), request.run, request.meta)
      return null
    case 'image':
      await environmentAt(request.directory, request.mapBytes).backup(request.target, true)
      return null
    case 'verify':
      return verify(request.file, request.sizeBytes, request.crc32c)
    case 'close': {
      const environment = environments.get(request.directory)
      environments.delete(request.directory)
      if (environment !== undefined) await environment.close()
      return null
    }
  }
}

const port = present(parentPort, 'lmdb worker: not started as a worker')
let previous: Promise<void> = Promise.resolve()

async function answer(request: number, body: LmdbRequest): Promise<void> {
  let error: DiskError | null
  try {
    error = await serve(body)
  } catch (failure) {
    error = diskErrorOf(body.kind, body.kind === 'verify' ? body.file : body.directory, failure)
    if (body.kind === 'commit') error = namedForFullDisk(error, body.directory, body.run)
  }
  port.postMessage({ request, error } satisfies LmdbAnswer)
}

port.on('message', (message: { readonly request: number; readonly body: LmdbRequest }) => {
  previous = previous.then(() => answer(message.request, message.body))
})
