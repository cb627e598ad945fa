/** A reply as a person reads it, in redis-cli's manner: types shown, bytes that do not print escaped. */
import { RespError, type RespReply } from './resp-reply.ts'

export function replyText(reply: RespReply, indent = ''): string {
  if (reply === null) return '(nil)'
  if (reply instanceof RespError) return `(error) ${reply.message}`
  if (Buffer.isBuffer(reply)) return quoted(reply)
  if (typeof reply === 'string') return reply
  if (typeof reply === 'number' || typeof reply === 'bigint') {
    return Number.isInteger(reply) || typeof reply === 'bigint' ? `(integer) ${reply}` : `(double) ${reply}`
  }
  if (typeof reply === 'boolean') return reply ? '(true)' : '(false)'
  return listText(reply, indent)
}

function listText(items: readonly RespReply[], indent: string): string {
  if (items.length === 0) return '(empty array)'
  const width = String(items.length).length
  return items
    .map((item, position) => {
      const label = `${String(position + 1).padStart(width)}) `
      const text = replyText(item, indent + ' '.repeat(label.length))
      return (position === 0 ? '' : indent) + label + text
    })
    .join('\n')
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '"': '\\"', '\\': '\\\\' }

/** In double quotes; text that is valid UTF-8 stays readable, other bytes are \xHH. */
export function quoted(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8')
  const isText = Buffer.from(text, 'utf8').equals(bytes)
  const source = isText ? text : Buffer.from(bytes).toString('latin1')
  let out = ''
  for (const character of source) {
    const code = character.codePointAt(0) as number
    const prints = code >= 0x20 && code !== 0x7f && (isText || code < 0x7f) && !(code >= 0x80 && code < 0xa0)
    out += ESCAPES[character] ?? (prints ? character : escapedBytes(character, isText))
  }
  return `"${out}"`
}

function escapedBytes(character: string, isText: boolean): string {
  const bytes = Buffer.from(character, isText ? 'utf8' : 'latin1')
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
