/** COMMAND and its COUNT, INFO, LIST, all from the command table. DOCS and GETKEYS have files of their own. */
import { globMatchesText } from '../../base/glob.ts'
import { COMMAND_SPECS, COMMANDS_BY_NAME, type CommandSpec } from '../../protocol/command-table.ts'
import { categoriesOf, tipsOf } from '../../protocol/command-traits.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import {
  arrayReply,
  bulkText,
  integerReply,
  mapReply,
  NULL_REPLY,
  setReply,
  simpleString,
} from '../../protocol/resp-reply.ts'
import { docsReply } from './command-docs-reply.ts'
import { getKeysAndFlagsReply, getKeysReply } from './command-getkeys.ts'
import type { NamedReplies } from './commands.ts'
import type { DoorReply } from './door.ts'
import { SYNTAX_ERROR } from './errors.ts'
import { wordLower } from './words.ts'

/** The ten fields of Redis 7. */
function infoOf(spec: CommandSpec): Uint8Array {
  return arrayReply([
    bulkText(spec.name),
    integerReply(spec.arity),
    statuses(spec.flags),
    integerReply(spec.firstKey),
    integerReply(spec.lastKey),
    integerReply(spec.keyStep),
    statuses(categoriesOf(spec)),
    setReply(tipsOf(spec).map(bulkText)),
    setReply(keySpecifications(spec)),
    setReply(spec.subcommands.map(infoOf)),
  ])
}

function statuses(names: readonly string[]): Uint8Array {
  return setReply(names.map((name) => simpleString(name)))
}

function keySpecifications({ firstKey, lastKey, keyStep, keyFlags, otherKeyFlags }: CommandSpec): Uint8Array[] {
  if (firstKey === 0) return []
  const last = lastKey < 0 ? lastKey : lastKey - firstKey
  if (otherKeyFlags === null) return [keySpecification(firstKey, last, keyStep, keyFlags)]
  const lastOther = lastKey < 0 ? lastKey : lastKey - firstKey - 1
  return [keySpecification(firstKey, 0, 1, keyFlags), keySpecification(firstKey + 1, lastOther, keyStep, otherKeyFlags)]
}

/** `last` counts from the first one on. */
function keySpecification(first: number, last: number, step: number, flags: readonly string[]): Uint8Array {
  return mapReply([
    [bulkText('flags'), statuses(flags)],
    [
      bulkText('begin_search'),
      mapReply([
        [bulkText('type'), bulkText('index')],
        [bulkText('spec'), mapReply([[bulkText('index'), integerReply(first)]])],
      ]),
    ],
    [
      bulkText('find_keys'),
      mapReply([
        [bulkText('type'), bulkText('range')],
        [
          bulkText('spec'),
          mapReply([
            [bulkText('lastkey'), integerReply(last)],
            [bulkText('keystep'), integerReply(step)],
            [bulkText('limit'), integerReply(0)],
          ]),
        ],
      ]),
    ],
  ])
}

const ALL = arrayReply(COMMAND_SPECS.map(infoOf))

export const commandReply: DoorReply = () => ALL

const infoReply: DoorReply = (_door, _client, words) => {
  if (words.wordCount === 2) return ALL
  const replies: Uint8Array[] = []
  for (let i = 2; i < words.wordCount; i++) {
    const spec = COMMANDS_BY_NAME.get(wordLower(words, i))
    replies.push(spec === undefined ? NULL_REPLY : infoOf(spec))
  }
  return arrayReply(replies)
}

const listReply: DoorReply = (_door, _client, words) => {
  const wanted = words.wordCount === 2 ? () => true : filterOf(words)
  if (wanted === null) return SYNTAX_ERROR
  return arrayReply([...COMMANDS_BY_NAME.values()].filter(wanted).map(({ name }) => bulkText(name)))
}

/** FILTERBY MODULE name | ACLCAT category | PATTERN pattern. */
function filterOf(words: RequestWords): ((spec: CommandSpec) => boolean) | null {
  if (words.wordCount !== 5 || wordLower(words, 2) !== 'filterby') return null
  const value = wordLower(words, 4)
  switch (wordLower(words, 3)) {
    case 'module':
      return () => false
    case 'aclcat':
      return (spec) => categoriesOf(spec).includes(`@${value}`)
    case 'pattern':
      return (spec) => globMatchesText(value, spec.name)
    default:
      return null
  }
}

export const COMMAND_REPLIES: NamedReplies = [
  ['command|count', () => integerReply(COMMAND_SPECS.length)],
  ['command|docs', docsReply],
  ['command|getkeys', getKeysReply],
  ['command|getkeysandflags', getKeysAndFlagsReply],
  ['command|info', infoReply],
  ['command|list', listReply],
]
