import { describe, expect, it } from 'vitest'
import { parseRedisBenchmark, redisBenchmarkArguments } from './redis-benchmark.ts'

/** As redis-benchmark 7.0.15 printed it. */
const HEADER =
  '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"\n'
const RECORDED = `${HEADER}"SET","25458.25","1.034","0.224","0.983","1.743","2.951","12.423"\n`

describe('redis-benchmark', () => {
  it('reads the figures', () => {
    const result = parseRedisBenchmark(RECORDED, 50_000)
    expect(result).toMatchObject({ operations: 50_000, p50Ms: 0.983, p99Ms: 2.951 })
    expect(result.operations / result.seconds).toBeCloseTo(25_458.25, 6)
  })

  it('finds the columns by name', () => {
    const other = '"test","p99_latency_ms","p50_latency_ms","rps"\n"GET","3","1","100"\n'
    expect(parseRedisBenchmark(other, 200)).toEqual({ operations: 200, seconds: 2, p50Ms: 1, p99Ms: 3 })
  })

  it('reads past warnings', () => {
    expect(parseRedisBenchmark(`WARNING: Could not fetch server CONFIG\n${RECORDED}`, 1000).p50Ms).toBe(0.983)
  })

  it.each([
    ['the header alone, as after an error reply', HEADER],
    ['nothing', ''],
    ['no percentiles, as before version 6.2', '"SET","25458.25"\n'],
    ['a rate of nothing', RECORDED.replace('25458.25', '0.00')],
  ])('takes %s for a failed run', (_, text) => {
    expect(() => parseRedisBenchmark(text, 1000)).toThrow('no figures')
  })

  it('asks for the shape, 100-byte values and random keys over 100,000', () => {
    const shape = { scenario: 'set-pipelined', operation: 'set', connections: 50, pipeline: 16 } as const
    expect(redisBenchmarkArguments('127.0.0.1', 7379, shape, 8000).join(' ')).toBe(
      '-h 127.0.0.1 -p 7379 -t set -n 8000 -c 50 -P 16 -d 100 -r 100000 --csv',
    )
  })
})
