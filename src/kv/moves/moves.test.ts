import { describe, expect, it } from 'vitest'
import { present } from '../../base/assert.ts'
import { asSlotId } from '../../base/brand.ts'
import { latin1Text } from '../../base/bytes.ts'
import { FIRST_CURSOR } from '../../protocol/move-command.ts'
import { MoveWorld, move, NO_PEER } from './move-world.testkit.ts'

const ALL = Array.from({ length: 16 }, (_, slot) => slot)
/** A key of any slot; its slot is found by asking. */
const KEY = '{k}1'

function worldWith(keys: number): MoveWorld {
  const world = new MoveWorld()
  world.source.stampMs = 1000
  world.destination.stampMs = 500
  for (let i = 0; i < keys; i++) world.write('SET', `key-${i}`, `value-${i}`)
  return world
}

describe('a move', () => {
  it('takes keys, expiries and sessions along, and leaves nothing behind', () => {
    const world = worldWith(200)
    world.write('SET', KEY, 'v', 'PX', '5000')
    const once = { session: 7, sequence: 1, retryUntilMs: 90_000 }
    expect(world.source.as(once, 'INCR', '{k}counter')).toBe(':1\r\n')
    world.moveAll(5, ALL)
    expect(world.owner(KEY)).toBe(world.destination)
    for (let i = 0; i < 200; i++)
      expect(world.read('GET', `key-${i}`)).toBe(`$${`value-${i}`.length}\r\nvalue-${i}\r\n`)
    expect(world.read('PTTL', KEY)).toBe(':5000\r\n')
    // The retry of a write that the source has run.
    expect(world.destination.as(once, 'INCR', '{k}counter')).toBe(':1\r\n')
    expect(world.source.machine.moves).toEqual([])
    expect(world.destination.machine.moves).toEqual([])
    expect(world.source.machine.sessionUsage).toEqual({ records: 0, bytes: 0 })
    expect(world.source.keySpace.totalKeys).toBe(0)
  })

  it('and back again', () => {
    const world = worldWith(20)
    world.moveAll(1, ALL)
    world.write('SET', 'key-3', 'changed')
    world.write('DEL', 'key-4')
    const back = new MoveWorld()
    Object.assign(back, { source: world.destination, destination: world.source })
    back.moveAll(2, ALL, 1)
    expect(back.owner('key-3')).toBe(world.source)
    expect(back.read('GET', 'key-3')).toBe('$7\r\nchanged\r\n')
    expect(back.read('EXISTS', 'key-4')).toBe(':0\r\n')
    expect(world.destination.keySpace.totalKeys).toBe(0)
  })

  it('sees what changes while it runs, whether the journal tells or a walk finds it', () => {
    for (const restarts of [false, true]) {
      const world = worldWith(100)
      world.begin(1, ALL)
      world.partBytes = 50
      for (let round = 0; round < 40; round++) {
        const parts = world.parts(1)
        move(world.destination, { kind: 'stage', reconfigId: 1, parts })
        world.write('SET', `key-${round * 2}`, `again-${round}`)
        world.write('DEL', `key-${round * 2 + 1}`)
        if (restarts && round % 3 === 0) world.source.restart()
        if (restarts && round % 5 === 0) world.destination.restart()
      }
      world.stageAll(1)
      const index = world.disable(1)
      world.stageAll(1, index)
      expect(world.enable(1, index)).toBe('done')
      for (let i = 0; i < 80; i++) {
        const value = i % 2 === 0 ? `again-${i / 2}` : null
        expect(world.read('GET', `key-${i}`)).toBe(value === null ? '_\r\n' : `$${value.length}\r\n${value}\r\n`)
      }
    }
  })

  it('starts a slot afresh that is flushed meanwhile', () => {
    const world = worldWith(50)
    world.begin(1, ALL)
    world.stageAll(1)
    const slot = world.source.slotOf('key-7')
    world.source.onSlot(slot, 'FLUSHALL')
    world.write('SET', 'key-7', 'after')
    world.stageAll(1)
    const index = world.disable(1)
    world.stageAll(1, index)
    expect(world.enable(1, index)).toBe('done')
    expect(world.read('GET', 'key-7')).toBe('$5\r\nafter\r\n')
    expect(world.destination.onSlot(slot, 'DBSIZE')).toBe(':1\r\n')
  })

  it('splits what one entry made too large to stage at once', () => {
    const world = worldWith(0)
    world.begin(1, ALL)
    world.stageAll(1)
    world.source.exec([], ...Array.from({ length: 50 }, (_, i) => ['SET', `{k}${i}`, 'x'.repeat(60)]))
    const sizes = []
    for (let parts = world.parts(1); parts.length > 0; parts = world.parts(1)) {
      sizes.push(parts.reduce((sum, part) => sum + part.items.length, 0))
      move(world.destination, { kind: 'stage', reconfigId: 1, parts })
    }
    expect(Math.max(...sizes)).toBeLessThan(10)
    const index = world.disable(1)
    world.stageAll(1, index)
    expect(world.enable(1, index)).toBe('done')
    expect(world.destination.onSlot(world.source.slotOf(KEY), 'DBSIZE')).toBe(':50\r\n')
  })

  it('a large value goes alone, whether a walk or the journal finds it', () => {
    for (const before of [true, false]) {
      const world = worldWith(0)
      const writeAll = (): void => {
        for (let i = 0; i < 30; i++) world.write('SET', `{k}${i}`, 'x'.repeat(i % 10 === 5 ? 5000 : 60))
      }
      if (before) writeAll()
      world.begin(1, ALL)
      if (!before) {
        world.stageAll(1)
        writeAll()
      }
      let large = 0
      for (let parts = world.parts(1); parts.length > 0; parts = world.parts(1)) {
        for (const { items } of parts) {
          const sizes = items.map(({ value }) => value?.length ?? 0)
          if (sizes.includes(5000)) large++
          // Keys that share their hash stay together: few do.
          if (sizes.includes(5000)) expect(items.length).toBeLessThan(4)
          else expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(500)
        }
        move(world.destination, { kind: 'stage', reconfigId: 1, parts })
      }
      expect(large).toBe(3)
    }
  })

  it('bounds a part of tombstones, too', () => {
    const world = worldWith(0)
    const key = (i: number): string => `{k}${'x'.repeat(100)}${i}`
    for (let i = 0; i < 50; i++) world.write('SET', key(i), 'v')
    world.begin(1, ALL)
    world.stageAll(1)
    for (let i = 0; i < 50; i++) world.write('DEL', key(i))
    // No journal tells what was changed.
    world.source.restart()
    for (let parts = world.parts(1); parts.length > 0; parts = world.parts(1)) {
      for (const { items } of parts) expect(items.length).toBeLessThan(5)
      move(world.destination, { kind: 'stage', reconfigId: 1, parts })
    }
    const index = world.disable(1)
    world.stageAll(1, index)
    expect(world.enable(1, index)).toBe('done')
    expect(world.destination.onSlot(world.source.slotOf(KEY), 'DBSIZE')).toBe(':0\r\n')
  })

  it('goes on only with a replica that has applied what the cursor rests on', () => {
    const world = worldWith(40)
    const behind = new MoveWorld()
    world.begin(1, ALL)
    // Another replica of the source applies all but the last write.
    const through = world.source.log.length
    const slot = asSlotId(world.source.slotOf('key-7'))
    world.write('SET', 'key-7', 'new')
    for (const entry of world.source.log.slice(0, through)) behind.source.machine.apply(entry)
    const first = world.source.machine.readPart(1, slot, FIRST_CURSOR, 0, 10)
    const next = present(first, 'a part').next
    // The walk has begun at the write's index: streaming will not tell of it, so what lies before must not be walked.
    expect(behind.source.machine.readPart(1, slot, next, 0, 10_000)).toBe(null)
    behind.source.machine.apply(present(world.source.log.at(-1), 'the write'))
    const items = present(behind.source.machine.readPart(1, slot, next, 0, 10_000), 'a part').items
    expect(items.map(({ value }) => latin1Text(present(value, 'a value')))).toContain('new')
  })

  it('lets expiry never run backwards', () => {
    const world = worldWith(0)
    world.write('SET', KEY, 'v', 'PX', '100')
    world.source.tick(5000)
    expect(world.read('GET', KEY)).toBe('_\r\n')
    world.moveAll(1, ALL)
    expect(world.destination.machine.logTimeMs).toBe(5000)
    expect(world.read('GET', KEY)).toBe('_\r\n')
  })
})

describe('what is refused', () => {
  it('nothing is served at the destination before ENABLE, nor at the source after DISABLE', () => {
    const world = worldWith(10)
    world.begin(1, ALL)
    world.stageAll(1)
    expect(world.destination.read('GET', 'key-1')).toContain('-NOTRESPONSIBLE')
    expect(world.destination.write('SET', 'key-1', 'x')).toContain('-NOTRESPONSIBLE')
    const index = world.disable(1)
    expect(world.source.read('GET', 'key-1')).toContain('-NOTRESPONSIBLE')
    expect(world.source.write('SET', 'key-1', 'x')).toContain('-NOTRESPONSIBLE')
    expect(world.enable(1, index)).toBe('too-early')
    world.stageAll(1, index)
    expect(world.enable(1, 0)).toBe('too-early')
    expect(world.enable(1, index)).toBe('done')
    expect(world.enable(1, index)).toBe('unknown-move')
  })

  it('a part that comes late or twice changes nothing', () => {
    const world = worldWith(10)
    world.begin(1, ALL)
    const early = world.parts(1)
    world.stageAll(1)
    world.write('SET', 'key-1', 'new')
    world.stageAll(1)
    const digest = world.destination.machine.moves.map(({ slots }) => structuredClone(slots))
    expect(move(world.destination, { kind: 'stage', reconfigId: 1, parts: early }).outcome).toBe('other-cursor')
    expect(world.destination.machine.moves.map(({ slots }) => structuredClone(slots))).toEqual(digest)
    const index = world.disable(1)
    world.stageAll(1, index)
    world.enable(1, index)
    expect(world.read('GET', 'key-1')).toBe('$3\r\nnew\r\n')
  })

  it('session records that are none: nothing is staged, and nothing breaks', () => {
    const world = worldWith(10)
    world.begin(1, ALL)
    const parts = world.parts(1).map((part) => ({ ...part, sessions: Uint8Array.of(1, 2, 3) }))
    expect(move(world.destination, { kind: 'stage', reconfigId: 1, parts }).outcome).toBe('malformed')
    world.stageAll(1)
    const index = world.disable(1)
    world.stageAll(1, index)
    expect(world.enable(1, index)).toBe('done')
    expect(world.read('GET', 'key-1')).toBe('$7\r\nvalue-1\r\n')
  })

  it('BEGIN where the slots are not, are already, follow another reconfig, or are on the move', () => {
    const world = worldWith(0)
    expect(world.begin(1, [3], 9)).toEqual(['wrong-predecessor', 'done'])
    expect(world.begin(2, [3, 4])).toEqual(['done', 'busy'])
    expect(world.begin(3, [4, 5])).toEqual(['busy', 'done'])
    const run = { first: asSlotId(3), last: asSlotId(3), predecessor: 0 }
    const begin = { reconfigId: 4, fence: 1, peer: NO_PEER, slots: [run] }
    expect(move(world.destination, { kind: 'begin-source', ...begin }).outcome).toBe('busy')
    expect(
      move(world.source, {
        kind: 'begin-destination',
        ...begin,
        slots: [{ ...run, first: asSlotId(9), last: asSlotId(9) }],
      }).outcome,
    ).toBe('owner')
    expect(
      move(world.destination, {
        kind: 'begin-source',
        ...begin,
        slots: [{ ...run, first: asSlotId(9), last: asSlotId(9) }],
      }).outcome,
    ).toBe('not-owner')
    expect(
      move(world.source, {
        kind: 'begin-source',
        ...begin,
        slots: [{ ...run, first: asSlotId(15), last: asSlotId(16) }],
      }).outcome,
    ).toBe('malformed')
  })

  it('BEGIN of slots of which some have seen a later reconfig, or this one, or that this group takes from itself', () => {
    const world = worldWith(5)
    world.begin(7, [3])
    move(world.source, { kind: 'cancel', reconfigId: 7, fence: 1 })
    const run = (slot: number, predecessor: number) => ({ first: asSlotId(slot), last: asSlotId(slot), predecessor })
    const begin = { fence: 1, peer: NO_PEER } as const
    // Slot 3 was last touched by 7; DISABLE and CANCEL could not go back from there.
    for (const reconfigId of [6, 7]) {
      const slots = [run(3, 7), run(4, 0)]
      expect(move(world.source, { kind: 'begin-source', reconfigId, ...begin, slots }).outcome).toBe(
        'wrong-predecessor',
      )
    }
    expect(world.source.machine.moves).toEqual([])
    expect(move(world.destination, { kind: 'drop', reconfigId: 7 }).outcome).toBe('done')
    world.moveAll(8, [5])
    const slots = [run(4, 0), run(5, 8)]
    const later = { kind: 'begin-destination', reconfigId: 8, ...begin, slots } as const
    expect(move(world.destination, later).outcome).toBe('owner')
    const back = { kind: 'begin-destination', reconfigId: 8, ...begin, slots: [run(5, 8)] } as const
    expect(move(world.source, back).outcome).toBe('ended')
    expect(move(world.source, { kind: 'begin-source', reconfigId: 9, ...begin, slots: [run(4, 0)] }).outcome).toBe(
      'done',
    )
    expect(move(world.source, { ...back, reconfigId: 9 }).outcome).toBe('malformed')
  })

  it('BEGIN and CANCEL of a deposed master', () => {
    const world = worldWith(0)
    expect(world.begin(1, [1], 0, 20)).toEqual(['done', 'done'])
    expect(world.begin(2, [2], 0, 19)).toEqual(['fenced', 'fenced'])
    expect(move(world.source, { kind: 'cancel', reconfigId: 1, fence: 19 }).outcome).toBe('fenced')
    expect(move(world.source, { kind: 'cancel', reconfigId: 1, fence: 21 }).outcome).toBe('done')
    expect(world.begin(3, [3], 0, 20)).toEqual(['fenced', 'done'])
    // A new cluster epoch closes the log to all masters before it, once.
    expect(move(world.source, { kind: 'fence', reconfigId: 0, fence: 30 }).outcome).toBe('done')
    expect(move(world.source, { kind: 'fence', reconfigId: 0, fence: 30 }).outcome).toBe('fenced')
    expect(world.begin(4, [4], 0, 29)[0]).toBe('fenced')
    expect(world.begin(4, [4], 0, 31)[0]).toBe('done')
  })

  it('a copy of a BEGIN after the move is over', () => {
    const world = worldWith(5)
    world.moveAll(1, ALL)
    expect(world.begin(1, ALL)).toEqual(['ended', 'ended'])
    expect(world.owner('key-1')).toBe(world.destination)
  })
})

describe('a move that is called off', () => {
  it("A's log decides between CANCEL and DISABLE", () => {
    const world = worldWith(20)
    world.begin(1, ALL)
    world.stageAll(1)
    expect(move(world.source, { kind: 'cancel', reconfigId: 1, fence: 1 }).outcome).toBe('done')
    expect(move(world.source, { kind: 'disable', reconfigId: 1 }).outcome).toBe('unknown-move')
    expect(world.write('SET', 'key-1', 'mine')).toBe('+OK\r\n')
    expect(move(world.destination, { kind: 'drop', reconfigId: 1 }).outcome).toBe('done')
    world.destination.keepHouse(10)
    world.source.keepHouse(10)
    expect(world.destination.keySpace.totalKeys).toBe(0)
    expect(world.source.keySpace.totalKeys).toBe(20)
    // The next one follows the one that was called off.
    expect(world.begin(2, ALL, 0)[0]).toBe('wrong-predecessor')
    for (const { reconfigId } of world.destination.machine.moves) move(world.destination, { kind: 'drop', reconfigId })
    world.moveAll(3, ALL, 1)
    expect(world.read('GET', 'key-1')).toBe('$4\r\nmine\r\n')
  })

  it('and after DISABLE it is too late', () => {
    const world = worldWith(1)
    world.begin(1, ALL)
    const index = world.disable(1)
    expect(world.disable(1)).toBe(index)
    expect(move(world.source, { kind: 'cancel', reconfigId: 1, fence: 1 }).outcome).toBe('too-late')
  })

  it("B's log decides between REFUSE and ENABLE", () => {
    const world = worldWith(20)
    world.begin(1, ALL)
    world.stageAll(1)
    const index = world.disable(1)
    world.stageAll(1, index)
    expect(move(world.destination, { kind: 'refuse', reconfigId: 1 }).outcome).toBe('done')
    expect(world.enable(1, index)).toBe('refused')
    expect(move(world.destination, { kind: 'stage', reconfigId: 1, parts: [] }).outcome).toBe('refused')
    expect(world.owner('key-1')).toBe(null)
    expect(world.destination.machine.hasCommitted(asSlotId(1), 1)).toBe(false)
    expect(move(world.source, { kind: 'resume', reconfigId: 1 }).outcome).toBe('done')
    expect(world.read('GET', 'key-1')).toBe('$7\r\nvalue-1\r\n')
    expect(move(world.destination, { kind: 'drop', reconfigId: 1 }).outcome).toBe('done')
    world.destination.keepHouse(10)
    expect(world.destination.keySpace.totalKeys).toBe(0)
    expect(world.begin(1, ALL)).toEqual(['ended', 'done'])
  })
})

it('a transaction that watches a key from before the move is aborted', () => {
  const world = worldWith(0)
  world.write('SET', KEY, 'v')
  const watched = world.source.watch(KEY)
  world.moveAll(1, ALL)
  expect(world.destination.exec([watched], ['SET', KEY, 'x'])).toBe('_\r\n')
})
