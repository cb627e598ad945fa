/** The log's promises one by one, on a simulated disk. */
import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asLogIndex, asReplicaId, asTerm } from '../base/brand.ts'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { BLOCK_BYTES } from './format.ts'
import { lastOf, WalWorld } from './wal.testkit.ts'

const G1 = asGroupId(1)
const G2 = asGroupId(2)

function withGroups(world: WalWorld): WalWorld {
  world.reopen()
  world.append({ group: G1, replicaId: asReplicaId(1) })
  world.append({ group: G2, replicaId: asReplicaId(2) })
  world.flushNow()
  return world
}

/** Entries behind the group's last one, of exactly this many payload bytes. */
function add(world: WalWorld, group: typeof G1, count: number, payloadBytes: number): void {
  const last = lastOf(present(world.latest.get(group), 'unknown group'))
  const payload = new Uint8Array(payloadBytes).fill(last.index & 255)
  const entries = world
    .entries(last.index + 1, Math.max(1, last.term), count, 1)
    .map((entry) => ({ ...entry, payload }))
  world.append({ group, entries })
}

function compactAll(world: WalWorld, group: typeof G1): void {
  const { index, term } = lastOf(present(world.latest.get(group), 'unknown group'))
  world.append({ group, compaction: { index, term } })
}

function segmentFiles(world: WalWorld): string[] {
  return [...world.disk.snapshot().keys()].filter((path) => path.includes('segment-'))
}

describe('group commit', () => {
  it('writes at once when idle, gathers while a sync is under way, and calls back in order', () => {
    const world = withGroups(new WalWorld(1))
    world.run(500)
    const order: number[] = []
    const before = world.disk.counts.syncs
    for (let i = 0; i < 20; i++) {
      add(world, G1, 1, 10)
      world.flush(() => order.push(i))
      expect(world.log?.busy).toBe(true)
    }
    world.run(50)
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
    // The first went alone, the nineteen others together.
    expect(world.disk.counts.syncs - before).toBe(2)
    expect(world.log?.pendingBytes).toBe(0)
  })

  it('calls a flush of nothing back as an event of its own', () => {
    const world = withGroups(new WalWorld(2))
    let called = 0
    world.flush(() => called++)
    expect(called).toBe(0)
    world.run(1)
    expect(called).toBe(1)
  })

  it('takes entries as large as a value may be, and splits what is more than a batch', () => {
    const world = withGroups(
      new WalWorld(3, {
        segmentBytes: 24 * 1024 * 1024,
        maxBatchBytes: 1024 * 1024,
        maxPendingBytes: 16 * 1024 * 1024,
      }),
    )
    add(world, G1, 1, 9 * 1024 * 1024 - 100)
    add(world, G1, 30, 100_000)
    add(world, G2, 3, 0)
    world.flushNow()
    world.end('crash')
    world.reopen()
    expect(world.latest.get(G1)?.entries).toHaveLength(31)
  })

  it('says when there is no room, and refuses far beyond it', () => {
    const world = withGroups(new WalWorld(4, { maxPendingBytes: 20_000 }))
    expect(world.log?.hasRoom).toBe(true)
    add(world, G1, 4, 6000)
    expect(world.log?.hasRoom).toBe(false)
    expect(() => {
      for (let i = 0; i < 4; i++) add(world, G1, 4, 6000)
    }).toThrow('without room')
  })

  it('writes what nobody flushed, soon', () => {
    const world = withGroups(new WalWorld(5))
    world.run(500)
    add(world, G1, 1, 10)
    world.run(150)
    expect(world.log?.pendingBytes).toBe(0)
  })
})

describe('marks', () => {
  it('one follows within 100 ms of the last batch, synced, and no second one', () => {
    const world = withGroups(new WalWorld(6))
    world.run(500)
    add(world, G1, 1, 10)
    world.flushNow()
    const { writes, syncs } = world.disk.counts
    world.run(99)
    expect(world.disk.counts.writes).toBe(writes)
    world.run(50)
    expect([world.disk.counts.writes, world.disk.counts.syncs]).toEqual([writes + 1, syncs + 1])
    world.run(10_000)
    expect(world.disk.counts.writes).toBe(writes + 1)
  })

  it('close syncs what was appended, writes the mark and calls back', () => {
    const world = withGroups(new WalWorld(7))
    add(world, G1, 5, 100)
    let flushed = false
    world.flush(() => {
      flushed = true
    })
    world.close()
    expect(flushed).toBe(true)
    // Proven: the last batch of data may not be cut any more.
    const [path] = segmentFiles(world)
    world.disk.flipBit(path, 3 * BLOCK_BYTES + 200)
    expect(world.open().kind).toBe('corrupt')
  })
})

describe('segments', () => {
  it('roll, and are recycled once nothing lives in them', () => {
    const world = withGroups(new WalWorld(8))
    for (let i = 0; i < 200; i++) {
      add(world, G1, 4, 900)
      if (i % 5 === 4) compactAll(world, G1)
      world.flushNow()
    }
    world.run(300)
    expect(present(world.log, 'log').segmentsInUse).toBeLessThan(4)
    expect(present(world.log, 'log').freeSegments).toBe(2)
    // 700 kB went through files of 64 KiB.
    expect(world.disk.snapshot().size).toBeLessThan(8)
    world.end('crash')
    world.reopen()
  })

  it("a slow group's entries are copied forward in records that truncate nothing", () => {
    const world = withGroups(new WalWorld(9, { copyForwardSegments: 3 }))
    add(world, G2, 10, 700)
    world.flushNow()
    for (let i = 0; i < 150; i++) {
      add(world, G1, 3, 900)
      compactAll(world, G1)
      // It goes on, slowly, behind what is copied.
      if (i % 40 === 0) add(world, G2, 1, 50)
      world.flushNow()
    }
    world.run(300)
    expect(present(world.log, 'log').segmentsInUse).toBeLessThanOrEqual(4)
    world.end('crash')
    world.reopen()
    expect(world.latest.get(G2)?.entries).toHaveLength(14)
  })

  it('nothing is copied that the owner has changed and not yet appended', () => {
    const world = withGroups(new WalWorld(10, { copyForwardSegments: 2 }))
    add(world, G2, 10, 700)
    world.flushNow()
    // The owner has replaced everything from index 4 on in memory; its record comes later.
    const honest = world.liveEntries
    world.liveEntries = (group, from, to) =>
      honest(group, from, to).map((entry) =>
        group === G2 && entry.index >= 4 ? { ...entry, term: asTerm(9), payload: EMPTY_BYTES } : entry,
      )
    for (let i = 0; i < 100; i++) {
      add(world, G1, 3, 900)
      compactAll(world, G1)
      world.flushNow()
    }
    world.end('crash')
    world.reopen()
    expect(world.latest.get(G2)?.entries.map((entry) => entry.payload.length)).toEqual(Array(10).fill(700))
  })

  it('names the groups that keep the oldest one', () => {
    const world = withGroups(new WalWorld(11, { copyForwardSegments: 100 }))
    add(world, G2, 1, 10)
    for (let i = 0; i < 60; i++) {
      add(world, G1, 3, 900)
      compactAll(world, G1)
      world.flushNow()
    }
    expect(world.log?.pinningGroups()).toEqual([G2])
  })

  it('a group that is forgotten keeps nothing', () => {
    const world = withGroups(new WalWorld(12, { copyForwardSegments: 100 }))
    add(world, G2, 1, 10)
    for (let i = 0; i < 60; i++) {
      if (i === 50) world.forget(G2)
      add(world, G1, 3, 900)
      compactAll(world, G1)
      world.flushNow()
    }
    world.run(300)
    expect(present(world.log, 'log').segmentsInUse).toBeLessThan(3)
    world.end('crash')
    world.reopen()
    expect([...world.latest.keys()]).toEqual([G1])
  })
})

describe('images', () => {
  it('a base switch keeps the suffix only where the term agrees', () => {
    const world = withGroups(new WalWorld(13))
    add(world, G1, 10, 10)
    add(world, G2, 10, 10)
    world.append({ group: G1, base: { directory: 3, point: { index: asLogIndex(4), term: asTerm(1) } } })
    world.append({ group: G2, base: { directory: 4, point: { index: asLogIndex(4), term: asTerm(2) } } })
    world.flushNow()
    world.end('crash')
    world.reopen()
    expect(world.latest.get(G1)?.entries).toHaveLength(6)
    expect(world.latest.get(G2)?.entries).toHaveLength(0)
    expect(world.latest.get(G2)?.compaction).toEqual({ index: 4, term: 2 })
    expect(world.latest.get(G2)?.baseDirectory).toBe(4)
  })
})

describe('failures', () => {
  it('a failed sync ends the log once, and nothing is called back or written any more', () => {
    const world = withGroups(new WalWorld(14))
    world.run(500)
    world.disk.failOnce('sync', 'io')
    let called = false
    add(world, G1, 1, 10)
    world.flush(() => {
      called = true
    })
    world.run(1000)
    expect(world.fatal).toContain('sync')
    expect(called).toBe(false)
  })

  it('what only the page cache has after a failed sync is written again before it counts', () => {
    for (let seed = 100; seed < 130; seed++) {
      const world = withGroups(new WalWorld(seed))
      world.run(500)
      add(world, G1, 3, 2000)
      world.disk.failOnce('sync', 'io')
      world.flush()
      world.run(100)
      expect(world.fatal).not.toBeNull()
      // The process starts again: it reads the batch in the cache, and may act on it from now on.
      world.end('kill')
      world.reopen()
      expect(world.latest.get(G1)?.entries).toHaveLength(3)
      world.flushNow()
      world.end('crash')
      world.reopen()
      expect(world.latest.get(G1)?.entries).toHaveLength(3)
    }
  })

  it('a full disk uses up the spares, says so, waits, and goes on where there is room again', () => {
    const world = withGroups(new WalWorld(15))
    world.run(100)
    world.disk.setCapacity(world.disk.usedBytes())
    let low = false
    for (let i = 0; i < 400 && world.log?.hasRoom; i++) {
      add(world, G1, 2, 900)
      world.flush()
      world.run(2)
      low ||= world.log.lowOnSpace
      expect(world.fatal).toBeNull()
    }
    expect(low).toBe(true)
    expect(world.log?.freeSegments).toBe(0)
    expect(world.log?.hasRoom).toBe(false)
    world.disk.setCapacity(null)
    world.run(2000)
    expect(world.log?.hasRoom).toBe(true)
    expect(world.log?.lowOnSpace).toBe(false)
    world.flushNow()
    world.end('crash')
    world.reopen()
  })

  it('a disk with no room for the first segment is a failed opening', () => {
    const world = new WalWorld(16)
    world.disk.setCapacity(1000)
    const result = world.open()
    expect(result).toMatchObject({ kind: 'failed' })
    expect(result.kind === 'failed' && result.message).toContain('no-space')
  })

  it('every single failing call while it opens is told, and the next attempt works', () => {
    const operations = ['list', 'open', 'read', 'size', 'write', 'sync', 'create', 'rename', 'syncDirectory'] as const
    for (const operation of operations) {
      for (let call = 1; call <= 6; call++) {
        const world = withGroups(new WalWorld(17))
        add(world, G1, 5, 500)
        world.flushNow()
        world.end('crash')
        world.disk.failOnce(operation, 'io', call)
        const result = world.open()
        if (result.kind === 'opened') world.check(result.groups)
        else expect(result).toMatchObject({ kind: 'failed' })
        world.disk.clearFaults()
        world.end('crash')
        world.reopen()
      }
    }
  })
})

describe('crashes at every event', () => {
  it('while a log is opened: recovery, the rewritten tail, the fresh segment', () => {
    for (let events = 0; events < 120; events++) {
      const world = withGroups(new WalWorld(18))
      add(world, G1, 5, 3000)
      world.flushNow()
      add(world, G2, 5, 100)
      world.flush()
      world.scheduler.step()
      world.end('crash')
      for (let again = 0; again < 3; again++) {
        world.startOpen(() => {})
        for (let i = 0; i < events; i++) world.scheduler.step()
        world.end(again % 2 === 0 ? 'crash' : 'kill')
      }
      world.reopen()
    }
  })

  it('while a segment rolls and old ones are recycled', () => {
    for (let events = 0; events < 150; events++) {
      const world = withGroups(new WalWorld(19, { segmentBytes: 40 * 1024 }))
      for (let i = 0; i < 6; i++) {
        add(world, G1, 2, 2000)
        compactAll(world, G1)
        world.flushNow()
      }
      // Here it rolls; the flush is confirmed or not.
      for (let i = 0; i < 6; i++) {
        add(world, G1, 2, 2000)
        compactAll(world, G1)
        world.flush()
      }
      for (let i = 0; i < events; i++) world.scheduler.step()
      world.end('crash')
      world.reopen()
    }
  })

  it('while a slow group is copied forward', () => {
    for (let events = 0; events < 150; events += 2) {
      const world = withGroups(new WalWorld(20, { segmentBytes: 40 * 1024, copyForwardSegments: 2 }))
      add(world, G2, 8, 1000)
      for (let i = 0; i < 10; i++) {
        add(world, G1, 2, 2000)
        compactAll(world, G1)
        world.flushNow()
      }
      for (let i = 0; i < 10; i++) {
        add(world, G1, 2, 2000)
        compactAll(world, G1)
        world.flush()
        world.run(0.2)
      }
      for (let i = 0; i < events; i++) world.scheduler.step()
      world.end('crash')
      world.reopen()
      expect(world.latest.get(G2)?.entries).toHaveLength(8)
    }
  })
})
