/** `quorate node`: one node of a cluster that exists, in this process, until a signal or the end of its supervisor. */
import { resolve } from 'node:path'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from './exit.ts'
import { watchProcess } from './process-life.ts'
import { startNodeProcess } from './start-node.ts'

export interface NodeOptions {
  readonly data: string
  readonly port?: number
  readonly id?: number
  readonly supervisor?: number
  readonly join?: string
  readonly token?: string
  readonly roles?: string
}

/** Together below the two seconds in which a node must follow its supervisor. */
const WATCH_EVERY_MS = 250
const STOP_WITHIN_MS = 1_000

export async function runNode(options: NodeOptions): Promise<ExitCode> {
  const built = checkBuilt(options)
  if (!built.ok) {
    reportFailure(built.failure, false)
    return EXIT_USAGE
  }
  let askToStop: (why: string) => void = () => {}
  const stopAsked = new Promise<string>((done) => {
    askToStop = done
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => askToStop(signal))
  if (options.supervisor !== undefined) {
    const pid = options.supervisor
    const watching = watchProcess(pid, WATCH_EVERY_MS, () => {
      // Nothing may keep an orphan alive; the log makes an end at any point safe.
      setTimeout(() => process.exit(EXIT_GOOD), STOP_WITHIN_MS).unref()
      askToStop(`supervisor ${pid} is gone`)
    })
    if (watching === null) {
      const mend = 'start the cluster again with `quorate dev`, or leave out --supervisor'
      reportFailure({ code: 'no-supervisor', message: `there is no process ${pid} to watch`, mend }, false)
      return EXIT_USAGE
    }
  }
  const started = await startNodeProcess(resolve(options.data), { port: options.port, nodeId: options.id })
  if (!started.ok) {
    reportFailure(started.failure, false)
    return EXIT_USAGE
  }
  await stopAsked
  await started.value.stop()
  return EXIT_GOOD
}

function checkBuilt(options: NodeOptions): Outcome<null> {
  for (const flag of ['join', 'token', 'roles'] as const) {
    if (options[flag] === undefined) continue
    const mend = 'leave it out: this version starts nodes that `quorate dev` made'
    return fail('usage', `--${flag} is not built yet`, mend)
  }
  return succeed(null)
}
