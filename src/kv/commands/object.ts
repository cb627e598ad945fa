/** OBJECT ENCODING|IDLETIME|FREQ|REFCOUNT, MEMORY USAGE: the first argument is the subcommand's word, the second the key. */
import { KEY_HEADER_BYTES, ROW_WORDS, VALUE_CHECKSUM_BYTES } from '../../ports/base-file.ts'
import { bulkText, errorReply, integerReply, NULL_REPLY } from '../../protocol/resp-reply.ts'
import { parseInteger } from '../integer-text.ts'
import { type CommandHandler, isWord, NOT_AN_INTEGER, noSyntax, SYNTAX_ERROR } from './handler.ts'

/** Redis's OBJ_ENCODING_EMBSTR_SIZE_LIMIT. */
const LONGEST_EMBEDDED_BYTES = 44
const NO_FREQUENCY = errorReply(
  'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
)

/** What Redis would choose for these bytes in a SET: values have no other history here. */
export const OBJECT_ENCODING: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[1])
    if (current === null) return NULL_REPLY
    if (parseInteger(current.value) !== null) return bulkText('int')
    return bulkText(current.value.length <= LONGEST_EMBEDDED_BYTES ? 'embstr' : 'raw')
  },
}

/** Seconds since the key was written, or since this replica began, if that is later: reads leave no trace. */
export const OBJECT_IDLETIME: CommandHandler = {
  checkSyntax: noSyntax,
  execute(context, args) {
    const current = context.find(args[1])
    if (current === null) return NULL_REPLY
    const writtenAtMs = context.writeTimes.timeOf(current.modificationIndex) ?? context.nowMs
    return integerReply(Math.max(0, Math.floor((context.nowMs - writtenAtMs) / 1000)))
  },
}

export const OBJECT_FREQ: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => (context.find(args[1]) === null ? NULL_REPLY : NO_FREQUENCY),
}

/** Every value stands once, for its key alone. */
export const OBJECT_REFCOUNT: CommandHandler = {
  checkSyntax: noSyntax,
  execute: (context, args) => (context.find(args[1]) === null ? NULL_REPLY : integerReply(1)),
}

/** In the memtable beside key and value: the composite key's head, the record's head (index, expiry) and checksum, its row, its place in the hash index. */
const OVERHEAD_BYTES = KEY_HEADER_BYTES + 16 + VALUE_CHECKSUM_BYTES + ROW_WORDS * 4 + 8

/** `MEMORY USAGE key [SAMPLES n]`: key, value and what the memtable keeps beside them. */
export const MEMORY_USAGE: CommandHandler = {
  checkSyntax(args) {
    for (let i = 2; i < args.length; i += 2) {
      if (!isWord(args[i], 'samples') || i + 1 === args.length) return SYNTAX_ERROR
      const samples = parseInteger(args[i + 1])
      if (samples === null) return NOT_AN_INTEGER
      if (samples < 0) return SYNTAX_ERROR
    }
    return null
  },
  execute(context, args) {
    const current = context.find(args[1])
    return current === null ? NULL_REPLY : integerReply(OVERHEAD_BYTES + args[1].length + current.value.length)
  },
}
