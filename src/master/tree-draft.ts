/**
 * A write of the active master in the making: the snapshot, what is to become of it, and the operations that make it so. Every node that changes is set
 * over the version that was read.
 */
import { assert, present } from '../base/assert.ts'
import type { GroupId } from '../base/brand.ts'
import {
  METADATA_LIMITS,
  type MetadataOperation,
  type MetadataPath,
  PERSISTENT,
} from '../protocol/metadata-operation.ts'
import type { SlotRun } from '../protocol/move-command.ts'
import { type ClusterSnapshot, encodeMigrations, openReconfigs } from './cluster-snapshot.ts'
import { type PlannedSlots, plannedSlots } from './planned-slots.ts'
import { encodeBucket, hasOutcome, type Reconfig } from './reconfig.ts'
import { encodeCounter, encodeWorkers } from './registrations.ts'
import { encodeSlotTable } from './slot-table.ts'
import { bucketOf, bucketPath, KEPT_BUCKETS, MIGRATIONS, SLOTS, VERSION, WORKERS } from './tree-layout.ts'

/** Reconfigs that are not over. More are not planned. */
export const MAX_OPEN_RECONFIGS = 1024
/** Buckets that one write deletes. */
const MAX_PRUNED = 64

/** What reconfig R does to the table: to whom its slots belong now. */
interface Touch {
  readonly reconfig: Reconfig
  readonly owner: GroupId
}

export class TreeDraft {
  readonly snapshot: ClusterSnapshot
  /** By id; those that are not over when the draft began, and new ones. */
  readonly #open: Map<number, Reconfig>
  readonly #changed = new Set<number>()
  readonly #touches: Touch[] = []
  readonly #others: MetadataOperation[] = []
  #last: number
  #rebalance: boolean
  /** The table with this draft's outcomes. */
  readonly groups: GroupId[]
  readonly reconfigIds: number[]

  constructor(snapshot: ClusterSnapshot) {
    this.snapshot = snapshot
    this.#open = new Map(openReconfigs(snapshot).map((reconfig) => [reconfig.reconfigId, reconfig]))
    this.#last = snapshot.migrations.value.last
    this.#rebalance = snapshot.rebalance.value
    this.groups = [...snapshot.slots.value.groups]
    this.reconfigIds = [...snapshot.slots.value.reconfigIds]
  }

  /** Rising by id. */
  get reconfigs(): Reconfig[] {
    return [...this.#open.values()]
  }

  get wantsRebalance(): boolean {
    return this.#rebalance
  }

  get room(): number {
    return MAX_OPEN_RECONFIGS - this.#open.size
  }

  find(reconfigId: number): Reconfig | null {
    return this.#open.get(reconfigId) ?? null
  }

  planned(): PlannedSlots {
    return plannedSlots(this, this.reconfigs)
  }

  // --- what is to change ------------------------------------------------------------------------------------------

  /** Ids rise by one. */
  add(source: GroupId, destination: GroupId, slots: readonly SlotRun[], byWeight: boolean): number {
    const reconfigId = ++this.#last
    assert(source !== destination && slots.length > 0, 'reconfig: to where the slots are')
    this.#open.set(reconfigId, {
      ...{ reconfigId, source, destination, slots, byWeight },
      ...{ status: 'planned', callOff: 'no', reason: '', isClean: false },
    })
    this.#changed.add(reconfigId)
    return reconfigId
  }

  change(reconfigId: number, change: Partial<Pick<Reconfig, 'status' | 'callOff' | 'reason' | 'isClean'>>): void {
    const reconfig = present(this.#open.get(reconfigId), `reconfig ${reconfigId} is over`)
    this.#open.set(reconfigId, { ...reconfig, ...change })
    this.#changed.add(reconfigId)
  }

  /** B has enabled the slots, or A has kept them by its log: the table says so in the same write. */
  publish(reconfigId: number, status: 'done' | 'cancelled' | 'failed', reason: string): void {
    const reconfig = present(this.#open.get(reconfigId), `reconfig ${reconfigId} is over`)
    assert(!hasOutcome(reconfig), `reconfig ${reconfigId}: a second outcome`)
    const owner = status === 'done' ? reconfig.destination : reconfig.source
    this.change(reconfigId, { status, reason, isClean: false })
    this.#touches.push({ reconfig, owner })
    for (const { first, last } of reconfig.slots) {
      this.groups.fill(owner, first, last + 1)
      this.reconfigIds.fill(reconfigId, first, last + 1)
    }
  }

  rebalance(wanted: boolean): void {
    this.#rebalance = wanted
  }

  /** A node that is no part of what this class keeps. */
  also(...operations: MetadataOperation[]): void {
    this.#others.push(...operations)
  }

  // --- as operations ------------------------------------------------------------------------------------------------

  /** Empty: nothing changes. */
  operations(): MetadataOperation[] {
    const { snapshot } = this
    const operations = [...this.#others]
    if (this.#changed.size > 0) operations.push(...this.#migrations())
    if (this.#touches.length > 0) {
      const version = snapshot.slots.value.version + 1
      assert(version === snapshot.tableVersion.value + 1, '/kv/version is not the version of /kv/slots')
      const { groups, reconfigIds } = this
      operations.push(set(SLOTS, encodeSlotTable({ version, groups, reconfigIds }), snapshot.slots.version))
      operations.push(set(VERSION, encodeCounter('version', version), snapshot.tableVersion.version))
    }
    if (this.#rebalance !== snapshot.rebalance.value) {
      operations.push(set(WORKERS, encodeWorkers(this.#rebalance), snapshot.rebalance.version))
    }
    return operations
  }

  /** Whether one multi, with the guards of the fenced store, can hold these. */
  static fits(operations: readonly MetadataOperation[]): boolean {
    const { maxMultiBytes, maxMultiOperations, operationBytes } = METADATA_LIMITS
    let bytes = 4096
    for (const operation of operations) {
      bytes += operationBytes + operation.path.length + ('data' in operation ? operation.data.length : 0)
    }
    return bytes <= maxMultiBytes && operations.length + 8 <= maxMultiOperations
  }

  #migrations(): MetadataOperation[] {
    const { buckets, migrations } = this.snapshot
    const contents = new Map<number, Map<number, Reconfig>>()
    for (const [bucket, { value }] of buckets) contents.set(bucket, new Map(value.map((r) => [r.reconfigId, r])))
    for (const reconfig of this.#open.values()) {
      const bucket = bucketOf(reconfig.reconfigId)
      if (!contents.has(bucket)) contents.set(bucket, new Map())
      contents.get(bucket)?.set(reconfig.reconfigId, reconfig)
    }
    const operations: MetadataOperation[] = []
    const rising = [...contents].sort(([a], [b]) => a - b)
    for (const bucket of new Set([...this.#changed].map(bucketOf))) {
      const reconfigs = [...(contents.get(bucket)?.values() ?? [])].sort((a, b) => a.reconfigId - b.reconfigId)
      const data = encodeBucket(reconfigs)
      const known = buckets.get(bucket)
      if (known !== undefined) operations.push(set(bucketPath(bucket), data, known.version))
      else operations.push({ kind: 'create', path: bucketPath(bucket), data, options: PERSISTENT })
    }
    const open = rising
      .filter(([, reconfigs]) => [...reconfigs.values()].some(({ isClean }) => !isClean))
      .map(([bucket]) => bucket)
    const first = this.#prune(open, operations)
    const index = encodeMigrations({ last: this.#last, first, open })
    operations.push(set(MIGRATIONS, index, migrations.version))
    return operations
  }

  /** Only where a bucket is opened, so that one write deletes few. Returns the first that is kept. */
  #prune(open: readonly number[], operations: MetadataOperation[]): number {
    const { last, first } = this.snapshot.migrations.value
    const newest = bucketOf(this.#last)
    if (newest === bucketOf(last)) return first
    // Those that a stuck one has kept go a few at a time.
    const keepFrom = Math.min(newest - KEPT_BUCKETS + 1, open[0] ?? newest, first + MAX_PRUNED)
    if (keepFrom <= first) return first
    for (let bucket = first; bucket < keepFrom; bucket++) {
      operations.push({ kind: 'delete', path: bucketPath(bucket), version: -1 })
    }
    return keepFrom
  }
}

export function set(path: MetadataPath, data: Uint8Array, version: number): MetadataOperation {
  return { kind: 'set', path, data, version }
}
