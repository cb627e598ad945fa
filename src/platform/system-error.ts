/** From Node's system errors (EACCES, ENOSPC...) to failures that a person can act on. */
import { fail, type Outcome } from './failure.ts'

/** A system error in `work` becomes a failure that names the path; anything else is a bug and goes on. */
export function withSystemErrors<T>(path: string, work: () => Outcome<T>): Outcome<T> {
  try {
    return work()
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === null) throw error
    const message = `cannot use ${path} (${(error as Error).message})`
    if (code === 'ENOTDIR' || code === 'EEXIST') return fail('not-a-directory', message, 'give a directory')
    if (code === 'ENOSPC') return fail('no-space', message, 'free space on this disk')
    return fail('unreadable', message, 'check the owner and the rights of the directory and the files in it')
  }
}

/** Such as ENOENT; null: not a system error. */
export function systemErrorCode(error: unknown): string | null {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return code !== undefined && /^E[A-Z0-9]+$/.test(code) ? code : null
}
