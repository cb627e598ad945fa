/** What clients may send, for comparing a server's replies with another's, or with a model's. Strings of one character a byte. */
import type { Prng } from '../base/prng.ts'

const VALUES = [
  '1',
  '0',
  '-5',
  '10',
  'abc',
  '',
  '9223372036854775807',
  '-9223372036854775808',
  '1.5',
  ' 1',
  '007',
  'a\r\nb',
  '\0\xff',
]
/** Far enough away that nothing expires meanwhile: when it is removed is each server's own affair, and DBSIZE would tell. */
const TIMES: Readonly<Record<string, string>> = {
  EX: '1000',
  PX: '1000000',
  EXAT: '4102444800',
  PXAT: '4102444800000',
  expire: '1000',
  pexpire: '1000000',
  expireat: '4102444800',
  pexpireat: '4102444800000',
}
const BAD_TIMES = ['0', '-1', 'x', '']
const OPTIONS = ['NX', 'XX', 'GET', 'KEEPTTL', 'EX', 'PX', 'EXAT', 'PXAT', 'nx', 'Get', 'FOO']
const MAY_BREAK: ReadonlySet<string> = new Set(
  'foo gett client set incrby append del exists mget mset expire get incr ttl dbsize flushall ping echo select'.split(
    ' ',
  ),
)
const KEYED = 'incr decr strlen get ttl persist pttl getdel getex type expiretime pexpiretime bitcount'.split(' ')
const FLOATS =
  '1.5 0.1 -0.3 3.0e3 1e-10 -1e18 12345678901234567890 1e4940 1e-5000 inf nan x . 1. .5 +2 1e 5e-1x 0x1.8p1 -0X.4 0x'.split(
    ' ',
  )
/** Around the lengths at which Redis changes a value's encoding, and compressible. */
const LONG_VALUES = ['x'.repeat(44), 'x'.repeat(45), 'abc'.repeat(40), '12345678901234567890', '2147483648', '-32769']
/** DUMPs of Redis 7.0: raw, as numbers of each width, compressed. */
const PAYLOADS = [
  '\x00\x05hello\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a',
  '\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51',
  '\x00\xc1\xd4\xfe\x0a\x00\xc6\xc4\x86\x23\xfe\xbe\xde\x2e',
  '\x00\xc2\x70\x11\x01\x00\x0a\x00\x01\xa4\x08\xfe\x95\x30\x95\xa5',
  '\x00\xc3\x09\x40\x64\x01aa\xe0\x57\x00\x01aa\x0a\x00\xe8\xa3\xb5\x07\xb0\x6d\xf2\x71',
  '\x00\xc3\x0e\x41\x11\x03abca\xe0\xff\x02\x04bcxyz\x0a\x00\xac\x3e\xdb\x6c\x7b\x16\x58\x6e',
  '\x00\x00\x0a\x00\x5d\x9b\x5c\x40\x0f\x7f\xa2\xda',
]
const POSITIONS = ['0', '1', '-1', '3', '-3', '8', '100', '-100', 'x', '9223372036854775807', '-9223372036854775808']

export interface GeneratorWorld {
  /** Keys of one slot. */
  tagged(name: string): string
  /** Keys of any slots. */
  spread(name: string): string
  /** Whether the whole database is the generator's: then it flushes, counts and lists it, too. */
  readonly alone: boolean
  /** A time for this option (EX, PX, EXAT, PXAT) or command (expire, ...). */
  time(unit: string): string
}

const ALONE: GeneratorWorld = {
  tagged: (name) => `{t}${name}`,
  spread: (name) => name,
  alone: true,
  time: (unit) => TIMES[unit],
}

/** Random commands of the table, sound and broken, whose replies do not hang on time or order. */
export class CommandGenerator {
  readonly #random: Prng
  readonly #world: GeneratorWorld
  #inMulti = false
  #following: string[][] = []

  constructor(random: Prng, world: GeneratorWorld = ALONE) {
    this.#random = random
    this.#world = world
  }

  /** In the midst of a transaction, or of commands that belong together. */
  get busy(): boolean {
    return this.#inMulti || this.#following.length > 0
  }

  /** On a new connection. */
  restart(): void {
    this.#inMulti = false
    this.#following = []
  }

  /** One hash tag, so that transactions stay in one slot; outside of them, keys of other slots too. */
  #key(): string {
    const name = `k${this.#random.below(6)}`
    return this.#inMulti || this.#random.chance(0.6) ? this.#world.tagged(name) : this.#world.spread(name)
  }

  #keys(): string[] {
    return Array.from({ length: 1 + this.#random.below(4) }, () => this.#key())
  }

  next(): string[] {
    const words = this.#following.shift() ?? (this.#random.chance(0.07) ? this.#broken() : this.#sound())
    // Any case is good for names.
    if (this.#random.chance(0.2)) words[0] = words[0].toUpperCase()
    return words
  }

  #broken(): string[] {
    const random = this.#random
    let words = random.pick([
      ['foo'],
      ['gett', 'a'],
      ['x\r\ny'],
      [''],
      ['client'],
      ['config'],
      ['x'.repeat(200)],
      ['exec', 'x'],
    ])
    if (words[0] === 'exec') {
      this.#inMulti = false
      return words
    }
    if (random.chance(0.7)) words = this.#sound()
    if (!MAY_BREAK.has(words[0])) return words
    // What is too much may be taken for a key: in a transaction it lies in the same slot.
    const junk = (): string => {
      const text = random.pick(['1', 'ab', 'a\r\nb', '']) + 'y'.repeat(random.below(40))
      return this.#inMulti ? this.#world.tagged(text) : this.#world.spread(text)
    }
    if (random.chance(0.5) && words.length > 1) words.pop()
    else words.push(...Array.from({ length: 1 + random.below(8) }, junk))
    if (words[0] === 'exec') this.#inMulti = false
    return words
  }

  #sound(): string[] {
    const kind = this.#random.below(46)
    return kind < 15 ? this.#everyday(kind) : kind < 30 ? this.#ofOneValue(kind) : this.#special(kind)
  }

  #everyday(kind: number): string[] {
    const random = this.#random
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3:
        return ['set', this.#key(), random.pick(VALUES), ...this.#setOptions()]
      case 4:
        return [random.pick(['incrby', 'decrby']), this.#key(), random.pick(VALUES)]
      case 5:
        return ['append', this.#key(), random.pick(VALUES)]
      case 6:
        return [random.pick(['del', 'exists', 'mget']), ...(this.#inMulti ? [this.#key()] : this.#keys())]
      case 7:
        return ['mset', ...this.#keys().flatMap((key) => [key, random.pick(VALUES)])]
      case 8:
        return this.#expire(random.pick(['expire', 'pexpire']))
      case 9:
      case 10:
        return this.#transaction()
      case 11:
        if (this.#inMulti) return ['get', this.#key()]
        // Watched keys exist: an absent one's version is its slot's last delete, so that more aborts than in Redis.
        this.#following = [
          ['set', this.#world.tagged('k1'), '1'],
          ['set', this.#world.tagged('k2'), '2'],
          ['watch', this.#world.tagged('k1'), this.#world.tagged('k2')],
        ]
        return random.pick([['unwatch'], ['ping']])
      case 12:
        return random.pick([
          ['ping'],
          ['ping', 'x'],
          ['ping', 'a', 'b'],
          ['echo', 'h\r\ni'],
          ['select', '0'],
          ['select', '1'],
          ['select', 'x'],
        ])
      case 13:
        return random.pick([
          ['client', 'setname', 'joe'],
          ['client', 'SETNAME', 'j oe'],
          ['client', 'getname'],
          ['client', 'setname', ''],
          ['client', 'maint_notifications', 'on'],
          ['config', 'get', 'save'],
          ['config', 'get', 'nothing*'],
          ['config', 'set', 'nothing', '1'],
          ['config', 'bla'],
          ['command', 'info', 'nothing'],
          ['command', 'bla'],
          ['info', 'nothing'],
        ])
      case 14:
        if (this.#inMulti || !this.#world.alone || random.chance(0.7)) return ['get', this.#key()]
        return random.pick([['dbsize'], ['flushall'], ['flushall', 'async'], ['flushall', 'SYNC'], ['flushall', 'x']])
      default:
        return this.#plain()
    }
  }

  #ofOneValue(kind: number): string[] {
    const random = this.#random
    switch (kind) {
      case 15:
        return [random.pick(['getset', 'setnx']), this.#key(), random.pick(VALUES)]
      case 16:
        return ['getex', this.#key(), ...this.#getexOptions()]
      case 17:
        return [random.pick(['setex', 'psetex']), this.#key(), this.#time('PX'), random.pick(VALUES)]
      case 18:
        return [random.pick(['getrange', 'substr']), this.#key(), random.pick(POSITIONS), random.pick(POSITIONS)]
      case 19:
        return ['setrange', this.#key(), random.pick(['0', '1', '7', '40', '-1', 'x']), random.pick(VALUES)]
      case 20:
        return ['setbit', this.#key(), random.pick(['0', '7', '9', '70', '-1', 'x']), random.pick(['0', '1', '1', '2'])]
      case 21:
        return ['getbit', this.#key(), random.pick(['0', '1', '7', '70', '4294967295', '4294967296', 'x'])]
      case 22:
        return random.chance(0.5)
          ? ['bitcount', this.#key(), ...this.#bitRange()]
          : ['bitpos', this.#key(), random.pick(['0', '1', '1', '2', 'x']), ...this.#bitRange()]
      case 23:
        return this.#expire(random.pick(['expireat', 'pexpireat']))
      case 24:
        return [random.pick(['touch', 'unlink']), ...(this.#inMulti ? [this.#key()] : this.#keys())]
      case 25:
        return [
          'msetnx',
          ...['k1', 'k7'].slice(random.below(2)).flatMap((name) => [this.#world.tagged(name), random.pick(VALUES)]),
        ]
      case 26:
        return ['incrbyfloat', this.#key(), random.pick(FLOATS)]
      case 27:
        return [random.pick(['rename', 'renamenx']), this.#tagged(), this.#tagged()]
      case 28:
        return ['copy', this.#tagged(), this.#tagged(), ...this.#copyOptions()]
      case 29:
        return this.#bitop()
      default:
        return this.#plain()
    }
  }

  #special(kind: number): string[] {
    const random = this.#random
    switch (kind) {
      case 30:
      case 31:
        return this.#bitfield()
      case 32:
        return ['lcs', this.#tagged(), this.#tagged(), ...this.#lcsOptions()]
      case 33:
        return ['dump', this.#key()]
      case 34:
        return [
          'restore',
          this.#key(),
          random.pick(['0', this.#world.time('PX'), '-1', 'x']),
          this.#payload(),
          ...this.#restoreOptions(),
        ]
      case 35:
        if (this.#inMulti) return ['object', random.pick(['refcount', 'freq']), this.#world.tagged('none')]
        // What a SET has just made: elsewhere Redis's encodings hang on a value's history.
        this.#following = [
          ['object', random.pick(['encoding', 'ENCODING']), this.#world.tagged('e')],
          ['object', 'freq', this.#world.tagged('e')],
        ]
        return ['set', this.#world.tagged('e'), random.pick([...VALUES, ...LONG_VALUES])]
      case 36:
        return random
          .pick([
            ['object', 'encoding', this.#world.tagged('none')],
            ['object', 'idletime', this.#world.tagged('none')],
            ['object', 'encoding'],
            ['object', 'bla', 'x'],
            ['memory', 'usage', this.#world.tagged('none')],
            ['memory', 'usage', this.#world.tagged('none'), 'samples', 'x'],
            ['memory', 'usage', this.#world.tagged('none'), 'samples', '-1'],
            ['memory', 'usage', this.#world.tagged('none'), 'bla'],
            ['memory', 'bla'],
          ])
          .slice()
      case 37:
        if (this.#inMulti || !this.#world.alone) return ['get', this.#key()]
        return random
          .pick([
            ['keys', random.pick(['*', '*k1', '{t}k?', '{t}k[0-3]', '[^{]*', '*\\1', '{t}none'])],
            ['scan', '0', 'COUNT', '4000', 'MATCH', random.pick(['*', '*k1', '{t}*', '{t}none'])],
            ['scan', '0', 'count', '4000', 'type', random.pick(['string', 'STRING', 'list'])],
            ['scan', '0', 'count', random.pick(['0', '-1', 'x'])],
            ['scan', random.pick(['x', '1x', '99999999999999999999'])],
            ['scan', '0', 'match'],
            ['scan', '0', 'bla', 'x'],
          ])
          .slice()
      case 38:
        return [
          random.pick(['setrange', 'append']),
          this.#key(),
          random.pick(['3', 'x']),
          random.pick(LONG_VALUES),
        ].slice(0, random.chance(0.9) ? 4 : 3)
      default:
        return this.#plain()
    }
  }

  #plain(): string[] {
    return [this.#random.pick(KEYED), this.#key()]
  }

  /** Commands with several keys need one slot. */
  #tagged(): string {
    return this.#world.tagged(`k${this.#random.below(6)}`)
  }

  #copyOptions(): string[] {
    return this.#random.pick([[], [], ['REPLACE'], ['replace', 'DB', '0'], ['DB', 'x'], ['DB', '99'], ['FOO'], ['DB']])
  }

  #bitop(): string[] {
    const operation = this.#random.pick(['and', 'OR', 'xor', 'not', 'not', 'nand'])
    const sources = Array.from({ length: 1 + this.#random.below(3) }, () => this.#tagged())
    return ['bitop', operation, this.#tagged(), ...sources]
  }

  #bitfield(): string[] {
    const random = this.#random
    const word = random.pick(['bitfield', 'bitfield', 'bitfield', 'bitfield_ro'])
    // Not -2^63: there Redis 7.0 saturates to the wrong end (its room upwards overflows).
    const words = [word, this.#key()]
    for (let i = random.below(5); i > 0; i--) {
      const type = random.pick(
        ['u8', 'i8', 'u1', 'i5', 'u63', 'i64', 'i64', 'u13', 'u64', 'i0', 'x'].slice(0, random.chance(0.9) ? 8 : 11),
      )
      const offset = random.pick(
        ['0', '3', '#1', '#3', '64', '100', '-1', '#x', '4294967296'].slice(0, random.chance(0.9) ? 6 : 9),
      )
      const kind = random.pick(['get', 'SET', 'incrby', 'set', 'incrby', 'overflow'])
      if (kind === 'overflow') words.push(kind, random.pick(['wrap', 'SAT', 'fail', 'sat', 'fail', 'x']))
      else if (kind === 'get' || random.chance(0.02)) words.push(kind, type, offset)
      else
        words.push(
          kind,
          type,
          offset,
          random.pick(['1', '-1', '255', '-129', '9223372036854775807', '-9223372036854775000', '7', 'x']),
        )
    }
    return words
  }

  #lcsOptions(): string[] {
    const words: string[] = []
    for (let i = this.#random.below(4); i > 0; i--) {
      words.push(
        ...this.#random.pick([
          ['IDX'],
          ['idx', 'WITHMATCHLEN'],
          ['LEN'],
          ['MINMATCHLEN', '2'],
          ['minmatchlen', 'x'],
          ['FOO'],
        ]),
      )
    }
    return words
  }

  #payload(): string {
    const payload = this.#random.pick(PAYLOADS)
    if (this.#random.chance(0.85)) return payload
    const at = this.#random.below(payload.length)
    return `${payload.slice(0, at)}${this.#random.pick(['\0', '\xff', ''])}${payload.slice(at + 1)}`
  }

  #restoreOptions(): string[] {
    return this.#random.pick([
      ['REPLACE'],
      ['replace', 'IDLETIME', '100'],
      ['replace', 'FREQ', '1'],
      [],
      ['REPLACE', 'IDLETIME', '-1'],
      ['REPLACE', 'FREQ', '300'],
      ['REPLACE', 'FREQ', '3', 'IDLETIME', '1'],
      ['FOO'],
      ['IDLETIME'],
    ])
  }

  #getexOptions(): string[] {
    const option = this.#random.pick(['EX', 'px', 'EXAT', 'PXAT', 'PERSIST', 'FOO'])
    if (option === 'PERSIST' || option === 'FOO') return [option]
    const words = [option, ...(this.#random.chance(0.9) ? [this.#time(option.toUpperCase())] : [])]
    return this.#random.chance(0.1) ? [...words, option, this.#time(option.toUpperCase())] : words
  }

  #bitRange(): string[] {
    const words = [this.#random.pick(POSITIONS), this.#random.pick(POSITIONS), this.#random.pick(['BIT', 'byte', 'x'])]
    return words.slice(0, this.#random.below(4))
  }

  #setOptions(): string[] {
    const random = this.#random
    const options: string[] = []
    while (random.chance(0.35)) {
      const option = random.pick(OPTIONS)
      options.push(option)
      if (['EX', 'PX', 'EXAT', 'PXAT'].includes(option) && random.chance(0.9)) options.push(this.#time(option))
    }
    return options
  }

  #time(unit: string): string {
    return this.#random.chance(0.2) ? this.#random.pick(BAD_TIMES) : this.#world.time(unit)
  }

  #expire(word: string): string[] {
    const options = this.#random.chance(0.3) ? [this.#random.pick(['NX', 'XX', 'GT', 'LT', 'gt', 'BAR'])] : []
    return [word, this.#key(), this.#time(word), ...options]
  }

  #transaction(): string[] {
    const word = this.#inMulti
      ? this.#random.pick(['exec', 'exec', 'exec', 'discard', 'multi', 'watch'])
      : this.#random.pick(['multi', 'multi', 'multi', 'exec', 'discard'])
    this.#inMulti = this.#inMulti ? word === 'multi' || word === 'watch' : word === 'multi'
    return word === 'watch' ? ['watch', this.#world.tagged('k1')] : [word]
  }
}
