/** Redis's glob patterns (util.c, stringmatchlen): * ? [abc] [^a] [a-z] and \ before a character meant as itself. */

export function globMatches(pattern: string, text: string): boolean {
  let p = 0
  let t = 0
  // Where to try again when what follows the last star does not match: never more than one star back, so no blow-up.
  let starAt = -1
  let starText = 0
  while (t < text.length) {
    const step = p < pattern.length && pattern[p] !== '*' ? matchOne(pattern, p, text[t]) : 0
    if (step > 0) {
      p += step
      t++
    } else if (pattern[p] === '*') {
      starAt = p++
      starText = t
    } else if (starAt >= 0) {
      p = starAt + 1
      t = ++starText
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** Length of the pattern's element at `at` where it matches the character; else 0. */
function matchOne(pattern: string, at: number, character: string): number {
  const first = pattern[at]
  if (first === '?') return 1
  if (first === '\\' && at + 1 < pattern.length) return pattern[at + 1] === character ? 2 : 0
  if (first !== '[') return first === character ? 1 : 0
  let p = at + 1
  const negated = pattern[p] === '^'
  if (negated) p++
  let matched = false
  for (; p < pattern.length && pattern[p] !== ']'; p++) {
    if (pattern[p] === '\\' && p + 1 < pattern.length) {
      p++
      matched ||= pattern[p] === character
    } else if (pattern[p + 1] === '-' && p + 2 < pattern.length) {
      const [low, high] = pattern[p] <= pattern[p + 2] ? [pattern[p], pattern[p + 2]] : [pattern[p + 2], pattern[p]]
      matched ||= character >= low && character <= high
      p += 2
    } else {
      matched ||= pattern[p] === character
    }
  }
  return matched === negated ? 0 : Math.min(p + 1, pattern.length) - at
}
