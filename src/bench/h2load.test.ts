import { describe, expect, it } from 'vitest'
import { h2loadArguments, parseH2loadLog, parseH2loadSummary } from './h2load.ts'

/** As nghttp2 1.52 printed it, driving etcd 3.4.23. */
const RECORDED = `starting benchmark...
spawning thread #0: 50 total client(s). 20000 total requests
Application protocol: h2c
progress: 10% done
progress: 100% done

finished in 7.54s, 2651.01 req/s, 564.79KB/s
requests: 20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 4.16MB (4363200) total, 39.65KB (40600) headers (space savings 94.66%), 2.99MB (3140000) data
                     min         max         mean         sd        +/- sd
time for request:      507us    135.55ms     17.80ms     12.99ms    84.44%
time for connect:      526us      3.39ms      1.98ms       769us    60.00%
time to 1st byte:    16.77ms     19.43ms     18.25ms       671us    60.00%
req/s           :      53.03       54.42       53.34        0.29    80.00%
`

describe('h2load', () => {
  it('reads the summary', () => {
    expect(parseH2loadSummary(RECORDED)).toEqual({ seconds: 7.54, succeeded: 20_000, dataBytes: 3_140_000 })
  })

  it('reads short runs, which it prints in smaller units', () => {
    const short = RECORDED.replace('finished in 7.54s', 'finished in 812.35ms')
    expect(parseH2loadSummary(short).seconds).toBeCloseTo(0.81235, 9)
    const shorter = RECORDED.replace('finished in 7.54s', 'finished in 950us')
    expect(parseH2loadSummary(shorter).seconds).toBeCloseTo(0.00095, 9)
  })

  it.each([
    ['20000 succeeded, 0 failed', '19999 succeeded, 1 failed'],
    ['0 errored', '3 errored'],
    ['0 timeout', '1 timeout'],
  ])('takes %s -> %s for a failed operation', (from, to) => {
    expect(() => parseH2loadSummary(RECORDED.replace(from, to))).toThrow('h2load: requests')
  })

  it('takes anything else for a failed operation', () => {
    expect(() => parseH2loadSummary('unable to connect')).toThrow('no summary')
  })

  it('gets percentiles from the log', () => {
    const recorded = '1795299740956162\t200\t64629\n1795299740952611\t200\t68417\n1795299740952587\t200\t68452\n'
    expect(parseH2loadLog(recorded)).toEqual({ p50Ms: 68.417, p99Ms: 68.452 })
    expect(() => parseH2loadLog('')).toThrow('not a log')
    expect(() => parseH2loadLog('nonsense\n')).toThrow('not a log')
  })

  it('has as many operations outstanding as the shape, ten on each connection', () => {
    const run = { url: 'http://h:1/p', bodyFile: 'b', logFile: 'l', operations: 1000 }
    expect(h2loadArguments({ ...run, connections: 50, pipeline: 1 }).slice(1, 4)).toEqual([
      '--clients=5',
      '--max-concurrent-streams=10',
      '--requests=1000',
    ])
    expect(h2loadArguments({ ...run, connections: 50, pipeline: 16 }).slice(1, 3)).toEqual([
      '--clients=5',
      '--max-concurrent-streams=160',
    ])
    expect(h2loadArguments({ ...run, connections: 1, pipeline: 1 }).slice(1, 3)).toEqual([
      '--clients=1',
      '--max-concurrent-streams=1',
    ])
  })
})
