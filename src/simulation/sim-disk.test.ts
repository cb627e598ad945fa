import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { Prng } from '../base/prng.ts'
import type { DiskError, DiskFile } from '../ports/disk.ts'
import { Scheduler } from './scheduler.ts'
import { SECTOR_BYTES, SimDisk } from './sim-disk.ts'

class Bench {
  readonly scheduler: Scheduler
  readonly disk: SimDisk

  constructor(seed = 1) {
    this.scheduler = new Scheduler(seed)
    this.disk = new SimDisk(this.scheduler, new Prng(seed))
    this.told((done) => this.disk.makeDirectory('d', done))
  }

  /** Runs one call to its answer. */
  told(call: (done: (error: DiskError | null) => void) => void): DiskError | null {
    let answer: { error: DiskError | null } | null = null
    call((error) => {
      answer = { error }
    })
    expect(answer, 'answers come as events of their own').toBeNull()
    while (answer === null && this.scheduler.step()) {}
    return present<{ error: DiskError | null }>(answer, 'no answer').error
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    let opened: DiskFile | null = null
    const error = this.told((done) =>
      this.disk.open(path, mode, (failure, file) => {
        opened = file
        done(failure)
      }),
    )
    return present<DiskFile>(opened, error?.message ?? 'no file')
  }

  names(): string[] {
    return [...this.disk.snapshot().keys()]
  }

  bytes(path: string): Uint8Array {
    return present(this.disk.snapshot().get(path), path)
  }

  /** A file of `length` bytes of 1, synced, its name too. */
  settled(path: string, length: number): DiskFile {
    const file = this.open(path, 'create')
    this.told((done) => file.write(0, new Uint8Array(length).fill(1), done))
    this.told((done) => file.sync(done))
    this.told((done) => this.disk.syncDirectory('d', done))
    return file
  }
}

/** What many seeds leave, as a set of descriptions. */
function outcomes(describeOne: (bench: Bench) => string): Set<string> {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 200; seed++) seen.add(describeOne(new Bench(seed)))
  return seen
}

describe('SimDisk', () => {
  it('reads what was written, short at the end, with zeros in gaps', () => {
    const bench = new Bench()
    const file = bench.open('d/a', 'create')
    bench.told((done) => file.write(3, Uint8Array.of(7, 8), done))
    let got: Uint8Array | null = null
    bench.told((done) =>
      file.read(1, 100, (error, bytes) => {
        got = bytes
        done(error)
      }),
    )
    expect(got).toEqual(Uint8Array.of(0, 0, 7, 8))
  })

  it('a crash keeps what was synced, and of the rest any sectors', () => {
    const seen = outcomes((bench) => {
      const file = bench.settled('d/a', 4 * SECTOR_BYTES)
      bench.told((done) => file.write(0, new Uint8Array(4 * SECTOR_BYTES).fill(2), done))
      bench.disk.crash()
      const bytes = bench.bytes('d/a')
      const sectors = [0, 1, 2, 3].map((i) => bytes.subarray(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES))
      for (const sector of sectors) expect(new Set(sector).size).toBe(1)
      return sectors.map((sector) => sector[0]).join('')
    })
    expect(seen).toContain('1111')
    expect(seen).toContain('2222')
    // A later sector without an earlier one.
    expect([...seen].some((text) => /12/.test(text))).toBe(true)
    expect(seen.size).toBeGreaterThan(8)
  })

  it('a crash may keep a later write and lose an earlier one; a synced one never', () => {
    const seen = outcomes((bench) => {
      const file = bench.settled('d/a', 3 * SECTOR_BYTES)
      for (const sector of [0, 1, 2]) {
        bench.told((done) => file.write(sector * SECTOR_BYTES, new Uint8Array(SECTOR_BYTES).fill(2), done))
        if (sector === 0) bench.told((done) => file.sync(done))
      }
      bench.disk.crash()
      const bytes = bench.bytes('d/a')
      return [0, 1, 2].map((sector) => bytes[sector * SECTOR_BYTES]).join('')
    })
    expect([...seen].sort()).toEqual(['211', '212', '221', '222'])
  })

  it('a crash loses directory entries that were not synced, in any combination', () => {
    const seen = outcomes((bench) => {
      bench.settled('d/a', 10)
      bench.settled('d/b', 10)
      bench.open('d/new', 'create')
      bench.told((done) => bench.disk.rename('d/a', 'd/moved', done))
      bench.told((done) => bench.disk.remove('d/b', done))
      bench.disk.crash()
      return bench.names().join(' ')
    })
    expect(seen).toContain('d/a d/b')
    expect(seen).toContain('d/moved d/new')
    expect(seen.size).toBe(8)
  })

  it('a killed process leaves the page cache, and its calls never answer', () => {
    const bench = new Bench()
    const file = bench.open('d/a', 'create')
    let answered = false
    file.write(0, Uint8Array.of(5), () => {
      answered = true
    })
    bench.disk.kill()
    bench.scheduler.runUntil(1000)
    expect(answered).toBe(false)
    expect(bench.bytes('d/a')).toEqual(Uint8Array.of(5))
  })

  it('after a failed sync reads still show what a later sync no longer writes', () => {
    const seen = outcomes((bench) => {
      const file = bench.settled('d/a', SECTOR_BYTES)
      bench.told((done) => file.write(0, new Uint8Array(SECTOR_BYTES).fill(2), done))
      bench.disk.failOnce('sync', 'io')
      expect(bench.told((done) => file.sync(done))).toEqual({ code: 'io', message: 'd/a: sync: io (simulated)' })
      expect(bench.told((done) => file.sync(done))).toBeNull()
      expect(bench.bytes('d/a')[0]).toBe(2)
      bench.disk.crash()
      return String(bench.bytes('d/a')[0])
    })
    expect([...seen].sort()).toEqual(['1', '2'])
  })

  it('fails the call that it was told to, once, or by chance until faults are cleared', () => {
    const bench = new Bench()
    bench.disk.failOnce('rename', 'io', 2)
    bench.settled('d/a', 1)
    expect(bench.told((done) => bench.disk.rename('d/a', 'd/b', done))).toBeNull()
    expect(bench.told((done) => bench.disk.rename('d/b', 'd/c', done))?.code).toBe('io')
    expect(bench.names()).toEqual(['d/b'])
    expect(bench.told((done) => bench.disk.rename('d/b', 'd/c', done))).toBeNull()
    bench.disk.failByChance('list', 'io', 0.5)
    const list = (done: (error: DiskError | null) => void): void => bench.disk.list('d', (error) => done(error))
    const failures = Array.from({ length: 100 }, () => bench.told(list)).filter((error) => error !== null)
    expect(failures.length).toBeGreaterThan(20)
    expect(failures.length).toBeLessThan(80)
    bench.disk.clearFaults()
    expect(Array.from({ length: 20 }, () => bench.told(list)).every((error) => error === null)).toBe(true)
  })

  it('has no room beyond its capacity, for growth only', () => {
    const bench = new Bench()
    const file = bench.settled('d/a', 1000)
    bench.disk.setCapacity(1200)
    expect(bench.told((done) => file.write(1000, new Uint8Array(201), done))?.code).toBe('no-space')
    expect(bench.told((done) => file.write(0, new Uint8Array(1000), done))).toBeNull()
    expect(bench.told((done) => file.write(1000, new Uint8Array(200), done))).toBeNull()
    expect(bench.disk.usedBytes()).toBe(1200)
  })

  it('catches a buffer that changes while it is written', () => {
    const bench = new Bench()
    const file = bench.open('d/a', 'create')
    const bytes = new Uint8Array(10)
    file.write(0, bytes, () => {})
    bytes[0] = 1
    expect(() => bench.scheduler.runUntil(10)).toThrow('changed during a write')
  })

  it('tells missing and existing files apart, and lists names sorted', () => {
    const bench = new Bench()
    expect(() => bench.open('d/a', 'read')).toThrow('not-found')
    bench.open('d/b', 'create')
    bench.open('d/a', 'create')
    expect(() => bench.open('d/a', 'create')).toThrow('exists')
    expect(() => bench.open('other/a', 'create')).toThrow('not-found')
    let names: readonly string[] = []
    bench.told((done) =>
      bench.disk.list('d', (error, found) => {
        names = found
        done(error)
      }),
    )
    expect(names).toEqual(['a', 'b'])
    bench.told((done) => bench.disk.removeTree('d', done))
    expect(bench.names()).toEqual([])
  })

  it('rots one bit on demand', () => {
    const bench = new Bench()
    bench.settled('d/a', 4)
    bench.disk.flipBit('d/a', 2, 7)
    bench.disk.crash()
    expect(bench.bytes('d/a')).toEqual(Uint8Array.of(1, 1, 129, 1))
  })
})
