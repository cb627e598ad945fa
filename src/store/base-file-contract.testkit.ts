/**
 * What every BaseFile must do, told once: the suite runs against LMDB and the simulated base file, and `compareBaseFiles`
 * drives two of them with the same random operations and compares what they answer.
 */
import { expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { compareBytes, concatBytes, latin1Bytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import { Prng } from '../base/prng.ts'
import {
  type BaseFile,
  type BaseFileStore,
  type BaseImage,
  KEY_PREFIX_BYTES,
  REMOVED_LENGTH,
  ROW_WORDS,
  ROWS_PER_CHUNK,
  type SortedRun,
  VALUE_CHECKSUM_BYTES,
} from '../ports/base-file.ts'
import type { DiskError } from '../ports/disk.ts'
import { checksumHolds } from '../ports/sorted-run.ts'

export interface BaseFileBed {
  readonly files: BaseFileStore
  /** A replica's directory that nobody used yet. */
  readonly path: string
  /** Lets what was started come to its callback: the event loop for LMDB, the scheduler for the simulation. */
  run<T>(start: (done: (result: T) => void) => void): Promise<T>
  end(): Promise<void>
}

export interface Change {
  readonly key: Uint8Array
  /** Without the checksum; null removes the key. */
  readonly value: Uint8Array | null
}

/** A key as the store makes them: slot, generation and hash in front. */
export function contractKey(slot: number, generation: number, hash: number, key: Uint8Array): Uint8Array {
  const header = new Uint8Array(16)
  const view = new DataView(header.buffer)
  view.setUint16(0, slot)
  view.setBigUint64(2, BigInt(generation))
  view.setUint16(10, Math.floor(hash / 2 ** 32))
  view.setUint32(12, hash % 2 ** 32)
  return concatBytes([header, key])
}

/** A frozen run of these changes, in this order, spread over several slabs. */
export function makeRun(changes: readonly Change[]): SortedRun {
  const slabs: SharedArrayBuffer[] = []
  const rows: SharedArrayBuffer[] = []
  for (const [i, change] of changes.entries()) {
    if (i % ROWS_PER_CHUNK === 0) rows.push(new SharedArrayBuffer(ROWS_PER_CHUNK * ROW_WORDS * 4))
    const valueLength = change.value === null ? 0 : change.value.length + VALUE_CHECKSUM_BYTES
    const keySlab = new SharedArrayBuffer(change.key.length + 3)
    const valueSlab = new SharedArrayBuffer(valueLength + 5)
    new Uint8Array(keySlab).set(change.key, 3)
    if (change.value !== null) new Uint8Array(valueSlab).set(change.value, 5)
    const row = [
      slabs.length,
      3,
      change.key.length,
      slabs.length + 1,
      5,
      change.value === null ? REMOVED_LENGTH : valueLength,
    ]
    new Uint32Array(present(rows.at(-1), 'no chunk')).set(row, (i % ROWS_PER_CHUNK) * ROW_WORDS)
    slabs.push(keySlab, valueSlab)
  }
  return { slabs, rows, count: changes.length }
}

export function openBase(bed: BaseFileBed, directory = 0): Promise<BaseFile> {
  return bed.run((done) =>
    bed.files.open(bed.path, directory, (error, base) => {
      expect(error).toBeNull()
      done(present(base, 'no base file'))
    }),
  )
}

export function commit(
  bed: BaseFileBed,
  base: BaseFile,
  changes: readonly Change[],
  meta: string,
): Promise<DiskError | null> {
  return bed.run((done) => base.commitSorted(makeRun(changes), latin1Bytes(meta), done))
}

export function closeBase(bed: BaseFileBed, base: BaseFile): Promise<void> {
  return bed.run((done) => base.close(() => done(undefined)))
}

export async function takeImage(bed: BaseFileBed, base: BaseFile): Promise<BaseImage> {
  return bed.run((done) =>
    base.image((error, image) => {
      expect(error).toBeNull()
      done(present(image, 'no image'))
    }),
  )
}

/** Reads an image in chunks and writes it into a new directory, as a sender and a receiver would. */
export async function copyImage(
  bed: BaseFileBed,
  image: BaseImage,
  directory: number,
  spoil = false,
): Promise<DiskError | null> {
  const install = await bed.run<{
    error: DiskError | null
    install: Parameters<Parameters<BaseFileStore['install']>[2]>[1]
  }>((done) => bed.files.install(bed.path, directory, (error, made) => done({ error, install: made })))
  expect(install.error).toBeNull()
  const target = present(install.install, 'no install')
  let crc = 0
  const chunkBytes = 10_000
  for (let offset = 0; offset < image.sizeBytes; offset += chunkBytes) {
    const bytes = await bed.run<Uint8Array>((done) =>
      image.read(offset, chunkBytes, (error, read) => {
        expect(error).toBeNull()
        done(read)
      }),
    )
    crc = crc32c(bytes, 0, bytes.length, crc)
    const sent = bytes.slice()
    if (spoil && offset === 0) sent[sent.length >> 1] ^= 4
    expect(await bed.run<DiskError | null>((done) => target.write(offset, sent, done))).toBeNull()
  }
  image.close()
  return bed.run((done) => target.finish(image.sizeBytes, crc, done))
}

/** All that the handle shows, as text to compare: meta, counts, keys with values and whether their checksums hold. */
export function contents(
  base: BaseFile,
  from: Uint8Array = new Uint8Array(16),
  to: Uint8Array = Uint8Array.of(0xff),
): string[] {
  const lines: string[] = []
  const counts = new Map<string, number>()
  base.range(from, to, Number.MAX_SAFE_INTEGER, (key, value) => {
    const prefix = Buffer.from(key.subarray(0, KEY_PREFIX_BYTES)).toString('hex')
    counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
    const text = value.length > 200 ? `${value.length} bytes, crc ${crc32c(value)}` : Buffer.from(value).toString('hex')
    lines.push(`${Buffer.from(key).toString('hex')} = ${text}${checksumHolds(key, value) ? '' : ' BAD CHECKSUM'}`)
    return true
  })
  for (const [prefix, count] of counts) {
    expect(base.keyCount(Buffer.from(prefix, 'hex')), `count under ${prefix}`).toBe(count)
  }
  const meta = base.meta()
  return [`meta ${meta === null ? 'none' : Buffer.from(meta).toString('latin1')}`, ...lines]
}

export function contractSuite(makeBed: () => Promise<BaseFileBed>): void {
  const a = contractKey(1, 5, 100, latin1Bytes('a'))
  const b = contractKey(1, 5, 200, latin1Bytes('b'))
  const other = contractKey(2, 5, 50, latin1Bytes('other'))

  async function withBed(body: (bed: BaseFileBed) => Promise<void>): Promise<void> {
    const bed = await makeBed()
    try {
      await body(bed)
    } finally {
      await bed.end()
    }
  }

  it('is empty at first, shows a commit only after refresh, and keeps it', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      expect(base.meta()).toBeNull()
      expect(base.get(a)).toBeNull()
      const value = latin1Bytes('value of a')
      expect(
        await commit(
          bed,
          base,
          [
            { key: b, value: latin1Bytes('') },
            { key: a, value },
          ],
          'first',
        ),
      ).toBeNull()
      expect(base.meta()).toBeNull()
      expect(base.get(a)).toBeNull()
      expect(base.keyCount(a)).toBe(0)
      base.refresh()
      const stored = present(base.get(a), 'a is missing')
      expect(checksumHolds(a, stored)).toBe(true)
      expect(Buffer.from(stored.subarray(0, -4)).toString()).toBe('value of a')
      expect(base.keyCount(a)).toBe(2)
      const before = contents(base)
      expect(before).toHaveLength(3)
      await closeBase(bed, base)
      const again = await openBase(bed)
      expect(contents(again)).toEqual(before)
      await closeBase(bed, again)
    }))

  it('replaces and removes, and counts by slot and generation', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      await commit(
        bed,
        base,
        [a, b, other].map((key) => ({ key, value: key })),
        '1',
      )
      await commit(
        bed,
        base,
        [
          { key: b, value: null },
          { key: a, value: latin1Bytes('new') },
        ],
        '2',
      )
      await commit(bed, base, [{ key: contractKey(9, 9, 9, a), value: null }], '3')
      base.refresh()
      expect(base.get(b)).toBeNull()
      expect(present(base.get(a), 'a').length).toBe(7)
      expect([a, other, contractKey(9, 9, 9, a)].map((key) => base.keyCount(key))).toEqual([1, 1, 0])
      expect(contents(base)[0]).toBe('meta 3')
      await closeBase(bed, base)
    }))

  it('takes an empty run: only the meta moves', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      await commit(bed, base, [], 'only meta')
      base.refresh()
      expect(contents(base)).toEqual(['meta only meta'])
      await closeBase(bed, base)
    }))

  it('ranges over [from, to), bounded by limit and by the visitor', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      const keys = Array.from({ length: 20 }, (_, i) => contractKey(3, 1, i * 1000, latin1Bytes(`k${i}`)))
      await commit(bed, base, keys.map((key) => ({ key, value: key })).reverse(), 'm')
      base.refresh()
      const seen = (from: Uint8Array, to: Uint8Array, limit: number, stopAfter = 99): string[] => {
        const found: string[] = []
        base.range(from, to, limit, (key, value) => {
          expect(compareBytes(value.subarray(0, -4), key)).toBe(0)
          found.push(Buffer.from(key.subarray(16)).toString())
          return found.length < stopAfter
        })
        return found
      }
      expect(seen(keys[3], keys[6], 99)).toEqual(['k3', 'k4', 'k5'])
      expect(seen(keys[3], keys[19], 2)).toEqual(['k3', 'k4'])
      expect(seen(contractKey(3, 1, 2500, new Uint8Array(0)), Uint8Array.of(0xff), 99, 1)).toEqual(['k3'])
      expect(seen(contractKey(4, 0, 0, new Uint8Array(0)), Uint8Array.of(0xff), 99)).toEqual([])
      await closeBase(bed, base)
    }))

  it('holds any bytes: an empty key, keys of 1,024 bytes that differ in the last one, empty values and 8 MiB', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      const long = new Uint8Array(1024).fill(0xff)
      const longer = long.slice()
      longer[1023] = 0xfe
      const large = new Uint8Array(8 * 1024 * 1024)
      const random = new Prng(3)
      for (let i = 0; i < large.length; i += 1 + random.below(64)) large[i] = random.u32()
      const changes = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0, 0), long, longer].map((key, i) => ({
        key: contractKey(16383, 2 ** 53 - 2, 7, key),
        value: i === 3 ? large : i === 4 ? new Uint8Array(0) : key,
      }))
      await commit(bed, base, changes, 'm')
      base.refresh()
      for (const { key, value } of changes) {
        const stored = present(base.get(key), 'missing')
        expect(checksumHolds(key, stored)).toBe(true)
        expect(crc32c(stored, 0, stored.length - 4)).toBe(crc32c(value))
      }
      expect(contents(base)).toHaveLength(6)
      await closeBase(bed, base)
    }))

  it('an image holds the last commit, also one that the handle does not show yet; installed, it opens as the same', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      const first = Array.from({ length: 500 }, (_, i) => ({
        key: contractKey(i % 7, 1, i, latin1Bytes(`key${i}`)),
        value: latin1Bytes(`value${i}`),
      }))
      await commit(bed, base, first, 'one')
      base.refresh()
      await commit(
        bed,
        base,
        [
          { key: a, value: latin1Bytes('late') },
          { key: first[0].key, value: null },
        ],
        'two',
      )
      const image = await takeImage(bed, base)
      await commit(bed, base, [{ key: b, value: latin1Bytes('after the image') }], 'three')
      expect(await copyImage(bed, image, 4)).toBeNull()
      const copy = await openBase(bed, 4)
      expect(copy.get(b)).toBeNull()
      expect(contents(copy)[0]).toBe('meta two')
      expect(contents(copy)).toHaveLength(501)
      // The second generation: a copy of a copy that went on by itself.
      await commit(bed, copy, [{ key: b, value: latin1Bytes('in the copy') }], 'four')
      copy.refresh()
      expect(await copyImage(bed, await takeImage(bed, copy), 5)).toBeNull()
      const grandchild = await openBase(bed, 5)
      expect(contents(grandchild)).toEqual(contents(copy))
      for (const one of [base, copy, grandchild]) await closeBase(bed, one)
    }))

  it('refuses an image that arrived changed, and a directory that no install finished', () =>
    withBed(async (bed) => {
      const base = await openBase(bed)
      await commit(bed, base, [{ key: a, value: latin1Bytes('v') }], 'one')
      const failure = await copyImage(bed, await takeImage(bed, base), 1, true)
      expect(failure?.message).toMatch(/checksum/)
      const missing = await bed.run<DiskError | null>((done) => bed.files.open(bed.path, 2, (error) => done(error)))
      expect(missing?.code).toBe('not-found')
      expect(await bed.run((done) => bed.files.removeOthers(bed.path, 0, done))).toBeNull()
      const removed = await bed.run<DiskError | null>((done) => bed.files.open(bed.path, 1, (error) => done(error)))
      expect(removed?.code).toBe('not-found')
      await closeBase(bed, base)
    }))
}

/** The same random operations on both; returns how many there were. Every answer must agree. */
export async function compareBaseFiles(one: BaseFileBed, two: BaseFileBed, seed: number, steps: number): Promise<void> {
  const random = new Prng(seed)
  let bases = [await openBase(one), await openBase(two)]
  const beds = [one, two]
  let directory = 0
  const randomKey = (): Uint8Array => {
    const key = new Uint8Array(random.chance(0.05) ? 1024 : random.below(4)).map(() => random.below(3) * 127)
    return contractKey(random.below(3), random.between(1, 2), random.below(4) * 0x4000_0000_0000, key)
  }
  for (let step = 0; step < steps; step++) {
    const action = random.below(10)
    if (action < 5) {
      const changes = new Map<string, Change>()
      for (let i = random.below(40); i > 0; i--) {
        const key = randomKey()
        const length = random.chance(0.05) ? random.below(60_000) : random.below(30)
        const fill = random.below(256)
        const value = random.chance(0.3) ? null : new Uint8Array(length).fill(fill)
        changes.set(Buffer.from(key).toString('hex'), { key, value })
      }
      for (const [i, bed] of beds.entries())
        expect(await commit(bed, bases[i], [...changes.values()], `m${step}`)).toBeNull()
    } else if (action < 8) {
      for (const base of bases) base.refresh()
    } else if (action < 9) {
      for (const [i, bed] of beds.entries()) await closeBase(bed, bases[i])
      bases = [await openBase(one, directory), await openBase(two, directory)]
    } else {
      directory++
      for (const [i, bed] of beds.entries()) {
        expect(await copyImage(bed, await takeImage(bed, bases[i]), directory)).toBeNull()
        await closeBase(bed, bases[i])
        expect(await bed.run((done) => bed.files.removeOthers(bed.path, directory, done))).toBeNull()
      }
      bases = [await openBase(one, directory), await openBase(two, directory)]
    }
    expect(contents(bases[0]), `seed ${seed}, step ${step}`).toEqual(contents(bases[1]))
    const probe = randomKey()
    const found = bases.map((base) => {
      const value = base.get(probe)
      return value === null ? null : Buffer.from(value).toString('hex')
    })
    expect(found[0], `seed ${seed}, step ${step}`).toBe(found[1])
  }
  for (const [i, bed] of beds.entries()) await closeBase(bed, bases[i])
}
