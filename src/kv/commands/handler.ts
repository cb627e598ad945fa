/** What the registry holds for each opcode, and the words of the errors that many commands share. */
import type { ExecutionContext } from '../execution-context.ts'
import type { KvLimits } from '../kv-options.ts'

export interface CommandHandler {
  /**
   * What is wrong with the arguments whatever the state is: a RESP error's text without '-' and CRLF, Redis 7's words;
   * null: nothing. Deterministic: doors and apply both ask. The number of arguments and the keys' sizes have been checked.
   */
  checkSyntax(args: readonly Uint8Array[], limits: KvLimits): string | null
  /** Runs after checkSyntax has found nothing. The reply is whole, and nobody changes it any more. */
  execute(context: ExecutionContext, args: readonly Uint8Array[]): Uint8Array
}

export const SYNTAX_ERROR = 'ERR syntax error'
export const NOT_AN_INTEGER = 'ERR value is not an integer or out of range'

export function invalidExpireTime(command: string): string {
  return `ERR invalid expire time in '${command}' command`
}

export function wrongArgumentCount(command: string): string {
  return `ERR wrong number of arguments for '${command}' command`
}

export function keyTooLarge(bytes: number, limits: KvLimits): string {
  return `ERR key is ${bytes} bytes, the limit is ${limits.maxKeyBytes} (--max-key-bytes)`
}

function valueTooLarge(bytes: number, limits: KvLimits): string {
  return `ERR value is ${bytes} bytes, the limit is ${limits.maxValueBytes} (--max-value-bytes)`
}

/** For values that grow in place. */
export function valueWouldBeTooLarge(bytes: number, limits: KvLimits): string {
  return `ERR string exceeds maximum allowed size (it would be ${bytes} bytes, the limit is ${limits.maxValueBytes}: --max-value-bytes)`
}

export function checkValue(value: Uint8Array, limits: KvLimits): string | null {
  return value.length > limits.maxValueBytes ? valueTooLarge(value.length, limits) : null
}

/** For commands whose arguments cannot be wrong once their number is right. */
export function noSyntax(): null {
  return null
}

/** Whether an option is this word, whatever the case; `word` is lower-case ASCII. */
export function isWord(option: Uint8Array, word: string): boolean {
  if (option.length !== word.length) return false
  for (let i = 0; i < word.length; i++) if ((option[i] | 0x20) !== word.charCodeAt(i)) return false
  return true
}
