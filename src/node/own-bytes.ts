/**
 * Messages are views of the frame that they came in. What is kept for long must not keep a frame alive that is mostly other messages: a
 * group with one write a second, beside a busy one, would hold a whole frame of the busy one's for each entry of its log.
 */
const SLACK_BYTES = 1024

/** The bytes themselves where they are most of what they keep alive, else a copy. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.length + SLACK_BYTES ? bytes.slice() : bytes
}
