/** COMMAND GETKEYS and GETKEYSANDFLAGS: which words of a command line are keys, without running it. */
import { COMMANDS_BY_NAME, type CommandSpec } from '../../protocol/command-table.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { arrayReply, bulkReply, errorReply, setReply, simpleString } from '../../protocol/resp-reply.ts'
import type { DoorReply } from './door.ts'
import { wordLower, wordView } from './words.ts'

const NO_SUCH_COMMAND = errorReply('ERR Invalid command specified')
const NO_KEYS = errorReply('ERR The command has no key arguments')
const WRONG_COUNT = errorReply('ERR Invalid number of arguments specified for command')

/** COMMAND GETKEYS stands before the line. */
const FIRST = 2

interface FoundKey {
  readonly word: number
  readonly flags: readonly string[]
}

export const getKeysReply: DoorReply = (_door, _client, words) => {
  const found = keysIn(words)
  return found instanceof Uint8Array ? found : arrayReply(found.map(({ word }) => bulkReply(wordView(words, word))))
}

export const getKeysAndFlagsReply: DoorReply = (_door, _client, words) => {
  const found = keysIn(words)
  if (found instanceof Uint8Array) return found
  return arrayReply(
    found.map(({ word, flags }) =>
      arrayReply([bulkReply(wordView(words, word)), setReply(flags.map((flag) => simpleString(flag)))]),
    ),
  )
}

function keysIn(words: RequestWords): readonly FoundKey[] | Uint8Array {
  const spec = specOf(words)
  if (spec === null) return NO_SUCH_COMMAND
  if (spec.firstKey === 0 || spec.keyFlags.includes('not_key')) return NO_KEYS
  const count = words.wordCount - FIRST
  if (spec.arity > 0 ? count !== spec.arity : count < -spec.arity) return WRONG_COUNT
  const last = spec.lastKey < 0 ? count + spec.lastKey : spec.lastKey
  const found: FoundKey[] = []
  for (let at = spec.firstKey; at <= last; at += spec.keyStep) {
    const other = at > spec.firstKey && spec.otherKeyFlags !== null
    found.push({ word: FIRST + at, flags: other ? spec.otherKeyFlags : flagsOf(spec, words) })
  }
  return found
}

function specOf(words: RequestWords): CommandSpec | null {
  const spec = COMMANDS_BY_NAME.get(wordLower(words, FIRST))
  if (spec === undefined || spec.name.includes('|')) return null
  if (spec.subcommands.length === 0 || words.wordCount === FIRST + 1) return spec
  const inner = COMMANDS_BY_NAME.get(`${spec.name}|${wordLower(words, FIRST + 1)}`)
  return inner ?? null
}

/** `variable_flags`: they hang on the options. */
function flagsOf(spec: CommandSpec, words: RequestWords): readonly string[] {
  const options: string[] = []
  for (let i = FIRST + spec.firstKey + 1; i < words.wordCount; i++) options.push(wordLower(words, i))
  if (spec.name === 'set') return options.includes('get', 1) ? ['RW', 'access', 'update'] : ['OW', 'update']
  if (spec.name === 'bitfield') {
    const writes = options.includes('set') || options.includes('incrby')
    return writes ? ['RW', 'access', 'update'] : ['RO', 'access']
  }
  return spec.keyFlags
}
