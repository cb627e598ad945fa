/**
 * The node of `quorate node`: the process is there for it alone. A broken promise of the disk or of the code ends the
 * process: going on would risk acknowledged data.
 */
import { NodeHost } from '../embedding/node-host.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMINGS } from '../node/node-config.ts'
import type { QuorateNode } from '../node/quorate-node.ts'
import { checkExpected, type ExpectedNode } from '../platform/data-directory.ts'
import { type Outcome, succeed } from '../platform/failure.ts'
import type { NodeIdentity } from '../platform/identity.ts'
import { PinoLogger } from '../platform/pino-logger.ts'
import type { Logger } from '../ports/logger.ts'
import type { WorkerNode } from './worker-group.ts'

const EXIT_FATAL = 1

/** A node that runs, and what is asked of it from within its process. */
export class RunningNode implements WorkerNode {
  readonly identity: NodeIdentity
  readonly #host: NodeHost
  readonly #logger: Logger
  readonly #waits = new AbortController()

  constructor(host: NodeHost, identity: NodeIdentity, logger: Logger) {
    this.#host = host
    this.identity = identity
    this.#logger = logger
  }

  get nodeId(): number {
    return this.identity.nodeId
  }

  groups(): readonly number[] | null {
    const { node } = this.#host
    if (node === null) return null
    const here = node.status().groups.map(({ id }) => id)
    if (here.length === 0 && node.view.tableVersion === 0) return null
    const due = node.view.groups().filter(({ members }) => members.some((member) => member === this.nodeId))
    return [...new Set([...here, ...due.map(({ group }) => group)])]
  }

  call(name: string, args: Readonly<Record<string, unknown>>): ReturnType<WorkerNode['call']> {
    const answered = new Promise<Awaited<ReturnType<WorkerNode['call']>>>((done) => {
      this.#host.run((node: QuorateNode) => node.admin.call(name, args, (error, answer) => done({ error, answer })))
    })
    const ended = this.#host.ended.then(() => ({
      error: { code: 'unavailable', message: 'the node has ended', mend: 'start it again' },
      answer: null,
    }))
    return Promise.race([answered, ended])
  }

  wait(ms: number): Promise<boolean> {
    const { signal } = this.#waits
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((done) => {
      const timer = setTimeout(() => end(true), ms)
      const aborted = (): void => end(false)
      const end = (goesOn: boolean): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', aborted)
        done(goesOn)
      }
      signal.addEventListener('abort', aborted)
    })
  }

  /** All that `wait` end at once. */
  endWaits(): void {
    this.#waits.abort()
  }

  log(event: string, fields: Readonly<Record<string, unknown>>): void {
    this.#logger.info(event, fields)
  }

  /** In good order: clients first, one last sync, the lock released. */
  stop(): Promise<void> {
    return this.#host.stop()
  }
}

/** `migrationBytesPerSecond` 0: no limit. */
export async function startNodeProcess(
  directory: string,
  expected: ExpectedNode,
  migrationBytesPerSecond = 0,
): Promise<Outcome<RunningNode>> {
  endOnBrokenInvariant()
  const logger = (nodeId: number): Logger => new PinoLogger('info', { nodeId })
  const host = new NodeHost(directory, {
    timings: DEFAULT_TIMINGS,
    limits: { ...DEFAULT_LIMITS, migrationBytesPerSecond },
    logger,
    onFailure: (failure) => endNow(failure.message),
  })
  const started = await host.start((identity) => checkExpected(directory, identity, expected), null)
  return started.ok ? succeed(new RunningNode(host, started.value, logger(started.value.nodeId))) : started
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
