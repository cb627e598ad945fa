import { describe, expect, it } from 'vitest'
import { BenchError, EXIT_SETUP } from './bench-error.ts'
import { parseOptions } from './options.ts'
import { requirePrograms } from './programs.ts'

function failure(run: () => unknown): BenchError {
  try {
    run()
  } catch (error) {
    if (error instanceof BenchError) return error
  }
  return expect.fail('no BenchError')
}

describe('parseOptions', () => {
  it('has its defaults', () => {
    expect(parseOptions([])).toEqual({
      scenarios: ['set', 'get', 'set-pipelined', 'get-pipelined'],
      studies: [],
      quick: false,
      against: [],
      groups: [1],
      rounds: 5,
      secondsPerRun: 5,
      json: null,
    })
  })

  it('takes studies, alone or beside scenarios', () => {
    expect(parseOptions(['scale'])).toMatchObject({ scenarios: [], studies: ['scale'] })
    expect(parseOptions(['migration', 'get', 'scale', '--quick'])).toMatchObject({
      scenarios: ['get'],
      studies: ['migration', 'scale'],
      quick: true,
    })
  })

  it('takes scenarios, peers, and a file', () => {
    expect(parseOptions(['get', 'set', '--against', 'redis-wait,etcd', '--quick', '--json', 'out.json'])).toMatchObject(
      {
        scenarios: ['get', 'set'],
        against: ['etcd', 'redis-wait'],
        rounds: 3,
        json: 'out.json',
      },
    )
    expect(parseOptions(['--json'])?.json).toBe(true)
    expect(parseOptions(['--groups', '1,2', '--rounds', '7'])).toMatchObject({ groups: [1, 2], rounds: 7 })
    expect(parseOptions(['--peers-only', '--against', 'etcd'])?.groups).toEqual([])
  })

  it.each([
    [['fly']],
    [['--against', 'mongodb']],
    [['--against', 'etcd,']],
    [['--against']],
    [['--groups', '0']],
    [['--rounds', 'many']],
    [['--peers-only']],
    [['--unknown']],
  ])('%j is wrong usage, with a mend', (words) => {
    const error = failure(() => parseOptions(words))
    expect(error.exitCode).toBe(EXIT_SETUP)
    expect(error.mend).not.toBe('')
  })
})

describe('requirePrograms', () => {
  it('names what is missing, and how to get it', () => {
    const error = failure(() => requirePrograms(['etcd', 'redis-wait'], '/nonexistent'))
    expect(error.exitCode).toBe(EXIT_SETUP)
    expect(error.message).toBe('not installed: redis-benchmark, etcd, h2load, redis-server')
    expect(error.mend).toBe(
      'apt-get install -y --no-install-recommends etcd-server nghttp2-client redis-server redis-tools',
    )
  })

  it('asks only for what the run needs', () => {
    expect(failure(() => requirePrograms([], '/nonexistent')).mend).toMatch(/ redis-tools$/)
  })
})
