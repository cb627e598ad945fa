import { expect, test } from 'vitest'
import { asNodeId } from '../base/brand.ts'
import { LocalMetadata, type LocalMetadataStore } from '../metadata/tree/local-metadata.testkit.ts'
import { PERSISTENT } from '../protocol/metadata-operation.ts'
import { type ElectionState, MasterElection } from './master-election.ts'
import { encodeJournal } from './registrations.ts'
import { KV, MASTERS } from './tree-layout.ts'
import { VirtualClock } from './virtual-clock.testkit.ts'

class Candidates {
  readonly clock = new VirtualClock()
  readonly metadata = new LocalMetadata((callback) => this.clock.after(1, callback))
  readonly stores: LocalMetadataStore[] = []
  readonly elections: MasterElection[] = []
  /** Of each candidate: the states it went through. */
  readonly states: ElectionState[][] = []
  /** Of each candidate: how often a watch of it was called. */
  readonly watchCalls: number[] = []
  readonly operator = this.metadata.open()

  constructor(count: number, beforeStart: (store: LocalMetadataStore) => void = () => {}) {
    this.clock.run(10)
    const data = encodeJournal({ fence: 0, episode: 0, write: 0 })
    for (const path of [KV, MASTERS])
      this.operator.multi([{ kind: 'create', path, data, options: PERSISTENT }], () => {})
    this.clock.run(10)
    for (let i = 0; i < count; i++) {
      this.states.push([])
      this.watchCalls.push(0)
      const openSession = () => {
        const store = this.metadata.open()
        beforeStart(store)
        this.stores[i] = store
        return this.#counted(store, i)
      }
      const changed = (state: ElectionState): void => {
        this.states[i].push(state)
      }
      const election = new MasterElection(asNodeId(i + 1), { clock: this.clock, openSession, changed })
      this.elections.push(election)
      election.start()
      this.clock.run(500)
    }
  }

  #counted(store: LocalMetadataStore, i: number): LocalMetadataStore {
    const watchNode = store.watchNode.bind(store)
    store.watchNode = (path, listener) => {
      return watchNode(path, () => {
        this.watchCalls[i]++
        listener()
      })
    }
    return store
  }

  kinds(): string[] {
    return this.elections.map(({ state }) => state.kind)
  }

  queue(): readonly string[] {
    const reply = this.metadata.read({ kind: 'children', session: 0, path: MASTERS })
    return reply.kind === 'children' ? (reply.names ?? []) : []
  }
}

test('the first leads, the others follow; the end of one wakes only the next', () => {
  const world = new Candidates(4)
  expect(world.kinds()).toEqual(['leading', 'following', 'following', 'following'])
  world.watchCalls.fill(0)
  world.metadata.expire(world.stores[1])
  world.clock.run(20)
  // The one behind it, and itself in its new place; nobody else is disturbed.
  expect(world.watchCalls.map((calls) => calls > 0)).toEqual([false, true, true, false])
  world.clock.run(500)
  expect(world.kinds()).toEqual(['leading', 'following', 'following', 'following'])
  world.metadata.expire(world.stores[0])
  world.clock.run(500)
  expect(world.kinds()).toEqual(['following', 'following', 'leading', 'following'])
})

test('fences rise from leader to leader', () => {
  const world = new Candidates(2)
  for (let i = 0; i < 6; i++) {
    world.metadata.expire(world.stores[world.kinds().indexOf('leading')])
    world.clock.run(500)
  }
  const led = world.states.flat().flatMap((state) => (state.kind === 'leading' ? [state.creationId] : []))
  expect(led.length).toBe(7)
  expect(new Set(led).size).toBe(7)
  const now = world.elections.map(({ state }) => state).find(({ kind }) => kind === 'leading')
  expect(now?.kind === 'leading' && now.creationId).toBe(Math.max(...led))
})

test('a suspended leader leads no more; once back it leads again, under the same fence in a new episode', () => {
  const world = new Candidates(1)
  world.stores[0].suspend()
  world.clock.run(10)
  expect(world.kinds()).toEqual(['suspended'])
  world.stores[0].resume()
  world.clock.run(100)
  const leading = world.states[0].flatMap((state) => (state.kind === 'leading' ? [state] : []))
  expect(leading.map(({ episode }) => episode)).toEqual([1, 2])
  expect(leading[1].creationId).toBe(leading[0].creationId)
})

test('a suspended leader whose session ended meanwhile enters anew, at the end', () => {
  const world = new Candidates(2)
  world.stores[0].suspend()
  world.metadata.expire(world.stores[0])
  world.clock.run(100)
  expect(world.kinds()).toEqual(['suspended', 'leading'])
  world.stores[0].resume()
  world.clock.run(500)
  expect(world.kinds()).toEqual(['following', 'leading'])
})

for (const fate of ['done', 'dropped', 'late'] as const) {
  test(`the answer to its create is lost (${fate}): it finds its place by its session, and takes up one only`, () => {
    let count = 0
    const world = new Candidates(1, (store) => {
      if (count++ === 0) store.loseAnswers(1, fate)
    })
    world.clock.run(500)
    expect(world.kinds()).toEqual(['leading'])
    world.stores[0].deliverLate()
    world.stores[0].suspend()
    world.clock.run(10)
    world.stores[0].resume()
    world.clock.run(500)
    expect(world.kinds()).toEqual(['leading'])
  })
}

test('its place is removed while its session lives: it leads no more, and stands again', () => {
  const world = new Candidates(2)
  world.operator.multi([{ kind: 'delete', path: `${MASTERS}/${world.queue()[0]}`, version: 0 }], () => {})
  world.clock.run(500)
  expect(world.kinds()).toEqual(['following', 'leading'])
  expect(world.queue().length).toBe(2)
})

test('one that stops gives up its place at once', () => {
  const world = new Candidates(2)
  let isStopped = false
  world.elections[0].stop(() => {
    isStopped = true
  })
  world.clock.run(100)
  expect(isStopped).toBe(true)
  expect(world.kinds()).toEqual(['stopped', 'leading'])
  expect(world.queue().length).toBe(1)
})
