/**
 * What one client of a faulty world does all the time, and what it may never see: it writes what would show if it ran twice, reads and syncs, watches,
 * holds an ephemeral node, and stands for election. When its session is over it opens another.
 */
import type { NodeId } from '../../base/brand.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import type { Prng } from '../../base/prng.ts'
import {
  ANY_VERSION,
  EPHEMERAL_SEQUENTIAL,
  type MetadataErrorCode,
  type MetadataOperation,
  PERSISTENT_SEQUENTIAL,
} from '../../protocol/metadata-operation.ts'
import type { EmbeddedMetadataStore } from './embedded-metadata-store.ts'
import type { MastersWorld } from './masters-world.testkit.ts'

/** What all clients of a run know together. */
export interface RunRecord {
  readonly violations: string[]
  /** By the prefix of the node that a write makes: its outcome; null: not answered yet. */
  readonly writes: Map<string, 'done' | MetadataErrorCode | null>
  /** Writes under the check of an election node: (modification id, creation id of that node). */
  readonly reigns: (readonly [number, number])[]
  /** The highest modification id of the counter that anybody was told. */
  counterTold: number
  reads: number
  syncs: number
  sessions: number
}

export function newRecord(): RunRecord {
  return { violations: [], writes: new Map(), reigns: [], counterTold: 0, reads: 0, syncs: 0, sessions: 0 }
}

interface Seat {
  readonly path: string
  readonly creationId: number
}

export class FaultClient {
  readonly #world: MastersWorld
  readonly #record: RunRecord
  readonly #random: Prng
  readonly name: string
  readonly at: NodeId
  readonly #timeoutMs: number
  store: EmbeddedMetadataStore
  /** The last counter that a watch's call read. */
  watched = -1
  seat: Seat | null = null
  #writes = 0
  #highestRead = 0

  constructor(world: MastersWorld, record: RunRecord, random: Prng, name: string, at: NodeId, timeoutMs: number) {
    this.#world = world
    this.#record = record
    this.#random = random
    this.name = name
    this.at = at
    this.#timeoutMs = timeoutMs
    this.store = this.#open()
  }

  get session(): number {
    return Number(this.store.sessionId ?? 0)
  }

  /** The node that holds the session has crashed: the session is left to its timeout. */
  reopen(): void {
    this.store = this.#open()
  }

  step(): void {
    const { state } = this.store
    if (state === 'expired' || state === 'closed') return this.reopen()
    const choice = this.#random.below(10)
    if (choice < 3) this.#write()
    else if (choice < 5) this.count()
    else if (choice < 7) this.#read()
    else if (choice < 8) this.#sync()
    else this.#stand()
  }

  count(): void {
    this.store.multi([counted()], (_error, results) => {
      const [result] = results ?? []
      if (result?.kind === 'set') this.#told(result.stat.modificationId)
    })
  }

  #open(): EmbeddedMetadataStore {
    const store = this.#world.open(this.at, { sessionTimeoutMs: this.#timeoutMs, operationTimeoutMs: 3_000 })
    this.#record.sessions++
    this.seat = null
    this.#highestRead = 0
    this.watched = -1
    store.onStateChange((state) => {
      // By the log alone.
      const session = Number(store.sessionId)
      if (state === 'expired' && !this.#world.hasEnded(session)) this.#violated(`session ${session} expired by itself`)
    })
    store.watchNode('/counter', () =>
      store.get('/counter', (error, node) => {
        if (error === null && node !== null && store === this.store) this.watched = node.stat.modificationId
      }),
    )
    return store
  }

  #write(): void {
    const prefix = `${this.name}-${++this.#writes}-`
    const { writes } = this.#record
    const { store } = this
    writes.set(prefix, null)
    const create = made(`/log/${prefix}`, false)
    store.multi([create], (error, results) => {
      writes.set(prefix, error === null ? 'done' : error.code)
      const [result] = results ?? []
      if (result?.kind !== 'created') return
      store.exists(result.path, (failed, stat) => {
        if (failed === null && stat === null) this.#violated(`${prefix}: not seen by its own session`)
      })
    })
  }

  #read(): void {
    const { store } = this
    store.get('/counter', (error, node) => {
      if (error === null && node !== null && store === this.store) this.#readCounter(node.stat.modificationId)
    })
  }

  #sync(): void {
    const { store } = this
    const before = this.#record.counterTold
    let synced = false
    store.sync((error) => {
      synced = error === null
    })
    store.get('/counter', (error, node) => {
      if (error !== null || node === null || store !== this.store) return
      const { modificationId } = node.stat
      this.#readCounter(modificationId)
      if (!synced) return
      this.#record.syncs++
      if (modificationId < before)
        this.#violated(`${this.name}: ${modificationId} after a sync, told before: ${before}`)
    })
  }

  /** Leader election by ephemeral sequential nodes, and a write that only the leader may make. */
  #stand(): void {
    const { store, seat } = this
    if (seat === null) {
      store.multi([made('/election/n-', true)], (_error, results) => {
        const [result] = results ?? []
        if (result?.kind === 'created' && store === this.store) {
          this.seat = { path: result.path, creationId: result.stat.creationId }
        }
      })
      return
    }
    store.children('/election', (error, names) => {
      if (error !== null || names === null || `/election/${names[0]}` !== seat.path) return
      const reign: MetadataOperation[] = [{ kind: 'check', path: seat.path, version: 0 }, counted()]
      store.multi(reign, (_error, results) => {
        const result = results?.[1]
        if (result?.kind !== 'set') return
        this.#told(result.stat.modificationId)
        this.#record.reigns.push([result.stat.modificationId, seat.creationId])
      })
    })
  }

  #told(modificationId: number): void {
    this.#record.counterTold = Math.max(this.#record.counterTold, modificationId)
  }

  #readCounter(modificationId: number): void {
    this.#record.reads++
    this.#told(modificationId)
    if (modificationId < this.#highestRead) {
      this.#violated(`${this.name}: read ${modificationId} after ${this.#highestRead}`)
    }
    this.#highestRead = Math.max(this.#highestRead, modificationId)
  }

  #violated(what: string): void {
    this.#record.violations.push(what)
  }
}

function made(path: string, ephemeral: boolean): MetadataOperation {
  const options = ephemeral ? EPHEMERAL_SEQUENTIAL : PERSISTENT_SEQUENTIAL
  return { kind: 'create', path, data: EMPTY_BYTES, options }
}

function counted(): MetadataOperation {
  return { kind: 'set', path: '/counter', data: EMPTY_BYTES, version: ANY_VERSION }
}
