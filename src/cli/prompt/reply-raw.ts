/** A reply for another program, as `redis-cli --raw` gives it: bytes exactly, no types, one element of a list a line, nil an empty one. */
import type { RespValue } from '../resp-value.ts'

const NEW_LINE = Buffer.from('\n')

/** With the line's end. A map's keys and values take a line each, in turn. */
export function replyRaw(value: RespValue): Buffer {
  const parts: Buffer[] = []
  collect(value, parts)
  return Buffer.concat([...parts, NEW_LINE])
}

function collect(value: RespValue, into: Buffer[]): void {
  switch (value.kind) {
    case 'nil':
      return
    case 'bulk':
    case 'verbatim':
      into.push(value.bytes)
      return
    case 'simple':
    case 'error':
    case 'double':
      into.push(Buffer.from(value.text, 'utf8'))
      return
    case 'integer':
    case 'big-number':
    case 'boolean':
      into.push(Buffer.from(String(value.value)))
      return
    default:
      for (const [position, item] of value.items.entries()) {
        if (position > 0) into.push(NEW_LINE)
        collect(item, into)
      }
  }
}
