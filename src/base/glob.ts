/** Redis's glob patterns (util.c, stringmatchlen), byte by byte: * ? [abc] [^a] [a-z] and \ before a character meant as itself. */
import { latin1Bytes } from './bytes.ts'

const STAR = 0x2a
const QUESTION = 0x3f
const BACKSLASH = 0x5c
const OPEN = 0x5b
const CLOSE = 0x5d
const CARET = 0x5e
const DASH = 0x2d

/** Time: at most the two lengths' product. */
export function globMatches(pattern: Uint8Array, text: Uint8Array): boolean {
  let p = 0
  let t = 0
  // Where to try again when what follows the last star does not match: never more than one star back, so no blow-up.
  let starAt = -1
  let starText = 0
  while (t < text.length) {
    const step = p < pattern.length && pattern[p] !== STAR ? matchOne(pattern, p, text[t]) : 0
    if (step > 0) {
      p += step
      t++
    } else if (pattern[p] === STAR) {
      starAt = p++
      starText = t
    } else if (starAt >= 0) {
      p = starAt + 1
      t = ++starText
    } else {
      return false
    }
  }
  while (pattern[p] === STAR) p++
  return p === pattern.length
}

/** For text whose characters are all below U+0100. */
export function globMatchesText(pattern: string, text: string): boolean {
  return globMatches(latin1Bytes(pattern), latin1Bytes(text))
}

/** Length of the pattern's element at `at` where it matches the byte; else 0. */
function matchOne(pattern: Uint8Array, at: number, byte: number): number {
  const first = pattern[at]
  if (first === QUESTION) return 1
  if (first === BACKSLASH && at + 1 < pattern.length) return pattern[at + 1] === byte ? 2 : 0
  if (first !== OPEN) return first === byte ? 1 : 0
  let p = at + 1
  const negated = pattern[p] === CARET
  if (negated) p++
  let matched = false
  for (; p < pattern.length && pattern[p] !== CLOSE; p++) {
    if (pattern[p] === BACKSLASH && p + 1 < pattern.length) {
      p++
      matched ||= pattern[p] === byte
    } else if (pattern[p + 1] === DASH && p + 2 < pattern.length) {
      const [low, high] = pattern[p] <= pattern[p + 2] ? [pattern[p], pattern[p + 2]] : [pattern[p + 2], pattern[p]]
      matched ||= byte >= low && byte <= high
      p += 2
    } else {
      matched ||= pattern[p] === byte
    }
  }
  return matched === negated ? 0 : Math.min(p + 1, pattern.length) - at
}
