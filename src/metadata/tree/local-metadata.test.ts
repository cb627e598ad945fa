// The local store passes the contract, and its hooks do what they say.
import { describe, expect, it } from 'vitest'
import { metadataContract } from '../metadata-contract.testkit.ts'
import { create, exists, type MetadataHarness, made, multi, outcome, set, textAt } from '../metadata-harness.testkit.ts'
import { LocalMetadata, LocalMetadataStore, type LostFate } from './local-metadata.testkit.ts'

/** Events of their own, run when the test lets them. */
function makeHarness(): Omit<MetadataHarness, 'open'> & { open(): Promise<LocalMetadataStore> } {
  const metadata = new LocalMetadata((callback) => setImmediate(callback))
  // An event that the last one caused is behind at most a few others; each turn runs all that are there.
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  const local = (store: unknown): LocalMetadataStore => {
    if (!(store instanceof LocalMetadataStore)) throw new Error('not a store of this harness')
    return store
  }
  return {
    base: '/base',
    settle,
    async open() {
      const store = metadata.open()
      await settle()
      metadata.write(0, 0, { kind: 'multi', operations: [create('/base')] })
      return store
    },
    async expire(store) {
      metadata.expire(local(store))
    },
    async suspend(store) {
      local(store).suspend()
    },
    async resume(store) {
      local(store).resume()
    },
    async end() {},
  }
}

describe('the local metadata store', () => {
  describe('keeps the contract:', () => metadataContract(async () => makeHarness()))

  it.each(['done', 'dropped', 'late'] as const)('loses answers: %s', async (fate: LostFate) => {
    const { open, settle } = makeHarness()
    const [store, other] = [await open(), await open()]
    await made(store, '/base/a', 'old')
    store.loseAnswers(1, fate)
    const { error } = await outcome((done) => store.multi([set('/base/a', 'new')], done))
    expect(error?.code).toBe('unknown')
    expect(store.state).toBe('connected')
    await settle()
    expect(await textAt(other, '/base/a')).toBe(fate === 'done' ? 'new' : 'old')
    store.deliverLate()
    expect(await textAt(other, '/base/a')).toBe(fate === 'dropped' ? 'old' : 'new')
    // Only that one.
    await multi(store, set('/base/a', 'next'))
    store.deliverLate()
    expect(await textAt(other, '/base/a')).toBe('next')
  })

  it.each(['done', 'dropped', 'late'] as const)('a cut connection: what is under way is %s', async (fate: LostFate) => {
    const { open } = makeHarness()
    const [store, other] = [await open(), await open()]
    const under = outcome((done) => store.multi([create('/base/a')], done))
    const read = outcome((done) => store.get('/base', done))
    store.suspend(fate)
    expect((await under).error?.code).toBe('unknown')
    expect((await read).error?.code).toBe('unavailable')
    expect((await exists(other, '/base/a')) !== null).toBe(fate === 'done')
    store.resume()
    store.deliverLate()
    expect((await exists(other, '/base/a')) !== null).toBe(fate !== 'dropped')
  })
})
