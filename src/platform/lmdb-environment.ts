/**
 * How a base file lies in LMDB: one environment a directory, keys and values as they come, and two keys of its own
 * above all others. Main thread and worker open it alike (lmdb-js gives both the same native environment).
 *
 *   0xff 'c'  counts of keys (ports/key-counts.ts)
 *   0xff 'm'  the meta blob
 *   0xff 's'  written once into a file whose free list is empty (lmdb-free-list.ts)
 */
import { open, type RootDatabase } from 'lmdb'
import type { DiskError, DiskErrorCode } from '../ports/disk.ts'

export type Environment = RootDatabase<Buffer, Uint8Array>

export const COUNTS_KEY: Uint8Array = Uint8Array.of(0xff, 0x63)
export const META_KEY: Uint8Array = Uint8Array.of(0xff, 0x6d)

/** Address space, not memory. Past it LMDB maps anew by itself. */
export const DEFAULT_MAP_BYTES = 16 * 1024 * 1024 * 1024

export function openEnvironment(path: string, mapBytes: number = DEFAULT_MAP_BYTES): Environment {
  return open<Buffer, Uint8Array>({
    path,
    noSubdir: false,
    keyEncoding: 'binary',
    encoding: 'binary',
    cache: false,
    mapSize: mapBytes,
    // Plain LMDB order: data, sync, meta page, sync, and only then is the commit done and seen.
    overlappingSync: false,
    maxDbs: 1,
  })
}

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'not-found',
  EEXIST: 'exists',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  EAGAIN: 'locked',
  EBUSY: 'locked',
}

/** LMDB gives the system's error numbers as `code`, Node their names. */
const NUMBERS: Readonly<Record<number, string>> = {
  2: 'ENOENT',
  28: 'ENOSPC',
  122: 'EDQUOT',
  13: 'EACCES',
  1: 'EPERM',
  30: 'EROFS',
}

export function diskErrorOf(operation: string, path: string, failure: unknown): DiskError {
  const given = failure instanceof Error && 'code' in failure ? failure.code : undefined
  const name = typeof given === 'number' ? (NUMBERS[given] ?? '') : String(given)
  const text = failure instanceof Error ? failure.message : String(failure)
  // A failed backup brings the system's words without its number.
  const code = /no space left on device/i.test(text) ? 'no-space' : (CODES[name] ?? 'io')
  return { code, message: `${operation} ${path}: ${text}` }
}
