/**
 * A command's arguments in the form that COMMAND DOCS tells them, from the tree of command-syntax.ts: a token and what follows it are one
 * argument, and `key [key ...]` is one that may be said again.
 */
import { parseSyntax, type SyntaxGroup, type SyntaxItem } from './command-syntax.ts'

export type ArgumentType =
  | 'key'
  | 'string'
  | 'integer'
  | 'double'
  | 'pattern'
  | 'unix-time'
  | 'pure-token'
  | 'oneof'
  | 'block'

export interface CommandArgument {
  readonly name: string
  readonly type: ArgumentType
  /** The word, in capitals, that stands before the argument, or is all of it. */
  readonly token: string | null
  readonly optional: boolean
  readonly multiple: boolean
  /** The alternatives of a `oneof`, the parts of a `block`. */
  readonly parts: readonly CommandArgument[]
}

const TYPES: ReadonlyMap<string, ArgumentType> = new Map([
  ...typed('key', 'key key1 key2 newkey destkey source destination'),
  ...typed(
    'integer',
    'seconds milliseconds increment decrement start end len offset count ttl frequency cursor index destination-db client-id timeout numreplicas bit protover',
  ),
  ...typed('unix-time', 'unix-time-seconds unix-time-milliseconds'),
  ...typed('pattern', 'pattern library-name-pattern'),
])

function typed(type: ArgumentType, names: string): [string, ArgumentType][] {
  return names.split(' ').map((name) => [name, type])
}

/** Where a name means something else than elsewhere. */
const BY_COMMAND: ReadonlyMap<string, ArgumentType> = new Map([
  ['incrbyfloat increment', 'double'],
  ['setbit value', 'integer'],
])

const PLAIN: Omit<CommandArgument, 'name' | 'type'> = { token: null, optional: false, multiple: false, parts: [] }

export function commandArguments(syntax: string, command = ''): readonly CommandArgument[] {
  return argumentsOf(parseSyntax(syntax)).map((argument) => {
    const type = BY_COMMAND.get(`${command} ${argument.name}`)
    return type === undefined ? argument : { ...argument, type }
  })
}

function argumentsOf(items: readonly SyntaxItem[]): readonly CommandArgument[] {
  const found: CommandArgument[] = []
  for (let at = 0; at < items.length; ) {
    const item = items[at]
    at++
    if (item.kind === 'argument') found.push(plain(item.text))
    else if (item.kind === 'group') addGroup(found, item)
    else {
      const next = items[at]
      if (next?.kind === 'group' && !next.isOptional) {
        found.push({ ...groupOf(next), token: item.text, name: item.text.toLowerCase() })
        at++
        continue
      }
      const values: CommandArgument[] = []
      for (let value = items[at]; value?.kind === 'argument'; value = items[at]) {
        values.push(plain(value.text))
        at++
      }
      found.push(values.length === 0 ? pureToken(item.text) : { ...asOne(values), token: item.text })
    }
  }
  return found
}

/** `a b [a b ...]` is `a b` once or more often. */
function addGroup(found: CommandArgument[], group: SyntaxGroup): void {
  const item = groupOf(group)
  const parts = item.type === 'block' ? item.parts : [item]
  const before = found.slice(-parts.length)
  const same = (part: CommandArgument, i: number): boolean =>
    part.name === before[i]?.name && part.type === before[i].type
  if (
    !group.isOptional ||
    !group.repeats ||
    item.token !== null ||
    before.length < parts.length ||
    !parts.every(same)
  ) {
    found.push({ ...item, optional: group.isOptional })
    return
  }
  found.splice(found.length - parts.length, parts.length, { ...asOne(before), multiple: true })
}

function groupOf(group: SyntaxGroup): CommandArgument {
  const choices = group.choices.map((choice) => asOne(argumentsOf(choice)))
  const [first] = choices
  if (choices.length === 1) return { ...first, multiple: group.repeats || first.multiple }
  const name = choices.map((choice) => choice.name).join('|')
  return { ...PLAIN, name, type: 'oneof', multiple: group.repeats, parts: choices }
}

/** Several that stand together are a block. */
function asOne(parts: readonly CommandArgument[]): CommandArgument {
  return parts.length === 1
    ? parts[0]
    : { ...PLAIN, name: parts.map(({ name }) => name).join('_'), type: 'block', parts }
}

function plain(name: string): CommandArgument {
  return { ...PLAIN, name, type: TYPES.get(name) ?? 'string' }
}

function pureToken(token: string): CommandArgument {
  return { ...PLAIN, name: token.toLowerCase(), type: 'pure-token', token }
}
