/** What recovery says of damaged files: a torn tail is cut off, anything else is corruption, and nothing is forgotten quietly. */
import { describe, expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import { asGroupId, asReplicaId } from '../base/brand.ts'
import { crc32c } from '../base/crc32c.ts'
import { BATCH_HEADER_BYTES, BLOCK_BYTES, batchBytes, decodeBatchHeader, parseFileName } from './format.ts'
import { NO_WAL_MUTATIONS } from './mutations.ts'
import { describeGroups, modelOf, openCopy, WalWorld } from './wal.testkit.ts'
import type { WalOpenResult } from './write-ahead-log.ts'

interface Placed {
  readonly path: string
  readonly offset: number
  /** Header and payload, without padding. */
  readonly bytes: number
  readonly end: number
}

/** A log over several segments, everything in it flushed and proven by a mark. */
function settledLog(seed: number): { world: WalWorld; files: Map<string, Uint8Array>; batches: Placed[] } {
  const world = new WalWorld(seed, { spareSegments: 1, copyForwardSegments: 100 })
  world.reopen()
  // A group that stays as it is keeps every segment in use.
  world.append({ group: asGroupId(9), replicaId: asReplicaId(5), entries: world.entries(1, 1, 3, 100) })
  for (let i = 0; i < 150; i++) {
    world.appendRandom(2, 500)
    if (i % 3 === 0) world.flushNow()
  }
  world.flushNow()
  world.run(500)
  world.end('kill')
  const files = world.disk.snapshot()
  return { world, files, batches: batchesIn(files) }
}

/** Every batch of every segment's own incarnation, in order. */
function batchesIn(files: ReadonlyMap<string, Uint8Array>): Placed[] {
  const batches: Placed[] = []
  for (const [path, bytes] of files) {
    const name = parseFileName(path.slice(path.lastIndexOf('/') + 1))
    if (name?.kind !== 'segment') continue
    for (let offset = BLOCK_BYTES; offset + BLOCK_BYTES <= bytes.length; ) {
      const header = decodeBatchHeader(bytes, offset, bytes.length - offset)
      if (header === null || header.incarnation !== name.incarnation) break
      const end = offset + batchBytes(header.payloadBytes)
      batches.push({ path, offset, bytes: BATCH_HEADER_BYTES + header.payloadBytes, end })
      offset = end
    }
  }
  return batches
}

function damaged(
  files: ReadonlyMap<string, Uint8Array>,
  path: string,
  damage: (bytes: Uint8Array) => void,
): Map<string, Uint8Array> {
  const copy = new Map(files)
  const bytes = present(files.get(path), path).slice()
  damage(bytes)
  return copy.set(path, bytes)
}

const stateOf = (result: WalOpenResult): string =>
  result.kind === 'opened' ? describeGroups(modelOf(result.groups)) : `${result.kind}: ${result.message}`

describe('a flipped bit', () => {
  it('in a proven batch is corruption; in the last one, which nothing proves, a torn tail', () => {
    const { world, files, batches } = settledLog(3)
    const segments = new Set(batches.map((batch) => batch.path))
    expect(segments.size).toBeGreaterThan(2)
    const whole = describeGroups(world.latest)
    for (const [position, batch] of batches.entries()) {
      for (const at of [0, 5, 17, 40, 63, 64, world.random.below(batch.bytes), batch.bytes - 1]) {
        if (at >= batch.bytes) continue
        const bit = world.random.below(8)
        const result = openCopy(damaged(files, batch.path, (bytes) => (bytes[batch.offset + at] ^= 1 << bit)))
        if (position < batches.length - 1) expect(result.kind, `${batch.path} ${batch.offset}+${at}`).toBe('corrupt')
        // The last batch is the mark, which holds nothing.
        else expect(stateOf(result)).toBe(whole)
      }
    }
  })

  it('in padding or in unused space changes nothing', () => {
    const { world, files, batches } = settledLog(4)
    const whole = describeGroups(world.latest)
    for (const batch of batches.filter((one) => one.end > one.offset + one.bytes).slice(0, 20)) {
      expect(stateOf(openCopy(damaged(files, batch.path, (bytes) => (bytes[batch.end - 1] ^= 4))))).toBe(whole)
    }
    const last = present(batches.at(-1), 'no batch')
    expect(stateOf(openCopy(damaged(files, last.path, (bytes) => (bytes[last.end + 10] ^= 4))))).toBe(whole)
  })

  it('in a header block is corruption', () => {
    const { files } = settledLog(5)
    for (const path of files.keys()) {
      if (!path.includes('segment-')) continue
      for (const at of [0, 9, 13, 20, 30, 40, 60]) {
        expect(openCopy(damaged(files, path, (bytes) => (bytes[at] ^= 1))).kind).toBe('corrupt')
      }
    }
  })

  it('below the mark goes unnoticed with the mutation cutAnywhere', () => {
    const world = new WalWorld(12)
    world.reopen()
    world.append({ group: asGroupId(1), replicaId: asReplicaId(1) })
    for (let i = 1; i <= 10; i++) {
      world.append({ group: asGroupId(1), entries: world.entries(i, 1, 1, 200) })
      world.flushNow()
    }
    world.run(300)
    world.end('kill')
    const files = world.disk.snapshot()
    const batch = present(batchesIn(files).at(-5), 'too few batches')
    const broken = damaged(files, batch.path, (bytes) => (bytes[batch.offset + batch.bytes - 1] ^= 1))
    expect(openCopy(broken).kind).toBe('corrupt')
    const result = openCopy(broken, { mutations: { ...NO_WAL_MUTATIONS, cutAnywhere: true } })
    // Confirmed entries are gone, and nobody says so.
    expect(result.kind).toBe('opened')
    expect(world.matches(stateOf(result))).toBe(false)
    expect(world.matches(stateOf(result), 0)).toBe(true)
  })
})

describe('a lost end', () => {
  it('cut at any block of the newest segment gives a state that the log had', () => {
    const world = new WalWorld(11, { spareSegments: 1 })
    world.reopen()
    for (let i = 0; i < 25; i++) {
      world.appendRandom(2, 400)
      world.flushNow()
    }
    world.end('kill')
    const files = world.disk.snapshot()
    const batches = batchesIn(files)
    const newest = present(batches.at(-1), 'no batch').path
    const states = new Set<string>()
    for (const batch of batches.filter((one) => one.path === newest)) {
      // A tail of the file as if its last writes had never happened, and as if only a part of one had.
      for (const from of [batch.offset, batch.offset + 512, batch.offset + batch.bytes - 1]) {
        const result = openCopy(damaged(files, newest, (bytes) => bytes.fill(0, from)))
        expect(result.kind).toBe('opened')
        expect(world.matches(stateOf(result), 0)).toBe(true)
        states.add(stateOf(result))
      }
    }
    expect(states.size).toBeGreaterThan(5)
  })

  it('a shorter file, or one that is missing, is corruption', () => {
    const { files, batches } = settledLog(6)
    const paths = [...new Set(batches.map((batch) => batch.path))]
    for (const path of paths) {
      const bytes = present(files.get(path), path)
      for (const length of [0, 100, BLOCK_BYTES, bytes.length - 1]) {
        expect(openCopy(new Map(files).set(path, bytes.slice(0, length))).kind, `${path} of ${length}`).toBe('corrupt')
      }
      const without = new Map(files)
      without.delete(path)
      expect(openCopy(without).kind, `without ${path}`).toBe('corrupt')
    }
    // The prepared next segment is named by the batches of the active one.
    const prepared = [...files.keys()].filter((path) => path.includes('segment-') && !paths.includes(path))
    expect(prepared).toHaveLength(1)
    const without = new Map(files)
    without.delete(prepared[0])
    expect(openCopy(without).kind).toBe('corrupt')
  })
})

describe('foreign files', () => {
  it('a newer format is told apart from damage', () => {
    const { files } = settledLog(7)
    const path = present(
      [...files.keys()].find((name) => name.includes('segment-')),
      'no segment',
    )
    const result = openCopy(damaged(files, path, (bytes) => bytes.set(newerHeader(bytes))))
    expect(result.kind).toBe('newer-format')
    expect(stateOf(result)).toContain('format 2')
  })

  it("another log's segment is refused", () => {
    const { files } = settledLog(8)
    const other = new WalWorld(9, { logId: 77 })
    other.reopen()
    other.run(300)
    const stranger = present(
      [...other.disk.snapshot()].find(([path]) => path.includes('segment-')),
      'no segment',
    )
    const mixed = new Map(files).set('node/wal/segment-0000000000000099.wal', stranger[1])
    expect(openCopy(mixed).kind).toBe('corrupt')
  })

  it('other names in the directory are left alone', () => {
    const { world, files } = settledLog(10)
    const result = openCopy(new Map(files).set('node/wal/README', Uint8Array.of(1)))
    expect(stateOf(result)).toBe(describeGroups(world.latest))
  })
})

/** The header block with the next version's number and a CRC that fits. */
function newerHeader(bytes: Uint8Array): Uint8Array {
  const header = bytes.slice(0, 64)
  const view = new DataView(header.buffer)
  view.setUint32(8, 2, true)
  view.setUint32(60, crc32c(header, 0, 60), true)
  return header
}
