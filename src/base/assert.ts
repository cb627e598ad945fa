/**
 * Assertions stay on in production: a broken invariant ends the process with what it knew (the entry points install
 * the handler), because going on would risk acknowledged data.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** For the default arm of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}

/** Narrows away null and undefined where an invariant, named by the message, says that they cannot be. */
export function present<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new AssertionError(message)
  return value
}
