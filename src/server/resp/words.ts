/** Single words of a request, for the commands that are not hot. */
import { latin1Text } from '../../base/bytes.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'

/** A view, valid as long as the request is. */
export function wordView(words: RequestWords, index: number): Uint8Array {
  return words.args.subarray(words.offsets[2 * index], words.offsets[2 * index + 1])
}

export function wordCopy(words: RequestWords, index: number): Uint8Array {
  return words.args.slice(words.offsets[2 * index], words.offsets[2 * index + 1])
}

/** One character a byte. */
export function wordText(words: RequestWords, index: number): string {
  return latin1Text(words.args, words.offsets[2 * index], words.offsets[2 * index + 1])
}

export function wordLower(words: RequestWords, index: number): string {
  return wordText(words, index).toLowerCase()
}

/** Views of the words from `first` on. */
export function wordViews(words: RequestWords, first: number): Uint8Array[] {
  const views: Uint8Array[] = []
  for (let i = first; i < words.wordCount; i++) views.push(wordView(words, i))
  return views
}

/** A copy that outlives the socket's buffer. */
export function keepWords(words: RequestWords): RequestWords {
  const from = words.offsets[0]
  const to = words.offsets[2 * words.wordCount - 1]
  const offsets = words.offsets.slice(0, 2 * words.wordCount)
  for (let i = 0; i < offsets.length; i++) offsets[i] -= from
  return { args: words.args.slice(from, to), offsets, wordCount: words.wordCount }
}

/** The words from `first` on. */
export function wordTexts(words: RequestWords, first: number): string[] {
  return Array.from({ length: Math.max(0, words.wordCount - first) }, (_, i) => wordText(words, first + i))
}
