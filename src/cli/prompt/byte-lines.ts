/** A stream cut into lines, bytes exactly; a line beyond the limit comes as null, and is not kept in memory. */
export async function* byteLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Buffer | null> {
  let parts: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(10, start)
      const part = chunk.subarray(start, end < 0 ? chunk.length : end)
      bytes += part.length
      if (bytes <= maxBytes) parts.push(part)
      else parts = []
      if (end < 0) break
      yield bytes > maxBytes ? null : withoutReturn(Buffer.concat(parts))
      parts = []
      bytes = 0
      start = end + 1
    }
  }
  if (bytes > 0) yield bytes > maxBytes ? null : withoutReturn(Buffer.concat(parts))
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 13 ? line.subarray(0, -1) : line
}
