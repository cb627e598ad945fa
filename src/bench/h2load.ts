/**
 * etcd's load: `h2load` (nghttp2) posts one ready-made gRPC message again and again. A gRPC client in Node would be the
 * bottleneck, and would flatter us three- to fourfold.
 *
 * h2load prints no percentiles; its log does: a line for each request, `start time us \t status \t duration us`.
 */
import { assert } from '../base/assert.ts'
import { failedOperation } from './bench-error.ts'
import { percentile } from './statistics.ts'

/** etcd is fastest with some streams on each connection: 10 where the shape has one operation on each. */
const STREAMS_PER_CONNECTION = 10

export interface H2loadRun {
  readonly url: string
  readonly bodyFile: string
  readonly logFile: string
  readonly connections: number
  readonly pipeline: number
  readonly operations: number
}

export function h2loadArguments(run: H2loadRun): string[] {
  const connections = Math.ceil(run.connections / STREAMS_PER_CONNECTION)
  const streams = Math.ceil((run.connections * run.pipeline) / connections)
  return [
    '--threads=1',
    `--clients=${connections}`,
    `--max-concurrent-streams=${streams}`,
    `--requests=${run.operations}`,
    `--data=${run.bodyFile}`,
    `--log-file=${run.logFile}`,
    '--header=content-type: application/grpc',
    '--header=te: trailers',
    run.url,
  ]
}

export interface H2loadSummary {
  readonly seconds: number
  readonly succeeded: number
  /** Of response bodies: tells an empty gRPC error from an answer. */
  readonly dataBytes: number
}

/** Throws BenchError where a request failed, or where the text is not h2load's. */
export function parseH2loadSummary(stdout: string): H2loadSummary {
  const finished = /^finished in ([\d.]+)(us|ms|s),/m.exec(stdout)
  const requests =
    /^requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m.exec(
      stdout,
    )
  const traffic = /^traffic: .* \((\d+)\) data$/m.exec(stdout)
  if (finished === null || requests === null || traffic === null) {
    throw failedOperation(`h2load gave no summary: ${stdout.slice(-500)}`, 'run it by hand: docs/benchmarks.md')
  }
  const [total, succeeded, ...bad] = requests.slice(1).map(Number)
  if (total !== succeeded || bad.some((count) => count > 0)) {
    throw failedOperation(`h2load: ${requests[0]}`, 'see the server’s log')
  }
  return { seconds: Number(finished[1]) * SECONDS_PER[finished[2]], succeeded, dataBytes: Number(traffic[1]) }
}

const SECONDS_PER: Readonly<Record<string, number>> = { s: 1, ms: 1e-3, us: 1e-6 }

/** p50 and p99 of the durations in the log. */
export function parseH2loadLog(log: string): { readonly p50Ms: number; readonly p99Ms: number } {
  const durationsUs = new Float64Array(countLines(log))
  let count = 0
  for (let from = 0; from < log.length; ) {
    const end = log.indexOf('\n', from)
    assert(end !== -1, 'parseH2loadLog: every line is finished')
    durationsUs[count++] = Number(log.slice(log.lastIndexOf('\t', end) + 1, end))
    from = end + 1
  }
  const sorted = durationsUs.subarray(0, count).sort()
  assert(count > 0 && !Number.isNaN(sorted[count - 1]), 'parseH2loadLog: not a log of h2load')
  return { p50Ms: percentile(sorted, 50) / 1000, p99Ms: percentile(sorted, 99) / 1000 }
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++
  return count
}
