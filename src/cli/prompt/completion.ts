/** What Tab offers: commands, subcommands, and the words of a command that stand as they are, such as EX or MATCH. */

import { parseSyntax } from '../../protocol/command-syntax.ts'
import { isBlank, splitWords } from './split-words.ts'
import { nextTokens, remainingSyntax } from './syntax-match.ts'
import { COMMANDS, GROUPS, type KnownCommand, knownCommand } from './vocabulary.ts'

/** In readline's form: the candidates, and the part of the line that each of them replaces. */
export function complete(line: string): [candidates: string[], replaced: string] {
  const split = splitWords(line)
  if (split.kind !== 'words') return [[], line]
  const isFinished = line === '' || isBlank(line[line.length - 1])
  const texts = split.words.map(({ bytes }) => bytes.toString('utf8'))
  const last = split.words.at(-1)
  const fragment = isFinished || last === undefined ? '' : line.slice(last.start, last.end)
  if (last?.isQuoted === true && !isFinished) return [[], fragment]
  const before = isFinished ? texts : texts.slice(0, -1)
  const fitting = candidatesAfter(before)
    .filter((candidate) => candidate.toUpperCase().startsWith(fragment.toUpperCase()))
    .map((candidate) => inCaseOf(fragment, candidate))
  // A single one is wanted with the blank behind it.
  return [fitting.length === 1 ? [`${fitting[0]} `] : fitting, fragment]
}

function candidatesAfter(before: readonly string[]): readonly string[] {
  if (before.length === 0) return namesOf(COMMANDS)
  const found = knownCommand(before)
  if (found === null) return []
  const { known, taken } = found
  if (known.name === 'help') return helpTopics(before.slice(1))
  if (known.subcommands.length > 0) return before.length === 1 ? known.subcommands : []
  const rest = remainingSyntax(parseSyntax(known.doc.syntax), before.slice(taken))
  return rest === null ? [] : nextTokens(rest)
}

function helpTopics(before: readonly string[]): readonly string[] {
  if (before.length === 0) return [...namesOf(COMMANDS), ...GROUPS.map((group) => `@${group}`)]
  return before.length === 1 ? (knownCommand(before)?.known.subcommands ?? []) : []
}

function namesOf(commands: readonly KnownCommand[]): string[] {
  return commands.map(({ name }) => name)
}

/** `se` goes on as `set`, `SE` as `SET`; with nothing typed, as the table writes it. */
function inCaseOf(fragment: string, candidate: string): string {
  if (!/[A-Za-z]/.test(fragment)) return candidate
  return fragment === fragment.toLowerCase() ? candidate.toLowerCase() : candidate.toUpperCase()
}
