/**
 * LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]: the longest common subsequence, by the usual table of
 * (length + 1) * (length + 1) cells, walked back as Redis 7.0 does, so that of several longest ones the same is found.
 */
import { assert } from '../../base/assert.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { arrayReply, bulkReply, bulkText, errorReply, integerReply, mapReply } from '../../protocol/resp-reply.ts'
import { parseInteger } from '../integer-text.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER, SYNTAX_ERROR } from './handler.ts'

/** 64 MiB for the table, and some 100 ms in which nothing else runs: as much as one command may take. */
const MAX_CELLS = 2 ** 24

interface LcsOptions {
  length: boolean
  indexes: boolean
  matchLengths: boolean
  minMatch: number
}

function parseOptions(args: readonly Uint8Array[]): LcsOptions | string {
  const options: LcsOptions = { length: false, indexes: false, matchLengths: false, minMatch: 0 }
  for (let i = 2; i < args.length; i++) {
    const word = args[i]
    if (isWord(word, 'idx')) options.indexes = true
    else if (isWord(word, 'len')) options.length = true
    else if (isWord(word, 'withmatchlen')) options.matchLengths = true
    else if (isWord(word, 'minmatchlen') && i + 1 < args.length) {
      const min = parseInteger(args[++i])
      if (min === null) return NOT_AN_INTEGER
      options.minMatch = Math.max(0, Number(min))
    } else return SYNTAX_ERROR
  }
  if (options.length && options.indexes) {
    return 'ERR If you want both the length and indexes, please just use IDX.'
  }
  return options
}

/** cells[i * (b.length + 1) + j]: how long it is for a's first i and b's first j bytes. */
function fill(a: Uint8Array, b: Uint8Array): Uint32Array {
  const width = b.length + 1
  const cells = new Uint32Array((a.length + 1) * width)
  for (let i = 1; i <= a.length; i++) {
    const byte = a[i - 1]
    const row = i * width
    for (let j = 1; j <= b.length; j++) {
      if (byte === b[j - 1]) cells[row + j] = cells[row + j - width - 1] + 1
      else {
        const above = cells[row + j - width]
        const before = cells[row + j - 1]
        cells[row + j] = above > before ? above : before
      }
    }
  }
  return cells
}

interface Match {
  /** Of the match's first byte. */
  readonly a: number
  readonly b: number
  readonly length: number
}

interface Walked {
  readonly text: Uint8Array
  /** Runs that lie together in both, from the last to the first. */
  readonly matches: readonly Match[]
}

function walkBack(a: Uint8Array, b: Uint8Array, cells: Uint32Array): Walked {
  const width = b.length + 1
  let i = a.length
  let j = b.length
  let left = cells[i * width + j]
  const text = new Uint8Array(left)
  const matches: Match[] = []
  let run = 0
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      text[--left] = a[i - 1]
      run++
      i--
      j--
      continue
    }
    if (run > 0) matches.push({ a: i, b: j, length: run })
    run = 0
    if (cells[(i - 1) * width + j] > cells[i * width + j - 1]) i--
    else j--
  }
  if (run > 0) matches.push({ a: i, b: j, length: run })
  return { text, matches }
}

function matchReply({ a, b, length }: Match, withLength: boolean): Uint8Array {
  const range = (from: number) => arrayReply([integerReply(from), integerReply(from + length - 1)])
  return arrayReply(withLength ? [range(a), range(b), integerReply(length)] : [range(a), range(b)])
}

export const LCS: CommandHandler = {
  checkSyntax(args) {
    const options = parseOptions(args)
    return typeof options === 'string' ? options : null
  },
  execute(context, args) {
    const options = parseOptions(args)
    assert(typeof options !== 'string', 'LCS ran with a syntax error')
    const a = (context.find(args[0])?.value ?? EMPTY_BYTES).slice()
    const b = context.find(args[1])?.value ?? EMPTY_BYTES
    const count = (a.length + 1) * (b.length + 1)
    if (count > MAX_CELLS) {
      return errorReply(
        `ERR Insufficient memory, LCS of ${a.length} and ${b.length} bytes needs ${count} cells, the limit is ${MAX_CELLS}: compare shorter values`,
      )
    }
    const cells = fill(a, b)
    const length = integerReply(cells[count - 1])
    if (options.length) return length
    const { text, matches } = walkBack(a, b, cells)
    if (!options.indexes) return bulkReply(text)
    const shown = matches.filter((match) => match.length >= options.minMatch)
    return mapReply([
      [bulkText('matches'), arrayReply(shown.map((match) => matchReply(match, options.matchLengths)))],
      [bulkText('len'), length],
    ])
  },
}
