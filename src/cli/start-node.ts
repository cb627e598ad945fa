/**
 * The node of `quorate node`: the process is there for it alone. A broken promise of the disk or of the code ends the
 * process: going on would risk acknowledged data.
 */
import { NodeHost } from '../embedding/node-host.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMINGS } from '../node/node-config.ts'
import { checkExpected, type ExpectedNode } from '../platform/data-directory.ts'
import { type Outcome, succeed } from '../platform/failure.ts'
import type { NodeIdentity } from '../platform/identity.ts'
import { PinoLogger } from '../platform/pino-logger.ts'

const EXIT_FATAL = 1

export interface RunningNode {
  readonly identity: NodeIdentity
  /** In good order: clients first, one last sync, the lock released. */
  stop(): Promise<void>
}

export async function startNodeProcess(directory: string, expected: ExpectedNode): Promise<Outcome<RunningNode>> {
  endOnBrokenInvariant()
  const host = new NodeHost(directory, {
    timings: DEFAULT_TIMINGS,
    limits: DEFAULT_LIMITS,
    logger: (nodeId) => new PinoLogger('info', { nodeId }),
    onFailure: (failure) => endNow(failure.message),
  })
  const started = await host.start((identity) => checkExpected(directory, identity, expected), null)
  return started.ok ? succeed({ identity: started.value, stop: () => host.stop() }) : started
}

/** What the node's own guard does not see: the command line's code around it. */
function endOnBrokenInvariant(): void {
  process.on('uncaughtException', (error) => endNow(error.stack ?? String(error)))
  process.on('unhandledRejection', (reason) =>
    endNow(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)),
  )
}

function endNow(message: string): void {
  process.stderr.write(`quorate: this node ends, so that no acknowledged write is at risk: ${message}\n`)
  process.exit(EXIT_FATAL)
}
