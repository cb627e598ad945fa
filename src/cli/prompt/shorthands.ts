/** `put`, `delete` and `cas`, as in the systems that Quorate unites, and what they answer. `get` needs none: it is GET. */
import type { RespValue } from '../resp-value.ts'
import type { Palette } from './palette.ts'
import { quoted, replyText } from './reply-text.ts'

export interface Shorthand {
  readonly usage: string
  readonly minArguments: number
  readonly maxArguments: number
  readonly command: string
  /** What a person reads; null: the reply as any other command's. */
  answer(value: RespValue, palette: Palette): string | null
}

const SHORTHANDS: ReadonlyMap<string, Shorthand> = new Map<string, Shorthand>([
  [
    'put',
    {
      usage: 'put KEY VALUE',
      minArguments: 2,
      maxArguments: 2,
      command: 'SET',
      answer: (value) => (value.kind === 'simple' && value.text === 'OK' ? 'stored' : null),
    },
  ],
  [
    'delete',
    {
      usage: 'delete KEY...',
      minArguments: 1,
      maxArguments: Number.POSITIVE_INFINITY,
      command: 'DEL',
      answer: (value) => (value.kind === 'integer' ? `${value.value} removed` : null),
    },
  ],
  ['cas', { usage: 'cas KEY EXPECTED NEW', minArguments: 3, maxArguments: 3, command: 'KV.CAS', answer: casAnswer }],
])

function casAnswer(value: RespValue, palette: Palette): string | null {
  if (value.kind !== 'array' || value.items.length !== 2) return null
  const [swapped, now] = value.items
  const shown = now.kind === 'bulk' ? quoted(now.bytes) : replyText(now, palette)
  return swapped.kind === 'integer' && swapped.value === 1
    ? `swapped: it is ${shown} now`
    : `not swapped: it is ${shown}`
}

export function shorthandOf(word: string): Shorthand | null {
  return SHORTHANDS.get(word.toLowerCase()) ?? null
}
