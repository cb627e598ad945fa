/**
 * Lines into commands. A line that ends inside quotes goes on in the next one, the line's end being part of the value; one that ends
 * in `\` goes on without it (inside '...' a `\` is itself).
 */
import { type LineEncoding, splitWords, type Word } from './split-words.ts'

export type Step =
  /** `text` is to be given back with the next line. */
  | { readonly kind: 'more'; readonly text: string }
  | { readonly kind: 'command'; readonly words: readonly Buffer[] }
  | { readonly kind: 'bad'; readonly message: string; readonly mend: string }

/** Beyond the largest value of 8 MiB with every byte of it written as \xHH. */
export const MAX_COMMAND_CHARACTERS = 40 * 1024 * 1024

/** `before`: the text of a `more`, else empty. */
export function continueCommand(before: string, line: string): Step {
  const text = before + line
  if (text.length > MAX_COMMAND_CHARACTERS) return tooLong()
  const split = splitWords(text)
  if (split.kind === 'stray') return stray()
  if (split.kind === 'open') {
    const isJoined = split.quote === '"' && endsInBackslash(text)
    return { kind: 'more', text: isJoined ? text.slice(0, -1) : `${text}\n` }
  }
  const last = split.words.at(-1)
  if (last !== undefined && !last.isQuoted && last.end === text.length && endsInBackslash(text)) {
    return { kind: 'more', text: text.slice(0, -1) }
  }
  return { kind: 'command', words: bytesOf(split.words) }
}

/** Where every line is a command of its own: nothing goes on in the next. */
export function singleCommand(line: string, encoding: LineEncoding): Exclude<Step, { kind: 'more' }> {
  if (line.length > MAX_COMMAND_CHARACTERS) return tooLong()
  const split = splitWords(line, encoding)
  if (split.kind === 'stray') return stray()
  if (split.kind === 'open') {
    return { kind: 'bad', message: 'a quote is not closed', mend: 'write a line end inside "..." as \\n' }
  }
  return { kind: 'command', words: bytesOf(split.words) }
}

function bytesOf(words: readonly Word[]): Buffer[] {
  return words.map(({ bytes }) => bytes)
}

function stray(): Step & { kind: 'bad' } {
  const mend = 'put a blank behind it, or \\ before a quote that is part of the value'
  return { kind: 'bad', message: 'a closing quote is followed by something else than a blank', mend }
}

export function tooLong(): Step & { kind: 'bad' } {
  const message = `the line is longer than ${MAX_COMMAND_CHARACTERS / (1024 * 1024)} MiB`
  return { kind: 'bad', message, mend: 'give a long value with --stdin' }
}

function endsInBackslash(text: string): boolean {
  const backslashes = /\\*$/.exec(text.slice(-1024))?.[0].length ?? 0
  return backslashes % 2 === 1
}
