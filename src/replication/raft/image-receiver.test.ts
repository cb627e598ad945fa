// The follower's side: whatever the sender does, and however slow the disk is, the transfer ends and the process does not.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { present } from '../../base/assert.ts'
import { asGroupId, asLogIndex, asSlotId, asTerm } from '../../base/brand.ts'
import { EMPTY_BYTES, latin1Bytes } from '../../base/bytes.ts'
import { LmdbBaseFileStore } from '../../platform/lmdb-base-file.ts'
import { NodeClock } from '../../platform/node-clock.ts'
import type { BaseFileStore, BaseImage, BaseInstall } from '../../ports/base-file.ts'
import { type Generation, makeGeneration } from '../../ports/key-space.ts'
import type { ImageMessage } from '../../protocol/image-message.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimBaseFileStore } from '../../simulation/sim-base-file.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { ReplicaStore } from '../../store/store.ts'
import { FOLLOWER, ImageTransfer, LEADER } from './image-transfer.testkit.ts'

const GENERATION = present(makeGeneration(1, 1), 'a generation') as Generation
const META = { applied: asLogIndex(10), term: asTerm(2), membership: { members: [] }, state: EMPTY_BYTES }

/** An image of a base file with some megabytes in it. */
async function imageIn(
  files: BaseFileStore,
  path: string,
  run: <T>(start: (done: (value: T) => void) => void) => Promise<T>,
): Promise<BaseImage> {
  const options = { group: asGroupId(1), hashKey: latin1Bytes('01234567') }
  const store = await run<ReplicaStore>((done) =>
    ReplicaStore.open(files, path, 0, options, (_error, opened) => done(present(opened, 'a fresh base file opens'))),
  )
  const value = new Uint8Array(100_000).fill(7)
  for (let i = 0; i < 60; i++) store.put(asSlotId(0), GENERATION, latin1Bytes(`key ${i}`), value, 0, asLogIndex(i + 1))
  expect(await run((done) => store.checkpoint(META, done))).toBeNull()
  const image = await run<BaseImage>((done) => store.image((_error, made) => done(present(made, 'an image is made'))))
  await run<void>((done) => store.close(() => done()))
  return image
}

class World {
  readonly scheduler = new Scheduler(1)
  readonly clock = new SimClock(this.scheduler, { label: 'n', timerLatenessMaxMs: 0 })
  readonly files = new SimBaseFileStore(this.scheduler)
  /** Between two nodes. */
  delayMs = 1
  connected = true

  async transfer(): Promise<ImageTransfer> {
    const { clock, files } = this
    const image = await imageIn(files, 'leader', (start) => new Promise((resolve) => this.#drive(start, resolve)))
    const wire = (deliver: () => void): void => {
      this.scheduler.after(this.delayMs, 'wire', () => {
        if (this.connected) deliver()
      })
    }
    return new ImageTransfer({ clock, files, path: 'follower', image, wire })
  }

  #drive<T>(start: (done: (value: T) => void) => void, resolve: (value: T) => void): void {
    let finished = false
    start((value) => {
      finished = true
      resolve(value)
    })
    while (!finished) this.scheduler.step()
  }

  runFor(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }
}

describe('a transfer', () => {
  it('brings the image over whole, on the simulated disk', async () => {
    const world = new World()
    const transfer = await world.transfer()
    transfer.sender.start()
    world.runFor(5_000)
    expect(transfer.ended).toEqual([true])
    expect(transfer.received).toEqual([1])
    expect(transfer.log.filter((type) => type === 'chunk').length).toBeGreaterThan(4)
    let meta: Uint8Array | null | undefined
    world.files.open('follower', 1, (_error, base) => {
      meta = base?.meta()
    })
    world.runFor(10)
    expect(meta?.length).toBeGreaterThan(0)
  })

  it('brings the image over whole, on a real disk', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-image-'))
    const files = new LmdbBaseFileStore()
    const run = <T>(start: (done: (value: T) => void) => void): Promise<T> => new Promise((resolve) => start(resolve))
    const image = await imageIn(files, join(directory, 'leader'), run)
    const transfer = new ImageTransfer({
      clock: new NodeClock(),
      files,
      path: join(directory, 'follower'),
      image,
      // At once: the end stands right behind the last chunk, as on a real wire.
      wire: (deliver) => void setImmediate(deliver),
    })
    transfer.sender.start()
    while (transfer.ended.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(transfer.ended).toEqual([true])
    expect(transfer.received).toEqual([1])
    await files.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  it('is kept alive while a slow disk checks what it got', async () => {
    const world = new World()
    const transfer = await world.transfer()
    slowFinish(world, 45_000)
    transfer.sender.start()
    world.runFor(40_000)
    expect(transfer.ended).toEqual([])
    world.runFor(10_000)
    expect([transfer.ended, transfer.received]).toEqual([[true], [1]])
  })

  it('ends on both sides when the other one falls silent', async () => {
    const world = new World()
    const transfer = await world.transfer()
    transfer.sender.start()
    world.runFor(3)
    world.connected = false
    expect(transfer.receiver.active).toBe(true)
    world.runFor(30_000)
    expect(transfer.ended).toEqual([false])
    expect(transfer.receiver.active).toBe(false)
    expect(transfer.received).toEqual([])
  })

  it('goes on where the lane was full for a moment', async () => {
    const world = new World()
    const transfer = await world.transfer()
    transfer.refuseSends = 1
    transfer.sender.start()
    world.runFor(100)
    for (let i = 0; i < 40; i++) {
      transfer.refuseSends = i % 2
      transfer.sender.onWritable()
      world.runFor(20)
    }
    world.runFor(1_000)
    expect(transfer.ended).toEqual([true])
  })
})

describe('the receiver', () => {
  it('refuses what the replica does not want, without touching the disk', async () => {
    const world = new World()
    const transfer = await world.transfer()
    transfer.wants = false
    transfer.sender.start()
    world.runFor(100)
    expect([transfer.ended, transfer.received, transfer.receiver.active]).toEqual([[false], [], false])
  })

  it('throws the directory away where the core does not take the image after all', async () => {
    const world = new World()
    const transfer = await world.transfer()
    transfer.takes = false
    transfer.sender.start()
    world.runFor(5_000)
    expect(transfer.ended).toEqual([false])
    let code: string | undefined
    world.files.open('follower', 1, (error) => {
      code = error?.code
    })
    world.runFor(10)
    expect(code).toBe('not-found')
  })

  it('gives a half-received image up for a new offer', async () => {
    const world = new World()
    const transfer = await world.transfer()
    transfer.sender.start()
    world.runFor(3)
    transfer.receiver.onMessage(LEADER, transfer.offer(LEADER, 8))
    world.runFor(20_000)
    expect(transfer.received).toEqual([])
    // The old one's sender hears nothing more.
    expect(transfer.ended).toEqual([false])
  })

  it('survives any message at any time', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const world = new World()
      const transfer = await world.transfer()
      const { random } = world.scheduler
      for (let i = 0; i < seed; i++) random.u32()
      transfer.sender.start()
      const { group, from, to } = transfer.offer(LEADER, 7)
      for (let i = 0; i < 30; i++) {
        world.runFor(random.unit() * 2)
        const envelope = { group, from, to, transfer: 7 }
        const bytes = new Uint8Array(random.below(2_000))
        const message: ImageMessage = random.pick([
          transfer.offer(LEADER, 7),
          { ...envelope, type: 'chunk', offset: random.below(3) * 1_048_576, bytes },
          { ...envelope, type: 'end', sizeBytes: random.below(2) * 6_000_000, crc32c: 1 },
          { ...envelope, type: 'ack', nextOffset: random.below(9_000_000) },
          { ...envelope, type: 'answer', accepted: random.chance(0.8) },
        ])
        if (message.type === 'ack' || message.type === 'answer') transfer.sender.onMessage(message)
        else transfer.receiver.onMessage(random.chance(0.9) ? LEADER : FOLLOWER, message)
      }
      world.runFor(60_000)
      expect(transfer.ended.length, `seed ${seed}`).toBe(1)
      expect(transfer.receiver.active).toBe(false)
    }
  })
})

/** From now on checking an image takes this long. */
function slowFinish(world: World, delayMs: number): void {
  const install = world.files.install.bind(world.files)
  world.files.install = (path, directory, done) =>
    install(path, directory, (error, opened) => {
      const fast = present(opened, 'an install begins')
      const slow: BaseInstall = {
        write: (offset, bytes, written) => fast.write(offset, bytes, written),
        finish: (sizeBytes, crc, finished) =>
          world.scheduler.after(delayMs, 'slow check', () => fast.finish(sizeBytes, crc, finished)),
        abort: () => fast.abort(),
      }
      done(error, slow)
    })
}
