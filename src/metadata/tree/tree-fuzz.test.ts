// Random entries against the naive model: every reply, every node, every change that is told; over restarts, retries and malformed bytes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecodeError, latin1Text } from '../../base/bytes.ts'
import type { MetadataOperation } from '../../protocol/metadata-operation.ts'
import { decodeMetadataReply, type MetadataReply } from '../../protocol/metadata-reply.ts'
import type { TreeChange, TreeListener } from './tree-changes.ts'
import { TreeDriver, type WriteWords } from './tree-driver.testkit.ts'
import { isPath, TreeModel } from './tree-model.testkit.ts'
import { TreeStateMachine } from './tree-state-machine.ts'

const path = fc.oneof(
  { weight: 20, arbitrary: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map(joined) },
  { weight: 1, arbitrary: fc.constantFrom('/', '', 'a', '/a/', '//', '/a//b', '/./a') },
)
const data = fc.uint8Array({ maxLength: 4 })
const version = fc.oneof(fc.constant(-1), fc.nat({ max: 3 }))

const operation: fc.Arbitrary<MetadataOperation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      path,
      data,
      options: fc.record({ ephemeral: fc.boolean(), sequential: fc.boolean() }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('set' as const), path, data, version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), path, version }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('check' as const), path, version }) },
)

/** `who`: one of the sessions opened so far, or 0. */
const who = fc.nat({ max: 7 })
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const), nonce: fc.nat({ max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('close' as const, 'expire' as const), who }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('multi' as const),
      who,
      operations: fc.array(operation, { maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('retry' as const), back: fc.nat({ max: 5 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('garbage' as const), bytes: fc.uint8Array({ maxLength: 80 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function joined(names: readonly string[]): string {
  return `/${names.join('/')}`
}

interface Written {
  readonly words: WriteWords
  readonly operations: readonly MetadataOperation[]
  readonly reply: Uint8Array
}

/** The driver and the model side by side. */
class Comparison implements TreeListener {
  readonly driver = new TreeDriver({}, this)
  readonly model = new TreeModel()
  readonly ids: number[] = [0]
  readonly #writes: Written[] = []
  readonly #nonces = new Map<number, number>()
  readonly #open = new Set<number>()
  #sequence = 0
  #told: TreeChange[] = []

  changed(change: TreeChange): void {
    this.#told.push(change)
  }

  sessionOpened(session: number): void {
    this.#open.add(session)
  }

  sessionEnded(session: number): void {
    this.#open.delete(session)
  }

  everythingChanged(): void {}

  run(one: Step): void {
    const before = this.#picture()
    this.#told = []
    this.#step(one)
    this.#compareChanges(before, this.#picture())
    expect(this.#open).toEqual(this.model.sessions)
    expect(this.driver.machine.sessionCount).toBe(this.model.sessions.size)
    expect(this.driver.machine.nodeCount).toBe(this.model.nodes.size)
  }

  #step(one: Step): void {
    const { driver, model } = this
    switch (one.kind) {
      case 'open': {
        const session = driver.open(1000, one.nonce)
        const known = this.#nonces.get(one.nonce)
        // The same nonce is the same session, as long as that one lives.
        if (known !== undefined && model.sessions.has(known)) expect(session).toBe(known)
        else expect(session).toBe(driver.index)
        this.#nonces.set(one.nonce, session)
        if (!model.sessions.has(session)) this.ids.push(session)
        model.sessions.add(session)
        break
      }
      case 'close':
      case 'expire': {
        const session = this.ids[one.who % this.ids.length]
        const reply = one.kind === 'close' ? driver.close(session) : driver.expire(session)
        expect(reply).toEqual({ kind: 'ended', byThisEntry: model.end(session) })
        break
      }
      case 'multi':
        this.#multi(this.ids[one.who % this.ids.length], one.operations)
        break
      case 'retry':
        this.#retry(one.back)
        break
      case 'garbage':
        if (one.bytes.length > 0) driver.payload(one.bytes)
        break
      case 'restart': {
        const digest = driver.machine.digest()
        driver.restart()
        expect(driver.machine.digest()).toBe(digest)
        break
      }
    }
  }

  #multi(session: number, operations: readonly MetadataOperation[]): void {
    const words = { session, sequence: ++this.#sequence, lowest: Math.max(this.#sequence - 5, 0) }
    const reply = this.driver.writeBytes({ kind: 'multi', operations }, words)
    const expected = this.model.multi(this.driver.index, session, operations)
    if (session !== 0) this.#writes.push({ words, operations, reply })
    expect(summary(decodedReply(reply))).toEqual(expected)
  }

  /** One of the last writes comes again, by another way: its first reply, or nothing is done. */
  #retry(back: number): void {
    const written = this.#writes.at(-1 - back)
    if (written === undefined) return
    const { words, operations } = written
    const reply = this.driver.writeBytes({ kind: 'multi', operations }, words)
    if (!this.model.sessions.has(words.session)) {
      expect(summary(decodedReply(reply))).toMatchObject({ code: 'session-expired' })
      return
    }
    const answer = decodedReply(reply)
    if (answer.kind === 'error' && answer.error.code === 'unknown') return
    expect(latin1Text(reply)).toBe(latin1Text(written.reply))
  }

  /** Every node, as both see it. */
  #picture(): Map<string, string> {
    const picture = new Map<string, string>()
    for (const [path, node] of this.model.nodes) {
      const stat = this.model.stat(path)
      const children = this.model.children(path)
      const reply = this.driver.read('get', path)
      if (reply.kind !== 'node') throw new Error(`${path} is not there`)
      expect(reply.node.stat).toEqual(stat)
      expect(latin1Text(reply.node.data)).toBe(node.data)
      expect(this.driver.names(path)).toEqual(children)
      picture.set(path, JSON.stringify([node.version, node.creationId, node.data, children]))
    }
    return picture
  }

  /** What differs has been told, and what has been told did something. */
  #compareChanges(before: Map<string, string>, after: Map<string, string>): void {
    const told = new Set(this.#told.map((change) => change.path))
    for (const path of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(path) !== after.get(path)) expect(told, path).toContain(path)
    }
    if (told.size > 0) expect(this.driver.machine.appliedIndex).toBe(this.driver.index)
    for (const { path } of this.#told) expect(isPath(path)).toBe(true)
  }
}

function decodedReply(bytes: Uint8Array): MetadataReply {
  return decodeMetadataReply(bytes).reply
}

function summary(reply: MetadataReply): unknown {
  if (reply.kind === 'results') return { results: reply.results }
  if (reply.kind === 'error') return { code: reply.error.code, operation: reply.error.operation }
  return reply
}

const steps = fc.array(step, { minLength: 10, maxLength: 60 })

describe('the metadata tree, by chance', () => {
  it('answers as the naive model does, and tells what changed', () => {
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(steps, (all) => {
        const comparison = new Comparison()
        for (const one of all) {
          comparison.run(one)
          seen.set(one.kind, (seen.get(one.kind) ?? 0) + 1)
        }
      }),
      { numRuns: 300 },
    )
    for (const kind of ['open', 'close', 'expire', 'multi', 'retry', 'garbage', 'restart']) {
      expect(seen.get(kind), kind).toBeGreaterThan(30)
    }
  })

  it('a replica that is fed the same log, or restored on the way, has the same replies, bytes and digest', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (all, cut) => {
        const comparison = new Comparison()
        for (const one of all) comparison.run(one)
        const { log, machine } = comparison.driver
        const other = new TreeStateMachine()
        let third = new TreeStateMachine()
        for (const [i, entry] of log.entries()) {
          if (i === cut % (log.length + 1)) {
            const state = third.checkpointState()
            third = new TreeStateMachine({ maxNodes: 5 })
            third.restore(state)
            expect(third.checkpointState()).toEqual(state)
          }
          expect(third.apply(entry)).toEqual(other.apply(entry))
        }
        expect(other.checkpointState()).toEqual(machine.checkpointState())
        expect(third.checkpointState()).toEqual(machine.checkpointState())
        expect(third.digest()).toBe(machine.digest())
      }),
      { numRuns: 200 },
    )
  })

  it('two states that differ have different digests', () => {
    const digests = new Set<string>()
    fc.assert(
      fc.property(steps, (all) => {
        const comparison = new Comparison()
        for (const one of all) {
          const before = latin1Text(comparison.driver.machine.checkpointState())
          const digest = comparison.driver.machine.digest()
          comparison.run(one)
          const isSame = latin1Text(comparison.driver.machine.checkpointState()) === before
          expect(comparison.driver.machine.digest() === digest).toBe(isSame)
          digests.add(digest)
        }
      }),
      { numRuns: 50 },
    )
    expect(digests.size).toBeGreaterThan(100)
  })

  it('a damaged checkpoint throws DecodeError and nothing else, and leaves the state as it was', () => {
    let refused = 0
    fc.assert(
      fc.property(
        steps,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 }),
        fc.nat(),
        (all, changes, cut) => {
          const comparison = new Comparison()
          for (const one of all) comparison.run(one)
          const state = comparison.driver.machine.checkpointState()
          const damaged = state.slice(0, cut % 4 === 0 ? cut % state.length : state.length)
          for (const [at, byte] of changes) if (damaged.length > 0) damaged[at % damaged.length] = byte
          const machine = new TreeStateMachine()
          machine.restore(state)
          try {
            machine.restore(damaged)
            // What is taken must be a whole state: it can be written, read and written again.
            const again = new TreeStateMachine()
            again.restore(machine.checkpointState())
            expect(again.digest()).toBe(machine.digest())
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError)
            expect(machine.checkpointState()).toEqual(state)
            refused++
          }
        },
      ),
      { numRuns: 500 },
    )
    expect(refused).toBeGreaterThan(50)
  })

  it('bytes that are no command or no read are answered alike and change nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, shaped) => {
        const driver = new TreeDriver()
        // A sound header of this kind in front leads further in.
        const payload = shaped ? Uint8Array.from([4, ...new Uint8Array(47), ...bytes]) : bytes
        const reply = driver.payload(payload)
        if (reply.length > 0) expect(['error', 'opened', 'ended', 'results']).toContain(decodedReply(reply).kind)
        expect(['error', 'node', 'stat', 'children']).toContain(driver.readBytes(bytes).kind)
      }),
      { numRuns: 2000 },
    )
  })
})
