/** `<container> HELP`, in Redis's layout, from the command table: every subcommand with its arguments and what it does. */
import { COMMAND_SPECS, type CommandSpec } from '../../protocol/command-table.ts'
import { arrayReply, simpleString } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'

function helpLines(container: CommandSpec): string[] {
  const name = container.name.toUpperCase()
  const lines = [`${name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`]
  for (const inner of container.subcommands) {
    const subcommand = inner.name.slice(container.name.length + 1).toUpperCase()
    if (subcommand === 'HELP') continue
    lines.push(inner.doc.syntax === '' ? subcommand : `${subcommand} ${inner.doc.syntax}`, `    ${inner.doc.summary}`)
  }
  return [...lines, 'HELP', '    Print this help.']
}

export const HELP_REPLIES: NamedReplies = COMMAND_SPECS.filter((spec) =>
  spec.subcommands.some((inner) => inner.name === `${spec.name}|help`),
).map((spec) => {
  const reply = arrayReply(helpLines(spec).map((line) => simpleString(line)))
  return [`${spec.name}|help`, () => reply]
})
