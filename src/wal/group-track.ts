/**
 * What the log knows of one group at a point of the log: its hard state and compaction point, the terms of its live
 * entries, and which segment holds which of them. The same object follows the log while it is written and while recovery
 * replays it, so that both read a record in the same way.
 */
import { assert } from '../base/assert.ts'
import {
  asLogIndex,
  asReplicaId,
  asTerm,
  type GroupId,
  type LogIndex,
  type ReplicaId,
  type Term,
} from '../base/brand.ts'
import type { CompactionPoint, HardState } from '../ports/log.ts'
import type { Entry } from '../protocol/entry.ts'
import type { GroupSummary } from './records.ts'

/** Live entries [first, last] that lie in one segment. `bytes` is an estimate once a part of the run has gone. */
export interface LiveRun {
  readonly first: number
  readonly last: number
  readonly segment: number
  readonly bytes: number
}

interface TermStart {
  readonly first: number
  readonly term: Term
}

const NOTHING: CompactionPoint = { index: asLogIndex(0), term: asTerm(0) }

export class GroupTrack {
  readonly group: GroupId
  readonly replicaId: ReplicaId
  hardState: HardState = { term: asTerm(0), votedFor: asReplicaId(0), commit: asLogIndex(0) }
  compaction: CompactionPoint = NOTHING
  baseDirectory = 0
  last: CompactionPoint = NOTHING
  /** Ascending, disjoint; while recovery replays there may be gaps (entries whose segment has gone, as later records show why). */
  #runs: LiveRun[] = []
  #terms: TermStart[] = []

  constructor(group: GroupId, replicaId: ReplicaId) {
    this.group = group
    this.replicaId = replicaId
  }

  get runs(): readonly LiveRun[] {
    return this.#runs
  }

  summary(): GroupSummary {
    const { group, replicaId, hardState, compaction, baseDirectory, last } = this
    return { group, replicaId, hardState, compaction, baseDirectory, last }
  }

  /** Takes over what the oldest segment's opening says. */
  restore(summary: GroupSummary): void {
    this.hardState = summary.hardState
    this.compaction = summary.compaction
    this.baseDirectory = summary.baseDirectory
    this.last = summary.last
  }

  /** Null where the log does not hold the index, nor stands right behind it. */
  termAt(index: number): Term | null {
    if (index === this.compaction.index) return this.compaction.term
    if (index < this.compaction.index || index > this.last.index) return null
    for (let i = this.#terms.length - 1; i >= 0; i--) if (this.#terms[i].first <= index) return this.#terms[i].term
    return null
  }

  /** Entries[from, to) now lie in the segment, replacing all that the log had from the first of them on. */
  place(entries: readonly Entry[], from: number, to: number, segment: number, bytes: number): void {
    const first = entries[from].index
    const last = entries[to - 1]
    assert(first > this.compaction.index, `group ${this.group}: entry ${first} lies below the compaction point`)
    assert(first <= this.last.index + 1, `group ${this.group}: entry ${first} leaves a gap after ${this.last.index}`)
    if (first <= this.last.index) this.truncateFrom(first)
    const previous = this.#runs.at(-1)
    if (previous !== undefined && previous.segment === segment && previous.last === first - 1) {
      this.#runs[this.#runs.length - 1] = { ...previous, last: last.index, bytes: previous.bytes + bytes }
    } else {
      this.#runs.push({ first, last: last.index, segment, bytes })
    }
    if (this.#terms.at(-1)?.term !== last.term || this.#terms.length === 0) this.#addTerms(entries, from, to)
    this.last = { index: last.index, term: last.term }
  }

  /** The same entries once more, in another segment. */
  relocate(first: number, last: number, segment: number, bytes: number): void {
    assert(
      first > this.compaction.index && last <= this.last.index,
      `group ${this.group}: a copy of entries that are gone`,
    )
    this.#removeRange(first, last)
    this.#runs.push({ first, last, segment, bytes })
    this.#runs.sort((a, b) => a.first - b.first)
  }

  truncateFrom(from: LogIndex): void {
    assert(
      from > this.compaction.index,
      `group ${this.group}: truncation at ${from} reaches below the compaction point`,
    )
    if (from > this.last.index) return
    this.#removeRange(from, this.last.index)
    const index = asLogIndex(from - 1)
    // While recovery replays over a gap the term may be unknown: rebuildTerms sets it right.
    const term = this.termAt(index) ?? asTerm(0)
    this.last = { index, term }
    while (this.#terms.length > 0 && this.#terms[this.#terms.length - 1].first >= from) this.#terms.pop()
  }

  /** Entries up to the point may go; a point beyond the log's end drops it whole. */
  compact(point: CompactionPoint): void {
    assert(point.index >= this.compaction.index, `group ${this.group}: compaction runs backwards to ${point.index}`)
    this.#removeRange(0, point.index)
    this.compaction = point
    if (point.index >= this.last.index) {
      this.last = point
      this.#terms = []
      return
    }
    while (this.#terms.length > 1 && this.#terms[1].first <= point.index + 1) this.#terms.shift()
  }

  /** True where the entries behind the point agree with it (the paper's section 7: the suffix is kept only then). */
  keepsSuffix(point: CompactionPoint): boolean {
    return this.termAt(point.index) === point.term
  }

  switchBase(directory: number, point: CompactionPoint, keepsSuffix: boolean): void {
    this.baseDirectory = directory
    if (!keepsSuffix) {
      this.#runs = []
      this.#terms = []
      this.last = point
    }
    this.compact(point)
  }

  /** After recovery: the terms as the entries, now complete, have them. */
  rebuildTerms(entries: readonly Entry[]): void {
    this.#terms = []
    if (entries.length === 0) return
    this.#addTerms(entries, 0, entries.length)
    const last = entries[entries.length - 1]
    this.last = { index: last.index, term: last.term }
  }

  #addTerms(entries: readonly Entry[], from: number, to: number): void {
    let term = this.#terms.at(-1)?.term
    for (let i = from; i < to; i++) {
      if (entries[i].term === term) continue
      term = entries[i].term
      this.#terms.push({ first: entries[i].index, term })
    }
  }

  #removeRange(first: number, last: number): void {
    if (this.#runs.length === 0 || last < first) return
    const kept: LiveRun[] = []
    for (const run of this.#runs) {
      if (run.last < first || run.first > last) {
        kept.push(run)
        continue
      }
      if (run.first < first) kept.push(part(run, run.first, first - 1))
      if (run.last > last) kept.push(part(run, last + 1, run.last))
    }
    this.#runs = kept
  }
}

function part(run: LiveRun, first: number, last: number): LiveRun {
  const share = (last - first + 1) / (run.last - run.first + 1)
  return { first, last, segment: run.segment, bytes: Math.ceil(run.bytes * share) }
}
