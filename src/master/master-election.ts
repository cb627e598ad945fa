/**
 * Who is the active master: the holder of the lowest ephemeral-sequential node under /kv/masters. Each candidate watches only the one before it, so
 * that a master's end wakes one other. A leader whose session is suspended is none any more: the session may have ended, and another may lead.
 *
 *   entering --> following --> leading          a leading episode ends with `suspended`, `entering` or `stopped`, never silently
 *      ^             |            |
 *      |         suspended <------+             the connection is back: following again, in the same place
 *      +---- expired: a new session ------------+
 *
 * Where a create's answer was lost, the node is found by its owner; one that appears later still is only one more place in the queue, of the
 * same session, and is removed.
 */
import type { NodeId } from '../base/brand.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { MetadataStore, StopWatching } from '../ports/metadata-store.ts'
import { EPHEMERAL_SEQUENTIAL, type MetadataPath } from '../protocol/metadata-operation.ts'
import { encodeElectionNode } from './registrations.ts'
import { MASTER_PREFIX, MASTERS } from './tree-layout.ts'

export type ElectionState =
  | { readonly kind: 'entering' | 'following' | 'suspended' | 'stopped' }
  | {
      readonly kind: 'leading'
      readonly store: MetadataStore
      readonly electionPath: MetadataPath
      readonly creationId: number
      /** One more with each time that this election leads: what a former episode left under way is not of this one. */
      readonly episode: number
    }

export interface ElectionPorts {
  readonly clock: Clock
  /** A new session with the metadata store. */
  openSession(): MetadataStore
  /** Called after each change. */
  changed(state: ElectionState): void
}

interface Place {
  readonly name: string
  readonly creationId: number
}

const RETRY_MS = 200

export class MasterElection {
  readonly #nodeId: NodeId
  readonly #ports: ElectionPorts
  readonly #ignoresSuspension: boolean
  #state: ElectionState = { kind: 'entering' }
  #store: MetadataStore | null = null
  #place: Place | null = null
  #stopWatching: StopWatching = () => {}
  #watched: string | null = null
  #retry: Timer | null = null
  /** A look at the queue is under way; `again`: something has changed since it began. */
  #looking: 'no' | 'yes' | 'again' = 'no'
  #episode = 0

  constructor(nodeId: NodeId, ports: ElectionPorts, ignoresSuspension = false) {
    this.#nodeId = nodeId
    this.#ports = ports
    this.#ignoresSuspension = ignoresSuspension
  }

  get state(): ElectionState {
    return this.#state
  }

  /** The session of now; null before `start`. It serves reads as well. */
  get store(): MetadataStore | null {
    return this.#store
  }

  start(): void {
    const store = this.#ports.openSession()
    this.#store = store
    this.#place = null
    store.onStateChange((state) => {
      if (store !== this.#store || this.#state.kind === 'stopped') return
      if (state === 'connected') {
        if (this.#state.kind === 'suspended') this.#become({ kind: 'following' })
        this.#look()
      } else if (state === 'suspended' && !this.#ignoresSuspension) this.#become({ kind: 'suspended' })
      else if (state === 'expired') this.#startAfresh()
    })
    if (store.state === 'connected') this.#look()
  }

  /** Gives up its place at once. */
  stop(done: () => void): void {
    this.#quiet()
    this.#become({ kind: 'stopped' })
    if (this.#store === null) this.#ports.clock.defer(done)
    else this.#store.close(done)
  }

  /** A write of this leader was refused because it leads no more: the episode is over, whatever the queue says. A little later it stands again. */
  deposed(): void {
    if (this.#state.kind !== 'leading') return
    this.#become({ kind: 'following' })
    this.#lookLater()
  }

  #startAfresh(): void {
    this.#quiet()
    this.#become({ kind: 'entering' })
    this.start()
  }

  #quiet(): void {
    this.#stopWatching()
    this.#watched = null
    this.#retry?.cancel()
    this.#retry = null
    this.#looking = 'no'
  }

  /** Where this candidate stands now. One look at a time. */
  #look(): void {
    if (this.#looking !== 'no') {
      this.#looking = 'again'
      return
    }
    const store = this.#store
    if (store === null || store.state !== 'connected') return
    this.#looking = 'yes'
    const ended = (isAnswered: boolean): void => this.#lookEnded(store, isAnswered)
    store.sync((error) => {
      if (error !== null) return ended(false)
      store.children(MASTERS, (childrenError, names) => {
        if (!this.#isCurrent(store)) return
        if (childrenError !== null || names === null) return ended(false)
        const queue = names.filter((name) => name.startsWith(MASTER_PREFIX))
        if (this.#place !== null && queue.includes(this.#place.name)) this.#stand(store, queue, this.#place, ended)
        else {
          // Whatever place is found next, it is another, with another fence.
          if (this.#state.kind === 'leading') this.#become({ kind: 'following' })
          this.#findPlace(store, queue, ended)
        }
      })
    })
  }

  #lookEnded(store: MetadataStore, isAnswered: boolean): void {
    if (!this.#isCurrent(store)) return
    const again = this.#looking === 'again'
    this.#looking = 'no'
    if (again) return this.#look()
    if (!isAnswered) this.#lookLater()
  }

  #lookLater(): void {
    if (this.#retry !== null) return
    this.#retry = this.#ports.clock.setTimer(RETRY_MS, () => {
      this.#retry = null
      this.#look()
    })
  }

  #isCurrent(store: MetadataStore): boolean {
    return store === this.#store && this.#state.kind !== 'stopped'
  }

  /** Looks for nodes of this session; creates one where there is none. */
  #findPlace(store: MetadataStore, queue: readonly string[], ended: (isAnswered: boolean) => void): void {
    const own: Place[] = []
    let pending = queue.length
    let hasFailed = false
    const decided = (): void => {
      if (!this.#isCurrent(store)) return
      if (hasFailed) return ended(false)
      if (own.length === 0) return this.#enter(store, ended)
      own.sort((a, b) => (a.name < b.name ? -1 : 1))
      this.#place = own[0]
      for (const { name } of own.slice(1)) {
        store.multi([{ kind: 'delete', path: `${MASTERS}/${name}`, version: 0 }], () => {})
      }
      this.#stand(store, queue, own[0], ended)
    }
    if (pending === 0) return decided()
    for (const name of queue) {
      store.exists(`${MASTERS}/${name}`, (error, stat) => {
        if (error !== null) hasFailed = true
        if (stat !== null && stat.ephemeralOwner === store.sessionId) own.push({ name, creationId: stat.creationId })
        pending--
        if (pending === 0) decided()
      })
    }
  }

  #enter(store: MetadataStore, ended: (isAnswered: boolean) => void): void {
    this.#place = null
    if (this.#state.kind !== 'suspended') this.#become({ kind: 'entering' })
    const data = encodeElectionNode(this.#nodeId)
    const path = `${MASTERS}/${MASTER_PREFIX}`
    store.multi([{ kind: 'create', path, data, options: EPHEMERAL_SEQUENTIAL }], (error) => {
      // Whatever came of it, the next look tells.
      if (error === null && this.#isCurrent(store)) this.#looking = 'again'
      ended(error === null)
    })
  }

  #stand(store: MetadataStore, queue: readonly string[], place: Place, ended: (isAnswered: boolean) => void): void {
    const isSuspended = store.state !== 'connected' && !this.#ignoresSuspension
    if (!this.#isCurrent(store) || isSuspended) return ended(false)
    const before = queue.filter((name) => name < place.name).at(-1) ?? null
    // The first watches its own place: somebody may remove it.
    const watched = before ?? place.name
    if (watched !== this.#watched) {
      this.#stopWatching()
      this.#watched = watched
      // A watch is level-triggered: should that node be gone already, the first call says so.
      this.#stopWatching = store.watchNode(`${MASTERS}/${watched}`, () => this.#look())
    }
    if (before !== null) this.#become({ kind: 'following' })
    else if (this.#state.kind !== 'leading') {
      const electionPath = `${MASTERS}/${place.name}`
      this.#become({ kind: 'leading', store, electionPath, creationId: place.creationId, episode: ++this.#episode })
    }
    ended(true)
  }

  #become(state: ElectionState): void {
    if (this.#state.kind === state.kind) return
    this.#state = state
    this.#ports.changed(state)
  }
}
