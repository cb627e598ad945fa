/**
 * How far the words typed so far go in a command's arguments: what may follow (the hint), and which words of it stand as they are
 * (what Tab offers). Options in a row may come in any order, as servers take them.
 */
import type { SyntaxGroup, SyntaxItem } from '../../protocol/command-syntax.ts'

interface Walk {
  /** Words consumed. */
  readonly at: number
  /** What may follow the last word; empty where words are left. */
  readonly rest: readonly SyntaxItem[]
}

/** Null: the words do not fit. */
export function remainingSyntax(items: readonly SyntaxItem[], words: readonly string[]): readonly SyntaxItem[] | null {
  const walk = walkSequence(items, words, 0)
  return walk === null || walk.at < words.length ? null : walk.rest
}

/** The words that may come next as they are, in the order of the manual. */
export function nextTokens(rest: readonly SyntaxItem[]): string[] {
  const tokens = new Set<string>()
  for (const item of rest) {
    if (item.kind === 'token') tokens.add(item.text)
    if (item.kind !== 'group') break
    for (const choice of item.choices) for (const token of nextTokens(choice)) tokens.add(token)
    if (!item.isOptional) break
  }
  return [...tokens]
}

function walkSequence(sequence: readonly SyntaxItem[], words: readonly string[], from: number): Walk | null {
  let items = sequence
  let at = from
  while (items.length > 0 && at < words.length) {
    const [item, ...others] = items
    if (item.kind === 'token' && words[at].toUpperCase() !== item.text) return null
    if (item.kind !== 'group') {
      at++
      items = others
    } else if (item.isOptional) {
      const last = items.findIndex((other) => !isOption(other))
      const options = (last < 0 ? items : items.slice(0, last)).filter(isOption)
      const walk = walkOptions(options, words, at)
      const after = items.slice(options.length)
      if (walk.at === words.length) return { at: walk.at, rest: [...walk.rest, ...after] }
      at = walk.at
      items = after
    } else {
      const walk = walkChoices(item, words, at)
      if (walk === null) return null
      at = walk.at
      items = [...walk.rest, ...(item.repeats ? [{ ...item, isOptional: true }] : []), ...others]
    }
  }
  return { at, rest: at === words.length ? items : [] }
}

/** As many of the options as the words name, each once unless it repeats. */
function walkOptions(options: readonly SyntaxGroup[], words: readonly string[], from: number): Walk {
  let open = options
  let at = from
  let rest: readonly SyntaxItem[] = []
  while (at < words.length) {
    let found: { readonly option: SyntaxGroup; readonly walk: Walk } | null = null
    for (const option of open) {
      const walk = walkChoices(option, words, at)
      if (walk !== null && (found === null || startsWithToken(option, words[at]))) found = { option, walk }
    }
    if (found === null) return { at, rest: [] }
    const { option, walk } = found
    open = option.repeats ? open : open.filter((other) => other !== option)
    at = walk.at
    rest = walk.rest
  }
  return { at, rest: [...rest, ...open] }
}

/** The choice that begins with the word itself, else the first that fits. */
function walkChoices(group: SyntaxGroup, words: readonly string[], at: number): Walk | null {
  let found: Walk | null = null
  for (const choice of group.choices) {
    const walk = walkSequence(choice, words, at)
    if (walk === null || walk.at === at) continue
    if (nextTokens(choice).includes(words[at].toUpperCase())) return walk
    found ??= walk
  }
  return found
}

function startsWithToken(option: SyntaxGroup, word: string): boolean {
  return nextTokens([option]).includes(word.toUpperCase())
}

function isOption(item: SyntaxItem): item is SyntaxGroup {
  return item.kind === 'group' && item.isOptional
}
