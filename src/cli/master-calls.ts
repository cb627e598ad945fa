/**
 * `KV.MASTER NAME JSON`, asked of a node from outside: what the cluster answers, or why it does not. Another process's words are checked before they are
 * believed.
 */
import { RespClient } from './resp-client.ts'
import { RespError, type RespReply } from './resp-reply.ts'

export type MasterReply =
  | { readonly kind: 'answer'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly mend: string }
  /** `sent`: it may have been carried out. */
  | { readonly kind: 'silence'; readonly sent: boolean; readonly message: string }

/** Nothing was done, or may be done again at no harm: the same question may be answered a little later. */
const PASSING: ReadonlySet<string> = new Set(['not-active', 'unavailable', 'busy', 'uncertain'])

export function isPassing(code: string): boolean {
  return PASSING.has(code)
}

/** One question to the node at this address, within `timeoutMs` for the connection and for the answer. */
export async function askMaster(address: string, name: string, args: object, timeoutMs: number): Promise<MasterReply> {
  let client: RespClient
  try {
    client = await RespClient.connect(address, timeoutMs)
  } catch (error) {
    return silence(false, error)
  }
  // Closing the connection is what ends a wait for a node that accepts and then says nothing.
  const deadline = setTimeout(() => client.close(), timeoutMs)
  try {
    return readReply(await client.call('KV.MASTER', name, JSON.stringify(args)))
  } catch (error) {
    return silence(true, error)
  } finally {
    clearTimeout(deadline)
    client.close()
  }
}

function silence(sent: boolean, error: unknown): MasterReply {
  return { kind: 'silence', sent, message: error instanceof Error ? error.message : String(error) }
}

/** A bulk string of JSON, `{"error":{"code","message","mend"}}` where it was refused; or a RESP error, whose words are all there is. */
export function readReply(reply: RespReply): MasterReply {
  if (reply instanceof RespError) return readError(reply.message)
  if (!Buffer.isBuffer(reply) && typeof reply !== 'string') return unreadable('is no text')
  let value: unknown
  try {
    value = JSON.parse(reply.toString())
  } catch {
    return unreadable('is no JSON')
  }
  const error = (value as { readonly error?: unknown } | null)?.error
  if (error === undefined) return { kind: 'answer', value }
  const { code, message, mend } = (error ?? {}) as Readonly<Record<string, unknown>>
  if (typeof code !== 'string' || typeof message !== 'string')
    return unreadable('holds an error without code or message')
  return { kind: 'refused', code, message, mend: typeof mend === 'string' ? mend : 'ask the node that answered' }
}

/** `ERR code: message; mend`, the code in lower case; other errors are named by their first word. */
function readError(text: string): MasterReply {
  const [, word, rest] = /^([A-Z]+) ?(.*)$/s.exec(text) ?? ['', 'ERR', text]
  const [, code, message] = /^([a-z]+(?:-[a-z]+)*): (.*)$/s.exec(rest) ?? [
    '',
    PASSING_WORDS[word] ?? word.toLowerCase(),
    rest,
  ]
  const at = message.lastIndexOf('; ')
  const mend = at < 0 ? 'see the logs of the nodes' : message.slice(at + 2)
  return { kind: 'refused', code, message: at < 0 ? message : message.slice(0, at), mend }
}

const PASSING_WORDS: Readonly<Record<string, string>> = {
  CLUSTERDOWN: 'unavailable',
  TRYAGAIN: 'unavailable',
  LOADING: 'unavailable',
  BUSY: 'busy',
  UNCERTAIN: 'uncertain',
}

function unreadable(how: string): MasterReply {
  const mend = 'give the address of a Quorate node of the same version'
  return { kind: 'refused', code: 'malformed-answer', message: `the answer ${how}`, mend }
}
