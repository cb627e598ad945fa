import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asLogIndex, asSlotId } from '../base/brand.ts'
import { latin1Bytes, latin1Text } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import { SCAN_END } from '../ports/key-space.ts'
import { makeSimBed } from '../simulation/sim-base-file.testkit.ts'
import { ReplicaStore } from './store.ts'
import { checkpoint, generationOf, HASH_KEY, metaAt, openStore, StoreModel } from './store-model.testkit.ts'

const SLOT = asSlotId(5)
const GENERATION = generationOf(1, 1)
const key = (text: string): Uint8Array => latin1Bytes(text)

function put(store: ReplicaStore, name: string, value: string, index: number): void {
  store.put(SLOT, GENERATION, key(name), latin1Bytes(value), 0, asLogIndex(index))
}

function read(store: ReplicaStore, name: string): string | null {
  const stored = store.get(SLOT, GENERATION, key(name))
  return stored === null ? null : latin1Text(stored.value)
}

describe('the store against a plain map', () => {
  for (const weakHash of [false, true]) {
    it(`answers alike over checkpoints, crashes, restarts and images${weakHash ? ', with colliding hashes' : ''}`, async () => {
      const did = { checkpoints: 0, crashes: 0, reopened: 0, dropped: 0, images: 0 }
      for (let seed = 1; seed <= 12; seed++) {
        const bed = makeSimBed(seed)
        const random = new Prng(seed + 1000)
        const model = await StoreModel.run(bed, {
          seed,
          steps: 1500,
          weakHash,
          crash: () => bed.files.crash(),
          async pass() {
            for (let i = random.below(3); i >= 0; i--) bed.scheduler.step()
          },
        })
        for (const what of Object.keys(did) as (keyof typeof did)[]) did[what] += model.did[what]
      }
      for (const [what, times] of Object.entries(did)) expect(times, what).toBeGreaterThan(20)
    })
  }
})

describe('the comparison with a plain map', () => {
  it('notices a checkpoint that is not atomic', async () => {
    let noticed = 0
    for (let seed = 1; seed <= 5; seed++) {
      const bed = makeSimBed(seed, { checkpointNotAtomic: true })
      await StoreModel.run(bed, {
        seed,
        steps: 1500,
        crash: () => bed.files.crash(),
        pass: async () => void bed.scheduler.step(),
      }).catch(() => noticed++)
    }
    expect(noticed).toBeGreaterThan(0)
  })
})

describe('a checkpoint', () => {
  it('freezes at the call; reads and writes go on above it', async () => {
    const bed = makeSimBed(1)
    const store = await openStore(bed)
    put(store, 'a', 'old', 1)
    put(store, 'b', 'kept', 2)
    const finished = bed.run<unknown>((done) => {
      store.checkpoint(metaAt(2), done)
      expect(store.checkpointing).toBe(true)
      expect(store.memtableEntries).toBe(0)
      put(store, 'a', 'new', 3)
      store.remove(SLOT, GENERATION, key('b'), asLogIndex(4))
      put(store, 'c', 'added', 5)
      expect([read(store, 'a'), read(store, 'b'), read(store, 'c')]).toEqual(['new', null, 'added'])
      expect(store.count(SLOT, GENERATION)).toBe(2)
    })
    expect(await finished).toBeNull()
    expect(store.meta?.applied).toBe(2)
    expect([read(store, 'a'), read(store, 'b'), read(store, 'c')]).toEqual(['new', null, 'added'])
    expect(store.count(SLOT, GENERATION)).toBe(2)
    bed.files.crash()
    const again = await openStore(bed)
    expect([read(again, 'a'), read(again, 'b'), read(again, 'c')]).toEqual(['old', 'kept', null])
    expect(again.count(SLOT, GENERATION)).toBe(2)
  })

  it('that failed for want of space stays readable, is written first by the next call, and then asks for another', async () => {
    const bed = makeSimBed(2)
    const store = await openStore(bed)
    put(store, 'a', '1', 1)
    bed.files.full = true
    expect((await checkpoint(bed, store, 1))?.code).toBe('no-space')
    put(store, 'b', '2', 2)
    expect([read(store, 'a'), read(store, 'b'), store.count(SLOT, GENERATION)]).toEqual(['1', '2', 2])
    bed.files.full = false
    expect((await checkpoint(bed, store, 2))?.message).toMatch(
      /checkpoint of 1.* is written now; that of 2 was not begun/,
    )
    expect(store.meta?.applied).toBe(1)
    expect(await checkpoint(bed, store, 2)).toBeNull()
    expect(store.meta?.applied).toBe(2)
    expect(store.count(SLOT, GENERATION)).toBe(2)
  })

  it('that is not atomic (the mutation) is visible as keys without their meta after some crash', async () => {
    let torn = 0
    for (let seed = 1; seed <= 20; seed++) {
      const bed = makeSimBed(seed, { checkpointNotAtomic: true })
      const store = await openStore(bed)
      for (let i = 0; i < 10; i++) put(store, `k${i}`, 'v', i + 1)
      store.checkpoint(metaAt(10), () => expect.unreachable('the node is dead'))
      bed.files.crash()
      const again = await openStore(bed)
      if (again.meta === null && again.count(SLOT, GENERATION) > 0) torn++
    }
    expect(torn).toBeGreaterThan(5)
  })

  it('and an image wait for each other, and closing for both', async () => {
    const bed = makeSimBed(3)
    const store = await openStore(bed)
    put(store, 'a', '1', 1)
    const order: string[] = []
    await bed.run<void>((done) => {
      store.checkpoint(metaAt(1), () => {
        order.push('checkpoint 1')
        store.checkpoint(metaAt(2), () => order.push('checkpoint 2'))
        store.close(() => {
          order.push('closed')
          done(undefined)
        })
      })
      store.image((error, image, meta) => {
        expect(error).toBeNull()
        order.push(`image of ${meta?.applied}`)
        image?.close()
      })
    })
    // A frozen checkpoint goes first: memory waits for it.
    expect(order).toEqual(['checkpoint 1', 'checkpoint 2', 'image of 2', 'closed'])
  })
})

describe('an image', () => {
  it('of a store without a checkpoint is refused', async () => {
    const bed = makeSimBed(1)
    const store = await openStore(bed)
    const error = await bed.run<unknown>((done) => store.image((failure) => done(failure)))
    expect(error).toMatchObject({ code: 'not-found' })
  })
})

describe('counts', () => {
  it('of writes that looked nothing up are exact, whatever was there before', async () => {
    const bed = makeSimBed(4)
    const store = await openStore(bed)
    for (let i = 0; i < 100; i++) put(store, `k${i}`, 'v', i + 1)
    expect(store.count(SLOT, GENERATION)).toBe(100)
    expect(await checkpoint(bed, store, 100)).toBeNull()
    for (let i = 50; i < 150; i++) put(store, `k${i}`, 'w', 200 + i)
    for (let i = 0; i < 10; i++) store.remove(SLOT, GENERATION, key(`k${i}`), asLogIndex(400))
    for (let i = 500; i < 510; i++) store.remove(SLOT, GENERATION, key(`k${i}`), asLogIndex(401))
    expect(store.count(SLOT, GENERATION)).toBe(140)
    put(store, 'k0', 'back', 500)
    store.remove(SLOT, GENERATION, key('k140'), asLogIndex(501))
    expect(store.count(SLOT, GENERATION)).toBe(140)
    expect(store.count(asSlotId(6), GENERATION)).toBe(0)
    expect(await checkpoint(bed, store, 501)).toBeNull()
    expect(store.count(SLOT, GENERATION)).toBe(140)
  })
})

describe('values and memory', () => {
  it('a value may be written from a view of the value that it replaces', async () => {
    const store = await openStore(makeSimBed(1))
    put(store, 'a', '0123456789', 1)
    const stored = present(store.get(SLOT, GENERATION, key('a')), 'a')
    store.put(SLOT, GENERATION, key('a'), stored.value.subarray(3), 0, asLogIndex(2))
    expect(read(store, 'a')).toBe('3456789')
  })

  it('a growing large value does not keep its old copies', async () => {
    const store = await openStore(makeSimBed(1))
    const value = new Uint8Array(8 * 1024 * 1024)
    for (let size = 1024 * 1024; size <= value.length; size += 256 * 1024) {
      store.put(SLOT, GENERATION, key('big'), value.subarray(0, size), 0, asLogIndex(size))
    }
    expect(store.memtableBytes).toBeLessThan(14 * 1024 * 1024)
    store.remove(SLOT, GENERATION, key('big'), asLogIndex(1))
    expect(store.memtableBytes).toBeLessThan(1024 * 1024)
  })

  it('memory goes back to the start with each checkpoint, however many there are', async () => {
    const bed = makeSimBed(5)
    const store = await openStore(bed)
    const empty = store.memtableBytes
    for (let round = 1; round <= 5; round++) {
      for (let i = 0; i < 20_000; i++) put(store, `key:${i}`, `value of ${i} in round ${round}`, round)
      expect(store.memtableBytes).toBeGreaterThan(20_000 * 60)
      expect(store.memtableBytes).toBeLessThan(20_000 * 200)
      expect(await checkpoint(bed, store, round)).toBeNull()
      expect(store.memtableBytes).toBe(empty)
    }
    expect(store.count(SLOT, GENERATION)).toBe(20_000)
  })
})

describe('a scan', () => {
  it('over thousands of removed keys returns early and still comes to its end', async () => {
    const bed = makeSimBed(6)
    const store = await openStore(bed)
    for (let i = 0; i < 30_000; i++) put(store, `k${i}`, '', 1)
    expect(await checkpoint(bed, store, 1)).toBeNull()
    for (let i = 0; i < 30_000; i++) if (i !== 17) store.remove(SLOT, GENERATION, key(`k${i}`), asLogIndex(2))
    const seen: string[] = []
    let calls = 0
    for (let position = 0; position !== SCAN_END; calls++) {
      position = store.scan(SLOT, GENERATION, position, 10, (found) => seen.push(latin1Text(found)))
    }
    expect(seen).toEqual(['k17'])
    expect(calls).toBeGreaterThan(2)
  })

  it('must not call the store from its visit', async () => {
    const store = await openStore(makeSimBed(1))
    put(store, 'a', '1', 1)
    expect(() => store.scan(SLOT, GENERATION, 0, 1, () => read(store, 'a'))).toThrow(/inside a visit/)
    expect(read(store, 'a')).toBe('1')
  })
})

describe('corruption', () => {
  it('of a stored value is told, with group and key, and ends the replica', async () => {
    const bed = makeSimBed(7)
    const told: string[] = []
    const options = { onCorruption: (message: string) => told.push(message) }
    const store = await openStore(bed, options)
    put(store, 'precious', 'x'.repeat(100), 1)
    expect(await checkpoint(bed, store, 1)).toBeNull()
    expect(bed.files.flipBit()).toBe(true)
    bed.files.crash()
    const again = await openStore(bed, options)
    expect(() => read(again, 'precious')).toThrow(/group 1: base file corrupt: bad checksum under key "precious"/)
    expect(told).toHaveLength(1)
  })

  it('another hash key, or meta that cannot be read, is refused at open', async () => {
    const bed = makeSimBed(8)
    const store = await openStore(bed)
    expect(await checkpoint(bed, store, 1)).toBeNull()
    bed.files.crash()
    const open = (hashKey: Uint8Array): Promise<unknown> =>
      bed.run((done) =>
        ReplicaStore.open(bed.files, bed.path, 0, { group: asGroupId(1), hashKey }, (error) => done(error)),
      )
    expect(await open(HASH_KEY)).toBeNull()
    expect(await open(latin1Bytes('otherkey'))).toMatchObject({ code: 'corrupt', message: /another hash key/ })
  })
})
