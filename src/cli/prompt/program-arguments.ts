/** The program's arguments as bytes. Node decodes them as UTF-8, which loses others; Linux still has them as they were given. */
import { readFileSync } from 'node:fs'

/** `words`: the last arguments of the command line, as Node gives them. */
export function argumentBytes(words: readonly string[]): Buffer[] {
  const decoded = words.map((word) => Buffer.from(word, 'utf8'))
  if (words.length === 0 || !words.some((word) => word.includes('\ufffd'))) return decoded
  let whole: Buffer
  try {
    whole = readFileSync('/proc/self/cmdline')
  } catch {
    return decoded
  }
  const given = splitAtNul(whole).slice(-words.length)
  const isSame = given.length === words.length && given.every((word, at) => word.toString('utf8') === words[at])
  return isSame ? given : decoded
}

/** Each argument ends with a NUL. */
function splitAtNul(bytes: Buffer): Buffer[] {
  const words: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
    words.push(bytes.subarray(start, end))
    start = end + 1
  }
  return words
}
