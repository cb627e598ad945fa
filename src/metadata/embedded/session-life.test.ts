// Sessions through changes of the leader and of the attached master, one story each; and with the bug put back that the story is about.
import { describe, expect, it } from 'vitest'
import { present } from '../../base/assert.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { MetadataStore } from '../../ports/metadata-store.ts'
import { ANY_VERSION, EPHEMERAL, type MetadataOperation, PERSISTENT } from '../../protocol/metadata-operation.ts'
import type { EmbeddedMetadataStore } from './embedded-metadata-store.ts'
import { MastersWorld } from './masters-world.testkit.ts'
import type { EmbeddedMutations } from './mutations.ts'

const CREATE: MetadataOperation = { kind: 'create', path: '/a', data: EMPTY_BYTES, options: PERSISTENT }
const SET: MetadataOperation = { kind: 'set', path: '/a', data: EMPTY_BYTES, version: ANY_VERSION }
const OWN: MetadataOperation = { kind: 'create', path: '/own', data: EMPTY_BYTES, options: EPHEMERAL }

function makeWorld(mutations: Partial<EmbeddedMutations> = {}): MastersWorld {
  return new MastersWorld({ seed: 7, masters: 3, holders: 2, mutations })
}

function connected(world: MastersWorld, ...stores: MetadataStore[]): void {
  world.group.runUntil(() => stores.every(({ state }) => state === 'connected'), 'the sessions are connected')
}

/** The error's code, or `done`. */
function written(world: MastersWorld, store: MetadataStore, ...operations: MetadataOperation[]): string {
  let outcome = ''
  store.multi(operations, (error) => {
    outcome = error?.code ?? 'done'
  })
  world.group.runUntil(() => outcome !== '', 'the write is answered')
  return outcome
}

/** The leader crashes again and again; nothing else is wrong. How many sessions have ended? */
function endedByLeaderChanges(mutations: Partial<EmbeddedMutations>): number {
  const world = makeWorld(mutations)
  const stores = [0, 1, 2, 3].map((i) => world.open(world.holders[i % 2], { sessionTimeoutMs: 1_000 + i * 700 }))
  connected(world, ...stores)
  for (let change = 0; change < 8; change++) {
    const old = world.leader()
    world.crash(old)
    world.group.runFor(2_500)
    world.restart(old)
    world.group.runFor(1_500)
  }
  return stores.filter((store) => world.hasEnded(Number(store.sessionId))).length
}

/**
 * The leader is cut off from the other masters, and its clock is so slow that it does not notice; a holder hears it and nobody else. Is the session
 * connected at its holder when its end stands in the log?
 */
function connectedAndOver(mutations: Partial<EmbeddedMutations>): boolean {
  const world = makeWorld(mutations)
  const [holder] = world.holders
  const old = world.leader()
  const store = world.open(holder, { sessionTimeoutMs: 1_000 })
  for (const id of world.masters) if (id !== old) world.cut(holder, id)
  connected(world, store)
  for (const id of world.masters) {
    if (id === old) continue
    world.cut(old, id)
    world.cut(id, old)
    world.cut(id, holder)
  }
  world.clockOf(old).setRate(0.1)
  let both = false
  for (let ms = 0; ms < 5_000; ms += 20) {
    world.group.runFor(20)
    both ||= store.state === 'connected' && world.hasEnded(Number(store.sessionId))
  }
  expect(world.hasEnded(Number(store.sessionId))).toBe(true)
  return both
}

/** The attached master falls silent; meanwhile something changes. Is the watcher called once it has found another? */
function calledAfterReattachment(mutations: Partial<EmbeddedMutations>): boolean {
  const world = makeWorld(mutations)
  const follower = world.follower()
  const [holder] = world.holders
  const [writer, watcher] = [world.open(world.leader()), world.open(holder)]
  for (const id of world.masters) if (id !== follower) world.cut(holder, id)
  connected(world, writer, watcher)
  expect(written(world, writer, CREATE)).toBe('done')
  let calls = 0
  watcher.watchNode('/a', () => calls++)
  world.group.runFor(1_000)
  expect(calls).toBeGreaterThanOrEqual(1)
  world.mendAll()
  world.cut(follower, holder)
  world.group.runFor(10)
  calls = 0
  expect(written(world, writer, SET)).toBe('done')
  world.group.runFor(5_000)
  expect(watcher.state).toBe('connected')
  return calls > 0
}

/** For a long time there is no leader. What has become of a session that could not be heard? */
function stateWithoutLeader(mutations: Partial<EmbeddedMutations>): string[] {
  const world = makeWorld(mutations)
  const store = world.open(world.holders[0], { sessionTimeoutMs: 1_000 })
  connected(world, store)
  for (const id of world.masters) world.isolate(id)
  world.group.runFor(10_000)
  const before = store.state
  world.mendAll()
  world.group.runFor(5_000)
  return [before, store.state]
}

describe('a session', () => {
  it('outlives every change of the leader', () => {
    expect(endedByLeaderChanges({})).toBe(0)
    expect(endedByLeaderChanges({ newLeaderStartsShorter: true })).toBeGreaterThan(0)
  })

  it('does not believe a leader that has been deposed', () => {
    expect(connectedAndOver({})).toBe(false)
    expect(connectedAndOver({ aliveUnconfirmed: true })).toBe(true)
  })

  it('is suspended, not ended, for as long as nobody leads', () => {
    expect(stateWithoutLeader({})).toEqual(['suspended', 'connected'])
    expect(stateWithoutLeader({ expiryByLocalTimer: true })).toEqual(['expired', 'expired'])
  })

  it('calls its watchers after it has gone to another master', () => {
    expect(calledAfterReattachment({})).toBe(true)
    expect(calledAfterReattachment({ quietReattachment: true })).toBe(false)
  })

  it('ends in the log when its holder is gone for its timeout, and its nodes go with it', () => {
    const world = makeWorld()
    const [gone, stays] = [world.open(world.holders[0], { sessionTimeoutMs: 2_000 }), world.open(world.holders[1])]
    connected(world, gone, stays)
    expect(written(world, gone, OWN)).toBe('done')
    world.cutOff(gone)
    const session = Number(gone.sessionId)
    world.group.runFor(1_300)
    expect(world.hasEnded(session)).toBe(false)
    world.group.runFor(1_500)
    expect(world.hasEnded(session)).toBe(true)
    expect(written(world, stays, OWN)).toBe('done')
    expect(gone.state).toBe('suspended')
    world.mend(gone)
    world.group.runUntil(() => gone.state === 'expired', 'it hears of its end')
  })

  it('attaches again where the attached master has forgotten it, and watches on', () => {
    const world = makeWorld()
    const follower = world.follower()
    const store = world.open(world.holders[0], { sessionTimeoutMs: 60_000 })
    for (const id of world.masters) if (id !== follower) world.cut(world.holders[0], id)
    connected(world, store)
    let calls = 0
    store.watchNode('/a', () => calls++)
    world.group.runFor(500)
    const before = calls
    world.crash(follower)
    world.restart(follower)
    world.group.runFor(25_000)
    expect(calls).toBeGreaterThan(before)
    calls = 0
    expect(written(world, store, CREATE)).toBe('done')
    world.group.runFor(1_000)
    expect(calls).toBe(1)
  })
})

describe('calls', () => {
  it('are bounded: beyond the bound they are unavailable, and were not done', () => {
    const world = makeWorld()
    const store = world.open(world.holders[0], { callsMax: 10, watchesMax: 5 })
    connected(world, store)
    const codes: string[] = []
    for (let i = 0; i < 15; i++) {
      store.multi([{ ...CREATE, path: `/n${i}` }], (error) => codes.push(error?.code ?? 'done'))
    }
    world.group.runFor(1_000)
    expect(codes.sort()).toEqual([...Array(10).fill('done'), ...Array(5).fill('unavailable')])
    const names: string[] = []
    store.children('/', (_error, found) => names.push(...(found ?? [])))
    world.group.runFor(100)
    expect(names).toHaveLength(10)
    for (let i = 0; i < 5; i++) store.watchNode('/a', () => {})
    expect(() => store.watchNode('/a', () => {})).toThrow(/more than 5/)
  })

  it('are answered within their time: what was sent is unknown, what was not is unavailable', () => {
    const world = makeWorld()
    const store = world.open(world.holders[0], { operationTimeoutMs: 2_000 })
    connected(world, store)
    world.cutOff(store)
    const codes: Record<string, string> = {}
    const note = (what: string) => (error: { readonly code: string } | null) => {
      codes[what] = error?.code ?? 'done'
    }
    store.multi([CREATE], note('sent'))
    world.group.runFor(1_000)
    store.multi([SET], note('queued'))
    store.get('/', note('read'))
    store.sync(note('sync'))
    world.group.runFor(3_500)
    expect(codes).toEqual({ sent: 'unknown', queued: 'unavailable', read: 'unavailable', sync: 'unavailable' })
  })

  it('wait for their session, and a master that lags is waited for', () => {
    const world = makeWorld()
    const store: EmbeddedMetadataStore = world.open(world.follower())
    const seen: unknown[] = []
    store.multi([CREATE], (error) => seen.push(error))
    store.exists('/a', (error) => seen.push(error))
    connected(world, store)
    world.group.runFor(500)
    expect(seen).toEqual([null, null])
    world.slow(world.follower(), 200)
    let version = -1
    store.multi([SET], () => store.get('/a', (_error, node) => (version = present(node, 'there').stat.version)))
    world.group.runFor(3_000)
    expect(version).toBe(1)
  })
})
