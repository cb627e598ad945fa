/** BITOP AND|OR|XOR|NOT, as Redis 7.0: shorter strings go on with zeros; an empty result deletes the destination. */

import { assert } from '../../base/assert.ts'
import { EMPTY_BYTES } from '../../base/bytes.ts'
import { integerReply } from '../../protocol/resp-reply.ts'
import { EVENT_DEL, EVENT_SET } from '../key-events.ts'
import { type CommandHandler, isWord, SYNTAX_ERROR } from './handler.ts'

type Operation = 'and' | 'or' | 'xor' | 'not'
const OPERATIONS: readonly Operation[] = ['and', 'or', 'xor', 'not']

function operationOf(word: Uint8Array): Operation | null {
  return OPERATIONS.find((operation) => isWord(word, operation)) ?? null
}

function combine(operation: Operation, into: Uint8Array, other: Uint8Array): void {
  const shared = Math.min(into.length, other.length)
  if (operation === 'and') {
    for (let i = 0; i < shared; i++) into[i] &= other[i]
    into.fill(0, shared)
  } else if (operation === 'or') {
    for (let i = 0; i < shared; i++) into[i] |= other[i]
  } else {
    for (let i = 0; i < shared; i++) into[i] ^= other[i]
  }
}

export const BITOP: CommandHandler = {
  checkSyntax(args) {
    const operation = operationOf(args[0])
    if (operation === null) return SYNTAX_ERROR
    return operation === 'not' && args.length > 3 ? 'ERR BITOP NOT must be called with a single source key.' : null
  },
  execute(context, args) {
    const operation = operationOf(args[0])
    assert(operation !== null, 'BITOP ran with a syntax error')
    const [, destination, ...sources] = args
    let length = 0
    for (const key of sources) length = Math.max(length, context.find(key)?.value.length ?? 0)
    if (length === 0) {
      if (context.find(destination) !== null) context.remove(destination, EVENT_DEL)
      return integerReply(0)
    }
    const result = new Uint8Array(length)
    result.set(context.find(sources[0])?.value ?? EMPTY_BYTES)
    if (operation === 'not') for (let i = 0; i < length; i++) result[i] = ~result[i]
    else for (const key of sources.slice(1)) combine(operation, result, context.find(key)?.value ?? EMPTY_BYTES)
    const expiresAtMs = context.mutations.bitopKeepsExpiry ? (context.find(destination)?.expiresAtMs ?? 0) : 0
    context.put(destination, result, expiresAtMs, EVENT_SET)
    return integerReply(length)
  },
}
