/**
 * Every word that may begin a line of the prompt: the command table's commands and subcommands, and the prompt's own. Hints,
 * completion and help read them here.
 */
import type { CommandDoc } from '../../protocol/command-docs.ts'
import { COMMAND_SPECS, COMMANDS_BY_NAME, type CommandSpec } from '../../protocol/command-table.ts'

export interface KnownCommand {
  /** As it is typed: `SET`, `CLIENT LIST`, `put`. */
  readonly name: string
  readonly doc: CommandDoc
  /** Second words: `LIST` of `CLIENT`. */
  readonly subcommands: readonly string[]
}

const OWN_GROUP = 'prompt'

function own(name: string, syntax: string, complexity: string, summary: string): KnownCommand {
  return { name, doc: { group: OWN_GROUP, since: '0.1.0', complexity, syntax, summary }, subcommands: [] }
}

/** Lower case: no server knows them. GET is the table's own. */
const OWN: readonly KnownCommand[] = [
  own('put', 'key value', 'O(1)', 'Store a value; the same as SET.'),
  own('delete', 'key [key ...]', 'O(N)', 'Delete keys; the same as DEL.'),
  own('cas', 'key expected new', 'O(1)', 'Replace a value only where it is as expected; the same as KV.CAS.'),
  own('help', '[command [subcommand]]', 'O(1)', 'Show the commands, or one of them, or a group of them as @group.'),
  own('exit', '', 'O(1)', 'Leave; so do quit, Ctrl-D, and Ctrl-C on an empty line.'),
]

const typed = (spec: CommandSpec): string => spec.name.replace('|', ' ').toUpperCase()

const FROM_TABLE: readonly KnownCommand[] = COMMAND_SPECS.map((spec) => ({
  name: typed(spec),
  doc: spec.doc,
  subcommands: spec.subcommands.map((inner) => typed(inner).slice(spec.name.length + 1)),
}))

/** In the order of their names. */
export const COMMANDS: readonly KnownCommand[] = [...FROM_TABLE, ...OWN].sort((one, other) =>
  one.name.toLowerCase() < other.name.toLowerCase() ? -1 : 1,
)

const BY_NAME: ReadonlyMap<string, KnownCommand> = new Map(COMMANDS.map((known) => [known.name.toUpperCase(), known]))

const SUBCOMMANDS: ReadonlyMap<string, KnownCommand> = new Map(
  COMMAND_SPECS.flatMap((spec) => spec.subcommands).map((inner) => {
    const known = { name: typed(inner), doc: inner.doc, subcommands: [] }
    return [known.name, known]
  }),
)

export const GROUPS: readonly string[] = [...new Set(COMMANDS.map(({ doc }) => doc.group))].sort()

/** What the first words of a line name, and how many of them do; a container without a known subcommand is itself. */
export function knownCommand(
  words: readonly string[],
): { readonly known: KnownCommand; readonly taken: number } | null {
  const [first, second] = words
  const known = first === undefined ? undefined : BY_NAME.get(first.toUpperCase())
  if (known === undefined) return null
  const inner = second === undefined ? undefined : SUBCOMMANDS.get(`${known.name} ${second.toUpperCase()}`)
  return inner === undefined ? { known, taken: 1 } : { known: inner, taken: 2 }
}

/** Does it only read, as far as the table knows? */
export function isReadOnly(words: readonly Buffer[]): boolean {
  const [first, second] = words.slice(0, 2).map((word) => word.toString('latin1').toLowerCase())
  const spec = COMMANDS_BY_NAME.get(`${first}|${second}`) ?? COMMANDS_BY_NAME.get(first)
  return spec?.flags.includes('readonly') === true
}
