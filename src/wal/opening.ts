/**
 * Opens a log directory for writing: recovers what it holds, then writes a fresh segment before anything acts on it: every group's
 * state as of the proven end, the unproven tail again (after a failed sync the page cache can show data that the disk
 * lacks), and a CUT that names the old segment's proven end. Bytes behind that end count no more once the CUT is
 * valid; without it the fresh segment is discarded and the old tail is used.
 */
import { BytesWriter } from '../base/bytes.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import type { Logger } from '../ports/logger.ts'
import { BATCH_CUT, BATCH_DATA, BATCH_HEADER_BYTES, BATCH_OPENING, type BatchKind, type SegmentEnd } from './format.ts'
import { maxBatchBytesOf } from './gathering.ts'
import { LiveGroups } from './live-groups.ts'
import { NO_WAL_MUTATIONS } from './mutations.ts'
import { OPENED_BY_RECOVERY, OPENED_FRESH, writeCut } from './records.ts'
import { type RecoveredLog, recoverLog } from './recovery.ts'
import { ReplayError } from './replay.ts'
import { SegmentAppender } from './segment-appender.ts'
import { SegmentPool } from './segment-pool.ts'
import type { LogParts, WalOptions } from './write-ahead-log.ts'

export type OpenLogFilesResult =
  | { readonly kind: 'opened'; readonly parts: LogParts; readonly groups: readonly RecoveredGroup[] }
  | { readonly kind: 'corrupt' | 'newer-format' | 'failed'; readonly message: string }

/** `fail` serves for good: while the log opens, and for its files later. */
export function openLogFiles(
  disk: Disk,
  clock: Clock,
  logger: Logger,
  options: WalOptions,
  fail: (message: string) => void,
  done: (result: OpenLogFilesResult) => void,
): void {
  recoverLog(disk, options.directory, options.mutations ?? NO_WAL_MUTATIONS, false, (result) => {
    switch (result.kind) {
      case 'corrupt':
      case 'damaged-header':
        done({ kind: 'corrupt', message: result.message })
        return
      case 'recovered':
        ensureDirectory(disk, options.directory, result.log.files.directoryExists, fail, () => {
          new Rewrite(disk, clock, logger, options, result.log, fail, done).begin()
        })
        return
      default:
        done(result)
    }
  })
}

function ensureDirectory(
  disk: Disk,
  directory: string,
  exists: boolean,
  fail: (message: string) => void,
  done: () => void,
): void {
  if (exists) {
    done()
    return
  }
  const parent = directory.slice(0, Math.max(1, directory.lastIndexOf('/'))) || '.'
  disk.makeDirectory(directory, (error) => {
    if (error !== null) {
      fail(error.message)
      return
    }
    disk.syncDirectory(directory.includes('/') ? parent : '.', (syncError) => {
      if (syncError !== null) fail(syncError.message)
      else done()
    })
  })
}

interface OpeningBatch {
  readonly kind: BatchKind
  readonly writer: BytesWriter
}

class Rewrite {
  readonly #options: WalOptions
  readonly #log: RecoveredLog
  readonly #fail: (message: string) => void
  readonly #done: (result: OpenLogFilesResult) => void
  readonly #pool: SegmentPool
  readonly #appender: SegmentAppender
  readonly #maxBatchBytes: number

  constructor(
    disk: Disk,
    clock: Clock,
    logger: Logger,
    options: WalOptions,
    log: RecoveredLog,
    fail: (message: string) => void,
    done: (result: OpenLogFilesResult) => void,
  ) {
    this.#options = options
    this.#log = log
    this.#fail = fail
    this.#done = done
    this.#maxBatchBytes = maxBatchBytesOf(options)
    const { directory, segmentBytes, spareSegments } = options
    const { highestIncarnation, spareNumbers, unfinishedNumbers } = log.files
    const logId = log.files.logId ?? options.logId
    const files = { directory, segmentBytes, spareSegments, logId, highestIncarnation, spareNumbers, unfinishedNumbers }
    this.#pool = new SegmentPool(disk, clock, logger, files, fail)
    this.#appender = new SegmentAppender(segmentBytes, logId, log.end, options.mutations ?? NO_WAL_MUTATIONS, fail)
  }

  begin(): void {
    this.#pool.take((segment) => {
      this.#appender.openSegment(segment)
      const batches = this.#batches()
      const recovered = this.#applyTail()
      if (recovered !== null) this.#writeFrom(batches, 0, recovered)
    })
  }

  #batches(): OpeningBatch[] {
    const { end, replay, tail } = this.#log
    const how = end === null ? OPENED_FRESH : OPENED_BY_RECOVERY
    const predecessor: SegmentEnd = end ?? { incarnation: 0, offset: 0, sequence: 0, chain: 0 }
    const states = new LiveGroups(replay.tracks())
    const batches = states
      .openingBatches(how, predecessor, this.#maxBatchBytes, buffer)
      .map((writer): OpeningBatch => ({ kind: BATCH_OPENING, writer }))
    if (end === null) return batches
    for (const payload of tail) {
      const writer = buffer()
      writer.raw(payload)
      batches.push({ kind: BATCH_DATA, writer })
    }
    const writer = buffer()
    writeCut(writer, predecessor)
    batches.push({ kind: BATCH_CUT, writer })
    return batches
  }

  /** Everything is checked before anything is written. Null: corrupt, already said. */
  #applyTail(): readonly RecoveredGroup[] | null {
    const { replay, tail } = this.#log
    try {
      for (const payload of tail) replay.apply(payload, this.#appender.incarnation)
      return replay.finish()
    } catch (error) {
      if (!(error instanceof ReplayError)) throw error
      this.#pool.halt()
      this.#done({ kind: 'corrupt', message: `the log is damaged: ${error.message}` })
      return null
    }
  }

  #writeFrom(batches: readonly OpeningBatch[], position: number, recovered: readonly RecoveredGroup[]): void {
    if (position === batches.length) {
      this.#finish(recovered)
      return
    }
    const { kind, writer } = batches[position]
    if (!this.#appender.fits(writer.length - BATCH_HEADER_BYTES)) {
      const { directory, segmentBytes } = this.#options
      this.#pool.halt()
      this.#fail(`${directory}: segments of ${segmentBytes} bytes are too small for what the log holds`)
      return
    }
    const next = (): void => this.#writeFrom(batches, position + 1, recovered)
    this.#appender.write(kind, writer, this.#pool.newestIncarnation, next)
  }

  #finish(recovered: readonly RecoveredGroup[]): void {
    const { replay, used, aside } = this.#log
    this.#pool.waitsForSpace = true
    for (const reader of [...aside].sort((a, b) => a.incarnation - b.incarnation)) {
      this.#pool.recycle(reader.incarnation, reader.segmentBytes)
    }
    const segments = used.map(({ incarnation, segmentBytes }) => ({ incarnation, segmentBytes }))
    const groups = new LiveGroups(replay.tracks())
    this.#done({
      kind: 'opened',
      parts: { pool: this.#pool, appender: this.#appender, groups, segments },
      groups: recovered,
    })
  }
}

function buffer(): BytesWriter {
  const writer = new BytesWriter(4096)
  writer.reserve(BATCH_HEADER_BYTES)
  return writer
}
