/** `help`, `help COMMAND`, `help @group`: from the command table's words alone, so it needs no server. */
import { type Failure, fail, type Outcome, succeed } from '../../platform/failure.ts'
import { parseSyntax, type SyntaxItem, syntaxText } from '../../protocol/command-syntax.ts'
import { type Palette, PLAIN } from './palette.ts'
import { COMMANDS, GROUPS, type KnownCommand, knownCommand } from './vocabulary.ts'

/** The first page, also shown when `quorate dev` is ready. */
export const PROMPT_HELP = `put KEY VALUE              store a value
get KEY                    read it
delete KEY...              remove keys
cas KEY EXPECTED NEW       replace the value only where it is EXPECTED (NX: only where there is none)
help COMMAND               about one command; help @string about a group of them
exit                       leave
Anything else goes to the cluster as a Redis command: SET, INCR, EXPIRE, MULTI, SUBSCRIBE, INFO, KV.STATUS ...
Values with blanks stand in quotes: put greeting "hello world"
Tab completes. A line that ends in an open quote or in \\ goes on in the next.
Ctrl-C clears a line, or stops waiting for an answer.`

/** `topic`: the words behind `help`. */
export function commandHelp(topic: readonly string[], palette: Palette = PLAIN): Outcome<string> {
  if (topic.length === 0) return succeed(`${PROMPT_HELP}\nGroups: ${GROUPS.map((group) => `@${group}`).join(' ')}`)
  if (topic[0].startsWith('@')) return groupHelp(topic[0].slice(1).toLowerCase(), palette)
  const found = knownCommand(topic)
  if (found === null || found.taken < topic.length) return { ok: false, failure: unknownTopic(topic, found?.known) }
  return succeed(pageOf(found.known, palette))
}

function groupHelp(group: string, palette: Palette): Outcome<string> {
  const commands = COMMANDS.filter(({ doc }) => doc.group === group)
  if (commands.length === 0) return fail('no-group', `there is no group @${group}`, `there are: @${GROUPS.join(' @')}`)
  return succeed(commands.map((known) => lineOf(known, palette)).join('\n'))
}

function lineOf({ name, doc }: KnownCommand, palette: Palette): string {
  return `${palette.type(name.padEnd(18))} ${doc.summary}`
}

function unknownTopic(topic: readonly string[], container: KnownCommand | undefined): Failure {
  const asked = topic.join(' ').toUpperCase()
  const mend =
    container === undefined || container.subcommands.length === 0
      ? similar(topic[0].toUpperCase())
      : `there are: ${container.subcommands.map((inner) => `${container.name} ${inner}`).join(', ')}`
  return { code: 'no-command', message: `there is no command ${asked}`, mend }
}

function similar(word: string): string {
  const close = COMMANDS.map(({ name }) => ({ name, changes: distance(name.toUpperCase(), word) }))
    .filter(({ name, changes }) => name.toUpperCase().includes(word) || changes <= (word.length > 2 ? 2 : 1))
    .sort((a, b) => a.changes - b.changes)
    .slice(0, 5)
  return close.length === 0 || word === ''
    ? '`help` lists the groups'
    : `perhaps ${close.map(({ name }) => name).join(', ')}`
}

/** Levenshtein's: letters to change, add or drop. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const change = row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1))
    }
    row = next
  }
  return row[other.length]
}

function pageOf(known: KnownCommand, palette: Palette): string {
  const { doc, name } = known
  const lines = [
    `${palette.type(name)} ${palette.dim(doc.syntax)}`.trimEnd(),
    `  ${doc.summary}`,
    `  since ${doc.group === 'quorate' || doc.group === 'prompt' ? 'Quorate' : 'Redis'} ${doc.since}`,
    `  group @${doc.group}`,
    `  complexity ${doc.complexity}`,
  ]
  if (known.subcommands.length > 0) {
    lines.push('  subcommands:')
    const inner = known.subcommands.map((second) => knownCommand([name, second])?.known)
    for (const one of inner) if (one !== undefined) lines.push(`    ${lineOf(one, palette)}`)
  } else if (doc.syntax !== '') {
    lines.push('  arguments:', ...parseSyntax(doc.syntax).map((item) => `    ${argumentText(item)}`))
  } else {
    lines.push('  no arguments')
  }
  return lines.join('\n')
}

function argumentText(item: SyntaxItem): string {
  if (item.kind !== 'group') return item.text
  const how = [
    ...(item.isOptional ? ['optional'] : []),
    ...(item.choices.length > 1 ? ['one of'] : []),
    ...(item.repeats ? ['may be repeated'] : []),
  ].join(', ')
  return `${how}: ${item.choices.map(syntaxText).join(', ')}`
}
