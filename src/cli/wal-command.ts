/** `quorate wal dump`: a node's log as text, in NaiveKV's form (wal/dump.ts). Read-only: works beside a running node too. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { NodeDisk } from '../platform/node-disk.ts'
import { dumpLog } from '../wal/dump.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from './exit.ts'

/** One write for many lines: a log has millions. */
const CHUNK_CHARACTERS = 64 * 1024

/** `given` is a node's data directory, or the directory of a log itself. */
export async function runWalDump(given: string): Promise<ExitCode> {
  const directory = existsSync(join(given, 'wal')) ? join(given, 'wal') : given
  if (!existsSync(directory)) {
    reportFailure({ code: 'no-log', message: `there is no ${given}`, mend: "give a node's data directory" }, false)
    return EXIT_USAGE
  }
  let pending = ''
  const flush = (): void => {
    process.stdout.write(pending)
    pending = ''
  }
  return new Promise((end) => {
    const onLine = (line: string): void => {
      pending += `${line}\n`
      if (pending.length >= CHUNK_CHARACTERS) flush()
    }
    dumpLog(new NodeDisk(), resolve(directory), onLine, (result) => {
      flush()
      if (result.kind === 'failed') {
        const mend = 'what could be read stands above; give the directory of a node, or replace this replica'
        reportFailure({ code: 'no-log', message: result.message, mend }, false)
      }
      end(result.kind === 'done' ? EXIT_GOOD : EXIT_FAILED)
    })
  })
}
