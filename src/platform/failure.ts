/**
 * An expected failure of a command or of a start: a value, never a thrown string. One line says what is wrong, one
 * what mends it.
 */
export interface Failure {
  /** For machines: lower case, words joined by '-'. */
  readonly code: string
  /** What is wrong, naming the path, port or flag; no full stop at the end. */
  readonly message: string
  /** What the reader can do about it; no full stop at the end. */
  readonly mend: string
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure }

export function succeed<T>(value: T): Outcome<T> {
  return { ok: true, value }
}

export function fail(code: string, message: string, mend: string): { readonly ok: false; readonly failure: Failure } {
  return { ok: false, failure: { code, message, mend } }
}

/** One line: `what is wrong; what mends it`. */
export function failureLine(failure: Failure): string {
  return `${failure.message}; ${failure.mend}`.replaceAll('\n', ' ')
}
