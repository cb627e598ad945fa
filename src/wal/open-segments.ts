/** Lists a log directory, opens its segments for reading and checks their headers. */
import type { Disk, DiskFile } from '../ports/disk.ts'
import { BLOCK_BYTES, decodeSegmentHeader, FORMAT_VERSION, parseFileName } from './format.ts'
import type { WalMutations } from './mutations.ts'
import { SegmentReader } from './segment-reader.ts'

export interface FoundFiles {
  /** False: the directory itself is missing. */
  readonly directoryExists: boolean
  /** Ascending incarnations. */
  readonly segments: readonly SegmentReader[]
  readonly spareNumbers: readonly number[]
  readonly unfinishedNumbers: readonly number[]
  readonly highestIncarnation: number
  /** Null where there are no segments. */
  readonly logId: number | null
}

export type OpenSegmentsFailure =
  | { readonly kind: 'damaged-header'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'newer-format'; readonly message: string }

export function openSegments(
  disk: Disk,
  directory: string,
  mutations: WalMutations,
  done: (result: { readonly kind: 'opened'; readonly files: FoundFiles } | OpenSegmentsFailure) => void,
): void {
  disk.list(directory, (error, names) => {
    if (error !== null && error.code !== 'not-found') {
      return done({ kind: 'failed', message: `the log cannot be read: ${error.message}` })
    }
    const directoryExists = error === null
    const spareNumbers: number[] = []
    const unfinishedNumbers: number[] = []
    const incarnations = new Map<string, number>()
    for (const name of directoryExists ? names : []) {
      const parsed = parseFileName(name)
      if (parsed?.kind === 'spare') spareNumbers.push(parsed.number)
      else if (parsed?.kind === 'unfinished') unfinishedNumbers.push(parsed.number)
      else if (parsed?.kind === 'segment') incarnations.set(name, parsed.incarnation)
    }
    const ordered = [...incarnations].sort((a, b) => a[1] - b[1])
    openEach(disk, directory, mutations, ordered, (result) => {
      if (result.kind !== 'opened') return done(result)
      const { segments, logId } = result
      const highestIncarnation = segments.at(-1)?.incarnation ?? 0
      const files = { directoryExists, segments, spareNumbers, unfinishedNumbers, highestIncarnation, logId }
      done({ kind: 'opened', files })
    })
  })
}

/** One after the other; whether a file that was only read closes well changes nothing. */
export function closeSegments(segments: SegmentReader[], done: () => void): void {
  const segment = segments.pop()
  if (segment === undefined) done()
  else segment.file.close(() => closeSegments(segments, done))
}

type OpenedEach = { readonly kind: 'opened'; readonly segments: SegmentReader[]; readonly logId: number | null }

function openEach(
  disk: Disk,
  directory: string,
  mutations: WalMutations,
  names: readonly (readonly [string, number])[],
  done: (result: OpenedEach | OpenSegmentsFailure) => void,
): void {
  const segments: SegmentReader[] = []
  let logId: number | null = null
  const openNext = (): void => {
    const next = names[segments.length]
    if (next === undefined) return done({ kind: 'opened', segments, logId })
    openOne(disk, `${directory}/${next[0]}`, next[1], (result) => {
      if (result.kind !== 'header') return done(result)
      if (logId !== null && logId !== result.logId) {
        const message = `the log is damaged: ${result.file.path} belongs to another log`
        return done({ kind: 'damaged-header', message })
      }
      logId = result.logId
      const { incarnation, segmentBytes } = result
      segments.push(
        new SegmentReader(result.file, { version: FORMAT_VERSION, incarnation, segmentBytes, logId }, mutations),
      )
      openNext()
    })
  }
  openNext()
}

interface OpenedHeader {
  readonly kind: 'header'
  readonly file: DiskFile
  readonly incarnation: number
  readonly segmentBytes: number
  readonly logId: number
}

function openOne(
  disk: Disk,
  path: string,
  incarnation: number,
  done: (result: OpenedHeader | OpenSegmentsFailure) => void,
): void {
  const failed = (message: string): void => done({ kind: 'failed', message: `the log cannot be read: ${message}` })
  const damaged = (why: string): void =>
    done({ kind: 'damaged-header', message: `the log is damaged: ${path}: ${why}` })
  disk.open(path, 'read', (openError, file) => {
    if (openError !== null || file === null) return failed(openError?.message ?? `${path}: open gave no file`)
    file.size((sizeError, sizeBytes) => {
      if (sizeError !== null) return failed(sizeError.message)
      file.read(0, Math.min(BLOCK_BYTES, sizeBytes), (readError, bytes) => {
        if (readError !== null) return failed(readError.message)
        const header = decodeSegmentHeader(bytes)
        if (header === null) return damaged('the header block is bad')
        if (header.version > FORMAT_VERSION) {
          const message = `${path} has log format ${header.version}; this program knows up to ${FORMAT_VERSION}: use a newer one`
          return done({ kind: 'newer-format', message })
        }
        // Header, size and name were made durable, in this order, before the first batch.
        if (header.incarnation !== incarnation) return damaged(`the header says incarnation ${header.incarnation}`)
        if (sizeBytes < header.segmentBytes) return damaged(`${sizeBytes} bytes instead of ${header.segmentBytes}`)
        done({ kind: 'header', file, incarnation, segmentBytes: header.segmentBytes, logId: header.logId })
      })
    })
  })
}
