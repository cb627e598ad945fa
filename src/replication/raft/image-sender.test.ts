// The leader's side: a bounded window, one read at a time, and exactly one end, whatever the follower says or does not say.
import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asNodeId, asReplicaId, asTerm } from '../../base/brand.ts'
import { BytesReader, EMPTY_BYTES } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { BaseImage } from '../../ports/base-file.ts'
import { decodeImageMessage, IMAGE_CHUNK_BYTES_MAX, type ImageMessage } from '../../protocol/image-message.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { SimClock } from '../../simulation/sim-clock.ts'
import { ImageSender } from './image-sender.ts'

const ENVELOPE = { group: asGroupId(1), from: asReplicaId(2), to: asReplicaId(1), transfer: 7 }

class World {
  readonly scheduler = new Scheduler(1)
  readonly bytes: Uint8Array
  readonly sent: ImageMessage[] = []
  readonly ended: boolean[] = []
  readonly sender: ImageSender
  full = false
  closed = 0
  reading = 0
  readingMax = 0
  broken = false

  constructor(sizeBytes: number) {
    const { scheduler } = this
    this.bytes = Uint8Array.from({ length: sizeBytes }, (_, i) => i % 251)
    const image: BaseImage = {
      sizeBytes,
      read: (offset, length, done) => {
        this.readingMax = Math.max(this.readingMax, ++this.reading)
        scheduler.after(1, 'read', () => {
          this.reading--
          if (this.broken) done({ code: 'io', message: 'read' }, EMPTY_BYTES)
          else done(null, this.bytes.slice(offset, offset + length))
        })
      },
      close: () => this.closed++,
    }
    const source = { image, index: asLogIndex(5), term: asTerm(1), membership: { members: [] } }
    this.sender = new ImageSender(asGroupId(1), asReplicaId(1), asReplicaId(2), asNodeId(2), 7, source, {
      clock: new SimClock(scheduler, { label: 'n' }),
      send: (_to, bytes) => {
        if (!this.full) this.sent.push(decodeImageMessage(new BytesReader(bytes.slice())))
        return !this.full
      },
      currentTerm: () => asTerm(3),
      ended: (_sender, ok) => this.ended.push(ok),
    })
    this.sender.start()
  }

  chunks(): (ImageMessage & { type: 'chunk' })[] {
    return this.sent.filter((message) => message.type === 'chunk')
  }

  runFor(ms: number): void {
    this.scheduler.runUntil(this.scheduler.nowMs + ms)
  }
}

describe('ImageSender', () => {
  it('sends nothing before it is accepted, then a window, then as much as is acknowledged', () => {
    const world = new World(10 * IMAGE_CHUNK_BYTES_MAX + 100)
    world.runFor(100)
    expect(world.sent.map(({ type }) => type)).toEqual(['offer'])
    world.sender.onMessage({ ...ENVELOPE, type: 'answer', accepted: true })
    world.runFor(100)
    expect(world.chunks().length).toBe(4)
    expect(world.readingMax).toBe(1)
    for (let acked = 1; acked <= 11; acked++) {
      const nextOffset = Math.min(acked * IMAGE_CHUNK_BYTES_MAX, world.bytes.length)
      world.sender.onMessage({ ...ENVELOPE, type: 'ack', nextOffset })
      world.runFor(100)
    }
    const last = world.sent.at(-1)
    expect(last).toMatchObject({ type: 'end', sizeBytes: world.bytes.length, crc32c: crc32c(world.bytes) })
    const joined = world.chunks().flatMap((chunk) => [...chunk.bytes.subarray(0, 3)])
    expect(joined.length).toBe(33)
    expect(world.chunks().reduce((offset, chunk) => offset + chunk.bytes.length, 0)).toBe(world.bytes.length)
    world.sender.onMessage({ ...ENVELOPE, type: 'outcome', installed: true })
    expect([world.ended, world.closed]).toEqual([[true], 1])
  })

  it('believes no acknowledgement of what it has not sent', () => {
    const world = new World(10 * IMAGE_CHUNK_BYTES_MAX)
    world.sender.onMessage({ ...ENVELOPE, type: 'answer', accepted: true })
    world.sender.onMessage({ ...ENVELOPE, type: 'ack', nextOffset: 2 ** 40 })
    world.runFor(100)
    expect(world.chunks().length).toBe(4)
  })

  it('ends once, by refusal, silence, a broken image or an outcome, and closes the image', () => {
    const ways: ((world: World) => void)[] = [
      (world) => world.sender.onMessage({ ...ENVELOPE, type: 'answer', accepted: false }),
      (world) => world.runFor(11_000),
      (world) => {
        world.broken = true
        world.sender.onMessage({ ...ENVELOPE, type: 'answer', accepted: true })
        world.runFor(10)
      },
      (world) => world.sender.onMessage({ ...ENVELOPE, type: 'outcome', installed: false }),
    ]
    for (const way of ways) {
      const world = new World(100)
      way(world)
      expect([world.ended, world.closed]).toEqual([[false], 1])
      world.sender.onMessage({ ...ENVELOPE, type: 'outcome', installed: true })
      world.sender.end(true)
      world.runFor(20_000)
      expect([world.ended, world.closed]).toEqual([[false], 1])
    }
  })

  it('waits in patience as long as the other side says that it lives', () => {
    const world = new World(100)
    world.sender.onMessage({ ...ENVELOPE, type: 'answer', accepted: true })
    for (let i = 0; i < 20; i++) {
      world.runFor(5_000)
      world.sender.onMessage({ ...ENVELOPE, type: 'ack', nextOffset: 100 })
    }
    expect(world.ended).toEqual([])
    world.sender.onMessage({ ...ENVELOPE, transfer: 8, type: 'ack', nextOffset: 100 })
    world.runFor(11_000)
    expect(world.ended).toEqual([false])
  })

  it('holds one message back while the lane is full, and loses none', () => {
    const world = new World(2 * IMAGE_CHUNK_BYTES_MAX)
    world.full = true
    world.sender.onMessage({ ...ENVELOPE, type: 'answer', accepted: true })
    world.runFor(100)
    world.sender.onWritable()
    expect(world.chunks().length).toBe(0)
    world.full = false
    world.sender.onWritable()
    world.runFor(100)
    expect(world.sent.map(({ type }) => type)).toEqual(['offer', 'chunk', 'chunk', 'end'])
  })
})
