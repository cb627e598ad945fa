/** One process at a time on a data directory; the promise side of node-disk's lock, with the failure in plain words. */
import { fail, type Outcome, succeed } from './failure.ts'
import { lockDirectory } from './node-disk.ts'

/** The name that node-disk gives to the lock's file; it stays behind when the lock is released. */
export const LOCK_FILE = 'lock'

export interface HeldLock {
  release(): Promise<void>
}

/** Also taken from a process that died with it. `mend` says what to do about the process that holds it. */
export function lockDataDirectory(directory: string, mend: string): Promise<Outcome<HeldLock>> {
  return new Promise((done) => {
    lockDirectory(directory, (error, lock) => {
      if (lock !== null) {
        done(succeed({ release: () => new Promise((released) => lock.release(() => released())) }))
        return
      }
      const message = error?.message ?? `${directory} cannot be locked`
      if (error?.code === 'locked') done(fail('locked', message, mend))
      else done(fail('unreadable', message, 'check the owner and the rights of the directory'))
    })
  })
}
