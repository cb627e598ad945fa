// The ledger of slots over all groups: what a right move looks like, and what each wrong step is told as.
import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex } from '../base/brand.ts'
import { type AppliedSlots, SlotLedger } from './slot-ledger.ts'

const A = asGroupId(1)
const B = asGroupId(2)

interface OneSlot {
  readonly owns: boolean
  readonly last: number
  readonly generation: number
}

const OWNED: OneSlot = { owns: true, last: 0, generation: 1 }
const NONE: OneSlot = { owns: false, last: 0, generation: 0 }

function state({ owns, last, generation }: OneSlot, moves: AppliedSlots['moves'] = []): AppliedSlots {
  const slots = { slotCount: 1, owns: () => owns, lastReconfig: () => last, generation: () => generation }
  return { slots: slots as unknown as AppliedSlots['slots'], moves }
}

class World {
  readonly violations: string[] = []
  readonly ledger = new SlotLedger(1, (message) => this.violations.push(message))
  #applied = 0

  constructor() {
    this.show(A, OWNED)
    this.show(B, NONE)
  }

  show(group: typeof A, slot: OneSlot): void {
    this.ledger.observe(`group ${group}`, group, this.#applied++, state(slot))
  }
}

describe('the ledger', () => {
  it('is content with a move there and back', () => {
    const world = new World()
    world.show(A, { owns: false, last: 1, generation: 1 })
    expect(world.ledger.ownerOf(0)).toBeNull()
    world.show(B, { owns: true, last: 1, generation: 11 })
    expect(world.ledger.ownerOf(0)).toBe(B)
    world.show(A, { owns: false, last: 1, generation: 0 })
    world.show(B, { owns: false, last: 2, generation: 11 })
    world.show(A, { owns: true, last: 2, generation: 21 })
    world.show(B, { owns: false, last: 2, generation: 0 })
    expect(world.violations).toEqual([])
  })

  it('is content with slots that are taken back, and with a move that is called off', () => {
    const world = new World()
    world.show(A, { owns: false, last: 1, generation: 1 })
    world.show(A, { owns: true, last: 1, generation: 1 })
    world.show(A, { owns: true, last: 2, generation: 1 })
    expect(world.violations).toEqual([])
  })

  it('does not mind a replica that is behind', () => {
    const world = new World()
    world.show(A, { owns: false, last: 1, generation: 1 })
    world.show(B, { owns: true, last: 1, generation: 11 })
    expect(world.ledger.observe('behind', A, 0, state(OWNED))).toBe(false)
    expect(world.violations).toEqual([])
  })

  it.each([
    ['two owners', (world: World) => world.show(B, { owns: true, last: 1, generation: 11 }), /and so does group 1/],
    [
      'a slot that nobody has let go',
      (world: World) => {
        world.show(A, { owns: false, last: 1, generation: 1 })
        world.show(B, { owns: true, last: 2, generation: 21 })
      },
      /nobody has let it go/,
    ],
    [
      'a slot that is forgotten too early',
      (world: World) => {
        world.show(A, { owns: false, last: 1, generation: 1 })
        world.show(A, { owns: false, last: 1, generation: 0 })
      },
      /no group has it/,
    ],
    ['a slot that is lost', (world: World) => world.show(A, { ...OWNED, owns: false }), /without a reconfig/],
    [
      'a reconfig that goes back',
      (world: World) => {
        world.show(A, { owns: true, last: 3, generation: 1 })
        world.show(A, { owns: true, last: 2, generation: 1 })
      },
      /went back/,
    ],
  ])('tells of %s', (_what, happen, expected) => {
    const world = new World()
    happen(world)
    expect(world.violations.join('\n')).toMatch(expected)
  })

  it('tells of replicas that differ at one index', () => {
    const world = new World()
    const move = { role: 'source', reconfigId: 1, phase: 'begun', disableIndex: asLogIndex(0) } as const
    world.ledger.observe('one', A, 9, state(OWNED, [move]))
    world.ledger.observe('same', A, 9, state(OWNED, [move]))
    expect(world.violations).toEqual([])
    world.ledger.observe('other', A, 9, state(OWNED))
    expect(world.violations).toHaveLength(1)
  })
})
