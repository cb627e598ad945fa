/**
 * `quorate node`, `quorate master`, `quorate worker`: one node of a cluster, in this process, until a signal or the end of its supervisor. In an empty
 * directory it joins the cluster first.
 */
import { resolve } from 'node:path'
import { type Failure, fail, type Outcome, succeed } from '../platform/failure.ts'
import type { NodeRole } from '../ports/cluster-view.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from './exit.ts'
import { joinCluster } from './join-cluster.ts'
import { type DirectoryOptions, findNode } from './node-directory.ts'
import { watchProcess } from './process-life.ts'
import { type RunningNode, startNodeProcess } from './start-node.ts'
import { getGroup, openTask, type WorkerTask } from './worker-group.ts'

export interface NodeOptions extends DirectoryOptions {
  readonly data: string
  readonly supervisor?: number
  /** Bytes per second. */
  readonly migrationBandwidth?: number
}

export interface WorkerOptions extends NodeOptions {
  readonly group?: number
  readonly weight?: number
  readonly mode?: string
}

/** Together below the two seconds in which a node must follow its supervisor. */
const WATCH_EVERY_MS = 250
const STOP_WITHIN_MS = 1_000
const DEFAULT_WEIGHT = 10
const WEIGHT_MAX = 1_000_000

export function runNode(options: NodeOptions): Promise<ExitCode> {
  return run(options, undefined, null)
}

export function runMaster(options: NodeOptions): Promise<ExitCode> {
  return run(options, 'master', null)
}

export async function runWorker(options: WorkerOptions): Promise<ExitCode> {
  const task = workerTask(options)
  return task.ok ? run(options, 'worker', task.value) : refuse(task.failure)
}

/** What the flags of `quorate worker` ask for. */
export function workerTask({ group, weight = DEFAULT_WEIGHT, mode }: WorkerOptions): Outcome<WorkerTask> {
  if (mode !== undefined) {
    const known = mode === 'primary' || mode === 'backup'
    const message = known
      ? `--mode ${mode} belongs to semi-synchronous groups, which are not built yet`
      : `--mode ${mode} is unknown`
    return fail('usage', message, 'leave it out: in a raft group the members elect their leader')
  }
  if (group !== undefined && group < 1) {
    return fail('usage', `--group ${group} is no data group`, 'give 1 or more, or leave it out for a new group')
  }
  if (weight < 1 || weight > WEIGHT_MAX) {
    return fail('usage', `--weight ${weight} is out of range`, `give 1 to ${WEIGHT_MAX}`)
  }
  return succeed({ group: group ?? null, weight })
}

async function run(options: NodeOptions, needed: NodeRole | undefined, task: WorkerTask | null): Promise<ExitCode> {
  let askToStop: (why: string) => void = () => {}
  const stopAsked = new Promise<string>((done) => {
    askToStop = done
  })
  const directory = resolve(options.data)
  const found = findNode(directory, options, needed)
  if (!found.ok) return refuse(found.failure)
  if (found.value.kind === 'join') {
    // Until it has joined there is nothing to stop in good order: a signal ends the process.
    const joined = await joinCluster(found.value.request)
    if (!joined.ok) return refuse(joined.failure)
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => askToStop(signal))
  if (options.supervisor !== undefined && !watchSupervisor(options.supervisor, askToStop)) {
    const mend = 'start the cluster again with `quorate dev`, or leave out --supervisor'
    return refuse({ code: 'no-supervisor', message: `there is no process ${options.supervisor} to watch`, mend })
  }
  const expected = found.value.kind === 'node' ? found.value.expected : {}
  const started = await startNodeProcess(directory, expected, options.migrationBandwidth)
  if (!started.ok) return refuse(started.failure)
  const node = started.value
  if (found.value.kind === 'node' && (options.join ?? options.token) !== undefined) {
    node.log('this node has joined already: it needs neither --join nor --token', { directory })
  }
  const stopped = stopAsked.then(() => null)
  const failure = task === null ? null : await Promise.race([serveGroup(node, directory, task), stopped])
  if (failure === null) await stopped
  node.endWaits()
  await node.stop()
  if (failure === null) return EXIT_GOOD
  reportFailure(failure, false)
  return EXIT_FAILED
}

async function serveGroup(node: RunningNode, directory: string, task: WorkerTask): Promise<Failure | null> {
  const opened = await openTask(directory, task)
  if (!opened.ok) return opened.failure
  if (opened.value !== null) return getGroup(node, opened.value)
  node.log('this worker got its group at an earlier start: --group and --weight change nothing', { directory })
  return null
}

function watchSupervisor(pid: number, askToStop: (why: string) => void): boolean {
  const watching = watchProcess(pid, WATCH_EVERY_MS, () => {
    // Nothing may keep an orphan alive; the log makes an end at any point safe.
    setTimeout(() => process.exit(EXIT_GOOD), STOP_WITHIN_MS).unref()
    askToStop(`supervisor ${pid} is gone`)
  })
  return watching !== null
}

function refuse(failure: Failure): ExitCode {
  reportFailure(failure, false)
  return EXIT_USAGE
}
