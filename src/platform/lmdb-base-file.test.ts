import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { latin1Bytes } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { makeSimBed } from '../simulation/sim-base-file.testkit.ts'
import {
  closeBase,
  commit,
  compareBaseFiles,
  contents,
  contractKey,
  contractSuite,
  copyImage,
  openBase,
  takeImage,
} from '../store/base-file-contract.testkit.ts'
import { checkpoint, openStore, StoreModel } from '../store/store-model.testkit.ts'
import { makeLmdbBed } from './lmdb-base-file.testkit.ts'

describe('the base file contract on LMDB', () => {
  contractSuite(() => makeLmdbBed())
})

describe('LMDB and the simulated base file', () => {
  for (const seed of [1, 2, 3]) {
    it(`answer alike, seed ${seed}`, async () => {
      const lmdb = await makeLmdbBed()
      await compareBaseFiles(lmdb, makeSimBed(seed), seed, 40)
      await lmdb.end()
    })
  }
})

describe('the store on LMDB', () => {
  it('answers like a plain map, in a file that begins with little address space', async () => {
    const bed = await makeLmdbBed(256 * 1024)
    const model = await StoreModel.run(bed, {
      seed: 11,
      steps: 2500,
      pass: () => new Promise((resolve) => setImmediate(resolve)),
      largestValueBytes: 400_000,
    })
    await bed.end()
    for (const [what, times] of Object.entries(model.did))
      if (what !== 'crashes') expect(times, what).toBeGreaterThan(5)
  })

  it('keeps 64 groups in one process, with one writing thread', async () => {
    const bed = await makeLmdbBed()
    const beds = Array.from({ length: 64 }, (_, i) => ({ ...bed, path: `${bed.path}-${i}` }))
    const stores = await Promise.all(beds.map((one) => openStore(one)))
    const errors = await Promise.all(stores.map((store, i) => checkpoint(beds[i], store, i + 1)))
    expect(errors.every((error) => error === null)).toBe(true)
    expect(stores.map((store) => store.meta?.applied)).toEqual(stores.map((_, i) => i + 1))
    await Promise.all(stores.map((store) => new Promise<void>((resolve) => store.close(resolve))))
    await bed.end()
  })
})

describe('an installed image', () => {
  it('takes a first checkpoint that frees hundreds of pages (lmdb-free-list.ts)', async () => {
    const bed = await makeLmdbBed()
    // One key a page or so: each rewritten key frees a page.
    const rows = Array.from({ length: 1500 }, (_, i) => contractKey(0, 1, i, latin1Bytes('k')))
    const rewrite = (mark: number) => rows.map((key) => ({ key, value: new Uint8Array(1800).fill(mark) }))
    let base = await openBase(bed)
    for (const mark of [1, 2]) expect(await commit(bed, base, rewrite(mark), `mark ${mark}`)).toBeNull()
    for (const directory of [1, 2]) {
      base.refresh()
      expect(await copyImage(bed, await takeImage(bed, base), directory)).toBeNull()
      await closeBase(bed, base)
      base = await openBase(bed, directory)
      for (const mark of [3, 4]) expect(await commit(bed, base, rewrite(mark + directory), 'again')).toBeNull()
    }
    base.refresh()
    expect(base.get(rows[1499])?.[0]).toBe(6)
    await closeBase(bed, base)
    await bed.end()
  })
})

describe('growth', () => {
  it('past the map while the reader holds its old state: old values stay as they were until refresh', async () => {
    const bed = await makeLmdbBed(128 * 1024)
    const base = await openBase(bed)
    const key = (i: number): Uint8Array => contractKey(0, 1, i, latin1Bytes('k'))
    const valueIn = (round: number): Uint8Array => new Uint8Array(300_000).fill(round)
    let shown = 0
    for (let round = 1; round <= 12; round++) {
      const changes = Array.from({ length: round * 6 }, (_, i) => ({ key: key(i), value: valueIn(round) }))
      const committed = commit(bed, base, changes, `round ${round}`)
      for (let done = false; !done; ) {
        for (let i = 0; i < shown * 6; i++) {
          const value = base.get(key(i))
          expect([value?.[0], value?.[299_999]]).toEqual([shown, shown])
        }
        done = await Promise.race([committed.then(() => true), new Promise<false>((go) => setImmediate(go, false))])
      }
      expect(await committed).toBeNull()
      base.refresh()
      shown = round
      expect(contents(base)).toHaveLength(1 + round * 6)
    }
    expect(base.sizeBytes()).toBeGreaterThan(20_000_000)
    await closeBase(bed, base)
    await bed.end()
  })
})

describe('images', () => {
  it('leave no file behind, whether they are read to the end or not', async () => {
    const bed = await makeLmdbBed()
    const base = await openBase(bed)
    await commit(bed, base, [{ key: contractKey(0, 1, 2, latin1Bytes('k')), value: latin1Bytes('v') }], 'm')
    const image = await takeImage(bed, base)
    expect(await readdir(bed.path)).toEqual(['base-0'])
    const read = bed.run<Uint8Array>((done) => image.read(0, 4096, (_, bytes) => done(bytes)))
    image.close()
    expect(await read).toHaveLength(4096)
    await closeBase(bed, base)
    await bed.end()
  })
})

/** Commits round after round, each writing its number under 300 keys and as meta; the numbers go to stdout once durable. */
const COMMIT_FOR_EVER = `
  const [, path, store] = process.argv
  const { LmdbBaseFileStore } = await import(store)
  new LmdbBaseFileStore().open(path, 0, (error, base) => {
    if (error !== null) throw new Error(error.message)
    let round = base.meta() === null ? 0 : Number(Buffer.from(base.meta()).toString())
    const next = () => {
      round++
      const slab = new SharedArrayBuffer(300 * 1000)
      const rows = new SharedArrayBuffer(2048 * 36)
      const view = new DataView(slab)
      for (let i = 0; i < 300; i++) {
        view.setUint32(i * 1000 + 12, i)
        new Uint8Array(slab, i * 1000 + 16, 980).fill(round)
        new Uint32Array(rows).set([0, i * 1000, 16, 0, i * 1000 + 16, 984], i * 9)
      }
      base.commitSorted({ slabs: [slab], rows: [rows], count: 300 }, Buffer.from(String(round)), (failure) => {
        if (failure !== null) throw new Error(failure.message)
        console.log(round)
        next()
      })
    }
    next()
  })
`

describe('kill -9', () => {
  it('during a commit leaves the old state or the new, and never less than what was reported', async () => {
    const bed = await makeLmdbBed()
    const random = new Prng(5)
    const compiled = new URL('../../dist/platform/lmdb-base-file.js', import.meta.url).href
    for (let life = 0; life < 5; life++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', COMMIT_FOR_EVER, bed.path, compiled], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let reported = ''
      child.stdout.on('data', (text) => {
        reported += String(text)
      })
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, random.below(60)))
      const ended = once(child, 'close')
      child.kill('SIGKILL')
      await ended
      const base = await openBase(bed)
      const round = Number(Buffer.from(base.meta() ?? []).toString())
      expect(round).toBeGreaterThanOrEqual(Number(reported.trim().split('\n').at(-1)))
      expect(contents(base)).toHaveLength(301)
      for (let i = 0; i < 300; i++) expect(base.get(contractKey(0, 0, i, new Uint8Array(0)))?.[5]).toBe(round & 0xff)
      await closeBase(bed, base)
    }
    await bed.end()
  })
})
