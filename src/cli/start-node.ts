/**
 * Starts a node from its data directory in this process: claims the directory, counts the start, builds the ports on real Node.js and
 * hands them to the server. A broken promise of the disk or of the code ends the process: going on would risk acknowledged data.
 */
import { randomBytes } from 'node:crypto'
import { Prng } from '../base/prng.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type NodeConfig, type NodeError } from '../node/node-config.ts'
import {
  bumpIncarnation,
  checkExpected,
  type ExpectedNode,
  markGenesisMade,
  readIdentity,
} from '../platform/data-directory.ts'
import { type HeldLock, lockDataDirectory } from '../platform/directory-lock.ts'
import { fail, failureLine, type Outcome, succeed } from '../platform/failure.ts'
import { type NodeIdentity, PEER_PORT_OFFSET } from '../platform/identity.ts'
import { LmdbBaseFileStore } from '../platform/lmdb-base-file.ts'
import { NodeClock } from '../platform/node-clock.ts'
import { NodeDisk } from '../platform/node-disk.ts'
import { NodeNetwork } from '../platform/node-network.ts'
import { NodeProcessUsage } from '../platform/node-process-usage.ts'
import { PinoLogger } from '../platform/pino-logger.ts'
import { ServerNode } from '../server/server-node.ts'

const EXIT_FATAL = 1

export interface RunningNode {
  readonly identity: NodeIdentity
  /** In good order: clients first, one last sync, the lock released. */
  stop(): Promise<void>
}

export async function startNodeProcess(directory: string, expected: ExpectedNode): Promise<Outcome<RunningNode>> {
  const known = readIdentity(directory)
  if (!known.ok) return known
  const checked = checkExpected(directory, known.value, expected)
  if (!checked.ok) return checked
  const lock = await lockDataDirectory(directory, 'stop the process that runs this node first')
  if (!lock.ok) return lock
  const counted = bumpIncarnation(directory, known.value)
  if (!counted.ok) return release(lock.value, counted)
  const identity = counted.value
  endOnBrokenInvariant()
  const server = new ServerNode(
    {
      clock: new NodeClock(),
      disk: new NodeDisk(),
      network: new NodeNetwork(),
      baseFiles: new LmdbBaseFileStore(),
      random: new Prng(randomBytes(4).readUInt32LE()),
      usage: new NodeProcessUsage(),
      logger: new PinoLogger('info', { nodeId: identity.nodeId }),
      markGenesisMade: (done) => {
        const made = markGenesisMade(directory, identity)
        setImmediate(() => done(made.ok ? null : failureLine(made.failure)))
      },
      onFatal: (message) => endNow(message),
    },
    configOf(directory, identity),
  )
  const error = await new Promise<NodeError | null>((done) => server.start(done))
  if (error !== null) return release(lock.value, fail(error.code, error.message, error.mend))
  const stop = async (): Promise<void> => {
    await new Promise<void>((done) => server.stop(done))
    await lock.value.release()
  }
  return succeed({ identity, stop })
}

function configOf(directory: string, identity: NodeIdentity): NodeConfig {
  return {
    ...identity,
    dataDirectory: directory,
    respAddress: `${identity.host}:${identity.port}`,
    peerAddress: `${identity.host}:${identity.port + PEER_PORT_OFFSET}`,
    timings: DEFAULT_TIMINGS,
    limits: DEFAULT_LIMITS,
  }
}

async function release<T>(lock: HeldLock, outcome: Outcome<T>): Promise<Outcome<T>> {
  await lock.release()
  return outcome
}

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
