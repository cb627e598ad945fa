/**
 * All groups of the log as of the last batch that went out: takes in what each batch changes, says which segments are still
 * needed, writes the groups' states for a segment's opening, and copies live ranges out of old segments.
 */
import { assert, present } from '../base/assert.ts'
import { asLogIndex, type GroupId } from '../base/brand.ts'
import type { BytesWriter } from '../base/bytes.ts'
import type { LiveEntries } from '../ports/log.ts'
import { encodedEntryBytes } from '../protocol/entry.ts'
import { BATCH_HEADER_BYTES, type SegmentEnd } from './format.ts'
import type { GatheredBatch, GatheredChange } from './gathering.ts'
import { GroupTrack, type LiveRun } from './group-track.ts'
import {
  ENTRIES_RECORD_OVERHEAD_BYTES,
  entriesThatFit,
  type OpenedHow,
  SMALL_RECORD_MAX_BYTES,
  writeEntries,
  writeGroup,
  writeOpening,
} from './records.ts'

/** The design's bound for one copied record (a single larger entry goes alone). */
export const COPY_RECORD_MAX_BYTES = 1024 * 1024

export interface CopiedRange {
  readonly group: GroupId
  readonly first: number
  readonly last: number
  readonly bytes: number
}

export class LiveGroups {
  readonly #tracks: Map<GroupId, GroupTrack>

  constructor(tracks: Map<GroupId, GroupTrack>) {
    this.#tracks = tracks
  }

  /** Takes in what the batch changes, in order, now that its segment is known. */
  apply(batch: GatheredBatch, segment: number): void {
    for (const change of batch.changes) this.#applyChange(change, batch.writer, segment)
  }

  #applyChange(change: GatheredChange, writer: BytesWriter, segment: number): void {
    if (change.kind === 'forget') {
      assert(this.#tracks.delete(change.group), `group ${change.group} is not in the log`)
      return
    }
    const { write } = change
    if (change.kind === 'state' && write.replicaId !== undefined) {
      assert(!this.#tracks.has(write.group), `group ${write.group} is in the log already`)
      this.#tracks.set(write.group, new GroupTrack(write.group, write.replicaId))
    }
    const track = present(this.#tracks.get(write.group), `group ${write.group} is not in the log`)
    if (change.kind === 'entries') {
      track.place(
        present(write.entries, 'a change of entries without entries'),
        change.from,
        change.to,
        segment,
        change.bytes,
      )
      return
    }
    if (write.hardState !== undefined) track.hardState = write.hardState
    if (write.truncateFrom !== undefined) track.truncateFrom(write.truncateFrom)
    if (write.base !== undefined) {
      const keepsSuffix = track.keepsSuffix(write.base.point)
      writer.bytes[change.suffixFlagAt] = keepsSuffix ? 1 : 0
      track.switchBase(write.base.directory, write.base.point, keepsSuffix)
    }
    if (write.compaction !== undefined) track.compact(write.compaction)
  }

  /** Live bytes that lie in the segment, about; -1: nothing lives there. */
  liveBytes(segment: number): number {
    let bytes = -1
    for (const track of this.#tracks.values()) {
      for (const run of track.runs) if (run.segment === segment) bytes = Math.max(bytes, 0) + run.bytes
    }
    return bytes
  }

  allLiveBytes(): number {
    let bytes = 0
    for (const track of this.#tracks.values()) for (const run of track.runs) bytes += run.bytes
    return bytes
  }

  /** The groups whose entries live in the segment. */
  pinning(segment: number): GroupId[] {
    const groups: GroupId[] = []
    for (const track of this.#tracks.values()) {
      if (track.runs.some((run) => run.segment === segment)) groups.push(track.group)
    }
    return groups
  }

  /** Every group's state as opening batches of at most `maxBatchBytes`; at least one. */
  openingBatches(
    how: OpenedHow,
    predecessor: SegmentEnd,
    maxBatchBytes: number,
    buffer: () => BytesWriter,
  ): BytesWriter[] {
    const tracks = [...this.#tracks.values()]
    const perBatch = Math.max(1, Math.floor(maxBatchBytes / SMALL_RECORD_MAX_BYTES) - 1)
    const batches: BytesWriter[] = []
    for (let at = 0; at === 0 || at < tracks.length; at += perBatch) {
      const writer = buffer()
      writeOpening(writer, how, at + perBatch >= tracks.length, tracks.length, predecessor)
      for (const track of tracks.slice(at, at + perBatch)) writeGroup(writer, track.summary())
      batches.push(writer)
    }
    return batches
  }

  /**
   * Copies live entries of the segment into the writer, about `maxBytes` of them, in records of at most
   * COPY_RECORD_MAX_BYTES; `relocate` must follow once they go out. The owner may be ahead of the log (it has truncated
   * or compacted, and the record of that is yet to be written): only entries whose term is the log's own are the same entries.
   */
  copyForward(segment: number, liveEntries: LiveEntries, maxBytes: number, writer: BytesWriter): CopiedRange[] {
    const copied: CopiedRange[] = []
    for (const track of this.#tracks.values()) {
      for (const run of track.runs) {
        if (run.segment !== segment) continue
        const room = Math.min(COPY_RECORD_MAX_BYTES, maxBytes - (writer.length - BATCH_HEADER_BYTES))
        if (room < SMALL_RECORD_MAX_BYTES && copied.length > 0) return copied
        const range = copyRun(track, run, liveEntries, room, writer, copied.length === 0)
        if (range !== null) copied.push(range)
      }
    }
    return copied
  }

  relocate(copied: CopiedRange, segment: number): void {
    const track = present(this.#tracks.get(copied.group), `group ${copied.group} is not in the log`)
    track.relocate(copied.first, copied.last, segment, copied.bytes)
  }
}

/** `alone`: nothing else is in the batch yet, so even an entry that is larger than the room goes into it. */
function copyRun(
  track: GroupTrack,
  run: LiveRun,
  liveEntries: LiveEntries,
  room: number,
  writer: BytesWriter,
  alone: boolean,
): CopiedRange | null {
  const offered = liveEntries(track.group, asLogIndex(run.first), asLogIndex(run.last))
  const start = offered.findIndex((entry) => entry.index >= run.first)
  if (start < 0) return null
  const needed = ENTRIES_RECORD_OVERHEAD_BYTES + encodedEntryBytes(offered[start])
  if (!alone && needed > room) return null
  const to = entriesThatFit(offered, start, room)
  let end = start
  while (end < to && offered[end].index <= run.last && track.termAt(offered[end].index) === offered[end].term) end++
  if (end === start) return null
  const before = writer.length
  writeEntries(writer, 'copy', track.group, offered, start, end)
  const bytes = writer.length - before
  return { group: track.group, first: offered[start].index, last: offered[end - 1].index, bytes }
}
