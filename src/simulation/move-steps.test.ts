// The steps of a move, told from the groups' states as they come.
import { describe, expect, it } from 'vitest'
import { asGroupId, asLogIndex, asSlotId, type GroupId } from '../base/brand.ts'
import type { SlotMove } from '../kv/moves/slot-moves.ts'
import type { Generation } from '../ports/key-space.ts'
import { FIRST_CURSOR, STAGE_KEYS, STAGE_STREAMING } from '../protocol/move-command.ts'
import { type MoveStep, MoveSteps } from './move-steps.ts'

const A = asGroupId(1)
const B = asGroupId(2)
const RECONFIG = 7

class World {
  readonly steps: string[] = []
  readonly #steps = new MoveSteps((step, { reconfigId, source, destination }) => {
    this.steps.push(step)
    expect([reconfigId, source, destination]).toEqual([RECONFIG, A, B])
  })

  show(group: GroupId, phase: SlotMove['phase'], stage = -1): void {
    const role = group === A ? 'source' : 'destination'
    const cursor = stage < 0 ? FIRST_CURSOR : { ...FIRST_CURSOR, sourceGeneration: 1, stage }
    const slot = { slot: asSlotId(3), predecessor: 0, generation: 1 as Generation, cursor }
    const peer = { group: group === A ? B : A, nodes: [] }
    const move = { role, reconfigId: RECONFIG, peer, slots: [slot], phase, disableIndex: asLogIndex(0), journal: null }
    this.#steps.observe(group, [move as SlotMove], { owns: () => false, lastReconfig: () => 0 })
  }

  over(group: GroupId, owns: boolean, lastReconfig = RECONFIG): void {
    this.#steps.observe(group, [], { owns: () => owns, lastReconfig: () => lastReconfig })
  }

  publish(reconfigId: number): void {
    this.#steps.table([0, 0, 0, reconfigId])
  }
}

describe('the steps of a move', () => {
  it('come once each, in their order', () => {
    const world = new World()
    world.show(A, 'begun')
    world.show(A, 'begun')
    world.show(B, 'staging')
    world.show(B, 'staging', STAGE_KEYS)
    world.show(B, 'staging', STAGE_STREAMING)
    world.show(A, 'disabled')
    world.publish(0)
    world.over(B, true)
    world.publish(RECONFIG)
    world.publish(RECONFIG)
    world.over(A, false)
    const all: MoveStep[] = ['begunSource', 'begunDestination', 'firstStage', 'streaming', 'disabled', 'enabled']
    expect(world.steps).toEqual([...all, 'published', 'forgotten'])
  })

  it('are told all where a state jumps over some', () => {
    const world = new World()
    world.show(A, 'disabled')
    world.show(B, 'staging', STAGE_STREAMING)
    expect(world.steps).toEqual(['begunSource', 'disabled', 'begunDestination', 'firstStage', 'streaming'])
  })

  it('of one that is called off end with the slots where they were', () => {
    const world = new World()
    world.show(A, 'begun')
    world.show(B, 'staging')
    world.over(A, true)
    world.over(B, false, 0)
    expect(world.steps).toEqual(['begunSource', 'begunDestination', 'kept', 'dropped'])
  })

  it('of one that is refused', () => {
    const world = new World()
    world.show(A, 'disabled')
    world.show(B, 'refused', STAGE_KEYS)
    world.over(A, true)
    world.over(B, false, 0)
    const expected = ['begunSource', 'disabled', 'begunDestination', 'firstStage', 'refused', 'kept', 'dropped']
    expect(world.steps).toEqual(expected)
  })
})
