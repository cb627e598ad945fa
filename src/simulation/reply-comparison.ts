/** Whether a reply is the one that the model gives: byte by byte, but for times, which differ by what the clocks do, and for orders that nobody promised. */

/** Clocks are stepped by seconds and run up to a tenth fast or slow for a run of some minutes. */
const TOLERANCE_MS = 300_000
const UNORDERED: ReadonlySet<string> = new Set(['keys', 'scan'])

export function sameReply(words: readonly string[], expected: string, got: string): boolean {
  if (expected === got) return true
  if (UNORDERED.has(words[0].toLowerCase())) return sortedLines(expected) === sortedLines(got)
  return expected.includes(':~') && sameLines(expected.split('\r\n'), got.split('\r\n'))
}

function sortedLines(text: string): string {
  return text.split('\r\n').sort().join('\n')
}

function sameLines(expected: readonly string[], got: readonly string[]): boolean {
  return expected.length === got.length && expected.every((line, i) => line === got[i] || sameTime(line, got[i]))
}

function sameTime(expected: string, got: string): boolean {
  const wanted = /^:~(\d+)(s|ms)$/.exec(expected)
  const given = /^:(\d+)$/.exec(got)
  if (wanted === null || given === null) return false
  return Math.abs(Number(wanted[1]) - Number(given[1])) <= (wanted[2] === 's' ? TOLERANCE_MS / 1000 : TOLERANCE_MS)
}
