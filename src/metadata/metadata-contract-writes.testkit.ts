/** The contract of writes: versions, ids, sequences, multi, errors, limits. See metadata-contract.testkit.ts. */
import { expect, it } from 'vitest'
import {
  ANY_VERSION,
  EPHEMERAL,
  EPHEMERAL_SEQUENTIAL,
  METADATA_LIMITS,
  type MetadataOperation,
  type MetadataPath,
  PERSISTENT,
  PERSISTENT_SEQUENTIAL,
} from '../protocol/metadata-operation.ts'
import type { WithHarness } from './metadata-contract.testkit.ts'
import {
  check,
  children,
  create,
  exists,
  get,
  made,
  multi,
  refusal,
  remove,
  set,
  textAt,
} from './metadata-harness.testkit.ts'

export function writeContract(withHarness: WithHarness): void {
  idsAndVersions(withHarness)
  sequences(withHarness)
  multis(withHarness)
  errors(withHarness)
  limits(withHarness)
}

function idsAndVersions(withHarness: WithHarness): void {
  it(
    'a version is 0 at creation and one more with each set; the creation id stays, the modification id is the last write',
    withHarness(async ({ open, base }) => {
      const store = await open()
      const { stat } = await made(store, `${base}/a`, 'one')
      expect(stat).toMatchObject({ version: 0, childVersion: 0, dataBytes: 3, childCount: 0, ephemeralOwner: null })
      expect(stat.modificationId).toBe(stat.creationId)
      const [first] = await multi(store, set(`${base}/a`, 'three', 0))
      if (first.kind !== 'set') throw new Error('a set answers its stat')
      expect(first.stat).toMatchObject({ creationId: stat.creationId, version: 1, dataBytes: 5 })
      expect(first.stat.modificationId).toBeGreaterThan(stat.modificationId)
      await multi(store, set(`${base}/a`, 'four'))
      const node = await get(store, `${base}/a`)
      expect(node.stat).toMatchObject({ creationId: stat.creationId, version: 2 })
      expect(node.stat.modificationId).toBeGreaterThan(first.stat.modificationId)
      expect(await exists(store, `${base}/a`)).toEqual(node.stat)
    }),
  )

  it(
    'the child version is one more with each child created or deleted, and with nothing else',
    withHarness(async ({ open, base }) => {
      const store = await open()
      await made(store, `${base}/p`)
      await multi(store, create(`${base}/p/x`), create(`${base}/p/y`))
      expect(await exists(store, `${base}/p`)).toMatchObject({ version: 0, childVersion: 2, childCount: 2 })
      await multi(store, set(`${base}/p/x`, 'data'))
      await made(store, `${base}/p/x/deeper`)
      await multi(store, remove(`${base}/p/y`))
      expect(await exists(store, `${base}/p`)).toMatchObject({ version: 0, childVersion: 3, childCount: 1 })
    }),
  )

  it(
    'ids rise with every write of the tree, whoever writes and wherever; a node made again is another',
    withHarness(async ({ open, base }) => {
      const [one, two] = [await open(), await open()]
      const ids: number[] = []
      for (let i = 0; i < 3; i++) {
        ids.push((await made(one, `${base}/one${i}`)).stat.creationId)
        ids.push((await made(two, `${base}/two${i}`)).stat.creationId)
        const [changed] = await multi(one, set(`${base}/two0`, String(i)))
        if (changed.kind === 'set') ids.push(changed.stat.modificationId)
      }
      expect(ids).toHaveLength(9)
      for (let i = 1; i < ids.length; i++) expect(ids[i]).toBeGreaterThan(ids[i - 1])
      await multi(one, remove(`${base}/one0`))
      const again = await made(one, `${base}/one0`)
      expect(again.stat.creationId).toBeGreaterThan(ids[8])
      expect(again.stat.version).toBe(0)
    }),
  )

  it(
    'a set, a delete and a check ask for one version, or for any',
    withHarness(async ({ open, base }) => {
      const store = await open()
      await made(store, `${base}/a`)
      await multi(store, set(`${base}/a`, 'x', 0), check(`${base}/a`, 1), set(`${base}/a`, 'y', ANY_VERSION))
      for (const wrong of [0, 1, 3]) {
        for (const operation of [set(`${base}/a`, 'z', wrong), remove(`${base}/a`, wrong), check(`${base}/a`, wrong)]) {
          expect(await refusal(store, operation)).toMatchObject({ code: 'bad-version', operation: 0 })
        }
      }
      expect(await textAt(store, `${base}/a`)).toBe('y')
      await multi(store, check(`${base}/a`), remove(`${base}/a`, 2))
      expect(await exists(store, `${base}/a`)).toBeNull()
    }),
  )
}

function sequences(withHarness: WithHarness): void {
  it(
    'sequential names end in ten digits that rise among the children of one parent, over all sessions and deletions',
    withHarness(async ({ open, base }) => {
      const [one, two] = [await open(), await open()]
      await made(one, `${base}/q`)
      const names: string[] = []
      for (const [store, prefix, options] of [
        [one, 'n-', PERSISTENT_SEQUENTIAL],
        [two, 'n-', EPHEMERAL_SEQUENTIAL],
        [one, 'other-', PERSISTENT_SEQUENTIAL],
        [two, '', PERSISTENT_SEQUENTIAL],
        [one, 'n-', EPHEMERAL_SEQUENTIAL],
      ] as const) {
        const { path, stat } = await made(store, `${base}/q/${prefix}`, '', options)
        expect(path).toMatch(new RegExp(`^${base}/q/${prefix}[0-9]{10}$`))
        expect(await exists(store, path)).toEqual(stat)
        names.push(path)
        if (names.length === 2) await multi(one, remove(path))
      }
      const numbers = names.map((name) => Number(name.slice(-10)))
      for (let i = 1; i < numbers.length; i++) expect(numbers[i]).toBeGreaterThan(numbers[i - 1])
      await multi(one, ...names.filter((_, i) => i !== 1).map((name) => remove(name)))
      const { path } = await made(one, `${base}/q/n-`, '', PERSISTENT_SEQUENTIAL)
      expect(Number(path.slice(-10))).toBeGreaterThan(numbers[4])
    }),
  )

  it(
    'a write that failed does not disturb the sequence, and two in one multi get two numbers',
    withHarness(async ({ open, base }) => {
      const store = await open()
      const sequential = create(`${base}/s-`, '', PERSISTENT_SEQUENTIAL)
      await refusal(store, sequential, check(`${base}/absent`))
      const results = await multi(store, sequential, sequential)
      const paths = results.map((result) => (result.kind === 'created' ? result.path : ''))
      expect(paths[0] < paths[1]).toBe(true)
      expect(await children(store, base)).toEqual(paths.map((path) => path.slice(base.length + 1)))
    }),
  )
}

function multis(withHarness: WithHarness): void {
  it(
    'a multi is one write: its operations see each other, its results stand in their order',
    withHarness(async ({ open, base }) => {
      const store = await open()
      const results = await multi(
        store,
        create(`${base}/m`, 'a'),
        create(`${base}/m/child`),
        set(`${base}/m`, 'b', 0),
        check(`${base}/m`, 1),
        remove(`${base}/m/child`, 0),
        create(`${base}/n`),
      )
      expect(results.map(({ kind }) => kind)).toEqual(['created', 'created', 'set', 'checked', 'deleted', 'created'])
      expect(results[0]).toMatchObject({ path: `${base}/m` })
      const [m, n] = [await get(store, `${base}/m`), await get(store, `${base}/n`)]
      expect(m.stat).toMatchObject({ version: 1, childVersion: 2, childCount: 0 })
      expect(m.stat.modificationId).toBe(n.stat.modificationId)
      expect(await multi(store)).toEqual([])
    }),
  )

  it(
    'a multi that fails changes nothing, and names the first operation that failed',
    withHarness(async ({ open, base }) => {
      const [store, other] = [await open(), await open()]
      await multi(store, create(`${base}/a`, 'old'), create(`${base}/a/x`), create(`${base}/gone`))
      const before = [await exists(store, base), await get(store, `${base}/a`), await exists(store, `${base}/gone`)]
      const changes = [
        create(`${base}/b`),
        create(`${base}/b/c`, '', EPHEMERAL),
        set(`${base}/a`, 'new'),
        remove(`${base}/gone`),
        remove(`${base}/a/x`),
        create(`${base}/a/n-`, '', PERSISTENT_SEQUENTIAL),
      ]
      const failing: [MetadataOperation, string][] = [
        [check(`${base}/a`, 7), 'bad-version'],
        [check(`${base}/absent`), 'no-node'],
        [create(`${base}/b`), 'node-exists'],
        [set(`${base}/gone`, ''), 'no-node'],
        [remove(`${base}/b`), 'not-empty'],
        [create('no path'), 'bad-path'],
      ]
      for (const [operation, code] of failing) {
        const error = await refusal(store, ...changes, operation, check(`${base}/absent too`))
        expect(error).toMatchObject({ code, operation: changes.length })
        const after = [await exists(store, base), await get(store, `${base}/a`), await exists(store, `${base}/gone`)]
        expect(after).toEqual(before)
        expect(await exists(store, `${base}/b`)).toBeNull()
        expect(await textAt(other, `${base}/a`)).toBe('old')
        expect(await children(other, `${base}/a`)).toEqual(['x'])
      }
      await multi(store, ...changes)
      expect(await textAt(other, `${base}/a`)).toBe('new')
    }),
  )

  it(
    'a master that is no longer the first changes nothing by multis that check its own election node',
    withHarness(async ({ open, expire, base }) => {
      const [old, next] = [await open(), await open()]
      await multi(old, create(`${base}/masters`), create(`${base}/slots`, 'none'))
      const own = await made(old, `${base}/masters/m-`, '', EPHEMERAL_SEQUENTIAL)
      const successor = await made(next, `${base}/masters/m-`, '', EPHEMERAL_SEQUENTIAL)
      await multi(old, check(own.path, 0), set(`${base}/slots`, 'by the old one'))
      // Its write is on its way when the session ends: a third session stands for the connection that it comes through.
      await expire(old)
      const late = await open()
      const deposed = [check(own.path, 0), set(`${base}/slots`, 'too late'), create(`${base}/more`)]
      expect(await refusal(late, ...deposed)).toMatchObject({ code: 'no-node', operation: 0 })
      expect(await textAt(next, `${base}/slots`)).toBe('by the old one')
      expect(await exists(next, `${base}/more`)).toBeNull()
      await multi(next, check(successor.path, 0), set(`${base}/slots`, 'by the next one'))
      expect(successor.stat.creationId).toBeGreaterThan(own.stat.creationId)
    }),
  )
}

function errors(withHarness: WithHarness): void {
  it(
    'each error has its code, and its message names operation and path',
    withHarness(async ({ open, base }) => {
      const store = await open()
      await multi(store, create(`${base}/a`), create(`${base}/a/x`), create(`${base}/e`, '', EPHEMERAL))
      const absent = `${base}/absent`
      const cases: [string, MetadataOperation, MetadataPath][] = [
        ['no-node', set(absent, ''), absent],
        ['no-node', remove(absent), absent],
        ['no-node', check(absent), absent],
        ['no-node', create(`${absent}/x`), `${absent}/x`],
        ['no-node', create(`${absent}/x-`, '', PERSISTENT_SEQUENTIAL), absent],
        ['node-exists', create(`${base}/a`), `${base}/a`],
        ['node-exists', create('/'), '/'],
        ['bad-version', remove(`${base}/a`, 3), `${base}/a`],
        ['not-empty', remove(`${base}/a`, 0), `${base}/a`],
        ['no-children-for-ephemerals', create(`${base}/e/x`), `${base}/e/x`],
        ['no-children-for-ephemerals', create(`${base}/e/x-`, '', EPHEMERAL_SEQUENTIAL), `${base}/e/x`],
        ['bad-path', remove('/'), '/'],
      ]
      for (const [code, operation, path] of cases) {
        const error = await refusal(store, operation)
        expect(error, `${operation.kind} ${operation.path}`).toMatchObject({ code, operation: 0 })
        expect(error.message).toContain(operation.kind)
        expect(error.message).toContain(path)
      }
    }),
  )

  it(
    'a bad path is refused by every operation and read',
    withHarness(async ({ open, base }) => {
      const store = await open()
      const long = `${base}/${'x'.repeat(METADATA_LIMITS.maxPathBytes - base.length - 1)}`
      for (const path of [
        '',
        'a',
        `${base}/`,
        `${base}//x`,
        `${base}/./x`,
        `${base}/..`,
        `${base}/\u0000`,
        `${long}x`,
      ]) {
        for (const operation of [create(path), set(path, ''), remove(path), check(path)]) {
          expect((await refusal(store, operation)).code, `${operation.kind} ${path}`).toBe('bad-path')
        }
        const codes: (string | undefined)[] = []
        await new Promise<void>((resolve) => {
          store.get(path, (error) => codes.push(error?.code))
          store.exists(path, (error) => codes.push(error?.code))
          store.children(path, (error) => {
            codes.push(error?.code)
            resolve()
          })
        })
        expect(codes, path).toEqual(['bad-path', 'bad-path', 'bad-path'])
      }
      for (const path of [long, `${base}/ü€ .x…`, `${base}/-`]) {
        await made(store, path, 'fine')
        expect(await textAt(store, path)).toBe('fine')
      }
    }),
  )
}

function limits(withHarness: WithHarness): void {
  it(
    'data up to the limit is kept whole, and beyond it is too large',
    withHarness(async ({ open, base }) => {
      const store = await open()
      const data = new Uint8Array(METADATA_LIMITS.maxDataBytes).map((_, i) => i * 7)
      const more = new Uint8Array(data.length + 1)
      const path = `${base}/large`
      await multi(store, { kind: 'create', path, data, options: PERSISTENT })
      expect(Buffer.from((await get(store, path)).data).equals(Buffer.from(data))).toBe(true)
      for (const operation of [
        { kind: 'create', path: `${base}/larger`, data: more, options: PERSISTENT },
        { kind: 'set', path, data: more, version: ANY_VERSION },
      ] as const) {
        expect((await refusal(store, operation)).code).toBe('too-large')
      }
      expect(await exists(store, path)).toMatchObject({ version: 0, dataBytes: data.length })
    }),
  )

  it(
    'a multi up to the limits is done, and beyond them is too large: nothing changed',
    withHarness(async ({ open, base }) => {
      const store = await open()
      await made(store, `${base}/a`)
      const { maxMultiOperations, maxMultiBytes, operationBytes } = METADATA_LIMITS
      const many = Array.from({ length: maxMultiOperations }, () => set(`${base}/a`, ''))
      expect(await multi(store, ...many)).toHaveLength(maxMultiOperations)
      expect(await refusal(store, ...many, check(base))).toMatchObject({ code: 'too-large', operation: -1 })
      const path = `${base}/a`
      const half = maxMultiBytes / 2 - operationBytes - path.length
      const large = (bytes: number): MetadataOperation => ({
        kind: 'set',
        path,
        data: new Uint8Array(bytes),
        version: ANY_VERSION,
      })
      await multi(store, large(half), large(half))
      expect(await refusal(store, large(half), large(half + 1))).toMatchObject({ code: 'too-large', operation: -1 })
      expect(await exists(store, path)).toMatchObject({ version: maxMultiOperations + 2, dataBytes: half })
    }),
  )
}
