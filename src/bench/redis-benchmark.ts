/** The load on everything that speaks RESP: `redis-benchmark`. It ends at once, with code 1, on any error reply. */
import { failedOperation } from './bench-error.ts'
import { KEY_COUNT, type LoadShape, VALUE_BYTES } from './scenarios.ts'
import type { LoadResult } from './system.ts'

export function redisBenchmarkArguments(host: string, port: number, shape: LoadShape, operations: number): string[] {
  const words = [
    '-h',
    host,
    '-p',
    `${port}`,
    '-t',
    shape.operation,
    '-n',
    `${operations}`,
    '-c',
    `${shape.connections}`,
  ]
  return [...words, '-P', `${shape.pipeline}`, '-d', `${VALUE_BYTES}`, '-r', `${KEY_COUNT}`, '--csv']
}

/** A line of column names, a line of figures; the operations are what was asked for, as the program does no less. */
export function parseRedisBenchmark(stdout: string, operations: number): LoadResult {
  const lines = stdout.split('\n').filter((line) => line.startsWith('"'))
  const names = cells(lines[0] ?? '')
  const figures = cells(lines[1] ?? '')
  const figure = (name: string): number => Number(figures[names.indexOf(name)])
  const [rate, p50Ms, p99Ms] = ['rps', 'p50_latency_ms', 'p99_latency_ms'].map(figure)
  if (!(rate > 0) || !(p50Ms >= 0) || !(p99Ms >= 0)) {
    throw failedOperation(
      `redis-benchmark gave no figures: ${stdout.slice(-500)}`,
      'run it by hand: docs/benchmarks.md; version 7 or later is needed',
    )
  }
  return { operations, seconds: operations / rate, p50Ms, p99Ms }
}

function cells(line: string): string[] {
  return line.split(',').map((cell) => cell.replaceAll('"', ''))
}
