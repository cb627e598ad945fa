/** COMMAND DOCS: the command table's words in the form of Redis 7's. */

import { type CommandArgument, commandArguments } from '../../protocol/command-arguments.ts'
import { COMMAND_SPECS, COMMANDS_BY_NAME, type CommandSpec } from '../../protocol/command-table.ts'
import { arrayReply, bulkText, integerReply, mapReply, setReply, simpleString } from '../../protocol/resp-reply.ts'
import type { DoorReply } from './door.ts'
import { wordLower } from './words.ts'

type Pair = readonly [Uint8Array, Uint8Array]

export const docsReply: DoorReply = (_door, _client, words) => {
  if (words.wordCount === 2) return mapReply(COMMAND_SPECS.map(entryOf))
  const asked: CommandSpec[] = []
  for (let i = 2; i < words.wordCount; i++) {
    const spec = COMMANDS_BY_NAME.get(wordLower(words, i))
    if (spec !== undefined) asked.push(spec)
  }
  return mapReply(asked.map(entryOf))
}

function entryOf(spec: CommandSpec): Pair {
  const { name, doc, subcommands } = spec
  const pairs: Pair[] = [
    text('summary', doc.summary),
    text('since', doc.since),
    text('group', doc.group),
    text('complexity', doc.complexity),
  ]
  const found = commandArguments(doc.syntax, name)
  if (found.length > 0) {
    const keys = { next: 0 }
    pairs.push([bulkText('arguments'), arrayReply(found.map((argument) => argumentOf(spec, argument, keys)))])
  }
  if (subcommands.length > 0) pairs.push([bulkText('subcommands'), mapReply(subcommands.map(entryOf))])
  return [bulkText(name), mapReply(pairs)]
}

/** `keys.next`: the key specification of COMMAND INFO that the next key belongs to. */
function argumentOf(spec: CommandSpec, argument: CommandArgument, keys: { next: number }): Uint8Array {
  const { name, type, token, optional, multiple, parts } = argument
  const pairs: Pair[] = [text('name', name), text('type', type)]
  if (type === 'key') {
    pairs.push([bulkText('key_spec_index'), integerReply(keys.next)])
    if (spec.otherKeyFlags !== null) keys.next = 1
  }
  if (token !== null) pairs.push(text('token', token))
  const flags = [...(optional ? ['optional'] : []), ...(multiple ? ['multiple'] : [])]
  if (flags.length > 0) pairs.push([bulkText('flags'), setReply(flags.map((flag) => simpleString(flag)))])
  if (parts.length > 0) {
    pairs.push([bulkText('arguments'), arrayReply(parts.map((part) => argumentOf(spec, part, keys)))])
  }
  return mapReply(pairs)
}

function text(name: string, value: string): Pair {
  return [bulkText(name), bulkText(value)]
}
