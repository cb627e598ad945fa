/**
 * A session: random commands of the whole table through real RESP bytes, RESP2 and RESP3, some pipelined, some in transactions, over connections that
 * break. Its keys are its own (their names say so), so that every reply can be told beforehand by a model of Redis
 * (redis-model.ts), whatever the others do and whatever fails; where an outcome is unknown, one of the possible ones must have come about
 * (possible-worlds.ts). Too much doubt, and it goes on with fresh keys.
 */
import { latin1Bytes } from '../base/bytes.ts'
import type { Prng } from '../base/prng.ts'
import { slotOf } from '../base/slot.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { CommandGenerator } from './command-generator.ts'
import { DOOR_COMMANDS } from './door-commands.ts'
import { PossibleWorlds } from './possible-worlds.ts'
import { SessionScan } from './session-scan.ts'
import { type ClientReply, SimClient } from './sim-client.ts'
import { type ClientContext, WorkloadClient } from './workload-client.ts'

/** Where the hosts' wall clocks begin, about. */
const WALL_START_MS = 1_767_225_600_000
const PIPELINE_MAX = 4
/** With a doubt open, replies tell less: after so many of them, fresh keys. */
const DOUBTFUL_REPLIES_MAX = 12
const LOG_MAX = 400
/** How often a write is looked at from the other connection. */
const LOOK_ELSEWHERE = 0.6
const SHOWN_COMMANDS = 14
/** Said in place of a result: nothing ran. BUSYKEY is a result. */
const REFUSAL = /^-(CLUSTERDOWN|BUSY|DISKFULL) /

interface LoggedCommand {
  readonly words: readonly string[]
  reply: string
}

export class SessionClient extends WorkloadClient {
  readonly #random: Prng
  /** A second connection, to some other node or the same: what has been answered on the first must show there. */
  readonly #elsewhere: SimClient
  readonly #generator: CommandGenerator
  readonly #worlds: PossibleWorlds
  #log: LoggedCommand[] = []
  #generation = 0
  #doubtfulReplies = 0
  #scan: SessionScan | null = null
  #timesGiven = 0
  readonly #slotCount: number

  constructor(
    context: ClientContext,
    network: ConstructorParameters<typeof SimClient>[1],
    settings: ConstructorParameters<typeof SimClient>[2],
    slotCount: number,
  ) {
    super(context, network, settings)
    this.#random = context.scheduler.random.fork()
    this.#elsewhere = new SimClient(context.scheduler, network, { ...settings, name: `${settings.name}b` }, () => {})
    this.#slotCount = slotCount
    this.#worlds = new PossibleWorlds(slotCount, context.options.slotsMove)
    this.#generator = new CommandGenerator(this.#random, {
      tagged: (name) => this.#tagged(name),
      spread: (name) => `${this.#own}${name}`,
      alone: false,
      time: (unit) => this.#time(unit),
    })
  }

  override get unanswered(): number {
    return super.unanswered + this.#elsewhere.unanswered
  }

  override start(): void {
    super.start()
    this.#elsewhere.start()
  }

  override stop(): void {
    super.stop()
    this.#elsewhere.stop()
  }

  /** In the name of each of its keys, and of nobody else's. */
  get #own(): string {
    return `s${this.context.id}.${this.#generation}.`
  }

  #tagged(name: string): string {
    return `{${this.#own}}${name}`
  }

  /**
   * Long lives differ by hours, so that GT and LT can be told whatever the clocks do, and outlast every run; some are short, and when they end,
   * nobody can tell.
   */
  #time(unit: string): string {
    if (!['EX', 'PX'].includes(unit) || !this.#random.chance(0.08)) return this.#longTime(unit)
    return unit === 'EX' ? '2' : String(this.#random.between(100, 3_000))
  }

  #longTime(unit: string): string {
    const seconds = 100_000 + ((this.#timesGiven++ * 389) % 990) * 10_000
    switch (unit) {
      case 'EX':
      case 'expire':
        return String(seconds)
      case 'PX':
      case 'pexpire':
        return String(seconds * 1000)
      case 'EXAT':
      case 'expireat':
        return String(WALL_START_MS / 1000 + seconds + 5_000)
      default:
        return String(WALL_START_MS + (seconds + 5_000) * 1000)
    }
  }

  protected override onReady(): void {
    this.#worlds.connect(2)
    this.#generator.restart()
    if (this.#random.chance(0.5)) this.#sendShaped(['HELLO', '3'], /^%7\r\n/, () => this.#worlds.connect(3))
  }

  protected round(): void {
    if (this.unanswered > 0 || this.#leaveDoubtBehind()) return
    const dice = this.#random.unit()
    if (this.#generator.busy || dice < 0.72) {
      for (let i = this.#random.between(1, PIPELINE_MAX); i > 0; i--) this.#send(this.#generator.next())
    } else if (dice < 0.82) this.#scanOn()
    else if (dice < 0.87) this.#special()
    else if (dice < 0.9) this.#readAll()
    else if (dice < 0.92) this.#wholeDatabase()
    else if (dice < 0.99) {
      for (const { words, shape } of this.#random.pick(DOOR_COMMANDS)) this.#sendShaped(words, shape)
    } else if (this.#random.chance(0.5)) this.#sendShaped(['RESET'], /^\+RESET\r\n$/, () => this.#worlds.connect(2))
    else this.#sendShaped(['QUIT'], /^\+OK\r\n$/)
  }

  #leaveDoubtBehind(): boolean {
    if (this.#doubtfulReplies < DOUBTFUL_REPLIES_MAX && !this.#worlds.tooMany) return false
    this.#freshKeys()
    this.#generator.restart()
    this.#send([this.#worlds.inMulti ? 'DISCARD' : 'UNWATCH'])
    return true
  }

  #freshKeys(): void {
    this.#generation++
    this.context.workload.count('sessionFreshKeys')
    this.#doubtfulReplies = 0
    this.#worlds.forgetKeys()
    this.#scan = null
  }

  /** Commands whose replies are told beforehand but have no place in Redis, or no exact value there. */
  #special(): void {
    const key = this.#tagged(`k${this.#random.below(6)}`)
    this.#send(
      this.#random.pick([
        ['KV.CAS', key, this.#random.pick(['NX', '1', 'abc']), 'abc'],
        ['KEYS', this.#random.pick([`*${this.#own}*`, `{${this.#own}}k?`, `${this.#own}*`])],
        ['OBJECT', this.#random.pick(['IDLETIME', 'REFCOUNT']), key],
        ['MEMORY', 'USAGE', key],
      ]),
    )
    this.#acrossSlots()
  }

  /** Commands that need one slot, on keys of two: refused, and nothing has changed. */
  #acrossSlots(): void {
    const [from, to] = [this.#random.below(6), this.#random.below(6)].map((name) => `${this.#own}k${name}`)
    if (slotOf(latin1Bytes(from), this.#slotCount) === slotOf(latin1Bytes(to), this.#slotCount)) return
    const words = this.#random.pick([
      ['RENAME', from, to],
      ['RENAMENX', from, to],
      ['COPY', from, to, 'REPLACE'],
      ['MSETNX', from, '1', to, '2'],
      ['BITOP', 'OR', to, from, from],
      ['LCS', from, to],
      ['WATCH', from, to],
    ])
    this.#sendShaped(words, /^-CROSSSLOT /)
  }

  /** Values and lives of all keys, one behind the other: what went wrong unseen shows here. */
  #readAll(): void {
    const names = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k7', 'e']
    this.#send(['MGET', ...names.map((name) => this.#tagged(name)), ...names.map((name) => `${this.#own}${name}`)])
    for (const name of names) this.#send([this.#random.pick(['PTTL', 'EXPIRETIME']), this.#tagged(name)])
  }

  #wholeDatabase(): void {
    if (this.#random.chance(0.5)) {
      this.#sendShaped(['DBSIZE'], /^:\d+\r\n$/, (text) => {
        const { certain } = this.#worlds.names()
        if (Number(text.slice(1)) < certain.size) this.#violated(['DBSIZE'], [`at least ${certain.size}`], text)
      })
      return
    }
    this.#sendShaped(['RANDOMKEY'], /^(\$|_)/, (text) => {
      const { certain, possible } = this.#worlds.names()
      const key = text.split('\r\n').slice(1, -1).join('\r\n')
      const wrong =
        text === '$-1\r\n' || text === '_\r\n' ? certain.size > 0 : key.includes(this.#own) && !possible.has(key)
      if (wrong) this.#violated(['RANDOMKEY'], ['a key that is there'], text)
    })
  }

  #scanOn(): void {
    const patterns = [`*${this.#own}*`, `*${this.#own}*`, `{${this.#own}}*`, `${this.#own}k?`]
    const scan = this.#scan ?? new SessionScan(this.#random, patterns, this.#worlds.names())
    this.#scan = scan
    const words = scan.next()
    this.#sendShaped(words, /^\*2\r\n/, (text, reply) => {
      if (this.#scan !== scan || reply.kind === 'lost') return
      const problem = scan.take(reply.value)
      if (problem !== null) this.#violated(words, [problem], text)
      else if (scan.done) this.#finishScan()
      else if (!this.draining && this.#random.chance(0.6)) this.#scanOn()
    })
  }

  #finishScan(): void {
    this.#scan = null
    this.context.workload.count('sessionScans')
  }

  /** At the very end, when nobody else writes any more: nothing may be left. False: there is no connection. */
  flushEverything(): boolean {
    if (!this.client.connected) return false
    const key = this.#tagged('last')
    this.#sendShaped(['DISCARD'], /^/)
    this.#sendShaped(['FLUSHALL'], /^\+OK/)
    this.#sendShaped(['DBSIZE'], /^:0\r\n$/)
    this.#sendShaped(['KEYS', '*'], /^\*0\r\n$/)
    this.#sendShaped(['SET', key, '1'], /^\+OK/)
    this.#sendShaped(['FLUSHDB', 'SYNC'], /^\+OK/)
    this.#sendShaped(['RANDOMKEY'], /^(\$-1|_)\r\n$/)
    this.#sendShaped(['GET', key], /^(\$-1|_)\r\n$/)
    return true
  }

  #send(words: readonly string[]): void {
    const logged = this.#logged(words)
    this.client.send(words, (reply) => {
      this.#worlds.nowMs = WALL_START_MS + this.context.scheduler.nowMs
      const got = this.#outcome(logged, reply)
      if (got === null) this.#worlds.unknown(words)
      else if (REFUSAL.test(got)) this.#worlds.refused(words)
      else {
        const possible = this.#worlds.judge(words, got)
        if (possible !== null) this.#violated(words, possible, got)
      }
      this.context.workload.count(this.#worlds.doubtful ? 'sessionDoubtfulReplies' : 'sessionCertainReplies')
      if (this.#worlds.doubtful) this.#doubtfulReplies++
      else this.#doubtfulReplies = 0
      this.#scan?.note(this.#worlds.names())
      if (got !== null) this.#lookElsewhere(words)
    })
  }

  /** A stale read would show here: the write was answered before this read began. Only while the session does nothing else. */
  #lookElsewhere(written: readonly string[]): void {
    const key = written.find((word) => word.includes(this.#own))
    if (key === undefined || this.unanswered > 0 || this.#generator.busy || this.#worlds.inMulti || this.draining)
      return
    if (!this.#elsewhere.connected || !this.#random.chance(LOOK_ELSEWHERE)) return
    const words = ['GET', key]
    const logged = this.#logged(words)
    this.#elsewhere.send(words, (reply) => {
      const got = this.#outcome(logged, reply)
      if (got === null || REFUSAL.test(got)) return
      this.context.workload.count('sessionReadsElsewhere')
      // That connection speaks RESP2.
      const possible = this.#worlds.judge(words, got === '$-1\r\n' ? this.#worlds.nil : got)
      if (possible !== null) this.#violated(words, possible, got)
    })
  }

  /** Of a command that changes no key: its reply need only look right. */
  #sendShaped(words: readonly string[], shape: RegExp, then?: (text: string, reply: ClientReply) => void): void {
    const logged = this.#logged(words)
    this.client.send(words, (reply) => {
      const got = this.#outcome(logged, reply)
      if (got === null || REFUSAL.test(got)) return
      if (!shape.test(got)) this.#violated(words, [String(shape)], got)
      else then?.(got, reply)
    })
  }

  /** The reply's text; null: nobody knows whether it ran. */
  #outcome(logged: LoggedCommand, reply: ClientReply): string | null {
    logged.reply = reply.kind === 'lost' ? 'lost' : reply.text
    if (reply.kind === 'lost' || reply.text.startsWith('-UNCERTAIN')) {
      this.countFate('unknown')
      return null
    }
    this.countFate(REFUSAL.test(reply.text) ? 'failed' : 'ok')
    if (!/^(-|\+QUEUED)/.test(reply.text)) this.context.workload.countCommand(nameOf(logged.words))
    return reply.text
  }

  #logged(words: readonly string[]): LoggedCommand {
    const logged = { words, reply: 'no reply yet' }
    this.#log.push(logged)
    if (this.#log.length > LOG_MAX) this.#log = this.#log.slice(LOG_MAX / 2)
    return logged
  }

  #violated(words: readonly string[], expected: readonly string[], got: string): void {
    const keys = words.filter((word) => word.includes(this.#own))
    const related = this.#log.filter(
      (one) => keys.length === 0 || one.words.length === 1 || one.words.some((word) => keys.includes(word)),
    )
    const before = related.slice(-SHOWN_COMMANDS).map((one) => `  ${shown(one.words)} -> ${shown(one.reply)}`)
    this.context.workload.finding(
      `session ${this.context.id}: ${shown(words)} gave ${shown(got)}, possible was ${expected.slice(0, 3).map(shown).join(' or ')}; its last commands on these keys:\n${before.join('\n')}`,
    )
    this.#freshKeys()
  }
}

function nameOf(words: readonly string[]): string {
  const name = words[0].toLowerCase()
  const full = `${name}|${words[1]?.toLowerCase() ?? ''}`
  return COMMANDS_BY_NAME.has(full) ? full : name
}

function shown(what: unknown): string {
  const text = JSON.stringify(what)
  return text.length > 300 ? `${text.slice(0, 300)}...` : text
}
