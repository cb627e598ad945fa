/**
 * The live log of one replica, in memory, and what of it is on disk.
 *
 *   compaction.index | entries: compaction.index+1 ......................... lastIndex
 *                                     durableIndex      takenIndex
 *                                     (synced)          (handed to the disk by a Ready)
 *
 * Several writes may be under way at once. `persisted` of an older one must never count entries that a newer branch
 * replaced (etcd-io/raft `unstable`, the ABA note in `raft.go`): so a truncation caps what every outstanding write proves.
 */
import { assert } from '../base/assert.ts'
import { asLogIndex, type LogIndex, type Term } from '../base/brand.ts'
import type { CompactionPoint } from '../ports/log.ts'
import type { Entry } from '../protocol/entry.ts'

interface LogWrites {
  readonly truncateFrom: LogIndex | null
  readonly entries: readonly Entry[]
}

interface OutstandingWrite {
  readonly number: number
  /** What is durable once this write is; lowered by truncations that came after it. */
  through: LogIndex
}

const NOTHING: readonly Entry[] = []

export class RaftLog {
  #compaction: CompactionPoint
  #entries: Entry[]
  #bytes = 0
  #takenIndex: LogIndex
  #durableIndex: LogIndex
  #truncateFrom: LogIndex | null = null
  readonly #writes: OutstandingWrite[] = []

  constructor(compaction: CompactionPoint, entries: readonly Entry[]) {
    this.#compaction = compaction
    this.#entries = entries.slice()
    let term = compaction.term
    for (let i = 0; i < entries.length; i++) {
      assert(entries[i].index === compaction.index + 1 + i, 'RaftLog: restored entries have a gap')
      assert(entries[i].term >= term, 'RaftLog: terms fall in the restored log')
      term = entries[i].term
      this.#bytes += entries[i].payload.length
    }
    this.#takenIndex = this.lastIndex
    this.#durableIndex = this.lastIndex
  }

  get compaction(): CompactionPoint {
    return this.#compaction
  }

  get firstIndex(): LogIndex {
    return asLogIndex(this.#compaction.index + 1)
  }

  get lastIndex(): LogIndex {
    return asLogIndex(this.#compaction.index + this.#entries.length)
  }

  get lastTerm(): Term {
    const count = this.#entries.length
    return count === 0 ? this.#compaction.term : this.#entries[count - 1].term
  }

  /** Payload bytes held. */
  get bytes(): number {
    return this.#bytes
  }

  get takenIndex(): LogIndex {
    return this.#takenIndex
  }

  get durableIndex(): LogIndex {
    return this.#durableIndex
  }

  get hasWrites(): boolean {
    return this.#truncateFrom !== null || this.lastIndex > this.#takenIndex
  }

  /** Null where the log does not reach: below the compaction point or above the end. */
  termAt(index: number): Term | null {
    const offset = index - this.#compaction.index
    if (offset === 0) return this.#compaction.term
    return offset < 0 || offset > this.#entries.length ? null : this.#entries[offset - 1].term
  }

  entryAt(index: number): Entry {
    const offset = index - this.#compaction.index
    assert(offset >= 1 && offset <= this.#entries.length, 'RaftLog.entryAt: outside the live log')
    return this.#entries[offset - 1]
  }

  /** Both ends included. */
  slice(from: number, to: number): Entry[] {
    assert(from >= this.firstIndex && to <= this.lastIndex, 'RaftLog.slice: outside the live log')
    return this.#entries.slice(from - this.firstIndex, to - this.#compaction.index)
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'RaftLog.append: index does not follow')
    assert(entry.term >= this.lastTerm, 'RaftLog.append: term falls')
    this.#entries.push(entry)
    this.#bytes += entry.payload.length
  }

  /** Drops the entries from `from` on. */
  truncate(from: LogIndex): void {
    assert(from >= this.firstIndex && from <= this.lastIndex, 'RaftLog.truncate: outside the live log')
    for (let at = from - this.firstIndex; at < this.#entries.length; at++) {
      this.#bytes -= this.#entries[at].payload.length
    }
    this.#entries.length = from - this.firstIndex
    const last = asLogIndex(from - 1)
    if (this.#takenIndex > last) {
      this.#takenIndex = last
      if (this.#truncateFrom === null || from < this.#truncateFrom) this.#truncateFrom = from
    }
    this.#capDurable(last)
  }

  /**
   * The largest index <= `index` whose term is <= `term`: where two logs may still agree (thesis 5.3; etcd-io/raft
   * findConflictByTerm). Below the compaction point all that is known is that it is lower: index compaction - 1, term 0.
   */
  lastIndexUpToTerm(index: number, term: Term): CompactionPoint {
    let low = 0
    let high = Math.min(index, this.lastIndex) - this.#compaction.index
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#entries[middle - 1].term <= term) low = middle
      else high = middle - 1
    }
    const found = this.#compaction.index + Math.min(low, high)
    const foundTerm = this.termAt(found)
    if (foundTerm !== null && foundTerm <= term) return { index: asLogIndex(found), term: foundTerm }
    return { index: asLogIndex(Math.max(0, Math.min(found, this.#compaction.index - 1))), term: 0 as Term }
  }

  /** Forgets the entries up to the point. */
  compact(point: CompactionPoint): void {
    assert(this.termAt(point.index) === point.term, 'RaftLog.compact: the point is not in this log')
    assert(point.index <= this.#takenIndex, 'RaftLog.compact: entries that the disk has not been given')
    this.#dropThrough(point)
  }

  /**
   * Starts again at an image. True: the entries above it stay, because the log holds the image's last entry itself;
   * otherwise nothing in the log is known to follow the image and all of it goes.
   */
  install(point: CompactionPoint, commitBefore: LogIndex): boolean {
    assert(point.index > commitBefore, 'RaftLog.install: the image is not newer')
    if (this.termAt(point.index) === point.term) {
      this.#dropThrough(point)
      if (this.#takenIndex < point.index) this.#takenIndex = point.index
      return true
    }
    this.#entries = []
    this.#bytes = 0
    this.#compaction = point
    this.#takenIndex = point.index
    this.#truncateFrom = null
    this.#capDurable(commitBefore)
    return false
  }

  /** What the next write to disk holds; `persisted(number)` is to follow. */
  takeWrites(number: number, always: boolean): LogWrites {
    if (!this.hasWrites && !always) return { truncateFrom: null, entries: NOTHING }
    const truncateFrom = this.#truncateFrom
    const entries =
      this.lastIndex > this.#takenIndex
        ? this.slice(Math.max(this.#takenIndex + 1, this.firstIndex), this.lastIndex)
        : []
    this.#truncateFrom = null
    this.#takenIndex = this.lastIndex
    this.#writes.push({ number, through: this.lastIndex })
    return { truncateFrom, entries }
  }

  /** All writes up to this number are on disk. */
  persisted(number: number): void {
    let done = 0
    for (const write of this.#writes) {
      if (write.number > number) break
      done++
      if (write.through > this.#durableIndex) this.#durableIndex = write.through
    }
    if (done > 0) this.#writes.splice(0, done)
    assert(this.#durableIndex <= this.lastIndex, 'RaftLog: more durable than written')
  }

  #dropThrough(point: CompactionPoint): void {
    const count = point.index - this.#compaction.index
    for (let i = 0; i < count; i++) this.#bytes -= this.#entries[i].payload.length
    this.#entries.splice(0, count)
    this.#compaction = point
  }

  #capDurable(last: LogIndex): void {
    if (this.#durableIndex > last) this.#durableIndex = last
    for (const write of this.#writes) if (write.through > last) write.through = last
  }
}
