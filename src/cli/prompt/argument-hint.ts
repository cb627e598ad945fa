/** What may follow what is typed: the dim text behind the cursor, as redis-cli shows it. */

import { parseSyntax, syntaxText } from '../../protocol/command-syntax.ts'
import { splitWords } from './split-words.ts'
import { remainingSyntax } from './syntax-match.ts'
import { knownCommand } from './vocabulary.ts'

/** Empty: nothing to say. Begins with a blank where the line does not end with one. */
export function argumentHint(line: string): string {
  const split = splitWords(line)
  if (split.kind !== 'words' || split.words.length === 0) return ''
  const words = split.words.map(({ bytes }) => bytes.toString('utf8'))
  const found = knownCommand(words)
  if (found === null) return ''
  const { known, taken } = found
  const isFinished = split.words[split.words.length - 1].end < line.length
  const gap = isFinished ? '' : ' '
  if (known.subcommands.length > 0) {
    return words.length === 1 ? `${gap}<${known.subcommands.join('|')}>` : ''
  }
  const rest = remainingSyntax(parseSyntax(known.doc.syntax), words.slice(taken))
  if (rest === null || rest.length === 0) return ''
  return gap + syntaxText(rest)
}
