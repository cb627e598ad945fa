/**
 * Rebuilds every group from the log's records, in log order. What does not fit (a gap, an unknown group, an opening that
 * contradicts what came before) is a ReplayError: the bytes are whole, but the log is not what was written.
 */
import { AssertionError } from '../base/assert.ts'
import type { GroupId } from '../base/brand.ts'
import { DecodeError } from '../base/bytes.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import type { Entry } from '../protocol/entry.ts'
import { GroupTrack } from './group-track.ts'
import { decodeRecords, type GroupSummary, type WalRecord } from './records.ts'

export class ReplayError extends Error {
  override readonly name = 'ReplayError'
}

class ReplayGroup {
  readonly track: GroupTrack
  /** By index; gaps are entries whose segment has gone and that later records drop or copy. */
  readonly entries = new Map<number, Entry>()

  constructor(track: GroupTrack) {
    this.track = track
  }
}

export class Replay {
  readonly #groups = new Map<GroupId, ReplayGroup>()
  readonly #keepsHistory: boolean
  #adoptsGroups = true
  #groupsInOpening = 0

  /** `keepsHistory`: entries at or below the compaction point stay, for the dump. */
  constructor(keepsHistory = false) {
    this.#keepsHistory = keepsHistory
  }

  /** Throws ReplayError. `segment` is where the batch lies. */
  apply(payload: Uint8Array, segment: number): void {
    try {
      decodeRecords(payload, (record) => this.#applyRecord(record, segment))
    } catch (error) {
      if (error instanceof DecodeError || error instanceof AssertionError) throw new ReplayError(error.message)
      throw error
    }
  }

  tracks(): Map<GroupId, GroupTrack> {
    return new Map([...this.#groups].map(([group, state]) => [group, state.track]))
  }

  /** Every group with all its live entries, in order of group id. Throws ReplayError where entries are missing. */
  finish(): RecoveredGroup[] {
    const ordered = [...this.#groups.values()].sort((a, b) => a.track.group - b.track.group)
    return ordered.map((state) => {
      const { group, replicaId, hardState, compaction, baseDirectory, last } = state.track
      const entries: Entry[] = []
      for (let index = compaction.index + 1; index <= last.index; index++) {
        const entry = state.entries.get(index)
        if (entry === undefined) throw new ReplayError(`group ${group}: entry ${index} is in no segment`)
        // A copy: a view would keep the whole window of the segment in memory.
        entries.push({ ...entry, payload: entry.payload.slice() })
      }
      state.entries.clear()
      state.track.rebuildTerms(entries)
      return { group, replicaId, hardState, compaction, baseDirectory, entries }
    })
  }

  /** For the dump: what there is, gaps and history included. */
  *history(): Generator<{ readonly summary: GroupSummary; readonly entries: readonly Entry[] }> {
    for (const state of [...this.#groups.values()].sort((a, b) => a.track.group - b.track.group)) {
      const entries = [...state.entries.values()].sort((a, b) => a.index - b.index)
      yield { summary: state.track.summary(), entries }
    }
  }

  #applyRecord(record: WalRecord, segment: number): void {
    switch (record.kind) {
      case 'opening':
        return this.#applyOpening(record)
      case 'group':
        return this.#applySummary(record.summary)
      case 'cut':
        return
      case 'replica':
        if (this.#groups.has(record.group)) throw new ReplayError(`group ${record.group} is created twice`)
        this.#groups.set(record.group, new ReplayGroup(new GroupTrack(record.group, record.replicaId)))
        return
      case 'forget':
        this.#groupOf(record.group)
        this.#groups.delete(record.group)
        return
      default:
        this.#applyToGroup(this.#groupOf(record.group), record, segment)
    }
  }

  #applyToGroup(
    state: ReplayGroup,
    record: Exclude<WalRecord, { kind: 'opening' | 'group' | 'cut' | 'replica' | 'forget' }>,
    segment: number,
  ): void {
    const { track, entries } = state
    switch (record.kind) {
      case 'hardState':
        track.hardState = record.hardState
        return
      case 'truncation':
        this.#drop(entries, record.from, track.last.index)
        track.truncateFrom(record.from)
        return
      case 'baseSwitch': {
        const formerLast = track.last.index
        track.switchBase(record.directory, record.point, record.keepsSuffix)
        if (!record.keepsSuffix) this.#drop(entries, record.point.index + 1, formerLast)
        this.#compact(state)
        return
      }
      case 'compaction':
        track.compact(record.point)
        this.#compact(state)
        return
      case 'entries':
        if (record.entries.length === 0) return
        this.#drop(entries, record.entries[0].index, track.last.index)
        track.place(record.entries, 0, record.entries.length, segment, payloadBytes(record.entries))
        for (const entry of record.entries) entries.set(entry.index, entry)
        return
      case 'copy':
        for (const entry of record.entries) entries.set(entry.index, entry)
        track.relocate(
          record.entries[0].index,
          record.entries[record.entries.length - 1].index,
          segment,
          payloadBytes(record.entries),
        )
    }
  }

  #groupOf(group: GroupId): ReplayGroup {
    const state = this.#groups.get(group)
    if (state === undefined) throw new ReplayError(`group ${group} is not on this node`)
    return state
  }

  #drop(entries: Map<number, Entry>, from: number, to: number): void {
    for (let index = from; index <= to; index++) entries.delete(index)
  }

  #compact(state: ReplayGroup): void {
    if (this.#keepsHistory) return
    for (const index of state.entries.keys()) if (index <= state.track.compaction.index) state.entries.delete(index)
  }

  /** The oldest segment's opening tells the state; each later one must agree with what the records made of it. */
  #applyOpening(record: Extract<WalRecord, { kind: 'opening' }>): void {
    this.#groupsInOpening = record.groupCount
  }

  #applySummary(summary: GroupSummary): void {
    const state = this.#groups.get(summary.group)
    if (state === undefined) {
      if (!this.#adoptsGroups) throw new ReplayError(`group ${summary.group} appears from nowhere in an opening`)
      const track = new GroupTrack(summary.group, summary.replicaId)
      track.restore(summary)
      this.#groups.set(summary.group, new ReplayGroup(track))
      return
    }
    const track = state.track
    // After a cut into a gap the replay does not know the term of the last entry; the opening does.
    if (track.last.term === 0 && track.last.index === summary.last.index) track.last = summary.last
    if (!sameSummary(track.summary(), summary)) {
      throw new ReplayError(`group ${summary.group}: an opening contradicts the records before it`)
    }
  }

  /** Called once an opening has been applied whole. Throws ReplayError. */
  checkOpening(): void {
    this.#adoptsGroups = false
    if (this.#groups.size !== this.#groupsInOpening) {
      throw new ReplayError(`an opening names ${this.#groupsInOpening} groups, the records ${this.#groups.size}`)
    }
  }
}

function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0
  for (const entry of entries) bytes += entry.payload.length
  return bytes
}

function sameSummary(a: GroupSummary, b: GroupSummary): boolean {
  return (
    a.replicaId === b.replicaId &&
    a.hardState.term === b.hardState.term &&
    a.hardState.votedFor === b.hardState.votedFor &&
    a.hardState.commit === b.hardState.commit &&
    a.compaction.index === b.compaction.index &&
    a.compaction.term === b.compaction.term &&
    a.baseDirectory === b.baseDirectory &&
    a.last.index === b.last.index &&
    a.last.term === b.last.term
  )
}
