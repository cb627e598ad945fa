import { describe, expect, it } from 'vitest'
import { asLogIndex } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import { encodeCommand, PAYLOAD_WRITE } from '../../protocol/command.ts'
import { KvDriver, opcodeOf, slotOfText } from '../kv-driver.testkit.ts'

const NIL = '_\r\n'
const SET_K = ['SET', 'k', 'mine']

describe('EXEC', () => {
  it('runs all commands as one entry and answers each', () => {
    const driver = new KvDriver()
    expect(driver.exec([], ['SET', 'k', '1'], ['INCR', 'k'], ['GET', '{k}2'], ['DEL', 'k', '{k}2'])).toBe(
      '*4\r\n+OK\r\n:2\r\n_\r\n:1\r\n',
    )
    expect(driver.exec([], ['GET', 'k'])).toBe('*1\r\n_\r\n')
  })

  it('goes on after a command that fails', () => {
    const driver = new KvDriver()
    const reply = driver.exec([], ['SET', 'k', 'x'], ['INCR', 'k'], ['SET', 'k', 'y', 'FOO'], ['APPEND', 'k', 'z'])
    expect(reply).toBe('*4\r\n+OK\r\n-ERR value is not an integer or out of range\r\n-ERR syntax error\r\n:2\r\n')
  })

  it('an empty one is an empty array', () => {
    const driver = new KvDriver()
    expect(driver.apply(PAYLOAD_WRITE, 0, driver.execBytes([], []))).toBe('*0\r\n')
  })

  it('holds commands with keys of its slot only', () => {
    const driver = new KvDriver()
    const inner = (words: string[]): string =>
      driver.apply(PAYLOAD_WRITE, slotOfText('k'), driver.execBytes([], [words]))
    expect(inner(['FLUSHALL'])).toBe("*1\r\n-ERR 'flushall' cannot run inside a transaction\r\n")
    expect(inner(['DBSIZE'])).toBe("*1\r\n-ERR 'dbsize' cannot run inside a transaction\r\n")
    expect(inner(['EXEC'])).toMatch(/^\*1\r\n-ERR .*cannot run inside/)
    expect(inner(['SET', 'other', 'v'])).toMatch(/^\*1\r\n-ERR internal/)
    expect(driver.keySpace.totalKeys).toBe(0)
  })

  it('malformed bytes change nothing', () => {
    const driver = new KvDriver()
    const args = driver.execBytes([], [['SET', 'k', 'v']])
    const slot = slotOfText('k')
    for (let cut = 6; cut < args.length; cut++) {
      expect(driver.apply(PAYLOAD_WRITE, slot, args.subarray(0, cut))).toMatch(/^-ERR internal: malformed/)
    }
    const noWatches = encodeCommand(opcodeOf('exec'), [latin1Bytes('x'), args])
    expect(driver.apply(PAYLOAD_WRITE, slot, noWatches)).toMatch(/^-ERR internal: malformed/)
    expect(driver.keySpace.totalKeys).toBe(0)
  })
})

describe('watched versions', () => {
  const cases: Readonly<Record<string, { before?: string[][]; between: string[][]; runs: boolean }>> = {
    'nothing happened': { before: [['SET', 'k', 'v']], between: [], runs: true },
    'nothing happened to an absent key': { between: [], runs: true },
    'another key was written': { before: [['SET', 'k', 'v']], between: [['SET', '{k}2', 'v']], runs: true },
    'it was written': { before: [['SET', 'k', 'v']], between: [['SET', 'k', 'v']], runs: false },
    'it was touched by EXPIRE': { before: [['SET', 'k', 'v']], between: [['EXPIRE', 'k', '100']], runs: false },
    'it was deleted': { before: [['SET', 'k', 'v']], between: [['DEL', 'k']], runs: false },
    'it was deleted and made again': {
      before: [['SET', 'k', 'v']],
      between: [
        ['DEL', 'k'],
        ['SET', 'k', 'v'],
      ],
      runs: false,
    },
    'an absent key was made': { between: [['SET', 'k', 'v']], runs: false },
    'an absent key was made and deleted': {
      between: [
        ['SET', 'k', 'v'],
        ['DEL', 'k'],
      ],
      runs: false,
    },
    'a command that changed nothing': {
      before: [['SET', 'k', 'v']],
      between: [
        ['SET', 'k', 'w', 'NX'],
        ['PERSIST', 'k'],
        ['DEL', '{k}absent'],
        ['KV.CAS', 'k', 'x', 'y'],
      ],
      runs: true,
    },
  }

  for (const [name, { before, between, runs }] of Object.entries(cases)) {
    it(`${name}: ${runs ? 'runs' : 'null'}`, () => {
      const driver = new KvDriver()
      for (const words of before ?? []) driver.write(...words)
      const watch = driver.watch('k')
      for (const words of between) driver.write(...words)
      expect(driver.exec([watch], SET_K)).toBe(runs ? '*1\r\n+OK\r\n' : NIL)
      expect(driver.read('GET', 'k') === '$4\r\nmine\r\n').toBe(runs)
    })
  }

  it('a flush changes the version of every key that the slot had, and of absent ones', () => {
    const driver = new KvDriver()
    driver.write('SET', 'k', 'v')
    const present = driver.watch('k')
    const absent = driver.watch('{k}absent')
    driver.onSlot(slotOfText('k'), 'FLUSHALL')
    expect(driver.exec([present], SET_K)).toBe(NIL)
    expect(driver.exec([absent], SET_K)).toBe(NIL)
    const watch = driver.watch('k')
    driver.onSlot(slotOfText('k'), 'FLUSHALL')
    // There was nothing to flush.
    expect(driver.exec([watch], SET_K)).toBe('*1\r\n+OK\r\n')
  })

  it('expiry counts as a change, purged or not', () => {
    const driver = new KvDriver()
    driver.tick(1000)
    driver.write('SET', 'k', 'v', 'PX', '100')
    const watch = driver.watch('k')
    driver.tick(1100)
    expect(driver.exec([watch], SET_K)).toBe(NIL)
    driver.write('SET', '{k}2', 'v', 'PX', '100')
    const other = driver.watch('{k}2')
    driver.tick(2000)
    expect(driver.keepHouse(10)).toBeGreaterThan(0)
    expect(driver.exec([other], SET_K)).toBe(NIL)
  })

  it('also where an entry gave its index both to the key and to the last delete', () => {
    const driver = new KvDriver()
    driver.tick(1000)
    driver.write('SET', '{k}2', 'v')
    driver.exec([], ['SET', 'k', 'v', 'PX', '100'], ['DEL', '{k}2'])
    const watch = driver.watch('k')
    driver.tick(2000)
    expect(driver.exec([watch], SET_K)).toBe(NIL)
    driver.keepHouse(10)
    expect(driver.exec([driver.watch('k')], SET_K)).toBe('*1\r\n+OK\r\n')
  })

  it('an absent key in a slot that had deletes before', () => {
    const driver = new KvDriver()
    driver.write('SET', 'k', 'v')
    driver.write('DEL', 'k')
    const watch = driver.watch('k')
    expect(watch.index).toBe(2)
    expect(driver.exec([watch], SET_K)).toBe('*1\r\n+OK\r\n')
  })

  it('all must hold, and all lie in the slot', () => {
    const driver = new KvDriver()
    const good = driver.watch('k')
    const bad = { ...driver.watch('{k}2'), index: asLogIndex(99) }
    expect(driver.exec([good, bad], SET_K)).toBe(NIL)
    const elsewhere = { ...good, key: latin1Bytes('other') }
    expect(driver.exec([elsewhere], SET_K)).toMatch(/^-ERR internal/)
  })

  it('a retry of an aborted transaction stays aborted', () => {
    const driver = new KvDriver()
    const watch = driver.watch('k')
    driver.write('SET', 'k', 'v')
    driver.write('DEL', 'k')
    const command = driver.execBytes([watch], [SET_K])
    const session = { session: 1, sequence: 1 }
    expect(driver.apply(PAYLOAD_WRITE, slotOfText('k'), command, session)).toBe(NIL)
    expect(driver.apply(PAYLOAD_WRITE, slotOfText('k'), command, session)).toBe(NIL)
  })

  it('the known bug shows: versions ignored', () => {
    const driver = new KvDriver({ mutations: { watchedVersionsIgnored: true } })
    const watch = driver.watch('k')
    driver.write('SET', 'k', 'v')
    expect(driver.exec([watch], SET_K)).toBe('*1\r\n+OK\r\n')
  })
})
