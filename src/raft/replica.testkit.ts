/**
 * A RaftCore with the least driver that keeps every promise of ready.ts: a disk that a crash cuts back to what was
 * synced, a state machine whose state is the hash of all that it applied, checkpoints, images. Everything happens only when told to.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, asLogIndex, asReplicaId, asTerm, type LogIndex, type ReplicaId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import type { CompactionPoint, HardState } from '../ports/log.ts'
import type { Entry } from '../protocol/entry.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import type { RaftMutations } from './mutations.ts'
import { RaftCore } from './raft-core.ts'
import type { ImageMeta, RaftConfig, Ready } from './ready.ts'

export const GROUP = asGroupId(1)

interface MachineState {
  readonly index: LogIndex
  /** Of all entries applied, in order: equal hashes mean equal histories. */
  readonly hash: number
}

export interface Image {
  readonly meta: ImageMeta
  readonly machine: MachineState
}

interface Durable {
  hardState: HardState
  compaction: CompactionPoint
  membership: Membership
  entries: Entry[]
  base: MachineState
}

interface Write {
  readonly ready: Ready
  readonly image: Image | null
}

type Pending =
  | { readonly kind: 'ready'; readonly write: Write }
  | { readonly kind: 'compaction'; readonly image: Image }

export function applyToHash(hash: number, entry: Entry): number {
  let next = Math.imul(hash ^ entry.index, 0x01000193) ^ Math.imul(entry.term + 1, 0x9e3779b1)
  next = Math.imul(next ^ entry.kind, 0x01000193)
  for (const byte of entry.payload) next = Math.imul(next ^ byte, 0x01000193)
  return next >>> 0
}

interface ReplicaHooks {
  /** A message leaves. */
  send(message: RaftMessage): void
  onReady?(replica: TestReplica, ready: Ready): void
  onApply?(replica: TestReplica, entry: Entry): void
}

export class TestReplica {
  readonly id: ReplicaId
  readonly config: RaftConfig
  readonly mutations: RaftMutations | undefined
  readonly durable: Durable
  readonly #hooks: ReplicaHooks
  /** Handed to the disk and not yet synced, in order. */
  pending: Pending[] = []
  machine: MachineState
  imagesWanted: ReplicaId[] = []
  /** The image that `installImage` was called with, until its Ready comes. */
  #installing: Image | null = null
  core: RaftCore | null = null

  constructor(config: RaftConfig, membership: Membership, hooks: ReplicaHooks, mutations?: RaftMutations) {
    this.id = config.replicaId
    this.config = config
    this.mutations = mutations
    this.#hooks = hooks
    this.machine = { index: asLogIndex(0), hash: 0 }
    this.durable = {
      hardState: { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) },
      compaction: { index: asLogIndex(0), term: asTerm(0) },
      membership,
      entries: [],
      base: this.machine,
    }
  }

  get live(): RaftCore {
    return present(this.core, `replica ${this.id} is down`)
  }

  /** `seed` should differ from start to start, as a real process's does. */
  start(seed: number): void {
    assert(this.core === null, 'start: already up')
    const { hardState, compaction, membership, entries, base } = this.durable
    this.machine = base
    const restored = { hardState, compaction, membership, entries, applied: base.index }
    this.core = new RaftCore(GROUP, this.config, restored, new Prng(seed), this.mutations)
  }

  /** What was handed to the disk and not synced is gone, but for the first `survives` writes. */
  crash(survives = 0): void {
    for (const pending of this.pending.slice(0, survives)) this.#toDisk(pending)
    this.pending = []
    this.imagesWanted = []
    this.#installing = null
    this.core = null
  }

  /** Takes one Ready and does what may be done at once. Null: there is none. */
  takeReady(): Ready | null {
    const ready = this.live.takeReady()
    if (ready === null) return null
    this.#hooks.onReady?.(this, ready)
    let image: Image | null = null
    if (ready.installed !== null) {
      image = present(this.#installing, 'installed without an image')
      this.#installing = null
      this.machine = image.machine
    }
    this.pending.push({ kind: 'ready', write: { ready, image } })
    this.imagesWanted.push(...ready.imagesWanted)
    for (const message of ready.messagesNow) this.#hooks.send(message)
    for (const entry of ready.committed) {
      assert(entry.index === this.machine.index + 1, `replica ${this.id}: applied out of order`)
      this.machine = { index: entry.index, hash: applyToHash(this.machine.hash, entry) }
      this.#hooks.onApply?.(this, entry)
    }
    if (ready.committed.length > 0) this.live.applied(this.machine.index)
    return ready
  }

  /** The disk syncs the first `count` writes; what waited for them leaves. */
  sync(count = this.pending.length): void {
    for (const pending of this.pending.splice(0, count)) {
      this.#toDisk(pending)
      if (pending.kind !== 'ready') continue
      for (const message of pending.write.ready.messagesAfterDisk) this.#hooks.send(message)
      this.live.persisted(pending.write.ready.number)
    }
  }

  /** A checkpoint of what is applied; the log up to `keep` entries before it goes. Null: nothing to do. */
  checkpoint(keep: number): LogIndex | null {
    const index = asLogIndex(Math.min(this.machine.index - keep, this.live.lastIndex))
    const switching = this.pending.some((pending) => pending.kind === 'ready' && pending.write.image !== null)
    if (index <= this.live.compaction.index || switching || this.#installing !== null) return null
    const term = present(this.live.termAt(index), 'checkpoint: no term')
    const meta: ImageMeta = { index, term, membership: this.live.membershipAt(index) }
    this.durable.base = this.machine
    this.pending.push({ kind: 'compaction', image: { meta, machine: this.machine } })
    this.live.compact({ index, term })
    return index
  }

  /** What it could send another replica now. Null: the log of what is applied is not here (see RestoredState.applied). */
  image(): Image | null {
    const index = this.machine.index
    const term = this.live.termAt(index)
    if (term === null) return null
    return { meta: { index, term, membership: this.live.membershipAt(index) }, machine: this.machine }
  }

  /** Null: not wanted. Otherwise whether it was taken over. */
  receiveImage(image: Image, fromTerm: number, from: ReplicaId): boolean | null {
    if (this.#installing !== null || !this.live.wantsImage(image.meta)) return null
    const taken = this.live.installImage(image.meta, asTerm(fromTerm), from)
    if (taken) this.#installing = image
    return taken
  }

  #toDisk(pending: Pending): void {
    const durable = this.durable
    if (pending.kind === 'compaction') {
      const { index, term, membership } = pending.image.meta
      const kept = durable.entries.filter((entry) => entry.index > index)
      if (index <= durable.compaction.index) return
      durable.entries = kept
      durable.compaction = { index, term }
      durable.membership = membership
      return
    }
    const { ready, image } = pending.write
    if (ready.hardState !== null) durable.hardState = ready.hardState
    if (ready.truncateFrom !== null) this.#cut(ready.truncateFrom)
    if (image !== null && ready.installed !== null) {
      const { index, term, membership, keepsLogSuffix } = ready.installed
      durable.entries = keepsLogSuffix ? durable.entries.filter((entry) => entry.index > index) : []
      durable.compaction = { index, term }
      durable.membership = membership
      durable.base = image.machine
    }
    if (ready.entries.length > 0) {
      const first = ready.entries[0].index
      this.#cut(first)
      assert(first === durable.compaction.index + durable.entries.length + 1, 'disk: a gap in the log')
      durable.entries.push(...ready.entries)
    }
  }

  #cut(from: LogIndex): void {
    this.durable.entries.length = Math.max(
      0,
      Math.min(this.durable.entries.length, from - 1 - this.durable.compaction.index),
    )
  }

  /** The term of what is synced at this index; the compaction point stands for all below it. */
  durableTermAt(index: number): number | null {
    const { compaction, entries } = this.durable
    if (index === compaction.index) return compaction.term
    return index < compaction.index ? null : (entries[index - compaction.index - 1]?.term ?? null)
  }
}
