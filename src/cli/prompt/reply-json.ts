/**
 * A reply as one line of JSON. nil: null; integers and big numbers: all their digits, also beyond 2^53; doubles: numbers, but "inf",
 * "-inf" and "nan"; text: a string; bytes that are no UTF-8: {"base64": ...}; a map: an object if its keys are different strings,
 * else a list of [key, value]; an error: {"error": {"code", "message", "mend"?}}.
 */
import type { RespValue } from '../resp-value.ts'
import { serverError } from './server-error.ts'

/** Without the line's end. Text is put together here because JSON.stringify knows no exact integers. */
export function replyJson(value: RespValue): string {
  switch (value.kind) {
    case 'nil':
      return 'null'
    case 'simple':
      return JSON.stringify(value.text)
    case 'error':
      return JSON.stringify({ error: serverError(value.text) })
    case 'integer':
    case 'big-number':
    case 'boolean':
      return String(value.value)
    case 'double':
      return doubleJson(value.text)
    case 'bulk':
    case 'verbatim':
      return bytesJson(value.bytes)
    case 'map':
      return mapJson(value.items)
    default:
      return `[${value.items.map(replyJson).join(',')}]`
  }
}

function doubleJson(text: string): string {
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(text) ? text : JSON.stringify(text)
}

function bytesJson(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return JSON.stringify(Buffer.from(text, 'utf8').equals(bytes) ? text : { base64: bytes.toString('base64') })
}

function mapJson(items: readonly RespValue[]): string {
  const pairs: (readonly [key: string, value: string])[] = []
  for (let at = 0; at < items.length; at += 2) pairs.push([replyJson(items[at]), replyJson(items[at + 1])])
  const keys = new Set(pairs.map(([key]) => key))
  const isObject = keys.size === pairs.length && [...keys].every((key) => key.startsWith('"'))
  return isObject
    ? `{${pairs.map(([key, value]) => `${key}:${value}`).join(',')}}`
    : `[${pairs.map(([key, value]) => `[${key},${value}]`).join(',')}]`
}
