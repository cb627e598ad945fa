import { describe, expect, it } from 'vitest'
import { asSlotId } from '../../base/brand.ts'
import { latin1Bytes } from '../../base/bytes.ts'
import { commandBytes as commandBytesOf, KvDriver, opcodeOf, slotOfText } from '../kv-driver.testkit.ts'
import { checkSyntax } from './registry.ts'

/** A story: commands in one slot, each with its reply. Commands that only read run as queries too and must agree. */
type Story = readonly (readonly [command: string, reply: string])[]

const NIL = '_\r\n'
const OK = '+OK\r\n'
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`
const int = (value: number | bigint): string => `:${value}\r\n`
const err = (text: string): string => `-${text}\r\n`
const READS = new Set(
  'get exists strlen mget ttl pttl getrange substr expiretime pexpiretime type touch getbit bitcount bitpos'.split(' '),
)
const MAX = 9223372036854775807n

/** Words parted by spaces; '' is the empty word. */
const wordsOf = (command: string): string[] => command.split(' ').map((word) => (word === "''" ? '' : word))

const STORIES: Readonly<Record<string, Story>> = {
  'GET and SET': [
    ['GET k', NIL],
    ['SET k v', OK],
    ['GET k', bulk('v')],
    ["SET k ''", OK],
    ['GET k', '$0\r\n\r\n'],
    ['GET k k', err("ERR wrong number of arguments for 'get' command")],
    ['SET k', err("ERR wrong number of arguments for 'set' command")],
  ],
  'SET NX and XX': [
    ['SET k a XX', NIL],
    ['SET k a NX', OK],
    ['SET k b NX', NIL],
    ['SET k b nx GET', bulk('a')],
    ['GET k', bulk('a')],
    ['SET k b XX GET', bulk('a')],
    ['GET k', bulk('b')],
    ['SET m x NX GET', NIL],
    ['GET m', bulk('x')],
    ['SET k c NX XX', err('ERR syntax error')],
    ['SET k c NX NX', NIL],
    ['SET k c foo', err('ERR syntax error')],
    ['SET k c EX', err('ERR syntax error')],
    ['SET k c GET', bulk('b')],
  ],
  'SET IFEQ and IFNE': [
    ['SET k a IFEQ a', NIL],
    ['GET k', NIL],
    ['SET k a IFNE b', OK],
    ['SET k b IFEQ x', NIL],
    ['SET k b IFEQ a', OK],
    ['SET k c IFNE b', NIL],
    ['SET k c IFNE b GET', bulk('b')],
    ['SET k c ifne zz GET', bulk('b')],
    ['GET k', bulk('c')],
    ['SET k d IFEQ c GET', bulk('c')],
    ['SET k d IFEQ', err('ERR syntax error')],
    ['SET k d IFEQ c NX', err('ERR syntax error')],
    ['SET k d XX IFNE c', err('ERR syntax error')],
    ['SET k d IFEQ c IFNE x', err('ERR syntax error')],
    ['SET k e IFEQ d EX 10', OK],
    ['TTL k', int(10)],
    ['SET k f IFEQ e', OK],
    ['TTL k', int(-1)],
  ],
  'GETSET, GETDEL, SETNX': [
    ['GETSET k a', NIL],
    ['EXPIRE k 10', int(1)],
    ['GETSET k b', bulk('a')],
    ['TTL k', int(-1)],
    ['SETNX k c', int(0)],
    ['GETDEL k', bulk('b')],
    ['GETDEL k', NIL],
    ['SETNX k c', int(1)],
    ['GET k', bulk('c')],
  ],
  GETEX: [
    ['GETEX k', NIL],
    ['GETEX k EX 0', NIL],
    ['GETEX k EX', err('ERR syntax error')],
    ['GETEX k EX 1 PX 1', err('ERR syntax error')],
    ['SET twice v', OK],
    ['GETEX twice EX 5 EX 100', bulk('v')],
    ['TTL twice', ':100\r\n'],
    ['GETEX twice EX 100 EX 0', err("ERR invalid expire time in 'getex' command")],
    ['GETEX twice EX 5 EXAT 100', err('ERR syntax error')],
    ['GETEX k PERSIST EX 1', err('ERR syntax error')],
    ['GETEX k KEEPTTL', err('ERR syntax error')],
    ['SET k v', OK],
    ['GETEX k', bulk('v')],
    ['GETEX k EX 0', err("ERR invalid expire time in 'getex' command")],
    ['GETEX k EX x', err('ERR value is not an integer or out of range')],
    ['TTL k', int(-1)],
    ['GETEX k ex 10', bulk('v')],
    ['TTL k', int(10)],
    ['GETEX k PX 1500', bulk('v')],
    ['PTTL k', int(1500)],
    ['GETEX k', bulk('v')],
    ['PTTL k', int(1500)],
    ['GETEX k PERSIST', bulk('v')],
    ['TTL k', int(-1)],
    ['GETEX k PXAT 1001000', bulk('v')],
    ['PTTL k', int(1000)],
    ['GETEX k EXAT 1', bulk('v')],
    ['EXISTS k', int(0)],
  ],
  'SETEX and PSETEX': [
    ['SETEX k 10 v', OK],
    ['TTL k', int(10)],
    ['PSETEX k 1500 w', OK],
    ['PTTL k', int(1500)],
    ['GET k', bulk('w')],
    ['SETEX k 0 v', err("ERR invalid expire time in 'setex' command")],
    ['PSETEX k -1 v', err("ERR invalid expire time in 'psetex' command")],
    ['SETEX k x v', err('ERR value is not an integer or out of range')],
    [`PSETEX k ${MAX} v`, err("ERR invalid expire time in 'psetex' command")],
  ],
  'GETRANGE and SETRANGE': [
    ['GETRANGE k 0 -1', bulk('')],
    ['SETRANGE k 3 abc', int(6)],
    ['GETRANGE k 0 -1', bulk('\0\0\0abc')],
    ['SETRANGE k 0 xyz', int(6)],
    ['GETRANGE k 0 2', bulk('xyz')],
    ['SUBSTR k -3 -1', bulk('abc')],
    ['GETRANGE k 2 100', bulk('zabc')],
    ['GETRANGE k -100 0', bulk('x')],
    ['GETRANGE k 4 3', bulk('')],
    ['GETRANGE k -1 -2', bulk('')],
    ['GETRANGE k 6 9', bulk('')],
    [`GETRANGE k 1 ${MAX}`, bulk('yzabc')],
    ['GETRANGE k x 1', err('ERR value is not an integer or out of range')],
    ["SETRANGE k 100 ''", int(6)],
    ["SETRANGE m 100 ''", int(0)],
    ['EXISTS m', int(0)],
    ['SETRANGE k -1 x', err('ERR offset is out of range')],
    ['EXPIRE k 10', int(1)],
    ['SETRANGE k 0 q', int(6)],
    ['TTL k', int(10)],
  ],
  bits: [
    ['SETBIT k 7 1', int(0)],
    ['GET k', bulk('\x01')],
    ['SETBIT k 7 1', int(1)],
    ['SETBIT k 17 1', int(0)],
    ['STRLEN k', int(3)],
    ['GETBIT k 17', int(1)],
    ['GETBIT k 16', int(0)],
    ['GETBIT k 4294967295', int(0)],
    ['GETBIT k 4294967296', err('ERR bit offset is not an integer or out of range')],
    ['SETBIT k 1 2', err('ERR bit is not an integer or out of range')],
    ['SETBIT k -1 1', err('ERR bit offset is not an integer or out of range')],
    ['BITCOUNT k', int(2)],
    ['BITCOUNT k 0 0', int(1)],
    ['BITCOUNT k 8 -1 BIT', int(1)],
    ['BITCOUNT k 18 -1 bit', int(0)],
    ['BITCOUNT k 1', err('ERR syntax error')],
    ['BITCOUNT k 0 1 x', err('ERR syntax error')],
    ['BITCOUNT m', int(0)],
    ['BITPOS k 1', int(7)],
    ['BITPOS k 1 1', int(17)],
    ['BITPOS k 1 8 16 BIT', int(-1)],
    ['BITPOS k 0', int(0)],
    ['BITPOS k 2', err('ERR The bit argument must be 1 or 0.')],
    ['SET k ~', OK],
    ['SETBIT k 0 1', int(0)],
    ['SETBIT k 7 1', int(0)],
    ['BITPOS k 0', int(8)],
    ['BITPOS k 0 0 -1', int(-1)],
    ['BITPOS m 0', int(0)],
    ['BITPOS m 1', int(-1)],
  ],
  'MSETNX, TYPE, TOUCH, UNLINK': [
    ['MSETNX k 1 {k}2 2', int(1)],
    ['MSETNX {k}3 3 k 9', int(0)],
    ['EXISTS {k}3', int(0)],
    ['MSETNX k 1 {k}2', err("ERR wrong number of arguments for 'msetnx' command")],
    ['TYPE k', '+string\r\n'],
    ['TYPE m{k}', '+none\r\n'],
    ['TOUCH k {k}2 {k}3', int(2)],
    ['UNLINK k {k}2 {k}3', int(2)],
    ['TOUCH k', int(0)],
  ],
  'EXPIREAT and EXPIRETIME': [
    ['EXPIRETIME k', int(-2)],
    ['SET k v', OK],
    ['PEXPIRETIME k', int(-1)],
    ['EXPIREAT k 2000', int(1)],
    ['EXPIRETIME k', int(2000)],
    ['PEXPIRETIME k', int(2_000_000)],
    ['PEXPIREAT k 1500500 NX', int(0)],
    ['PEXPIREAT k 1500500 LT', int(1)],
    ['EXPIRETIME k', int(1501)],
    ['EXPIREAT k 1', int(1)],
    ['EXISTS k', int(0)],
    [`EXPIREAT k ${MAX}`, err("ERR invalid expire time in 'expireat' command")],
  ],
  'SET with an expiry': [
    ['SET k v EX 10', OK],
    ['TTL k', int(10)],
    ['PTTL k', int(10_000)],
    ['SET k v PX 1500', OK],
    ['PTTL k', int(1500)],
    ['TTL k', int(2)],
    ['SET k v PX 1499', OK],
    ['TTL k', int(1)],
    ['SET k w KEEPTTL', OK],
    ['PTTL k', int(1499)],
    ['SET k w', OK],
    ['PTTL k', int(-1)],
    ['SET k v PXAT 1007000', OK],
    ['PTTL k', int(7000)],
    ['SET k v EXAT 1008', OK],
    ['PTTL k', int(8000)],
    ['SET k v EXAT 1000', OK],
    ['GET k', NIL],
    ['TTL k', int(-2)],
    ['SET k v EX 0', err("ERR invalid expire time in 'set' command")],
    ['SET k v PX -1', err("ERR invalid expire time in 'set' command")],
    ['SET k v EX 9223372036854776', err("ERR invalid expire time in 'set' command")],
    [`SET k v PX ${MAX}`, err("ERR invalid expire time in 'set' command")],
    ['SET k v EX 1.5', err('ERR value is not an integer or out of range')],
    ['SET k v EX 10 PX 10', err('ERR syntax error')],
    ['SET k v KEEPTTL EX 10', err('ERR syntax error')],
    ['SET k v EX 10 KEEPTTL', err('ERR syntax error')],
    ['SET k v EX 10 EX 20', OK],
    ['TTL k', int(20)],
    ['SET k v PX 9223372036850000000', OK],
    ['PTTL k', int(Number.MAX_SAFE_INTEGER - 1_000_000)],
  ],
  'DEL and EXISTS': [
    ['MSET a 1 b 2 c 3', OK],
    ['EXISTS a b x a', int(3)],
    ['DEL a a x b', int(2)],
    ['EXISTS a', int(0)],
    ['GET c', bulk('3')],
    ['DEL x', int(0)],
    ['DEL', err("ERR wrong number of arguments for 'del' command")],
  ],
  'MGET and MSET': [
    ['MSET a 1 b 2 a 3', OK],
    ['MGET a b x a', `*4\r\n${bulk('3')}${bulk('2')}${NIL}${bulk('3')}`],
    ['MSET a', err("ERR wrong number of arguments for 'mset' command")],
    ['MSET a 1 b', err("ERR wrong number of arguments for 'mset' command")],
  ],
  'INCR and its family': [
    ['INCR n', int(1)],
    ['INCRBY n 41', int(42)],
    ['DECR n', int(41)],
    ['DECRBY n 50', int(-9)],
    ['GET n', bulk('-9')],
    [`SET n ${MAX}`, OK],
    ['INCR n', err('ERR increment or decrement would overflow')],
    ['GET n', bulk(String(MAX))],
    ['DECR n', int(MAX - 1n)],
    ['SET n -9223372036854775808', OK],
    ['DECR n', err('ERR increment or decrement would overflow')],
    ['DECRBY n -9223372036854775808', err('ERR decrement would overflow')],
    [`INCRBY n ${MAX}`, int(-1)],
    ['SET n 9007199254740991', OK],
    ['INCR n', int(9007199254740992n)],
    ['INCRBY n 9007199254740993', int(18014398509481985n)],
    ['DECRBY n 18014398509481985', int(0)],
    ['GET n', bulk('0')],
    ['DECRBY n 0', int(0)],
    ['SET n 1 EX 10', OK],
    ['INCR n', int(2)],
    ['TTL n', int(10)],
    ['INCRBY n x', err('ERR value is not an integer or out of range')],
    ['INCRBY n 9223372036854775808', err('ERR value is not an integer or out of range')],
    ['INCRBY n +1', err('ERR value is not an integer or out of range')],
    ['INCRBY n 01', err('ERR value is not an integer or out of range')],
    ['SET n 01', OK],
    ['INCR n', err('ERR value is not an integer or out of range')],
    ["SET n ''", OK],
    ['INCR n', err('ERR value is not an integer or out of range')],
    ['SET n -0', OK],
    ['INCR n', err('ERR value is not an integer or out of range')],
  ],
  'APPEND and STRLEN': [
    ['STRLEN s', int(0)],
    ['APPEND s ab', int(2)],
    ['APPEND s cd', int(4)],
    ['GET s', bulk('abcd')],
    ['STRLEN s', int(4)],
    ['EXPIRE s 10', int(1)],
    ["APPEND s ''", int(4)],
    ['TTL s', int(10)],
    ["APPEND e ''", int(0)],
    ['EXISTS e', int(1)],
  ],
  'EXPIRE and its options': [
    ['EXPIRE k 10', int(0)],
    ['SET k v', OK],
    ['TTL k', int(-1)],
    ['EXPIRE k 10 XX', int(0)],
    ['EXPIRE k 10 GT', int(0)],
    ['EXPIRE k 10 LT', int(1)],
    ['EXPIRE k 20 NX', int(0)],
    ['EXPIRE k 5 gt', int(0)],
    ['EXPIRE k 10 GT', int(0)],
    ['EXPIRE k 20 GT XX', int(1)],
    ['TTL k', int(20)],
    ['EXPIRE k 30 LT', int(0)],
    ['EXPIRE k 20 LT', int(0)],
    ['PEXPIRE k 5000 LT', int(1)],
    ['PTTL k', int(5000)],
    ['PERSIST k', int(1)],
    ['PERSIST k', int(0)],
    ['PERSIST x', int(0)],
    ['PTTL k', int(-1)],
    ['GET k', bulk('v')],
    ['EXPIRE k -1', int(1)],
    ['EXISTS k', int(0)],
    ['SET k v', OK],
    ['EXPIRE k 0', int(1)],
    ['TTL k', int(-2)],
    ['SET k v', OK],
    ['PEXPIRE k -9223372036854775808', int(1)],
    ['EXISTS k', int(0)],
    ['EXPIRE k 10 FOO', err('ERR Unsupported option FOO')],
    ['EXPIRE k x NX XX', err('ERR NX and XX, GT or LT options at the same time are not compatible')],
    ['EXPIRE k 1 GT LT', err('ERR GT and LT options at the same time are not compatible')],
    ['EXPIRE k x', err('ERR value is not an integer or out of range')],
    ['EXPIRE k 9223372036854775807', err("ERR invalid expire time in 'expire' command")],
    [`PEXPIRE k ${MAX}`, err("ERR invalid expire time in 'pexpire' command")],
    ['EXPIRE k -9223372036854775808', err("ERR invalid expire time in 'expire' command")],
  ],
  'KV.CAS': [
    ['KV.CAS k a b', `*2\r\n${int(0)}${NIL}`],
    ['KV.CAS k NX a', `*2\r\n${int(1)}${bulk('a')}`],
    ['KV.CAS k NX b', `*2\r\n${int(0)}${bulk('a')}`],
    ['KV.CAS k x b', `*2\r\n${int(0)}${bulk('a')}`],
    ['KV.CAS k a b', `*2\r\n${int(1)}${bulk('b')}`],
    ['GET k', bulk('b')],
    ['SET k b EX 10', OK],
    ['KV.CAS k b c', `*2\r\n${int(1)}${bulk('c')}`],
    ['TTL k', int(-1)],
    ['KV.CAS k b', err("ERR wrong number of arguments for 'kv.cas' command")],
  ],
}

describe('commands, one by one', () => {
  for (const [name, story] of Object.entries(STORIES)) {
    it(name, () => {
      // One slot, so that any keys may stand together.
      const driver = new KvDriver({ slotCount: 1, ownedSlots: [[0, 0]] })
      driver.tick(1_000_000)
      for (const [command, reply] of story) {
        const words = wordsOf(command)
        const inSlotZero = driver.onSlot(0, ...words)
        expect(inSlotZero, command).toBe(reply)
        if (READS.has(words[0].toLowerCase())) {
          expect(driver.queryBytes(commandBytesOf(words), 0, 0), `query ${command}`).toBe(reply)
        }
      }
    })
  }

  it('takes any bytes', () => {
    const driver = new KvDriver()
    const key = 'k\r\n\0\xff'
    expect(driver.write('SET', key, '\0\r\n\xfe')).toBe(OK)
    expect(driver.read('GET', key)).toBe('$4\r\n\0\r\n\xfe\r\n')
    expect(driver.write('APPEND', key, '\0')).toBe(int(5))
    expect(driver.write('KV.CAS', key, '\0\r\n\xfe\0', '')).toBe(`*2\r\n${int(1)}$0\r\n\r\n`)
  })

  it('a bare SET and MSET look nothing up', () => {
    const driver = new KvDriver()
    driver.write('SET', 'k', 'v')
    driver.write('SET', 'k', 'w', 'EX', '10')
    driver.write('MSET', 'k', 'x', '{k}2', 'y')
    expect(driver.keySpace.lookups).toBe(0)
    driver.write('SET', 'k', 'v', 'NX')
    expect(driver.keySpace.lookups).toBe(1)
  })
})

describe('limits', () => {
  const options = { maxKeyBytes: 10, maxValueBytes: 20 }

  it('are named with the input and the mend', () => {
    const driver = new KvDriver(options)
    const key = 'k'.repeat(11)
    expect(driver.write('SET', key, 'v')).toBe(err('ERR key is 11 bytes, the limit is 10 (--max-key-bytes)'))
    expect(driver.read('GET', key)).toBe(err('ERR key is 11 bytes, the limit is 10 (--max-key-bytes)'))
    expect(driver.write('SET', 'k', 'v'.repeat(21))).toBe(
      err('ERR value is 21 bytes, the limit is 20 (--max-value-bytes)'),
    )
    expect(driver.write('MSET', 'k', 'v', '{k}', 'v'.repeat(21))).toMatch(/^-ERR value is 21 bytes/)
    expect(driver.write('KV.CAS', 'k', 'NX', 'v'.repeat(21))).toMatch(/^-ERR value is 21 bytes/)
    expect(driver.write('SET', 'k'.repeat(10), 'v'.repeat(20))).toBe(OK)
    expect(driver.keySpace.totalKeys).toBe(1)
  })

  it('APPEND ends at the largest value, exactly', () => {
    const driver = new KvDriver(options)
    expect(driver.write('APPEND', 'k', 'v'.repeat(19))).toBe(int(19))
    expect(driver.write('APPEND', 'k', 'v')).toBe(int(20))
    expect(driver.write('APPEND', 'k', 'v')).toBe(
      err('ERR string exceeds maximum allowed size (it would be 21 bytes, the limit is 20: --max-value-bytes)'),
    )
    expect(driver.read('STRLEN', 'k')).toBe(int(20))
  })

  it('the door asks the same of a command before it logs it', () => {
    const args = (...words: string[]): Uint8Array[] => words.map(latin1Bytes)
    expect(checkSyntax(opcodeOf('set'), args('k', 'v', 'EX', 'x'))).toBe('ERR value is not an integer or out of range')
    expect(checkSyntax(opcodeOf('set'), args('k', 'v', 'EX', '1'))).toBeNull()
    expect(checkSyntax(opcodeOf('get'), args('k'.repeat(1025)))).toBe(
      'ERR key is 1025 bytes, the limit is 1024 (--max-key-bytes)',
    )
    expect(checkSyntax(opcodeOf('get'), args('k'.repeat(1025)), { maxKeyBytes: 2000, maxValueBytes: 1 })).toBeNull()
    expect(checkSyntax(opcodeOf('flushall'), args('ASYNC'))).toBeNull()
    expect(checkSyntax(opcodeOf('flushall'), args('NOW'))).toBe('ERR syntax error')
    expect(checkSyntax(opcodeOf('exec'), [])).toMatch(/^ERR /)
    expect(checkSyntax(999, [])).toMatch(/^ERR /)
  })
})

describe('slots', () => {
  it('a slot that the group does not own is refused, by writes and reads', () => {
    const owned = slotOfText('k')
    const driver = new KvDriver({ ownedSlots: [[owned, owned]] })
    expect(driver.write('SET', 'k', 'v')).toBe(OK)
    const other = (owned + 1) % 16
    expect(driver.onSlot(other, 'SET', 'k', 'v')).toBe(err(`NOTRESPONSIBLE this group does not own slot ${other}`))
    expect(driver.onSlot(60_000, 'SET', 'k', 'v')).toMatch(/^-NOTRESPONSIBLE/)
    expect(driver.queryBytes(commandBytesOf(['GET', 'k']), 0, other)).toMatch(/^-NOTRESPONSIBLE/)
    expect(driver.onSlot(other, 'FLUSHALL')).toMatch(/^-NOTRESPONSIBLE/)
  })

  it("a key outside the payload's slot is never touched", () => {
    const driver = new KvDriver()
    const wrong = (slotOfText('k') + 1) % 16
    expect(driver.onSlot(wrong, 'SET', 'k', 'v')).toMatch(/^-ERR internal/)
    expect(driver.onSlot(slotOfText('k'), 'MSET', 'k', '1', 'other', '2')).toMatch(/^-ERR internal/)
    expect(driver.queryBytes(commandBytesOf(['GET', 'k']), 0, wrong)).toMatch(/^-ERR internal/)
    expect(driver.keySpace.totalKeys).toBe(0)
  })

  it('DBSIZE and FLUSHALL work on one slot', () => {
    const driver = new KvDriver()
    const slot = slotOfText('a')
    driver.write('MSET', 'a', '1', '{a}2', '2')
    const elsewhere = ['b', 'c', 'd', 'e'].find((key) => slotOfText(key) !== slot) ?? ''
    driver.write('SET', elsewhere, '3')
    const dbsize = (): string => driver.queryBytes(commandBytesOf(['DBSIZE']), 0, slot)
    expect(dbsize()).toBe(int(2))
    expect(driver.onSlot(slot, 'FLUSHALL')).toBe(OK)
    expect(dbsize()).toBe(int(0))
    expect(driver.read('GET', 'a')).toBe(NIL)
    expect(driver.read('GET', elsewhere)).toBe(bulk('3'))
    expect(driver.keySpace.totalKeys).toBe(3)
    driver.keepHouse(1)
    expect(driver.keySpace.totalKeys).toBe(1)
  })

  it('a flush of a slot that holds nothing begins no generation', () => {
    const driver = new KvDriver()
    const before = driver.machine.generationOf(asSlotId(3))
    driver.onSlot(3, 'FLUSHALL')
    expect(driver.machine.generationOf(asSlotId(3))).toBe(before)
    expect(driver.machine.housekeeping(10)).toEqual([])
  })
})
