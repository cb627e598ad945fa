/** From a command's words to its place: the command table says where its keys stand and whether it writes. */
import { concatBytes, latin1Bytes, latin1Text } from '../base/bytes.ts'
import { slotOf } from '../base/slot.ts'
import { COMMANDS_BY_NAME, type CommandSpec } from '../protocol/command-table.ts'
import { UsageError } from './errors.ts'
import type { CallRoute } from './pending-call.ts'

export interface RoutedCommand {
  readonly name: string
  readonly words: Uint8Array
  readonly wordCount: number
  readonly isWrite: boolean
  readonly route: CallRoute
}

/** They change the connection that they come by, or answer with pushes; connections here are shared. */
const OF_A_CONNECTION: ReadonlySet<string> = new Set(
  (
    'auth client discard exec hello kv.call kv.read kv.session monitor multi psubscribe punsubscribe quit reset select ' +
    'subscribe unsubscribe unwatch watch wait'
  ).split(' '),
)
/** Beside those that are flagged as reading: what may be asked again as often as it takes. */
const SAFE_TO_REPEAT: ReadonlySet<string> = new Set(
  'command dbsize echo info kv.status kv.table latency memory ping pubsub slowlog time'.split(' '),
)

export function routeCommand(words: readonly Uint8Array[], slotCount: number): RoutedCommand {
  if (words.length === 0) throw new UsageError('a call without a command')
  const name = latin1Text(words[0]).toLowerCase()
  const spec = specOf(name, words)
  if (OF_A_CONNECTION.has(name)) {
    throw new UsageError(`${name.toUpperCase()} belongs to one connection, and this client shares its connections`)
  }
  const encoded = { name: name.toUpperCase(), words: encodeWords(words), wordCount: words.length }
  if (spec === undefined || spec.opcode === 0 || spec.firstKey === 0) {
    const isSafe = SAFE_TO_REPEAT.has(name) || spec?.flags.includes('readonly') === true
    return { ...encoded, isWrite: !isSafe, route: { kind: 'any' } }
  }
  const isWrite = spec.flags.includes('write')
  const slot = commonSlot(spec, words, slotCount)
  if (slot !== null) return { ...encoded, isWrite, route: { kind: 'slot', slot } }
  if (spec.scope !== 'fanout') {
    throw new UsageError(`the keys of ${encoded.name} lie in several slots: give them one {hash tag}`)
  }
  return { ...encoded, isWrite, route: { kind: 'any' } }
}

function specOf(name: string, words: readonly Uint8Array[]): CommandSpec | undefined {
  const spec = COMMANDS_BY_NAME.get(name)
  if (spec === undefined || spec.subcommands.length === 0 || words.length < 2) return spec
  return COMMANDS_BY_NAME.get(`${name}|${latin1Text(words[1]).toLowerCase()}`) ?? spec
}

/** Null: they lie in several. Too few words for a key are the server's to refuse. */
function commonSlot(spec: CommandSpec, words: readonly Uint8Array[], slotCount: number): number | null {
  const last = spec.lastKey < 0 ? words.length + spec.lastKey : spec.lastKey
  let slot: number | null = null
  for (let i = spec.firstKey; i <= last && i < words.length; i += spec.keyStep) {
    const own = slotOf(words[i], slotCount)
    if (slot !== null && slot !== own) return null
    slot = own
  }
  return slot ?? 0
}

const LINE_END = latin1Bytes('\r\n')

/** As they stand in a request, behind its count. */
function encodeWords(words: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const word of words) parts.push(latin1Bytes(`$${word.length}\r\n`), word, LINE_END)
  return concatBytes(parts)
}
