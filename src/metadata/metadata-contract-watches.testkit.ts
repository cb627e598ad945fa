/** The contract of watches: level-triggered, told nothing. See metadata-contract.testkit.ts. */
import { expect, it } from 'vitest'
import type { MetadataStore } from '../ports/metadata-store.ts'
import { EPHEMERAL, type MetadataPath } from '../protocol/metadata-operation.ts'
import type { WithHarness } from './metadata-contract.testkit.ts'
import { close, create, made, multi, remove, set } from './metadata-harness.testkit.ts'

type WatchKind = 'watchNode' | 'watchChildren' | 'watchTree'
const KINDS: readonly WatchKind[] = ['watchNode', 'watchChildren', 'watchTree']

/** Counts its calls; `since()` gives those since it was last asked. */
function watching(store: MetadataStore, kind: WatchKind, path: MetadataPath) {
  let calls = 0
  const stop = store[kind](path, () => calls++)
  return {
    stop,
    since(): number {
      const count = calls
      calls = 0
      return count
    },
  }
}

export function watchContract(withHarness: WithHarness): void {
  changesAreTold(withHarness)
  gapsAreTold(withHarness)
}

function changesAreTold(withHarness: WithHarness): void {
  it(
    'the first call comes soon, whether the node is there or not',
    withHarness(async ({ open, base, settle }) => {
      const store = await open()
      const watches = KINDS.flatMap((kind) => [base, `${base}/absent`].map((path) => watching(store, kind, path)))
      await settle()
      for (const watch of watches) expect(watch.since()).toBeGreaterThanOrEqual(1)
    }),
  )

  it(
    "a node's watch tells of its creation, data and deletion, by whomever",
    withHarness(async ({ open, base, settle }) => {
      const [watcher, writer] = [await open(), await open()]
      const watch = watching(watcher, 'watchNode', `${base}/a`)
      await settle()
      watch.since()
      for (const operation of [
        create(`${base}/a`),
        set(`${base}/a`, 'x'),
        set(`${base}/a`, 'x'),
        remove(`${base}/a`),
        create(`${base}/a`, '', EPHEMERAL),
      ]) {
        await multi(writer, operation)
        await settle()
        expect(watch.since(), `after ${operation.kind}`).toBeGreaterThanOrEqual(1)
      }
      await close(writer)
      await settle()
      expect(watch.since(), 'after the end of its session').toBeGreaterThanOrEqual(1)
    }),
  )

  it(
    "a children's watch tells of children and of the node itself",
    withHarness(async ({ open, base, settle }) => {
      const store = await open()
      const watch = watching(store, 'watchChildren', `${base}/a`)
      await settle()
      watch.since()
      for (const operation of [
        create(`${base}/a`),
        create(`${base}/a/x`),
        create(`${base}/a/y`),
        remove(`${base}/a/x`),
        remove(`${base}/a/y`),
        remove(`${base}/a`),
      ]) {
        await multi(store, operation)
        await settle()
        expect(watch.since(), `after ${operation.kind} ${operation.path}`).toBeGreaterThanOrEqual(1)
      }
    }),
  )

  it(
    "a tree's watch tells of everything at and below the path",
    withHarness(async ({ open, base, settle }) => {
      const store = await open()
      const watch = watching(store, 'watchTree', `${base}/a`)
      await settle()
      watch.since()
      for (const operation of [
        create(`${base}/a`),
        set(`${base}/a`, 'x'),
        create(`${base}/a/b`),
        create(`${base}/a/b/c`),
        create(`${base}/a/b/c/d`),
        set(`${base}/a/b/c/d`, 'x'),
        remove(`${base}/a/b/c/d`),
        remove(`${base}/a/b/c`),
        remove(`${base}/a/b`),
        remove(`${base}/a`),
      ]) {
        await multi(store, operation)
        await settle()
        expect(watch.since(), `after ${operation.kind} ${operation.path}`).toBeGreaterThanOrEqual(1)
      }
    }),
  )

  it(
    'whoever reads at each call ends up with the last state; many changes may be fewer calls, never more',
    withHarness(async ({ open, base, settle }) => {
      const [watcher, writer] = [await open(), await open()]
      await made(writer, `${base}/a`, 'start')
      let calls = 0
      let last = -1
      const stop = watcher.watchNode(`${base}/a`, () => {
        calls++
        watcher.get(`${base}/a`, (error, node) => {
          expect(error).toBeNull()
          last = node?.stat.version ?? -1
        })
      })
      await settle()
      const before = calls
      await Promise.all(Array.from({ length: 30 }, (_, i) => multi(writer, set(`${base}/a`, String(i)))))
      await settle()
      expect(last).toBe(30)
      expect(calls - before).toBeGreaterThanOrEqual(1)
      expect(calls - before).toBeLessThanOrEqual(30)
      stop()
    }),
  )

  it(
    'a write that failed is no change of anything that another one makes',
    withHarness(async ({ open, base, settle }) => {
      const store = await open()
      await made(store, `${base}/a`)
      const watches = KINDS.map((kind) => watching(store, kind, `${base}/a`))
      await settle()
      for (const watch of watches) watch.since()
      await new Promise<void>((resolve) => {
        store.multi([set(`${base}/a`, 'x'), create(`${base}/a/b`), remove(`${base}/absent`)], () => resolve())
      })
      await settle()
      expect(watches.map((watch) => watch.since())).toEqual([0, 0, 0])
    }),
  )

  it(
    'a stopped watch is silent, and stopping twice harms nobody',
    withHarness(async ({ open, base, settle }) => {
      const store = await open()
      await made(store, `${base}/a`)
      const [stopped, kept] = [KINDS, KINDS].map((kinds) => kinds.map((kind) => watching(store, kind, `${base}/a`)))
      await settle()
      for (const watch of [...stopped, ...kept]) watch.since()
      for (const watch of stopped) watch.stop()
      for (const watch of stopped) watch.stop()
      await multi(store, set(`${base}/a`, 'x'), create(`${base}/a/b`))
      await settle()
      expect(stopped.map((watch) => watch.since())).toEqual([0, 0, 0])
      for (const watch of kept) expect(watch.since()).toBeGreaterThanOrEqual(1)
    }),
  )
}

function gapsAreTold(withHarness: WithHarness): void {
  it(
    'what changed during a time without connection leads to a call after it',
    withHarness(async ({ open, suspend, resume, base, settle }) => {
      const [watcher, writer] = [await open(), await open()]
      await multi(writer, create(`${base}/a`), create(`${base}/b`))
      const watches = KINDS.flatMap((kind) => [`${base}/a`, `${base}/b`].map((path) => watching(watcher, kind, path)))
      await settle()
      await suspend(watcher)
      for (const watch of watches) watch.since()
      await multi(writer, set(`${base}/a`, 'x'), create(`${base}/a/x`), remove(`${base}/b`))
      await settle()
      await resume(watcher)
      await settle()
      for (const watch of watches) expect(watch.since()).toBeGreaterThanOrEqual(1)
      // And they watch on.
      await multi(writer, remove(`${base}/a/x`), set(`${base}/a`, 'y'), create(`${base}/b`))
      await settle()
      for (const watch of watches) expect(watch.since()).toBeGreaterThanOrEqual(1)
    }),
  )

  it(
    'after a time without connection everybody is called, changed or not; one made meanwhile too',
    withHarness(async ({ open, suspend, resume, base, settle }) => {
      const store = await open()
      const watches = KINDS.map((kind) => watching(store, kind, `${base}/a`))
      await settle()
      await suspend(store)
      for (const watch of watches) watch.since()
      const meanwhile = KINDS.map((kind) => watching(store, kind, `${base}/a`))
      const stopped = KINDS.map((kind) => watching(store, kind, `${base}/a`))
      for (const watch of stopped) watch.stop()
      await resume(store)
      await settle()
      for (const watch of [...watches, ...meanwhile]) expect(watch.since()).toBeGreaterThanOrEqual(1)
      expect(stopped.map((watch) => watch.since())).toEqual([0, 0, 0])
    }),
  )

  it(
    'a session that is over calls nobody',
    withHarness(async ({ open, expire, base, settle }) => {
      const [closed, expired, writer] = [await open(), await open(), await open()]
      const watches = [closed, expired].flatMap((store) => KINDS.map((kind) => watching(store, kind, `${base}/a`)))
      await settle()
      await close(closed)
      await expire(expired)
      await settle()
      for (const watch of watches) watch.since()
      for (const store of [closed, expired]) watches.push(...KINDS.map((kind) => watching(store, kind, `${base}/a`)))
      await multi(writer, create(`${base}/a`), create(`${base}/a/b`))
      await settle()
      expect(watches.map((watch) => watch.since())).toEqual(watches.map(() => 0))
      for (const watch of watches) watch.stop()
    }),
  )
}
