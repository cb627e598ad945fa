import { expect, it } from 'vitest'
import { SlabArena, SlabPool } from './slab-arena.ts'

it('uses full slabs again, keeps no more of them than the pool may, and starts small', () => {
  const pool = new SlabPool(1024 * 1024, 3 * 1024 * 1024)
  const arena = new SlabArena(pool)
  arena.allocate(100)
  expect(arena.allocatedBytes).toBeLessThan(100_000)
  for (let i = 0; i < 60; i++) arena.allocate(100_000)
  const full = arena.slabs.filter((slab) => slab.byteLength === pool.slabBytes)
  expect(full.length).toBeGreaterThan(4)
  arena.release()
  expect(pool.freeSlabs).toBe(3)
  const next = new SlabArena(pool)
  for (let i = 0; i < 20; i++) next.allocate(100_000)
  expect(next.slabs.some((slab) => full.includes(slab))).toBe(true)
})

it('gives each allocation bytes of its own', () => {
  const arena = new SlabArena(new SlabPool(4096, 0))
  const taken = new Map<number, Uint8Array>()
  for (let i = 0; i < 500; i++) {
    const length = (i * 37) % 3000
    arena.allocate(length)
    const bytes = arena.bytes[arena.slab].subarray(arena.offset, arena.offset + length)
    expect(bytes.length).toBe(length)
    bytes.fill(i)
    taken.set(i, bytes)
  }
  for (const [i, bytes] of taken) expect(bytes.every((byte) => byte === (i & 0xff))).toBe(true)
})

it('frees a large record’s slab and uses its place again, but never one that holds something else', () => {
  const arena = new SlabArena(new SlabPool(4096, 0))
  arena.allocate(10)
  const [smallSlab, smallOffset] = [arena.slab, arena.offset]
  arena.allocate(50_000)
  const large = arena.slab
  expect(arena.freeIfAlone(smallSlab, smallOffset, 10)).toBe(false)
  const before = arena.allocatedBytes
  expect(arena.freeIfAlone(large, 0, 50_000)).toBe(true)
  expect(arena.allocatedBytes).toBe(before - 50_000)
  arena.allocate(60_000)
  expect(arena.slab).toBe(large)
})
