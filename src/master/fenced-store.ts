/**
 * The active master's writes, so that a deposed one can change nothing. Each is a multi that begins with two guards:
 *
 *   check /kv/masters/master-N             its election node is there: nobody else leads
 *   set   /kv/masters  version V           {fence, episode, write}: nobody has written since its last write, not even an earlier episode of its own
 *
 * The second makes a lost answer harmless: the node says whether the write was done, and a write that may still be on its way is done at most once,
 * however often it is sent, because every copy names the same version. One write at a time. `takeOver` comes first: from then on nothing that an
 * earlier master has under way can be done.
 */
import { assert } from '../base/assert.ts'
import { DecodeError } from '../base/bytes.ts'
import type { Clock } from '../ports/clock.ts'
import type { MetadataStore } from '../ports/metadata-store.ts'
import {
  ANY_VERSION,
  type MetadataError,
  type MetadataOperation,
  type MetadataPath,
} from '../protocol/metadata-operation.ts'
import { decodeJournal, encodeJournal, type MasterJournal } from './registrations.ts'
import { MASTERS } from './tree-layout.ts'

export type WriteResult =
  | { readonly kind: 'done' }
  /** Not done: the tree is not as the write expects it. */
  | { readonly kind: 'conflict'; readonly error: MetadataError }
  /** This master may write no more. `maybe`: this write may have been done before that. */
  | { readonly kind: 'deposed'; readonly maybe: boolean }

export interface FencedStoreOptions {
  readonly electionPath: MetadataPath
  readonly fence: number
  readonly episode: number
  readonly unchecked?: boolean
}

const RETRY_MS = 100
/** How many operations the guards are. */
const GUARDS = 2

export class FencedStore {
  readonly #store: MetadataStore
  readonly #clock: Clock
  readonly #options: FencedStoreOptions
  /** Of /kv/masters. */
  #version = -1
  #writes = 0
  #isBusy = false
  #isDeposed = false

  constructor(store: MetadataStore, clock: Clock, options: FencedStoreOptions) {
    this.#store = store
    this.#clock = clock
    this.#options = options
  }

  /** Before any write. False: deposed. */
  takeOver(done: (isActive: boolean) => void): void {
    this.#readJournal((journal) => {
      if (journal === null) return done(false)
      this.#version = journal.version
      this.write([], (result) => {
        // Another's last write came in between: once it is done, none of it can follow.
        if (result.kind === 'deposed' && !this.#isDeposed) this.takeOver(done)
        else done(result.kind === 'done')
      })
    })
  }

  /** At the end of the episode: nothing is begun any more, and what is under way answers `deposed`. */
  depose(): void {
    this.#isDeposed = true
  }

  write(operations: readonly MetadataOperation[], done: (result: WriteResult) => void): void {
    assert(!this.#isBusy, 'fenced store: two writes at once')
    this.#isBusy = true
    this.#attempt(operations, false, (result) => {
      this.#isBusy = false
      if (result.kind === 'done') {
        this.#version++
        this.#writes++
      }
      done(result)
    })
  }

  #attempt(operations: readonly MetadataOperation[], maybe: boolean, done: (result: WriteResult) => void): void {
    if (this.#isDeposed) return done({ kind: 'deposed', maybe })
    const guards = this.#guards()
    this.#store.multi([...guards, ...operations], (error) => {
      if (error === null) return done({ kind: 'done' })
      switch (error.code) {
        case 'unknown':
          return this.#resolve(operations, done)
        case 'unavailable':
          this.#clock.setTimer(RETRY_MS, () => this.#attempt(operations, maybe, done))
          return
        case 'session-expired':
        case 'closed':
          return this.#deposed(maybe, done)
        default:
      }
      if (error.operation >= guards.length || error.operation < 0) return done({ kind: 'conflict', error })
      // The journal has another version: an earlier copy of this very write was done, or this master is deposed.
      if (error.operation === GUARDS - 1) return this.#resolve(operations, done)
      return this.#deposed(maybe, done)
    })
  }

  #guards(): MetadataOperation[] {
    const { electionPath, fence, episode, unchecked } = this.#options
    const data = encodeJournal({ fence, episode, write: this.#writes })
    if (unchecked === true) return [{ kind: 'set', path: MASTERS, data, version: ANY_VERSION }]
    return [
      { kind: 'check', path: electionPath, version: 0 },
      { kind: 'set', path: MASTERS, data, version: this.#version },
    ]
  }

  /** An answer was lost, or somebody has written: the journal tells which. */
  #resolve(operations: readonly MetadataOperation[], done: (result: WriteResult) => void): void {
    this.#readJournal((journal) => {
      if (journal === null) return done({ kind: 'deposed', maybe: true })
      if (journal.version === this.#version) return this.#attempt(operations, true, done)
      if (journal.version === this.#version + 1 && this.#isOwn(journal)) return done({ kind: 'done' })
      // Somebody wrote in between; what this write came to, nobody can tell from here. During the taking over it is told apart by `isDeposed`.
      done({ kind: 'deposed', maybe: true })
    })
  }

  #isOwn({ fence, episode, write }: MasterJournal): boolean {
    return fence === this.#options.fence && episode === this.#options.episode && write === this.#writes
  }

  #deposed(maybe: boolean, done: (result: WriteResult) => void): void {
    this.#isDeposed = true
    done({ kind: 'deposed', maybe })
  }

  /** Null: deposed. Tries until it knows. */
  #readJournal(found: (journal: (MasterJournal & { readonly version: number }) | null) => void): void {
    if (this.#isDeposed) return found(null)
    this.#store.sync((syncError) => {
      this.#store.get(MASTERS, (error, node) => {
        if (this.#isDeposed) return found(null)
        const problem = syncError ?? error
        if (problem !== null || node === null) {
          if (problem?.code === 'unavailable' || problem?.code === 'unknown') {
            this.#clock.setTimer(RETRY_MS, () => this.#readJournal(found))
            return
          }
          this.#isDeposed = true
          return found(null)
        }
        found({ ...journalOf(node.data), version: node.stat.version })
      })
    })
  }
}

/** Whatever a malformed one says, it is not this master's: the next write puts it right. */
function journalOf(data: Uint8Array): MasterJournal {
  try {
    return decodeJournal(data)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { fence: 0, episode: 0, write: 0 }
  }
}
