/** How a command ends: its exit code, and one line that says why. */
import { type Failure, failureLine } from '../platform/failure.ts'

export const EXIT_GOOD = 0
/** A violation or a failed operation. */
export const EXIT_FAILED = 1
/** Usage, set-up, or too few operations to conclude. */
export const EXIT_USAGE = 2

export type ExitCode = typeof EXIT_GOOD | typeof EXIT_FAILED | typeof EXIT_USAGE

/** The line for people goes to stderr; under --json the same as one line of JSON to stdout. */
export function reportFailure(failure: Failure, json: boolean): void {
  process.stderr.write(`quorate: ${failureLine(failure)}\n`)
  if (json) process.stdout.write(`${JSON.stringify({ error: failure })}\n`)
}
