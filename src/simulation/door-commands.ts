/** Commands that a node answers by itself, with what their replies look like: some texts are the node's own affair. */

const OK = /^\+OK\r\n$/
const NUMBER = /^:\d+\r\n$/
const NO_ERROR = /^[^-]/
const ANY = /^/

/** In both protocols. */
const COMMANDS: readonly (readonly [line: string, shape: RegExp])[] = [
  ['AUTH default secret', OK],
  ['CLIENT GETREDIR', /^:-1\r\n$/],
  ['CLIENT ID', NUMBER],
  ['CLIENT INFO', /id=\d+ .*name=/],
  ['CLIENT KILL ID 4000000000', /^:0\r\n$/],
  ['CLIENT LIST', /id=\d+ .*name=/],
  ['CLIENT NO-EVICT ON', OK],
  ['CLIENT NO-TOUCH OFF', OK],
  ['CLIENT PAUSE 0', OK],
  ['CLIENT REPLY ON', OK],
  ['CLIENT SETINFO lib-name simulation', OK],
  ['CLIENT TRACKING OFF', OK],
  ['CLIENT TRACKINGINFO', /off/],
  ['CLIENT UNBLOCK 4000000000', /^:0\r\n$/],
  ['CLIENT UNPAUSE', OK],
  ['COMMAND', /^\*\d\d/],
  ['COMMAND COUNT', NUMBER],
  ['COMMAND DOCS get', /summary/],
  ['COMMAND GETKEYS mset a 1 b 2', /^\*2\r\n\$1\r\na\r\n\$1\r\nb\r\n$/],
  ['COMMAND GETKEYSANDFLAGS get a', /^\*1\r\n\*2\r\n\$1\r\na\r\n/],
  ['COMMAND INFO get', /^\*1\r\n\*10\r\n\$3\r\nget\r\n:2\r\n/],
  ['COMMAND LIST', /\r\nget\r\n/],
  ['CONFIG GET maxmemory', /\r\nmaxmemory\r\n/],
  ['CONFIG RESETSTAT', OK],
  ['CONFIG REWRITE', ANY],
  ['CONFIG SET timeout 0', OK],
  ['FUNCTION FLUSH', OK],
  ['FUNCTION LIST', /^\*0\r\n$/],
  ['INFO', /redis_version:/],
  ['INFO commandstats', /# Commandstats\r\n/],
  ['KV.READ linearizable', OK],
  ['KV.STATUS', /^\$\d+\r\n\{/],
  ['LATENCY DOCTOR', NO_ERROR],
  ['LATENCY GRAPH command', ANY],
  ['LATENCY HISTOGRAM get', NO_ERROR],
  ['LATENCY HISTORY command', /^\*/],
  ['LATENCY LATEST', /^\*/],
  ['LATENCY RESET', NUMBER],
  ['MEMORY DOCTOR', NO_ERROR],
  ['MEMORY MALLOC-STATS', NO_ERROR],
  ['MEMORY PURGE', OK],
  ['MEMORY STATS', NO_ERROR],
  ['PUBLISH quiet nothing', NUMBER],
  ['PUBSUB CHANNELS', /^\*/],
  ['PUBSUB NUMPAT', NUMBER],
  ['PUBSUB NUMSUB quiet', /^[*%]/],
  ['SLOWLOG GET', /^\*/],
  ['SLOWLOG LEN', NUMBER],
  ['SLOWLOG RESET', OK],
  ['TIME', /^\*2\r\n\$\d+\r\n\d{10}\r\n/],
  ['WAIT 0 0', NUMBER],
  ...['CLIENT', 'COMMAND', 'CONFIG', 'FUNCTION', 'LATENCY', 'MEMORY', 'OBJECT', 'PUBSUB', 'SLOWLOG'].map(
    (name): [string, RegExp] => [`${name} HELP`, new RegExp(`^\\*\\d+\\r\\n[+$].*${name}`, 's')],
  ),
]

export interface DoorCommand {
  readonly words: readonly string[]
  readonly shape: RegExp
}

/** Sent one behind the other: what stands together must, lest a connection stay a subscriber. */
export const DOOR_COMMANDS: readonly (readonly DoorCommand[])[] = [
  ...COMMANDS.map((one) => [one]),
  [
    ['SUBSCRIBE news', /^[*>]3\r\n\$9\r\nsubscribe\r\n\$4\r\nnews\r\n:1\r\n$/] as const,
    ['UNSUBSCRIBE news', /^[*>]3\r\n\$11\r\nunsubscribe\r\n\$4\r\nnews\r\n:0\r\n$/] as const,
  ],
  [
    ['PSUBSCRIBE n*', /^[*>]3\r\n\$10\r\npsubscribe\r\n\$2\r\nn\*\r\n:1\r\n$/] as const,
    ['PUNSUBSCRIBE', /^[*>]3\r\n\$12\r\npunsubscribe\r\n\$2\r\nn\*\r\n:0\r\n$/] as const,
  ],
].map((group) => group.map(([line, shape]) => ({ words: line.split(' '), shape })))
