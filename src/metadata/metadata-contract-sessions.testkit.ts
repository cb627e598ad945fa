/** The contract of sessions: states, ephemeral nodes, lost answers, expiry, close. See metadata-contract.testkit.ts. */
import { expect, it } from 'vitest'
import { present } from '../base/assert.ts'
import type { MetadataStore, SessionState } from '../ports/metadata-store.ts'
import { EPHEMERAL, type MetadataResult, PERSISTENT_SEQUENTIAL } from '../protocol/metadata-operation.ts'
import type { WithHarness } from './metadata-contract.testkit.ts'
import {
  check,
  children,
  close,
  create,
  exists,
  made,
  multi,
  outcome,
  remove,
  set,
  sync,
  textAt,
} from './metadata-harness.testkit.ts'

export function sessionContract(withHarness: WithHarness): void {
  states(withHarness)
  ephemerals(withHarness)
  connectionLoss(withHarness)
  ends(withHarness)
}

function statesOf(store: MetadataStore): SessionState[] {
  const seen: SessionState[] = []
  store.onStateChange((state) => seen.push(state))
  return seen
}

async function isThere(store: MetadataStore, ...paths: string[]): Promise<boolean[]> {
  await sync(store)
  const found: boolean[] = []
  for (const path of paths) found.push((await exists(store, path)) !== null)
  return found
}

/** The error codes of one call of each kind. */
async function codesOf(store: MetadataStore, path: string): Promise<(string | null)[]> {
  const outcomes = await Promise.all([
    outcome((done) => store.get(path, done)),
    outcome((done) => store.exists(path, done)),
    outcome((done) => store.children(path, done)),
    outcome((done) => store.multi([set(path, 'from the grave')], done)),
    outcome((done) => store.sync(done)),
  ])
  return outcomes.map(({ error }) => error?.code ?? null)
}

function states(withHarness: WithHarness): void {
  it(
    'an open session is connected and has a name of its own',
    withHarness(async ({ open }) => {
      const stores = [await open(), await open(), await open()]
      expect(stores.map(({ state }) => state)).toEqual(['connected', 'connected', 'connected'])
      const names = new Set(stores.map(({ sessionId }) => present(sessionId, 'an open session has a name')))
      expect(names.size).toBe(3)
    }),
  )

  it(
    'listeners hear of each state, in order, until they stop; the session is the same after a time without connection',
    withHarness(async ({ open, suspend, resume, settle }) => {
      const store = await open()
      await settle()
      const name = store.sessionId
      const seen = statesOf(store)
      const early: SessionState[] = []
      const stop = store.onStateChange((state) => early.push(state))
      await suspend(store)
      expect(store.state).toBe('suspended')
      await settle()
      stop()
      stop()
      await resume(store)
      expect(store.state).toBe('connected')
      expect(store.sessionId).toBe(name)
      await close(store)
      await settle()
      expect(store.state).toBe('closed')
      expect(seen).toEqual(['suspended', 'connected', 'closed'])
      expect(early).toEqual(['suspended'])
    }),
  )
}

function ephemerals(withHarness: WithHarness): void {
  it(
    'an ephemeral node names its session, and anybody may change or delete it',
    withHarness(async ({ open, base }) => {
      const [owner, other] = [await open(), await open()]
      const { stat } = await made(owner, `${base}/e`, 'mine', EPHEMERAL)
      expect(stat.ephemeralOwner).toBe(owner.sessionId)
      await sync(other)
      expect(await exists(other, `${base}/e`)).toEqual(stat)
      await multi(other, set(`${base}/e`, 'theirs', 0))
      expect(await textAt(owner, `${base}/e`)).toBe('theirs')
      await multi(other, remove(`${base}/e`, 1))
      // Now it is the other's: the end of the first session is nothing to it.
      await made(other, `${base}/e`, '', EPHEMERAL)
      await close(owner)
      expect(await isThere(other, `${base}/e`)).toEqual([true])
    }),
  )

  it(
    "the end of a session removes its ephemeral nodes and no others, by close at once and by expiry, and counts for their parents' child versions",
    withHarness(async ({ open, expire, base, settle }) => {
      const [closing, expiring, other] = [await open(), await open(), await open()]
      await multi(other, create(`${base}/p`), create(`${base}/p/stays`, '', EPHEMERAL))
      await multi(closing, create(`${base}/c`, '', EPHEMERAL), create(`${base}/p/c`, '', EPHEMERAL))
      await multi(closing, create(`${base}/kept`))
      await multi(expiring, create(`${base}/x`, '', EPHEMERAL), create(`${base}/p/x`, '', EPHEMERAL))
      await close(closing)
      const all = [`${base}/c`, `${base}/p/c`, `${base}/kept`, `${base}/x`, `${base}/p/x`, `${base}/p/stays`]
      expect(await isThere(other, ...all)).toEqual([false, false, true, true, true, true])
      await expire(expiring)
      await settle()
      expect(await isThere(other, ...all)).toEqual([false, false, true, false, false, true])
      expect(await exists(other, `${base}/p`)).toMatchObject({ childVersion: 5, childCount: 1 })
      // Never again: the names are free.
      await made(other, `${base}/x`)
    }),
  )

  it(
    'they outlive a time without connection',
    withHarness(async ({ open, suspend, resume, base, settle }) => {
      const [owner, other] = [await open(), await open()]
      await made(owner, `${base}/e`, '', EPHEMERAL)
      await suspend(owner)
      await settle()
      expect(await isThere(other, `${base}/e`)).toEqual([true])
      await resume(owner)
      await settle()
      expect(await isThere(owner, `${base}/e`)).toEqual([true])
      await multi(owner, check(`${base}/e`, 0), remove(`${base}/e`))
    }),
  )
}

function connectionLoss(withHarness: WithHarness): void {
  it(
    'a write whose answer is lost is unknown, and is done at most once; one that is unavailable is never done',
    withHarness(async ({ open, suspend, resume, base, settle }) => {
      const [store, other] = [await open(), await open()]
      await multi(other, create(`${base}/q`), create(`${base}/counter`))
      const outcomes: Promise<string>[] = []
      const write = (): void => {
        const operations = [create(`${base}/q/n-`, '', PERSISTENT_SEQUENTIAL), set(`${base}/counter`, 'x')]
        const answered = outcome<readonly MetadataResult[]>((done) => store.multi(operations, done))
        outcomes.push(answered.then(({ error }) => error?.code ?? 'done'))
      }
      for (let round = 0; round < 5; round++) {
        // Before, on the way, and without a connection.
        write()
        if (round % 2 === 0) await settle()
        write()
        const cut = suspend(store)
        write()
        await cut
        write()
        await settle()
        await resume(store)
        write()
      }
      const codes = await Promise.all(outcomes)
      await settle()
      await sync(other)
      const count = (code: string): number => codes.filter((one) => one === code).length
      expect(count('done') + count('unknown') + count('unavailable')).toBe(25)
      expect(count('done')).toBeGreaterThanOrEqual(5)
      const nodes = await children(other, `${base}/q`)
      expect(nodes.length).toBeGreaterThanOrEqual(count('done'))
      expect(nodes.length).toBeLessThanOrEqual(count('done') + count('unknown'))
      expect(await exists(other, `${base}/counter`)).toMatchObject({ version: nodes.length })
    }),
  )

  it(
    'calls without a connection are answered: done after it is back, or unavailable, or (a write) unknown',
    withHarness(async ({ open, suspend, resume, base, settle }) => {
      const store = await open()
      await made(store, `${base}/a`)
      await suspend(store)
      const codes = codesOf(store, `${base}/a`)
      await settle()
      await resume(store)
      for (const [i, code] of (await codes).entries()) {
        expect([null, 'unavailable', ...(i === 3 ? ['unknown'] : [])]).toContain(code)
      }
      expect(await codesOf(store, `${base}/a`)).toEqual([null, null, null, null, null])
    }),
  )
}

function ends(withHarness: WithHarness): void {
  it(
    'an expired session hears of it, is never connected again, and does nothing more',
    withHarness(async ({ open, expire, base, settle }) => {
      const [store, other] = [await open(), await open()]
      await multi(store, create(`${base}/a`, 'kept'), create(`${base}/e`, '', EPHEMERAL))
      await settle()
      const seen = statesOf(store)
      await expire(store)
      await settle()
      expect(store.state).toBe('expired')
      expect(seen.at(-1)).toBe('expired')
      expect(seen).not.toContain('connected')
      expect(await codesOf(store, `${base}/a`)).toEqual(Array.from({ length: 5 }, () => 'session-expired'))
      await close(store)
      await settle()
      expect(store.state).not.toBe('connected')
      expect(await textAt(other, `${base}/a`)).toBe('kept')
      expect(await isThere(other, `${base}/e`)).toEqual([false])
    }),
  )

  it(
    'a session that ends while its holder has no connection: the others see it at once, the holder when it is back',
    withHarness(async ({ open, suspend, resume, expire, base, settle }) => {
      const [store, other] = [await open(), await open()]
      await multi(store, create(`${base}/a`, 'kept'), create(`${base}/e`, '', EPHEMERAL))
      await suspend(store)
      await settle()
      const seen = statesOf(store)
      await expire(store)
      await settle()
      expect(await isThere(other, `${base}/e`, `${base}/a`)).toEqual([false, true])
      await made(other, `${base}/e`, 'the next one')
      await resume(store)
      await settle()
      expect(store.state).toBe('expired')
      expect(seen).toEqual(['expired'])
      expect(await codesOf(store, `${base}/a`)).toEqual(Array.from({ length: 5 }, () => 'session-expired'))
      expect(await textAt(other, `${base}/a`)).toBe('kept')
      expect(await textAt(other, `${base}/e`)).toBe('the next one')
    }),
  )

  it(
    'after close every call answers closed; calls before it are answered before it; closing again is fine',
    withHarness(async ({ open, base, settle }) => {
      const [store, other] = [await open(), await open()]
      const answers: string[] = []
      store.multi([create(`${base}/a`, 'last words')], (error) => answers.push(error?.code ?? 'done'))
      store.close(() => answers.push('closed'))
      expect(await codesOf(store, `${base}/a`)).toEqual(Array.from({ length: 5 }, () => 'closed'))
      await close(store)
      await settle()
      expect(answers).toEqual(['done', 'closed'])
      expect(store.state).toBe('closed')
      expect(await codesOf(store, `${base}/a`)).toEqual(Array.from({ length: 5 }, () => 'closed'))
      expect(await textAt(other, `${base}/a`)).toBe('last words')
    }),
  )

  it(
    'close without a connection is answered too',
    withHarness(async ({ open, suspend, settle }) => {
      const store = await open()
      await suspend(store)
      await close(store)
      await settle()
      expect(store.state).toBe('closed')
    }),
  )
}
