/** The arguments of a command as command-docs.ts writes them (`key [NX|XX] <a|b> [key ...]`), as a tree: for hints, completion and help. */
import { assert } from '../base/assert.ts'

export type SyntaxItem =
  /** A word that stands as it is. */
  { readonly kind: 'token'; readonly text: string } | { readonly kind: 'argument'; readonly text: string } | SyntaxGroup

/** `[...]`, optional, or `<...>`; one of its choices. */
export interface SyntaxGroup {
  readonly kind: 'group'
  readonly isOptional: boolean
  /** `...`: may be said again. */
  readonly repeats: boolean
  readonly choices: readonly (readonly SyntaxItem[])[]
}

const PIECES = /\s+|[[\]<>|]|\.\.\.|[^\s[\]<>|]+/g

export function parseSyntax(syntax: string): readonly SyntaxItem[] {
  const pieces = (syntax.match(PIECES) ?? []).filter((piece) => piece.trim() !== '')
  const reader = { pieces, at: 0 }
  const { choices } = readChoices(reader, undefined)
  assert(reader.at === pieces.length && choices.length === 1, `syntax '${syntax}' does not parse`)
  return choices[0]
}

interface Reader {
  readonly pieces: readonly string[]
  at: number
}

/** Up to `closing`, which is consumed. */
function readChoices(reader: Reader, closing: string | undefined): Pick<SyntaxGroup, 'choices' | 'repeats'> {
  const choices: SyntaxItem[][] = [[]]
  let repeats = false
  for (;;) {
    const piece = reader.pieces[reader.at]
    if (piece !== undefined || closing === undefined) reader.at += piece === undefined ? 0 : 1
    assert(piece !== undefined || closing === undefined, 'syntax: a bracket is not closed')
    if (piece === closing) return { choices, repeats }
    const items = choices[choices.length - 1]
    if (piece === '[' || piece === '<') {
      const inner = readChoices(reader, piece === '[' ? ']' : '>')
      items.push({ kind: 'group', isOptional: piece === '[', ...inner })
    } else if (piece === '|') choices.push([])
    else if (piece === '...') repeats = true
    else items.push({ kind: /[A-Z]/.test(piece) && !/[a-z]/.test(piece) ? 'token' : 'argument', text: piece })
  }
}

export function syntaxText(items: readonly SyntaxItem[]): string {
  return items.map((item) => (item.kind === 'group' ? groupText(item) : item.text)).join(' ')
}

function groupText(group: SyntaxGroup): string {
  const inner = group.choices.map(syntaxText).join('|') + (group.repeats ? ' ...' : '')
  return group.isOptional ? `[${inner}]` : `<${inner}>`
}
