/** `quorate dev`: a whole cluster on this machine, in separate processes, with durable data. */
import { resolve } from 'node:path'
import type { ClusterShape } from '../embedding/cluster-shape.ts'
import { openDevData } from '../embedding/dev-data.ts'
import { type Failure, fail, type Outcome, succeed } from '../platform/failure.ts'
import { DevSupervisor } from './dev-supervisor.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from './exit.ts'
import { PROMPT_HELP } from './prompt/command-help.ts'
import { readyLine, readyPage } from './ready-line.ts'
import { startRepl } from './repl.ts'

export interface DevOptions {
  readonly nodes?: number
  readonly groups?: number
  readonly replicas?: number
  readonly slots?: number
  readonly data: string
  readonly host?: string
  readonly port?: number
  readonly metadata: string
  readonly replication: string
  readonly zookeeper?: string
  /** Bytes per second, of each node. */
  readonly migrationBandwidth?: number
  readonly json: boolean
  /** False under --no-repl. */
  readonly repl: boolean
}

/** Failures of the running cluster; all others are of usage or set-up. */
const RUN_FAILURES: ReadonlySet<string> = new Set(['not-ready', 'node-ended'])

export async function runDev(options: DevOptions, mainPath: string): Promise<ExitCode> {
  const startedMs = performance.now()
  const stop = stopSignal()
  const notBuilt = checkBuilt(options)
  const data = notBuilt.ok ? await openDevData(resolve(options.data), givenShape(options)) : notBuilt
  if (!data.ok) return giveUp(data.failure, options.json)

  let say = (line: string): void => void process.stderr.write(`${line}\n`)
  const { migrationBandwidth } = options
  const flags = migrationBandwidth === undefined ? [] : ['--migration-bandwidth', String(migrationBandwidth)]
  const supervisor = new DevSupervisor(data.value, mainPath, flags, (node, how) => {
    const again = `start it again with: ${node.command.join(' ')}`
    say(`quorate: node ${node.nodeId} (pid ${node.pid}) has ended (${how}); ${again}`)
  })
  supervisor.start()
  const ready = await supervisor.waitUntilReady(stop, say)
  if (!ready.ok) {
    await supervisor.stop()
    return stop.aborted ? EXIT_GOOD : giveUp(ready.failure, options.json)
  }

  const line = readyLine(supervisor, ready.value)
  if (options.json) process.stdout.write(`${JSON.stringify(line)}\n`)
  else process.stdout.write(readyPage(supervisor, line, performance.now() - startedMs))
  const withRepl = options.repl && !options.json && process.stdin.isTTY && process.stdout.isTTY
  if (withRepl) {
    process.stdout.write(`${PROMPT_HELP}\nLeaving stops the cluster.\n\n`)
    const addresses = line.nodes.map((node) => node.resp)
    const { stdin: input, stdout: output, env: environment } = process
    const repl = startRepl({ addresses, input, output, environment, signal: stop, home: 'quorate' })
    say = (text) => repl.say(text)
    await repl.ended
    say = (text) => void process.stderr.write(`${text}\n`)
  } else {
    await aborted(stop)
  }
  await supervisor.stop()
  return EXIT_GOOD
}

function givenShape(options: DevOptions): Partial<ClusterShape> {
  const { nodes, groups, replicas, slots, host, port } = options
  return { nodes, groups, replicas, slotCount: slots, host, port }
}

function checkBuilt(options: DevOptions): Outcome<null> {
  if (options.metadata !== 'embedded') {
    const known = options.metadata === 'zookeeper' ? 'is not built yet' : 'is unknown'
    return fail('usage', `--metadata ${options.metadata} ${known}`, 'leave it out: this version has embedded only')
  }
  if (options.replication !== 'raft') {
    const known = options.replication === 'semi-sync' ? 'is not built yet' : 'is unknown'
    return fail('usage', `--replication ${options.replication} ${known}`, 'leave it out: this version has raft only')
  }
  if (options.zookeeper !== undefined) {
    return fail('usage', '--zookeeper is not built yet', 'leave it out: this version keeps its own metadata')
  }
  return succeed(null)
}

function giveUp(failure: Failure, json: boolean): ExitCode {
  reportFailure(failure, json)
  return RUN_FAILURES.has(failure.code) ? EXIT_FAILED : EXIT_USAGE
}

/** Aborted by the first signal that asks to stop; later ones change nothing, the stop is under way. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => controller.abort())
  return controller.signal
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done()
    // Signal handlers alone do not keep the process alive once no child is left: a cluster of killed nodes still waits here.
    const alive = setInterval(() => {}, 60_000)
    signal.addEventListener('abort', () => {
      clearInterval(alive)
      done()
    })
  })
}
