/** The contract of reads, and of the order of calls. See metadata-contract.testkit.ts. */
import { expect, it } from 'vitest'
import type { MetadataStore } from '../ports/metadata-store.ts'
import { EPHEMERAL, type MetadataNode, type MetadataResult, type NodeStat } from '../protocol/metadata-operation.ts'
import type { WithHarness } from './metadata-contract.testkit.ts'
import {
  children,
  create,
  exists,
  get,
  made,
  multi,
  outcome,
  remove,
  set,
  sync,
  textAt,
} from './metadata-harness.testkit.ts'

export function readContract(withHarness: WithHarness): void {
  it(
    'get and children answer no-node where there is none, exists answers null',
    withHarness(async ({ open, base }) => {
      const store = await open()
      for (const path of [`${base}/absent`, `${base}/absent/x`]) {
        const got = await outcome<MetadataNode>((done) => store.get(path, done))
        expect(got).toMatchObject({ error: { code: 'no-node', operation: -1 }, result: null })
        expect(got.error?.message).toContain(path)
        const listed = await outcome<readonly string[]>((done) => store.children(path, done))
        expect(listed).toMatchObject({ error: { code: 'no-node', operation: -1 }, result: null })
        expect(await outcome<NodeStat>((done) => store.exists(path, done))).toEqual({ error: null, result: null })
      }
    }),
  )

  it(
    'children are names without the path of their parent, sorted',
    withHarness(async ({ open, base }) => {
      const store = await open()
      expect(await children(store, base)).toEqual([])
      const names = ['b', 'a', 'B', '10', '9', 'é', 'a-', '\u{5b57}', 'aa', '\uf900', 'ab.c']
      for (const name of names) await made(store, `${base}/${name}`)
      await made(store, `${base}/a/deeper`)
      await made(store, `${base}/e`, '', EPHEMERAL)
      expect(await children(store, base)).toEqual([...names, 'e'].sort())
      expect(await children(store, `${base}/a`)).toEqual(['deeper'])
      const above = base.slice(0, base.lastIndexOf('/')) || '/'
      expect(await children(store, above)).toContain(base.slice(base.lastIndexOf('/') + 1))
    }),
  )

  it(
    'a session reads what it was answered before, and after a sync what others were answered before it',
    withHarness(async ({ open, base }) => {
      const [one, two] = [await open(), await open()]
      await made(one, `${base}/a`, '0')
      for (let i = 1; i <= 10; i++) {
        await multi(one, set(`${base}/a`, String(i)))
        expect((await get(one, `${base}/a`)).stat.version).toBe(i)
        await sync(two)
        expect((await get(two, `${base}/a`)).stat.version).toBe(i)
      }
    }),
  )

  it(
    'reads of a session never go backwards while another one writes',
    withHarness(async ({ open, base, settle }) => {
      const [writer, reader] = [await open(), await open()]
      await made(writer, `${base}/a`)
      await sync(reader)
      const seen: number[] = []
      const writes: Promise<unknown>[] = []
      for (let i = 0; i < 20; i++) {
        writes.push(multi(writer, set(`${base}/a`, String(i))))
        seen.push((await get(reader, `${base}/a`)).stat.version)
      }
      await Promise.all(writes)
      await settle()
      await sync(reader)
      seen.push((await get(reader, `${base}/a`)).stat.version)
      expect(seen).toEqual([...seen].sort((a, b) => a - b))
      expect(seen.at(-1)).toBe(20)
    }),
  )

  it(
    'writes of a session take effect and are answered in the order of the calls, its reads too',
    withHarness(async ({ open, base }) => {
      const store = await open()
      const events: string[] = []
      await new Promise<void>((resolve) => {
        let left = 16
        const count = (): void => {
          if (--left === 0) resolve()
        }
        const note = (what: string) => (error: unknown) => {
          events.push(error === null ? what : `${what} failed`)
          count()
        }
        const write = (what: string, ...operations: Parameters<MetadataStore['multi']>[0]): void =>
          store.multi(operations, note(what))
        write('w1', create(`${base}/a`))
        store.exists(`${base}/a`, note('r1'))
        write('w2', create(`${base}/a/b`))
        write('w3', set(`${base}/a`, 'x', 0))
        store.children(base, note('r2'))
        write('w4', set(`${base}/a`, 'y', 1))
        write('w5', remove(`${base}/a`))
        write('w6', remove(`${base}/a/b`))
        store.exists(`${base}/a/b`, note('r3'))
        write('w7', remove(`${base}/a`, 2))
        write('w8', create(`${base}/a`))
        store.exists(base, note('r4'))
        for (const what of ['w9', 'w10', 'w11', 'w12']) write(what, set(`${base}/a`, what))
      })
      expect(events.filter((what) => what.startsWith('w'))).toEqual(
        'w1,w2,w3,w4,w5 failed,w6,w7,w8,w9,w10,w11,w12'.split(','),
      )
      expect(events.filter((what) => what.startsWith('r'))).toEqual(['r1', 'r2', 'r3', 'r4'])
      expect(await textAt(store, `${base}/a`)).toBe('w12')
    }),
  )

  it(
    'callbacks are events of their own, never inside the call',
    withHarness(async ({ open, base, settle }) => {
      const store = await open()
      let inside = 0
      const calls: string[] = []
      const never = (what: string) => () => {
        expect(inside, what).toBe(0)
        calls.push(what)
      }
      inside++
      store.onStateChange(never('state'))
      store.multi([create(`${base}/a`)], (_error: unknown, _results: readonly MetadataResult[] | null) => {
        never('multi')()
        inside++
        store.get(`${base}/a`, never('get in a callback'))
        inside--
      })
      store.get(`${base}/a`, never('get'))
      store.exists('not a path', never('exists'))
      store.children(base, never('children'))
      store.sync(never('sync'))
      store.watchNode(`${base}/a`, never('node'))
      store.watchChildren(base, never('below'))
      store.watchTree(base, never('tree'))
      inside--
      await settle()
      for (const what of ['multi', 'get in a callback', 'get', 'exists', 'children', 'sync', 'node', 'below', 'tree']) {
        expect(calls).toContain(what)
      }
      inside++
      store.close(never('close'))
      store.get(base, never('get after close'))
      inside--
      await settle()
      expect(calls.slice(-3).sort()).toEqual(['close', 'get after close', 'state'])
      expect(await exists(await open(), `${base}/a`)).not.toBeNull()
    }),
  )
}
