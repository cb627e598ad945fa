/**
 * Reads a log directory and says what it holds. Read-only: what must be written before anything may act on the result
 * (the unproven tail, in a fresh segment) is told, not done.
 *
 * A batch is *proven* once a later good batch exists: batches are written one at a time, each after the sync of the one
 * before, so a later one says that this one was synced. Hence:
 *
 *  - a bad batch with a good one behind it, or before the end that the next segment names, is corruption;
 *  - a bad batch with nothing good behind it is a torn tail, and is cut off;
 *  - the last good batch is the unproven tail: after a failed sync the page cache may show what the disk lacks.
 *
 * A segment counts only once its whole opening is proven. One that does not is set aside, and its predecessor is the newest: up
 * to the end that its opening names if it was a roll (the roll came after the predecessor's last sync); with the
 * tail that it copied if recovery wrote it and its cut is good; else as if it did not exist.
 */
import { DecodeError } from '../base/bytes.ts'
import type { Disk, DiskError } from '../ports/disk.ts'
import { BATCH_CUT, BATCH_DATA, BATCH_OPENING, BLOCK_BYTES, type SegmentEnd } from './format.ts'
import type { WalMutations } from './mutations.ts'
import { closeSegments, type FoundFiles, type OpenSegmentsFailure, openSegments } from './open-segments.ts'
import { decodeRecords, OPENED_BY_RECOVERY, OPENED_FRESH, type OpenedHow } from './records.ts'
import { Replay, ReplayError } from './replay.ts'
import type { ReadBatch, ScanEnd, SegmentReader } from './segment-reader.ts'

export interface RecoveredLog {
  readonly files: FoundFiles
  /** Every proven record applied, and not the tail. */
  readonly replay: Replay
  /** Null: the log holds nothing yet. */
  readonly end: SegmentEnd | null
  /** The segments that hold the log, oldest first. */
  readonly used: readonly SegmentReader[]
  /** Segments in which nothing counts. */
  readonly aside: readonly SegmentReader[]
  /** Payloads of the batches that no mark proves; to be written again before anything acts on them. */
  readonly tail: readonly Uint8Array[]
}

export type RecoveryResult =
  | { readonly kind: 'recovered'; readonly log: RecoveredLog }
  | { readonly kind: 'corrupt'; readonly message: string; readonly replay: Replay }
  | OpenSegmentsFailure

export function recoverLog(
  disk: Disk,
  directory: string,
  mutations: WalMutations,
  keepsHistory: boolean,
  done: (result: RecoveryResult) => void,
): void {
  openSegments(disk, directory, mutations, (opened) => {
    if (opened.kind !== 'opened') {
      done(opened)
      return
    }
    const { files } = opened
    const closeThenDone = (result: RecoveryResult): void => closeSegments([...files.segments], () => done(result))
    new Recovery(files, mutations, new Replay(keepsHistory), closeThenDone).findNewest()
  })
}

interface Opening {
  readonly how: OpenedHow
  readonly predecessor: SegmentEnd
  complete: boolean
  /** A good batch follows the complete opening. */
  proven: boolean
  /** Payloads that recovery copied here, between opening and cut. */
  readonly tail: Uint8Array[]
}

interface UsedSegment {
  readonly reader: SegmentReader
  readonly opening: Opening
  /** Named by the successor; null: the newest, which ends where its good batches end. */
  readonly end: SegmentEnd | null
}

class Recovery {
  readonly #files: FoundFiles
  readonly #mutations: WalMutations
  readonly #replay: Replay
  readonly #done: (result: RecoveryResult) => void
  readonly #aside: SegmentReader[] = []
  /** Newest first while they are found. */
  readonly #used: UsedSegment[] = []
  /** Set where a segment that was set aside fixes what precedes it. */
  #fixedEnd: SegmentEnd | null = null
  #tail: Uint8Array[] = []
  /** A segment set aside shows that its predecessor was synced at least this far. */
  #syncedAtLeast: SegmentEnd | null = null
  #newestNamed = 0
  /** The newest segment that got as far as a whole opening: those after it were only prepared, one after the other. */
  #anchor = 0
  #ended = false

  constructor(files: FoundFiles, mutations: WalMutations, replay: Replay, done: (result: RecoveryResult) => void) {
    this.#files = files
    this.#mutations = mutations
    this.#replay = replay
    this.#done = done
  }

  /** From the newest segment backwards to the first one that counts. */
  findNewest(position = this.#files.segments.length - 1): void {
    if (position < 0) return this.#finish(null)
    const reader = this.#files.segments[position]
    if (this.#fixedEnd !== null && reader.incarnation > this.#fixedEnd.incarnation) {
      this.#aside.push(reader)
      return this.findNewest(position - 1)
    }
    this.#readOpening(reader, (opening) => {
      if (this.#anchor === 0 && opening?.complete) this.#anchor = reader.incarnation
      if (this.#fixedEnd !== null || opening?.proven) {
        if (!opening?.complete) return this.#corrupt(`${reader.file.path}: the opening is damaged`)
        this.#used.push({ reader, opening, end: this.#fixedEnd })
        return this.#findOlder(position)
      }
      this.#aside.push(reader)
      if (opening === null || this.#learnFrom(reader, opening)) this.findNewest(position - 1)
    })
  }

  /** Takes from an opening that does not count what it says of its predecessor. False: corrupt, already said. */
  #learnFrom(reader: SegmentReader, opening: Opening): boolean {
    if (opening.how === OPENED_FRESH) return true
    if (!this.#files.segments.some((older) => older.incarnation === opening.predecessor.incarnation)) {
      // A segment is freed only once its successor's opening is proven, so a proof was here.
      this.#corrupt(`${reader.file.path}: what followed its opening is gone, and so is the segment before it`)
      return false
    }
    if (opening.how === OPENED_BY_RECOVERY && !opening.complete) {
      this.#syncedAtLeast ??= opening.predecessor
      return true
    }
    this.#fixedEnd = opening.predecessor
    this.#tail = opening.tail
    return true
  }

  /** From the newest that counts backwards along the predecessors that the openings name. */
  #findOlder(position: number): void {
    const { reader, opening } = this.#used[this.#used.length - 1]
    if (position === 0) return this.#startReplay()
    if (opening.how === OPENED_FRESH) {
      // Attempts to open a new log that never got so far.
      this.#aside.push(...this.#files.segments.slice(0, position))
      return this.#startReplay()
    }
    const want = opening.predecessor.incarnation
    const at = this.#files.segments.findIndex((segment) => segment.incarnation === want)
    // A recovery goes round half-written segments; they are set aside until its successor has recycled them.
    if (at < 0 || (at !== position - 1 && opening.how !== OPENED_BY_RECOVERY)) {
      return this.#corrupt(`${reader.file.path} follows segment ${want}, which is missing`)
    }
    this.#aside.push(...this.#files.segments.slice(at + 1, position))
    this.#takeOlder(at, opening.predecessor)
  }

  #takeOlder(position: number, end: SegmentEnd): void {
    const reader = this.#files.segments[position]
    this.#readOpening(reader, (opening) => {
      if (opening === null || !opening.complete) return this.#corrupt(`${reader.file.path}: the opening is damaged`)
      this.#used.push({ reader, opening, end })
      this.#findOlder(position)
    })
  }

  /** Gives null where the segment has no good first batch, and none at all. Says itself what is corrupt. */
  #readOpening(reader: SegmentReader, done: (opening: Opening | null) => void): void {
    let opening: Opening | null = null
    const visit = (batch: ReadBatch): boolean => {
      this.#newestNamed = Math.max(this.#newestNamed, batch.header.newestIncarnation)
      if (opening?.complete) {
        opening.proven = true
        return false
      }
      return this.#attempt(() => {
        opening = extendOpening(opening, batch)
      })
    }
    reader.scan(reader.start, reader.segmentBytes, visit, (outcome) => {
      if (outcome.kind === 'error') return this.#failed(outcome.error)
      if (this.#ended) return
      if (outcome.kind !== 'bad') return done(opening)
      // Before an end that a successor has proven, the replay itself finds what is bad.
      if (this.#used.length > 0 || this.#fixedEnd !== null) return done(opening)
      this.#refuseGoodBehind(reader, outcome.end, () => done(opening))
    })
  }

  #refuseGoodBehind(reader: SegmentReader, end: SegmentEnd, torn: () => void): void {
    if (this.#mutations.cutAnywhere) return torn()
    reader.findGoodBatch(end.offset + BLOCK_BYTES, (error, found) => {
      if (error !== null) return this.#failed(error)
      if (found === null) return torn()
      this.#corrupt(
        `${reader.file.path}: bad batch at offset ${end.offset} (after sequence ${end.sequence}), but sequence ${found.sequence} behind it is good`,
      )
    })
  }

  #startReplay(): void {
    this.#used.reverse()
    this.#replaySegment(0)
  }

  #replaySegment(position: number): void {
    const { reader, end } = this.#used[position]
    let pending: ReadBatch | null = null
    let opened = false
    const applyPending = (): void => {
      if (pending !== null) this.#replay.apply(pending.payload, reader.incarnation)
      pending = null
    }
    // One batch behind: whether the last one counts is known only when the scan ends.
    const visit = (batch: ReadBatch): boolean => {
      this.#newestNamed = Math.max(this.#newestNamed, batch.header.newestIncarnation)
      return this.#attempt(() => {
        applyPending()
        if (!opened && batch.header.kind !== BATCH_OPENING) {
          opened = true
          this.#replay.checkOpening()
        }
        pending = batch
      })
    }
    const finish = (outcome: ScanEnd): void => {
      if (outcome.kind === 'error') return this.#failed(outcome.error)
      if (this.#ended) return
      if (end === null) return this.#finishNewest(reader, outcome.end, pending)
      if (!sameEnd(outcome.end, end)) {
        const { offset } = outcome.end
        return this.#corrupt(`${reader.file.path}: good up to offset ${offset}, but synced up to ${end.offset}`)
      }
      const applied = this.#attempt(() => {
        applyPending()
        if (!opened) this.#replay.checkOpening()
      })
      if (!applied) return
      if (position + 1 < this.#used.length) return this.#replaySegment(position + 1)
      this.#finish(end)
    }
    reader.scan(reader.start, end === null ? reader.segmentBytes : end.offset, visit, finish)
  }

  /** The newest segment ends where its good batches end; its last one is the unproven tail. */
  #finishNewest(reader: SegmentReader, end: SegmentEnd, last: ReadBatch | null): void {
    const least = this.#syncedAtLeast
    if (least !== null && (least.incarnation !== reader.incarnation || end.sequence < least.sequence)) {
      return this.#corrupt(
        `${reader.file.path}: good up to sequence ${end.sequence}, but synced up to ${least.sequence}`,
      )
    }
    this.#refuseGoodBehind(reader, end, () => {
      if (last === null) return this.#corrupt(`${reader.file.path}: no good batch`)
      if (last.header.kind === BATCH_DATA) this.#tail = [last.payload]
      const { header } = last
      this.#finish({
        incarnation: reader.incarnation,
        offset: last.offset,
        sequence: header.sequence - 1,
        chain: header.chain,
      })
    })
  }

  #finish(end: SegmentEnd | null): void {
    const missing = this.#missingSegment()
    if (missing !== null) return this.#corrupt(`segment ${missing} was in this directory and is missing`)
    const used = end === null ? [] : this.#used.map((segment) => segment.reader)
    const log = { files: this.#files, replay: this.#replay, end, used, aside: this.#aside, tail: this.#tail }
    this.#done({ kind: 'recovered', log })
  }

  /**
   * A segment that vanished from the end of the log would leave no other trace. Each batch tells how far segments had
   * been named, and segments are named one after the other: above the anchor none has ever been recycled.
   */
  #missingSegment(): number | null {
    const { segments, highestIncarnation } = this.#files
    for (let incarnation = this.#anchor + 1; incarnation <= highestIncarnation; incarnation++) {
      if (!segments.some((segment) => segment.incarnation === incarnation)) return incarnation
    }
    return this.#newestNamed > highestIncarnation ? this.#newestNamed : null
  }

  /** False where the replay refused, which has been reported then. */
  #attempt(step: () => void): boolean {
    try {
      step()
      return !this.#ended
    } catch (error) {
      if (!(error instanceof ReplayError || error instanceof DecodeError)) throw error
      this.#corrupt(error.message)
      return false
    }
  }

  #corrupt(message: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#done({ kind: 'corrupt', message: `the log is damaged: ${message}`, replay: this.#replay })
  }

  #failed(error: DiskError): void {
    this.#ended = true
    this.#done({ kind: 'failed', message: `the log cannot be read: ${error.message}` })
  }
}

/** Throws DecodeError where the batch cannot stand at this place of an opening. */
function extendOpening(opening: Opening | null, batch: ReadBatch): Opening {
  const { kind } = batch.header
  if (opening === null || kind === BATCH_OPENING) {
    let next = opening
    decodeRecords(batch.payload, (record) => {
      if (record.kind !== 'opening') return
      const { how, predecessor, lastPart } = record
      next ??= { how, predecessor, complete: false, proven: false, tail: [] }
      if (lastPart && how !== OPENED_BY_RECOVERY) next.complete = true
    })
    if (next === null) throw new DecodeError('a segment begins without an opening')
    return next
  }
  if (kind === BATCH_CUT) opening.complete = true
  else if (kind === BATCH_DATA) opening.tail.push(batch.payload)
  return opening
}

function sameEnd(a: SegmentEnd, b: SegmentEnd): boolean {
  return a.offset === b.offset && a.sequence === b.sequence && a.chain === b.chain
}
