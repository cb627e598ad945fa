/** Cuts a stream of RESP2 or RESP3 replies, one character a byte, into whole replies. */

/** Where the reply at `at` ends; -1: it is not whole. */
function endOf(text: string, at: number): number {
  const head = text.indexOf('\r\n', at)
  if (head < 0) return -1
  const next = head + 2
  const type = text[at]
  const count = Number(text.slice(at + 1, head))
  if ('$=!'.includes(type)) {
    const end = count < 0 ? next : next + count + 2
    return end > text.length ? -1 : end
  }
  if ('*~>%|'.includes(type)) {
    let end = next
    for (let i = 0; i < (type === '%' || type === '|' ? 2 * count : count) && end >= 0; i++) end = endOf(text, end)
    return end
  }
  if (!'+-:_#,('.includes(type)) throw new Error(`no reply begins with ${JSON.stringify(text.slice(at, at + 40))}`)
  return next
}

export function splitReplies(text: string): { readonly replies: string[]; readonly rest: string } {
  const replies: string[] = []
  let at = 0
  while (at < text.length) {
    const end = endOf(text, at)
    if (end < 0) break
    replies.push(text.slice(at, end))
    at = end
  }
  return { replies, rest: text.slice(at) }
}
