import { expect, test } from 'vitest'
import { EMPTY_BYTES } from '../base/bytes.ts'
import { LocalMetadata, type LocalMetadataStore } from '../metadata/tree/local-metadata.testkit.ts'
import { ANY_VERSION, EPHEMERAL, type MetadataOperation, PERSISTENT } from '../protocol/metadata-operation.ts'
import { FencedStore, type WriteResult } from './fenced-store.ts'
import { decodeJournal, encodeJournal } from './registrations.ts'
import { KV, MASTERS } from './tree-layout.ts'
import { VirtualClock } from './virtual-clock.testkit.ts'

const COUNTER = '/kv/counter'
const ELECTION = `${MASTERS}/master-0000000001`

class Story {
  readonly clock = new VirtualClock()
  readonly metadata = new LocalMetadata((callback) => this.clock.after(1, callback))
  readonly store: LocalMetadataStore = this.metadata.open()
  readonly other: LocalMetadataStore = this.metadata.open()

  constructor() {
    this.clock.run(10)
    const journal = encodeJournal({ fence: 0, episode: 0, write: 0 })
    const create = (path: string, data: Uint8Array): MetadataOperation => {
      return { kind: 'create', path, data, options: PERSISTENT }
    }
    this.other.multi([create(KV, EMPTY_BYTES), create(MASTERS, journal), create(COUNTER, EMPTY_BYTES)], () => {})
    this.store.multi([{ kind: 'create', path: ELECTION, data: EMPTY_BYTES, options: EPHEMERAL }], () => {})
    this.clock.run(10)
  }

  leader(episode: number): FencedStore {
    const fenced = new FencedStore(this.store, this.clock, { electionPath: ELECTION, fence: 7, episode })
    fenced.takeOver((isActive) => expect(isActive).toBe(true))
    this.clock.run(1_000)
    return fenced
  }

  /** Not guarded by a version of its own: only the fence keeps it from being done twice. */
  count(fenced: FencedStore): WriteResult['kind'] | 'waiting' {
    let kind: WriteResult['kind'] | 'waiting' = 'waiting'
    fenced.write([{ kind: 'set', path: COUNTER, data: EMPTY_BYTES, version: ANY_VERSION }], (result) => {
      kind = result.kind
    })
    this.clock.run(1_000)
    return kind
  }

  get counted(): number {
    const reply = this.metadata.read({ kind: 'exists', session: 0, path: COUNTER })
    return reply.kind === 'stat' ? (reply.stat?.version ?? -1) : -1
  }
}

for (const fate of ['done', 'dropped', 'late'] as const) {
  test(`an answer is lost (${fate}): the write is done exactly once`, () => {
    const story = new Story()
    const fenced = story.leader(1)
    story.store.loseAnswers(1, fate)
    expect(story.count(fenced)).toBe('done')
    story.store.deliverLate()
    expect(story.counted).toBe(1)
    expect(story.count(fenced)).toBe('done')
    expect(story.counted).toBe(2)
  })
}

test('the taking over itself loses its answer', () => {
  for (const fate of ['done', 'dropped', 'late'] as const) {
    const story = new Story()
    story.store.loseAnswers(1, fate)
    const fenced = story.leader(3)
    story.store.deliverLate()
    expect(story.count(fenced)).toBe('done')
  }
})

test('what an earlier episode has under way comes too late once another has taken over', () => {
  const story = new Story()
  const first = story.leader(1)
  story.store.loseAnswers(1, 'late')
  let result: WriteResult | null = null
  first.write([{ kind: 'set', path: COUNTER, data: EMPTY_BYTES, version: ANY_VERSION }], (written) => {
    result = written
  })
  first.depose()
  story.clock.run(100)
  expect(result).toEqual({ kind: 'deposed', maybe: true })
  const second = story.leader(2)
  story.store.deliverLate()
  expect(story.counted).toBe(0)
  expect(story.count(second)).toBe('done')
})

test('without its election node it is deposed, and changes nothing', () => {
  const story = new Story()
  const fenced = story.leader(1)
  story.other.multi([{ kind: 'delete', path: ELECTION, version: 0 }], () => {})
  story.clock.run(10)
  expect(story.count(fenced)).toBe('deposed')
  expect(story.counted).toBe(0)
})

test('after another has written it is deposed, even though its election node is still there', () => {
  const story = new Story()
  const fenced = story.leader(1)
  const data = encodeJournal({ fence: 8, episode: 1, write: 0 })
  story.other.multi([{ kind: 'set', path: MASTERS, data, version: ANY_VERSION }], () => {})
  story.clock.run(10)
  expect(story.count(fenced)).toBe('deposed')
  expect(story.counted).toBe(0)
})

test('a write over what has changed is a conflict, and the next one is not', () => {
  const story = new Story()
  const fenced = story.leader(1)
  const results: WriteResult[] = []
  fenced.write([{ kind: 'set', path: COUNTER, data: EMPTY_BYTES, version: 5 }], (result) => results.push(result))
  story.clock.run(100)
  expect(results).toMatchObject([{ kind: 'conflict', error: { code: 'bad-version', operation: 2 } }])
  expect(story.count(fenced)).toBe('done')
})

test('the journal names who wrote last', () => {
  const story = new Story()
  const fenced = story.leader(4)
  story.count(fenced)
  const reply = story.metadata.read({ kind: 'get', session: 0, path: MASTERS })
  expect(reply.kind === 'node' && reply.node !== null && decodeJournal(reply.node.data)).toEqual({
    fence: 7,
    episode: 4,
    write: 1,
  })
})
