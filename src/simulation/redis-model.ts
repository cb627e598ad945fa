/**
 * Redis as a plain Map: values with their expiry, and one connection with its transaction, as slow and as plain as can be. What the state machine, the
 * door and whole clusters are compared with; that it is true itself, a test shows against a real Redis (redis-model.test.ts). Only the
 * numbers of INCRBYFLOAT and the form of DUMP are the server's own code.
 *
 * In a cluster under faults a write's outcome may be unknown, and it may run late: it is `held` then, until whoever knows lets it run, or never.
 */
import { COMMAND_SPECS, type CommandSpec } from '../protocol/command-table.ts'
import { BIT_COMMANDS } from './redis-model-bits.ts'
import { KEY_COMMANDS } from './redis-model-keys.ts'
import {
  array,
  bulk,
  error,
  integer,
  type ModelHandler,
  type ModelKeys,
  type ModelValue,
  map,
  NOT_AN_INTEGER,
  nil,
  OK,
  wrongArity,
} from './redis-model-parts.ts'
import { STRING_COMMANDS } from './redis-model-strings.ts'

/** What runs on the keys, all at once. */
export type ModelOperation =
  | { readonly kind: 'command'; readonly name: string; readonly args: readonly string[] }
  | {
      readonly kind: 'exec'
      readonly queue: readonly ModelOperation[]
      readonly watched: ReadonlySet<string>
      /** A watched key has changed: it does nothing. */
      readonly dirty: boolean
    }

/** Either the connection's own answer, or what is to run. */
export type ModelPlan = { readonly answer: string } | { readonly operation: ModelOperation }

export interface ModelOptions {
  /** `clock`: keys go at their moment of `nowMs`. `open`: nobody knows when; whoever does removes them. */
  readonly expiry: 'clock' | 'open'
  /** Numbers that hang on the clock stand as `:~1000s`, for whoever compares within a tolerance. */
  readonly roughTimes: boolean
  /** A slot that moves takes another life, and with it its keys other versions. */
  readonly slotsMove?: boolean
}

interface Connection {
  readonly protocol: 2 | 3
  readonly name: string
  readonly multi: readonly ModelOperation[] | null
  readonly failed: boolean
  readonly watched: ReadonlySet<string>
  readonly dirty: boolean
}

const NO_TRANSACTION = { multi: null, failed: false, watched: new Set<string>(), dirty: false } as const
const NEW_CONNECTION: Connection = { protocol: 2, name: '', ...NO_TRANSACTION }
const SPECS: ReadonlyMap<string, CommandSpec> = new Map(COMMAND_SPECS.map((spec) => [spec.name, spec]))
/** Longer lives outlast every run, whatever the clocks do. */
const SHORT_LIFE_MS = 10_000_000
const CLIENT_NAME = /^[!-~]*$/

export class RedisModel implements ModelKeys {
  nowMs = 0
  readonly #options: ModelOptions
  #values = new Map<string, ModelValue>()
  #connection = NEW_CONNECTION
  #held: ModelOperation[] = []

  constructor(options: ModelOptions = { expiry: 'clock', roughTimes: false }, protocol: 2 | 3 = 3) {
    this.#options = options
    this.#connection = { ...NEW_CONNECTION, protocol }
  }

  run(words: readonly string[]): string {
    const plan = this.plan(words)
    return 'answer' in plan ? plan.answer : this.perform(plan.operation)
  }

  clone(): RedisModel {
    const twin = new RedisModel(this.#options)
    twin.nowMs = this.nowMs
    twin.#values = new Map(this.#values)
    twin.#connection = this.#connection
    twin.#held = this.#held.slice()
    return twin
  }

  /** Equal texts: they will answer alike for ever. */
  stateText(): string {
    const values = [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))
    const held = this.#held.map((operation) => [operation, operation.kind === 'exec' ? [...operation.watched] : null])
    return JSON.stringify([values, held, this.#connection, [...this.#connection.watched]])
  }

  // --- The connection ---------------------------------------------------------------------------------------------

  connect(protocol: 2 | 3): void {
    this.#connection = { ...NEW_CONNECTION, protocol }
  }

  get inMulti(): boolean {
    return this.#connection.multi !== null
  }

  /** The answer, or what is to run; the connection has moved on then, whether it runs or not. */
  plan(words: readonly string[]): ModelPlan {
    const { multi } = this.#connection
    const spec = this.#specOf(words)
    if (typeof spec === 'string') {
      if (words[0].toLowerCase() === 'exec') {
        this.#change(NO_TRANSACTION)
        return { answer: error(`EXECABORT Transaction discarded because of: ${spec}`) }
      }
      if (multi !== null) this.#change({ failed: true })
      return { answer: error(`ERR ${spec}`) }
    }
    const args = words.slice(spec.name.includes('|') ? 2 : 1)
    const own = this.#transactionAnswer(spec.name, args)
    if (own !== null) return own
    const operation: ModelOperation = { kind: 'command', name: spec.name, args }
    if (multi === null) return { operation }
    this.#change({ multi: [...multi, operation] })
    return { answer: '+QUEUED\r\n' }
  }

  /** What is wrong with the name or the number of words, as Redis says it. */
  #specOf(words: readonly string[]): CommandSpec | string {
    const found = SPECS.get(words[0].toLowerCase())
    if (found === undefined) return unknownCommand(words)
    let spec = found
    if (found.subcommands.length > 0 && words.length > 1) {
      const inner = found.subcommands.find((one) => one.name === `${found.name}|${words[1].toLowerCase()}`)
      if (inner === undefined) {
        return `unknown subcommand '${cut(words[1], 128)}'. Try ${cut(words[0], 128).toUpperCase()} HELP.`
      }
      spec = inner
    }
    const { arity } = spec
    const right = arity > 0 ? words.length === arity : words.length >= -arity
    return right ? spec : wrongArity(spec.name).slice('ERR '.length)
  }

  #transactionAnswer(name: string, args: readonly string[]): ModelPlan | null {
    const { multi, failed, watched, dirty, protocol } = this.#connection
    switch (name) {
      case 'multi':
        if (multi !== null) return { answer: '-ERR MULTI calls can not be nested\r\n' }
        this.#change({ multi: [], failed: false })
        return { answer: OK }
      case 'discard':
        if (multi === null) return { answer: '-ERR DISCARD without MULTI\r\n' }
        this.#change(NO_TRANSACTION)
        return { answer: OK }
      case 'watch':
        if (multi !== null) return { answer: '-ERR WATCH inside MULTI is not allowed\r\n' }
        this.#change({ watched: new Set([...watched, ...args]) })
        return { answer: OK }
      case 'unwatch':
        if (multi !== null) return null
        this.#change({ watched: new Set(), dirty: false })
        return { answer: OK }
      case 'exec': {
        if (multi === null) return { answer: '-ERR EXEC without MULTI\r\n' }
        this.#change(NO_TRANSACTION)
        if (failed) return { answer: '-EXECABORT Transaction discarded because of previous errors.\r\n' }
        if (dirty) return { answer: protocol === 3 ? '_\r\n' : '*-1\r\n' }
        return { operation: { kind: 'exec', queue: multi, watched, dirty: false } }
      }
      default:
        return null
    }
  }

  /** As if a watched key had changed. */
  spoilWatch(): void {
    this.#change({ dirty: true })
  }

  /** A watched key may count as changed though nobody has changed it: one that is not there, or whose slot may have moved. */
  get watchMayFail(): boolean {
    const { watched, dirty } = this.#connection
    return !dirty && [...watched].some((key) => this.#options.slotsMove === true || this.find(key) === null)
  }

  #change(part: Partial<Connection>): void {
    this.#connection = { ...this.#connection, ...part }
  }

  // --- What runs --------------------------------------------------------------------------------------------------

  perform(operation: ModelOperation): string {
    if (operation.kind === 'exec') {
      if (operation.dirty) return this.protocol === 3 ? '_\r\n' : '*-1\r\n'
      return array(operation.queue.map((one) => this.perform(one)))
    }
    const { name, args } = operation
    const handler = STRING_COMMANDS[name] ?? BIT_COMMANDS[name] ?? KEY_COMMANDS[name] ?? DOOR_COMMANDS[name]
    if (handler !== undefined) return handler(this, args)
    return this.#nameCommand(name, args)
  }

  #nameCommand(name: string, args: readonly string[]): string {
    if (name === 'client|getname') return this.#connection.name === '' ? nil(this) : bulk(this.#connection.name)
    if (name !== 'client|setname') throw new Error(`the model does not know ${name}`)
    if (!CLIENT_NAME.test(args[0])) {
      return '-ERR Client names cannot contain spaces, newlines or special characters.\r\n'
    }
    this.#change({ name: args[0] })
    return OK
  }

  /** It may run at any later time, or never. */
  hold(operation: ModelOperation): void {
    this.#held.push(operation)
  }

  get heldCount(): number {
    return this.#held.length
  }

  runHeld(at: number): void {
    const [operation] = this.#held.splice(at, 1)
    this.perform(operation)
  }

  /** Keys whose life may end while somebody looks: `open` expiry only. */
  shortLived(): string[] {
    const soonMs = this.nowMs + SHORT_LIFE_MS
    return [...this.#values].flatMap(([key, { expiresAtMs }]) =>
      expiresAtMs !== null && expiresAtMs < soonMs ? [key] : [],
    )
  }

  forgetKeys(): void {
    this.#values.clear()
    this.#held = []
    this.#change({ watched: new Set(), dirty: false })
  }

  // --- For the handlers -------------------------------------------------------------------------------------------

  get protocol(): 2 | 3 {
    return this.#connection.protocol
  }

  find(key: string): ModelValue | null {
    const value = this.#values.get(key)
    if (value === undefined) return null
    const gone = this.#options.expiry === 'clock' && value.expiresAtMs !== null && value.expiresAtMs <= this.nowMs
    return gone ? null : value
  }

  put(key: string, text: string, expiresAtMs: number | null): void {
    this.#values.set(key, { text, expiresAtMs })
    this.#touched(key)
  }

  remove(key: string): void {
    this.#values.delete(key)
    this.#touched(key)
  }

  names(): string[] {
    return [...this.#values.keys()].filter((key) => this.find(key) !== null)
  }

  time(value: number, unit: 's' | 'ms'): string {
    return this.#options.roughTimes ? `:~${Math.round(value)}${unit}\r\n` : `:${value}\r\n`
  }

  #touched(key: string): void {
    if (this.#connection.watched.has(key)) this.#change({ dirty: true })
    if (this.#held.length === 0) return
    this.#held = this.#held.map((one) => (one.kind === 'exec' && one.watched.has(key) ? { ...one, dirty: true } : one))
  }
}

/** Names end at a NUL in Redis's errors, and at 128 bytes. */
function cut(text: string, limit: number): string {
  return text.split('\0', 1)[0].slice(0, limit)
}

function unknownCommand(words: readonly string[]): string {
  let args = ''
  for (const word of words.slice(1)) if (args.length < 128) args += `'${cut(word, 128 - args.length)}' `
  return `unknown command '${cut(words[0], 128)}', with args beginning with: ${args}`
}

/** What a door answers by itself. */
const DOOR_COMMANDS: Readonly<Record<string, ModelHandler>> = {
  ping: (_keys, args) =>
    args.length > 1 ? error(wrongArity('ping')) : args.length === 1 ? bulk(args[0]) : '+PONG\r\n',
  echo: (_keys, [text]) => bulk(text),
  unwatch: () => OK,
  select: (_keys, [text]) => {
    const index = integer(text)
    if (index === null) return NOT_AN_INTEGER
    return index === 0n ? OK : '-ERR DB index is out of range\r\n'
  },
  'config|get': (keys, [name]) => map(keys, name === 'save' ? [[bulk('save'), bulk('')]] : []),
  'config|set': (_keys, [name]) => error(`ERR Unknown option or number of arguments for CONFIG SET - '${name}'`),
  'command|info': (keys, names) => array(names.map(() => nil(keys))),
  info: ({ protocol }) => (protocol === 3 ? '=4\r\ntxt:\r\n' : bulk('')),
}
