/**
 * The watches of one session at its holder. Listeners of the same kind and path share one watch at the attached master, which is told of new
 * and ended ones in batches; after each attaching all of them are new, and a new one fires. Listeners are called as events of their own,
 * all that fired together in one go.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../ports/clock.ts'
import type { StopWatching } from '../../ports/metadata-store.ts'
import type { WatchKind } from '../../protocol/metadata-message.ts'
import type { MetadataPath } from '../../protocol/metadata-operation.ts'
import { Exchange } from './exchange.ts'
import type { MasterLink } from './master-link.ts'

const BATCH_WATCHES = 256
const BATCH_ENDED = 4096

interface Listener {
  readonly call: () => void
  marked: boolean
  stopped: boolean
}

interface SharedWatch {
  readonly id: number
  readonly kind: WatchKind
  readonly path: MetadataPath
  readonly listeners: Set<Listener>
  state: 'new' | 'asked' | 'registered'
  /** Mutation: the next firing is passed over. */
  quiet: boolean
}

export class HolderWatches {
  readonly #clock: Clock
  readonly #link: MasterLink
  readonly #watchesMax: number
  readonly #quietReattachment: boolean
  readonly #exchange: Exchange
  readonly #byKey = new Map<string, SharedWatch>()
  readonly #byId = new Map<number, SharedWatch>()
  #fresh: SharedWatch[] = []
  #ended: number[] = []
  #batch: { readonly added: readonly SharedWatch[]; readonly removed: readonly number[] } = { added: [], removed: [] }
  #ids = 0
  #count = 0
  #marked: Listener[] = []

  constructor(clock: Clock, link: MasterLink, resendMs: number, watchesMax: number, quietReattachment: boolean) {
    this.#clock = clock
    this.#link = link
    this.#watchesMax = watchesMax
    this.#quietReattachment = quietReattachment
    this.#exchange = new Exchange(resendMs)
  }

  get waitingSinceMs(): number | null {
    return this.#exchange.waitingSinceMs
  }

  /** More than the bound are a leak: an assertion. */
  watch(kind: WatchKind, path: MetadataPath, call: () => void): StopWatching {
    assert(this.#count < this.#watchesMax, `metadata watches: more than ${this.#watchesMax} in one session`)
    this.#count++
    const listener: Listener = { call, marked: false, stopped: false }
    const shared = this.#shared(kind, path)
    shared.listeners.add(listener)
    // Of a new one the master tells; this one lies behind the registration already.
    if (shared.state === 'registered') this.#mark(listener)
    return () => {
      if (listener.stopped) return
      listener.stopped = true
      this.#count--
      shared.listeners.delete(listener)
      if (shared.listeners.size === 0) this.#end(shared)
    }
  }

  pump(nowMs: number): void {
    if (!this.#link.attached) return
    if (this.#exchange.active) {
      if (this.#exchange.isDue(nowMs)) this.#send()
    } else if (this.#fresh.length > 0 || this.#ended.length > 0) {
      this.#batch = { added: this.#fresh.splice(0, BATCH_WATCHES), removed: this.#ended.splice(0, BATCH_ENDED) }
      for (const shared of this.#batch.added) shared.state = 'asked'
      this.#exchange.begin(this.#link.nextRequest(), nowMs)
      this.#send()
    }
  }

  registered(request: number): void {
    if (request !== this.#exchange.request) return
    this.#exchange.end()
    for (const shared of this.#batch.added) {
      shared.state = 'registered'
      // Ended meanwhile.
      if (shared.listeners.size === 0) this.#ended.push(shared.id)
    }
  }

  refused(request: number, nowMs: number): void {
    this.#exchange.refused(request, nowMs)
  }

  /** Another master, or the same one under another number, knows nothing of them. */
  reattached(): void {
    this.#exchange.end()
    this.#ended = []
    this.#fresh = [...this.#byId.values()]
    for (const shared of this.#fresh) {
      shared.quiet = this.#quietReattachment && shared.state === 'registered'
      shared.state = 'new'
    }
  }

  fired(ids: readonly number[]): void {
    for (const id of ids) {
      const shared = this.#byId.get(id)
      if (shared === undefined) continue
      if (shared.quiet) shared.quiet = false
      else for (const listener of shared.listeners) this.#mark(listener)
    }
  }

  /** After a time without connection. */
  everythingChanged(): void {
    if (this.#quietReattachment) return
    for (const { listeners } of this.#byId.values()) for (const listener of listeners) this.#mark(listener)
  }

  /** Nobody is called any more. */
  stopAll(): void {
    for (const { listeners } of this.#byId.values()) for (const listener of listeners) listener.stopped = true
    this.#byKey.clear()
    this.#byId.clear()
    this.#fresh = []
    this.#ended = []
    this.#count = 0
    this.#exchange.end()
  }

  #shared(kind: WatchKind, path: MetadataPath): SharedWatch {
    const key = `${kind} ${path}`
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const made: SharedWatch = { id: ++this.#ids, kind, path, listeners: new Set(), state: 'new', quiet: false }
    this.#byKey.set(key, made)
    this.#byId.set(made.id, made)
    this.#fresh.push(made)
    return made
  }

  #end(shared: SharedWatch): void {
    const key = `${shared.kind} ${shared.path}`
    // After stopAll nothing is left of it.
    if (this.#byKey.get(key) !== shared) return
    this.#byKey.delete(key)
    this.#byId.delete(shared.id)
    if (shared.state === 'new') this.#fresh = this.#fresh.filter((one) => one !== shared)
    else if (shared.state === 'registered') this.#ended.push(shared.id)
  }

  #send(): void {
    const { added, removed } = this.#batch
    this.#link.send(
      { type: 'watch', added: added.map(({ id, kind, path }) => ({ id, kind, path })), removed },
      this.#exchange.request,
    )
  }

  #mark(listener: Listener): void {
    if (listener.marked) return
    listener.marked = true
    this.#marked.push(listener)
    if (this.#marked.length === 1) this.#clock.defer(() => this.#flush())
  }

  #flush(): void {
    const marked = this.#marked
    this.#marked = []
    for (const listener of marked) listener.marked = false
    for (const listener of marked) if (!listener.stopped) listener.call()
  }
}
