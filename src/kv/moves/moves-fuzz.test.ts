// Moves to and fro between two groups while both are written to: steps in any order, late copies of any of them, restarts, called-off moves. What
// must hold: one owner at most, no acknowledged write lost or run twice, nothing staged left behind. Each mutation must be caught.
import { describe, expect, it } from 'vitest'
import { assert, present } from '../../base/assert.ts'
import { asSlotId } from '../../base/brand.ts'
import { Prng } from '../../base/prng.ts'
import type { MoveCommand } from '../../protocol/move-command.ts'
import type { KvDriver } from '../kv-driver.testkit.ts'
import type { KvMutations } from '../mutations.ts'
import { MoveWorld, move, NO_PEER } from './move-world.testkit.ts'

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)
const STEPS = 600

class MoveFuzz {
  readonly #random: Prng
  readonly #groups: MoveWorld
  readonly #model = new Map<string, string>()
  readonly #late: { readonly to: KvDriver; readonly command: MoveCommand }[] = []
  #reconfigId = 0
  #sequence = 0
  #current: { readonly id: number; readonly from: KvDriver; readonly to: KvDriver; disabledAt: number } | null = null
  moves = 0

  constructor(seed: number, mutations: KvMutations = {}) {
    this.#random = new Prng(seed)
    this.#groups = new MoveWorld({ mutations })
    this.#groups.source.stampMs = 1000
    this.#groups.destination.stampMs = 2000
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) this.#step()
    for (let step = 0; step < STEPS * 10 && this.#current !== null; step++) this.#advance(true)
    assert(this.#current === null, 'the move does not come to its end')
    this.#checkAll()
    this.#heal()
    for (const group of [this.#groups.source, this.#groups.destination]) {
      assert(group.machine.moves.length === 0, 'a move is left open')
      group.keepHouse(1000)
    }
    const stored = this.#groups.source.keySpace.totalKeys + this.#groups.destination.keySpace.totalKeys
    assert(
      stored === this.#model.size,
      `${stored} keys are stored, ${this.#model.size} should be: something staged is left behind`,
    )
  }

  #step(): void {
    const dice = this.#random.below(100)
    if (dice < 55) this.#write()
    else if (dice < 58) this.#flush()
    else if (dice < 64) this.#read(this.#key())
    else if (dice < 70) this.#restart()
    else if (dice < 78) this.#repeat()
    else if (dice < 80) this.#tick()
    else this.#advance(false)
  }

  #key(): string {
    return KEYS[this.#random.below(KEYS.length)]
  }

  #write(): void {
    const key = this.#key()
    const group = this.#groups.owner(key)
    if (group === null) return
    const dice = this.#random.below(10)
    if (dice < 4) {
      const value = `v${this.#random.below(1_000_000)}`.padEnd(this.#random.below(60))
      assert(group.write('SET', key, value) === '+OK\r\n', 'SET')
      this.#model.set(key, value)
    } else if (dice < 6) {
      const had = this.#model.delete(key)
      assert(group.write('DEL', key) === `:${had ? 1 : 0}\r\n`, `DEL ${key}: ${had ? 'it had gone' : 'it was back'}`)
    } else this.#append(group, key)
  }

  /** Under a session, and sometimes once more: to whoever owns the slot by then. */
  #append(group: KvDriver, key: string): void {
    const session = { session: 1 + this.#random.below(5), sequence: ++this.#sequence, lowest: 1, retryUntilMs: 1e9 }
    // Each sequence is its session's own, and few enough are kept.
    session.lowest = Math.max(1, session.sequence - 100)
    const value = (this.#model.get(key) ?? '') + String(this.#random.below(10))
    const wanted = `:${value.length}\r\n`
    const got = group.as(session, 'APPEND', key, value.at(-1) ?? '')
    assert(got === wanted, `APPEND ${key}: ${got} for ${wanted}`)
    this.#model.set(key, value)
    const again = this.#random.below(4)
    if (again > 0) return
    const retry = (): void => {
      const owner = this.#groups.owner(key)
      if (owner === null) return
      const reply = owner.as(session, 'APPEND', key, value.at(-1) ?? '')
      assert(reply === wanted || reply.startsWith('-SEQUENCETOOOLD'), `APPEND ${key} ran twice: ${reply} for ${wanted}`)
    }
    if (this.#random.below(2) === 0) retry()
    else this.#retries.push(retry)
  }

  readonly #retries: (() => void)[] = []

  #flush(): void {
    const slot = this.#groups.source.slotOf(this.#key())
    const owner = [this.#groups.source, this.#groups.destination].find(({ machine }) => machine.slots.owns(slot))
    if (owner === undefined) return
    assert(owner.onSlot(slot, 'FLUSHALL') === '+OK\r\n', 'FLUSHALL')
    for (const key of KEYS) if (owner.slotOf(key) === slot) this.#model.delete(key)
  }

  #read(key: string): void {
    const owner = this.#groups.owner(key)
    if (owner === null) return
    const value = this.#model.get(key)
    const wanted = value === undefined ? '_\r\n' : `$${value.length}\r\n${value}\r\n`
    const got = owner.read('GET', key)
    assert(got === wanted, `GET ${key}: ${got} for ${wanted}`)
  }

  #checkAll(): void {
    for (const key of KEYS) this.#read(key)
    for (const retry of this.#retries.splice(0)) retry()
  }

  #restart(): void {
    const group = this.#random.below(2) === 0 ? this.#groups.source : this.#groups.destination
    group.restart()
  }

  #tick(): void {
    const group = this.#random.below(2) === 0 ? this.#groups.source : this.#groups.destination
    group.tick(group.stampMs + this.#random.below(500))
  }

  /** A step that a deposed leader proposed, or a network repeats. */
  #repeat(): void {
    if (this.#late.length === 0) return
    const { to, command } = this.#late[this.#random.below(this.#late.length)]
    // The decisions are told by whoever has seen the other side's: their copies tell the same.
    if (command.kind === 'drop' || command.kind === 'resume' || command.kind === 'forget') return
    move(to, command)
  }

  #send(to: KvDriver, command: MoveCommand): ReturnType<typeof move> {
    this.#late.push({ to, command })
    return move(to, command)
  }

  #advance(toTheEnd: boolean): void {
    if (this.#current === null) {
      this.#begin()
      return
    }
    const { id, from, to, disabledAt } = this.#current
    const dice = this.#random.below(20)
    if (dice === 0 && !toTheEnd) return this.#callOff()
    if (disabledAt === 0 && dice > 16) {
      const { outcome, index } = this.#send(from, { kind: 'disable', reconfigId: id })
      assert(outcome === 'done', `disable: ${outcome}`)
      this.#current.disabledAt = index
      return
    }
    if (disabledAt > 0 && dice > 12) {
      const enable = {
        kind: 'enable',
        reconfigId: id,
        disableIndex: disabledAt,
        sourceLogTimeMs: from.machine.logTimeMs,
      } as const
      const { outcome } = this.#send(to, enable)
      // A copy of it that came too early may have come first after all.
      if (outcome === 'done' || outcome === 'unknown-move') return this.#end(from, id)
    }
    this.#stage()
  }

  /** A late copy of a BEGIN may stage once more what was called off; its leader asks the source, which says that the reconfig is over. */
  #heal(): void {
    const { source, destination } = this.#groups
    for (const [group, peer] of [
      [source, destination],
      [destination, source],
    ]) {
      for (const { role, reconfigId, slots } of group.machine.moves) {
        const isOver = slots.every(({ slot }) => peer.machine.hasCommitted(slot, reconfigId))
        const isOpen = peer.machine.moves.some((other) => other.reconfigId === reconfigId)
        if (role === 'destination' && isOver && !isOpen) move(group, { kind: 'drop', reconfigId })
      }
    }
  }

  #begin(): void {
    this.#heal()
    const from = this.#random.below(2) === 0 ? this.#groups.source : this.#groups.destination
    const to = from === this.#groups.source ? this.#groups.destination : this.#groups.source
    const owned = Array.from({ length: 16 }, (_, slot) => slot).filter((slot) => from.machine.slots.owns(slot))
    const chosen = owned.filter(() => this.#random.below(2) === 0)
    if (chosen.length === 0) return
    const id = ++this.#reconfigId
    const slots = chosen.map((slot) => ({
      first: asSlotId(slot),
      last: asSlotId(slot),
      predecessor: from.machine.slots.lastReconfig(asSlotId(slot)),
    }))
    const begin = { reconfigId: id, fence: 1, peer: NO_PEER, slots }
    const [out, inward] = [
      this.#send(from, { kind: 'begin-source', ...begin }).outcome,
      this.#send(to, { kind: 'begin-destination', ...begin }).outcome,
    ]
    assert(out === 'done' && inward === 'done', `begin: ${out}, ${inward}`)
    this.#current = { id, from, to, disabledAt: 0 }
  }

  #stage(): void {
    const { id, from, to, disabledAt } = present(this.#current, 'no move')
    const open = to.machine.moves.find(({ reconfigId }) => reconfigId === id)
    const limit = 20 + this.#random.below(200)
    const parts = (open?.slots ?? [])
      .filter(() => this.#random.below(3) > 0)
      .map(({ slot, cursor }) => from.machine.readPart(id, slot, cursor, disabledAt, limit))
      .filter((part) => part !== null)
    if (parts.length > 0) this.#send(to, { kind: 'stage', reconfigId: id, parts })
  }

  #callOff(): void {
    const { id, from, to, disabledAt } = present(this.#current, 'no move')
    this.#current = null
    if (disabledAt === 0) {
      assert(this.#send(from, { kind: 'cancel', reconfigId: id, fence: 1 }).outcome === 'done', 'cancel')
    } else {
      const { outcome } = this.#send(to, { kind: 'refuse', reconfigId: id })
      // A copy of an ENABLE that came too early may have come first after all.
      if (outcome === 'unknown-move') return this.#end(from, id)
      assert(outcome === 'done', `refuse: ${outcome}`)
      assert(this.#send(from, { kind: 'resume', reconfigId: id }).outcome === 'done', 'resume')
    }
    assert(this.#send(to, { kind: 'drop', reconfigId: id }).outcome === 'done', 'drop')
    this.#checkAll()
  }

  #end(from: KvDriver, id: number): void {
    this.#current = null
    this.moves++
    assert(this.#send(from, { kind: 'forget', reconfigId: id }).outcome === 'done', 'forget')
    this.#checkAll()
    if (this.#random.below(3) === 0)
      for (const group of [this.#groups.source, this.#groups.destination]) group.keepHouse(10, 0, 3)
  }
}

function failureOf(seed: number, mutations: KvMutations): string | null {
  try {
    new MoveFuzz(seed, mutations).run()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe('moves under fuzz', () => {
  it('200 seeds', () => {
    let moves = 0
    for (let seed = 1; seed <= 200; seed++) {
      const fuzz = new MoveFuzz(seed)
      try {
        fuzz.run()
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
      }
      moves += fuzz.moves
    }
    expect(moves).toBeGreaterThan(500)
  })

  it.each([
    'stageCursorIgnored',
    'disableNotApplied',
    'enabledBeforeStaged',
    'sessionsNotMoved',
    'tombstonesNotKept',
    'sessionsLeftOutOfCheckpoint',
  ] as const)('catches %s', (mutation) => {
    let seed = 1
    while (seed <= 200 && failureOf(seed, { [mutation]: true }) === null) seed++
    expect(seed).toBeLessThanOrEqual(200)
  })
})
