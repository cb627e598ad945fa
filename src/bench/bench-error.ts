/** How a bench ends early: the exit code by which scripts tell the reasons apart, and the mend for people. */

export const EXIT_GOOD = 0
/** An operation failed: the figures would be of something else than what the scenario says. */
export const EXIT_FAILED_OPERATION = 1
/** Usage, set-up, or a missing peer. */
export const EXIT_SETUP = 2

export class BenchError extends Error {
  override readonly name = 'BenchError'
  readonly exitCode: typeof EXIT_FAILED_OPERATION | typeof EXIT_SETUP
  readonly mend: string

  constructor(exitCode: typeof EXIT_FAILED_OPERATION | typeof EXIT_SETUP, message: string, mend: string) {
    super(message)
    this.exitCode = exitCode
    this.mend = mend
  }
}

export function setupError(message: string, mend: string): BenchError {
  return new BenchError(EXIT_SETUP, message, mend)
}

export function failedOperation(message: string, mend: string): BenchError {
  return new BenchError(EXIT_FAILED_OPERATION, message, mend)
}
