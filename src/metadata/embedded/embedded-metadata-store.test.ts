// The embedded store keeps the contract on real replicas, whether its sessions are held at the leader, at a follower, or at a node that is no master.
import { describe } from 'vitest'
import { assert } from '../../base/assert.ts'
import type { NodeId } from '../../base/brand.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { metadataContract } from '../metadata-contract.testkit.ts'
import { create, type MetadataHarness, multi } from '../metadata-harness.testkit.ts'
import { EmbeddedMetadataStore } from './embedded-metadata-store.ts'
import { MastersWorld } from './masters-world.testkit.ts'

const SETTLED_MS = 500
const EVENTS_PER_TURN = 100

/** Virtual time goes on while a test awaits. */
async function makeHarness(
  masters: number,
  placeOf: (world: MastersWorld, opened: number) => NodeId,
): Promise<MetadataHarness> {
  const world = new MastersWorld({ seed: masters, masters, holders: 2 })
  let ended = false
  const turn = (): void => {
    if (ended) return
    for (let i = 0; i < EVENTS_PER_TURN; i++) world.group.scheduler.step()
    setImmediate(turn)
  }
  setImmediate(turn)
  let opened = 0
  const embedded = (store: MetadataStore): EmbeddedMetadataStore => {
    assert(store instanceof EmbeddedMetadataStore, 'a store of this harness')
    return store
  }
  const reaches = (store: MetadataStore, ...states: string[]): void =>
    world.group.runUntil(() => states.includes(store.state), `the store is ${states.join(' or ')}`)
  const harness: MetadataHarness = {
    base: '/base',
    async open() {
      const store = world.open(placeOf(world, opened++), { sessionTimeoutMs: 20_000, operationTimeoutMs: 5_000 })
      reaches(store, 'connected')
      if (opened === 1) await multi(store, create('/base'))
      return store
    },
    async expire(store) {
      world.expire(store)
    },
    async suspend(store) {
      world.cutOff(embedded(store))
      reaches(store, 'suspended')
    },
    async resume(store) {
      world.mend(embedded(store))
      reaches(store, 'connected', 'expired')
    },
    async settle() {
      world.group.runFor(SETTLED_MS)
    },
    async end() {
      ended = true
    },
  }
  return harness
}

describe('the embedded metadata store keeps the contract', () => {
  describe('at the leader:', () => metadataContract(() => makeHarness(3, (world) => world.leader())))
  describe('at a follower:', () => metadataContract(() => makeHarness(3, (world) => world.follower())))
  describe('at a node that is no master, with five masters:', () =>
    metadataContract(() => makeHarness(5, (world, opened) => world.holders[opened % 2])))
})
