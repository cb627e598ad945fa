/**
 * The one table of CONFIG's parameters. Three kinds:
 *   - those that act on this node, until it restarts (there is no file to rewrite);
 *   - those that are as they are: CONFIG SET takes the value that they have, and says why another is refused. The ones that Redis
 *     calls immutable take none at all, as there;
 *   - those that are kept as they were set, and on which nothing hangs: tools set them for every Redis, and would stop at an error.
 * Bounds and words are Redis 7.0.15's where Quorate has no narrower bound of its own.
 */
import {
  bad,
  blankSeparated,
  good,
  memoryBytes,
  type Parsed,
  parseInteger,
  parseMemory,
  parseMemoryOrPercent,
  parseOneOf,
  parseYesNo,
  plainDouble,
  plainInteger,
} from './config-values.ts'
import type { Door } from './door.ts'
import type { DoorConfig, OutputLimit } from './door-config.ts'
import { keyspaceEventsText, parseKeyspaceEvents } from './keyspace-events.ts'

export interface ConfigParameter {
  readonly name: string
  /** Another name that Redis has for it; CONFIG GET shows both. */
  readonly alias: string | null
  /** Shown only to those who ask for it by its whole name. */
  readonly hidden: boolean
  readonly read: (door: Door, config: DoorConfig) => string
  /** Changes the config, or tells what is wrong with the text. Null: immutable. */
  readonly write: ((door: Door, config: DoorConfig, text: string) => string | null) | null
}

const INT_MAX = 2 ** 31 - 1
/** What Redis counts in 64 bits stands here in a number. */
const LARGEST = Number.MAX_SAFE_INTEGER
const MEGABYTE = 1024 ** 2
/** The parser's offsets are 31 bits wide. */
const LARGEST_REQUEST_BYTES = 2 ** 30 - 1
/** An entry holds 32 words of 128 bytes at most. */
const LONGEST_SLOWLOG = 100_000
const MAX_PERCENTILES = 64
const POLICIES =
  'volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction'.split(' ')

type NumberField = {
  [K in keyof DoorConfig]: DoorConfig[K] extends number ? K : never
}[keyof DoorConfig]

function parameter(
  name: string,
  read: ConfigParameter['read'],
  write: ConfigParameter['write'],
  more: { readonly alias?: string; readonly hidden?: boolean } = {},
): ConfigParameter {
  return { name, read, write, alias: more.alias ?? null, hidden: more.hidden ?? false }
}

/** Acts: `take` puts the value where the door looks for it. */
function acting<T>(
  name: string,
  show: (config: DoorConfig) => string,
  parse: (text: string, config: DoorConfig) => Parsed<T>,
  take: (config: DoorConfig, value: T) => void,
): ConfigParameter {
  return parameter(
    name,
    (_door, config) => show(config),
    (_door, config, text) => {
      const { value, error } = parse(text, config)
      if (error !== null) return error
      take(config, value)
      return null
    },
  )
}

function integer(name: string, field: NumberField, min: number, max: number): ConfigParameter {
  return acting(
    name,
    (config) => String(config[field]),
    (text) => parseInteger(text, min, max),
    (config, value) => {
      config[field] = value
    },
  )
}

function memory(name: string, field: NumberField, min: number, max: number): ConfigParameter {
  return acting(
    name,
    (config) => String(config[field]),
    (text) => parseMemory(text, min, max),
    (config, value) => {
      config[field] = value
    },
  )
}

/** Is as it is: `parse` gives the text's canonical form. */
function fixed(
  name: string,
  read: (door: Door) => string,
  parse: (text: string) => Parsed<string>,
  whyNot: string,
  more: { readonly alias?: string; readonly hidden?: boolean } = {},
): ConfigParameter {
  const write: ConfigParameter['write'] = (door, _config, text) => {
    const { value, error } = parse(text)
    if (error !== null) return error
    return value === read(door) ? null : whyNot
  }
  return parameter(name, read, write, more)
}

function immutable(name: string, value: string, alias?: string): ConfigParameter {
  return parameter(name, () => value, null, alias === undefined ? {} : { alias })
}

function kept(name: string, initial: string, parse: (text: string) => Parsed<string>): ConfigParameter {
  return parameter(
    name,
    (_door, config) => config.kept.get(name) ?? initial,
    (_door, config, text) => {
      const { value, error } = parse(text)
      if (error !== null) return error
      config.kept = new Map([...config.kept, [name, value]])
      return null
    },
  )
}

function asText<T>(parsed: Parsed<T>, show: (value: T) => string = String): Parsed<string> {
  return parsed.error === null ? good(show(parsed.value)) : parsed
}

const yesNoText = (text: string): Parsed<string> => asText(parseYesNo(text), (value) => (value ? 'yes' : 'no'))
const anyText = (text: string): Parsed<string> => good(text)

// --- client-output-buffer-limit: "normal 268435456 0 0 slave ... pubsub ..." ------------------------------------------

interface OutputLimits {
  readonly normal: OutputLimit
  readonly slave: OutputLimit
  readonly pubsub: OutputLimit
}

/** No client is a replica: Redis's class is shown, for those who read this text, and takes what it is given. */
const REPLICA_OUTPUT = 'client-output-buffer-limit slave'
const NO_REPLICAS: OutputLimit = { hardBytes: 256 * MEGABYTE, softBytes: 64 * MEGABYTE, softSeconds: 60 }
/** Less would close clients whose replies are as large as values may be. */
const SMALLEST_OUTPUT_BYTES = MEGABYTE
/** What stands for Redis's 0, no limit: one client may not take the node down. */
const UNLIMITED_OUTPUT_BYTES = 256 * MEGABYTE

function limitText(limit: OutputLimit): string {
  return `${limit.hardBytes} ${limit.softBytes} ${limit.softSeconds}`
}

function outputText(config: DoorConfig): string {
  const replica = config.kept.get(REPLICA_OUTPUT) ?? limitText(NO_REPLICAS)
  return `normal ${limitText(config.normalOutput)} slave ${replica} pubsub ${limitText(config.pubsubOutput)}`
}

function parseOutput(text: string, config: DoorConfig): Parsed<Partial<OutputLimits>> {
  const words = blankSeparated(text)
  if (words.length % 4 !== 0) return bad('Wrong number of arguments in buffer limit configuration.')
  const limits: { -readonly [K in keyof OutputLimits]?: OutputLimit } = {}
  for (let i = 0; i < words.length; i += 4) {
    const name = words[i].toLowerCase()
    const kind = name === 'replica' ? 'slave' : name
    if (kind !== 'normal' && kind !== 'slave' && kind !== 'pubsub') {
      return bad('Invalid client class specified in buffer limit configuration.')
    }
    const [asked, softBytes, softSeconds] = [
      memoryBytes(words[i + 1]),
      memoryBytes(words[i + 2]),
      plainInteger(words[i + 3]),
    ]
    const hardBytes = asked === 0 ? UNLIMITED_OUTPUT_BYTES : asked
    if (hardBytes === null || softBytes === null || softSeconds === null || softSeconds < 0) {
      return bad('Error in hard, soft or soft_seconds setting in buffer limit configuration.')
    }
    if (kind !== 'slave' && hardBytes < SMALLEST_OUTPUT_BYTES) {
      const had = kind === 'normal' ? config.normalOutput : config.pubsubOutput
      // What the node was started with may be less; to say it again changes nothing.
      if (hardBytes !== had.hardBytes) {
        return bad(
          `the hard limit of ${kind} clients is ${hardBytes}: it must be at least ${SMALLEST_OUTPUT_BYTES} bytes`,
        )
      }
    }
    limits[kind] = { hardBytes, softBytes, softSeconds }
  }
  return good(limits)
}

function takeOutput(config: DoorConfig, limits: Partial<OutputLimits>): void {
  config.normalOutput = limits.normal ?? config.normalOutput
  config.pubsubOutput = limits.pubsub ?? config.pubsubOutput
  if (limits.slave !== undefined) config.kept = new Map([...config.kept, [REPLICA_OUTPUT, limitText(limits.slave)]])
}

// --- Lists of numbers -------------------------------------------------------------------------------------------------

function parsePercentiles(text: string): Parsed<readonly number[]> {
  const words = blankSeparated(text)
  const values: number[] = []
  for (const word of words) {
    const value = plainDouble(word)
    if (value === null || words.length > MAX_PERCENTILES) {
      return bad('Invalid latency-tracking-info-percentiles parameters')
    }
    if (value < 0 || value > 100) {
      return bad('latency-tracking-info-percentiles parameters should sit between [0.0,100.0]')
    }
    values.push(value)
  }
  return good(values)
}

function parseSavePoints(text: string): Parsed<string> {
  const words = blankSeparated(text)
  const numbers = words.map(plainInteger)
  const sound = words.length % 2 === 0 && numbers.every((value, i) => value !== null && value >= (i % 2 === 0 ? 1 : 0))
  return sound ? good(words.join(' ')) : bad('Invalid save parameters')
}

function parseEvents(text: string): Parsed<number> {
  const flags = parseKeyspaceEvents(text)
  return flags === null ? bad("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.") : good(flags)
}

// --- The table --------------------------------------------------------------------------------------------------------

const PARAMETERS: readonly ConfigParameter[] = [
  // Clients
  integer('maxclients', 'maxClients', 1, 2 ** 32 - 1),
  integer('timeout', 'timeoutSeconds', 0, INT_MAX),
  integer('tcp-keepalive', 'tcpKeepaliveSeconds', 0, INT_MAX),
  memory('proto-max-bulk-len', 'maxRequestBytes', MEGABYTE, LARGEST_REQUEST_BYTES),
  memory('client-query-buffer-limit', 'queryBufferBytes', MEGABYTE, LARGEST),
  acting('client-output-buffer-limit', outputText, parseOutput, takeOutput),
  // Memory
  memory('maxmemory', 'maxMemoryBytes', 0, LARGEST),
  fixed(
    'maxmemory-policy',
    () => 'noeviction',
    (text) => parseOneOf(text, POLICIES),
    'Quorate never evicts keys: noeviction is the only policy',
  ),
  fixed(
    'maxmemory-clients',
    () => '0',
    (text) => asText(parseMemoryOrPercent(text), (value) => (value < 0 ? `${-value}%` : String(value))),
    'connections are not evicted for their memory: 0 is the only value; client-output-buffer-limit bounds each of them',
  ),
  kept('maxmemory-samples', '5', (text) => asText(parseInteger(text, 1, INT_MAX))),
  // What is observed
  integer('slowlog-log-slower-than', 'slowerThanUs', -1, LARGEST),
  integer('slowlog-max-len', 'slowlogMaxLength', 0, LONGEST_SLOWLOG),
  integer('latency-monitor-threshold', 'latencyThresholdMs', 0, LARGEST),
  acting(
    'latency-tracking',
    (config) => (config.latencyTracking ? 'yes' : 'no'),
    parseYesNo,
    (config, value) => {
      config.latencyTracking = value
    },
  ),
  acting(
    'latency-tracking-info-percentiles',
    (config) => config.latencyPercentiles.join(' '),
    parsePercentiles,
    (config, value) => {
      config.latencyPercentiles = value
    },
  ),
  acting(
    'notify-keyspace-events',
    (config) => keyspaceEventsText(config.keyspaceEvents),
    parseEvents,
    (config, value) => {
      config.keyspaceEvents = value
    },
  ),
  // As they are
  fixed('appendonly', () => 'yes', yesNoText, 'the log is what Quorate stores keys with: it is always on'),
  fixed(
    'appendfsync',
    () => 'always',
    (text) => parseOneOf(text, ['everysec', 'always', 'no']),
    'no write is answered before it is on the disks of a majority: always is the only value',
  ),
  fixed(
    'port',
    (door) => portOf(door.options.address),
    (text) => asText(parseInteger(text, 0, 65_535)),
    'Unable to listen on this port: a node keeps the ports that it was started with (--port)',
  ),
  fixed(
    'bind',
    (door) => hostOf(door.options.address),
    anyText,
    'Failed to bind to specified addresses: a node keeps the host that it was started with (--host)',
  ),
  fixed('requirepass', () => '', anyText, 'there is one user, default, who needs no password'),
  fixed('protected-mode', () => 'no', yesNoText, 'the node serves whoever reaches its host and port'),
  fixed(
    'key-load-delay',
    () => '0',
    (text) => asText(parseInteger(text, -INT_MAX - 1, INT_MAX)),
    'keys are read from the log and the base file without a delay',
    { hidden: true },
  ),
  immutable('databases', '1'),
  immutable('daemonize', 'no'),
  immutable('cluster-enabled', 'no'),
  immutable('replicaof', '', 'slaveof'),
  // Nothing hangs on them: every write is logged, and followers are fed from the log.
  kept('save', '', parseSavePoints),
  kept('repl-backlog-size', '1048576', (text) =>
    asText(parseMemory(text, 1, LARGEST), (value) => String(Math.max(value, 16_384))),
  ),
]

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1)
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}

const BY_NAME: ReadonlyMap<string, ConfigParameter> = new Map(
  PARAMETERS.flatMap((entry): [string, ConfigParameter][] =>
    entry.alias === null
      ? [[entry.name, entry]]
      : [
          [entry.name, entry],
          [entry.alias, entry],
        ],
  ),
)

/** The door's, then what the node's host adds, which cannot be set. */
export function configParameters(door: Door): ReadonlyMap<string, ConfigParameter> {
  const entries = door.options.nodeInfo.configEntries()
  if (entries.length === 0) return BY_NAME
  return new Map([...BY_NAME, ...entries.map(([name, value]) => [name, immutable(name, value)] as const)])
}
