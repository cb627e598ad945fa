/**
 * `npm run bench -- [SCENARIO...] [--against etcd,redis,redis-wait] [--quick] [--json [FILE]]`: method and figures in
 * docs/benchmarks.md. Ends with 0, with 1 if an operation failed, with 2 on usage or set-up; leaves nothing behind.
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { BenchError, EXIT_FAILED_OPERATION, EXIT_GOOD } from './bench-error.ts'
import { studyMigration } from './migration/study-migration.ts'
import { type BenchOptions, type PeerName, parseOptions } from './options.ts'
import { requirePrograms } from './programs.ts'
import { type Row, rowsOf, tableOf } from './report.ts'
import { measureShape } from './rounds.ts'
import { studyScale } from './scale/study-scale.ts'
import { shapesOf } from './scenarios.ts'
import type { System } from './system.ts'
import { EtcdSystem } from './systems/etcd.ts'
import { QuorateBySetWaitLoad, QuorateSystem } from './systems/quorate.ts'
import { RedisSystem, RedisWaitSystem } from './systems/redis.ts'
import { Workshop } from './workshop.ts'

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** What a signal ends is no failure of its own. */
let endedBySignal = false

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) return EXIT_GOOD
  requirePrograms(options.against)
  warnIfBusy()
  const workshop = new Workshop()
  clearOnSignals(workshop)
  try {
    const rows = options.scenarios.length === 0 ? [] : await measureAll(options, workshop)
    const tables = rows.length === 0 ? [] : [tableOf(rows)]
    const all: object[] = [...rows]
    for (const name of options.studies) {
      const study =
        name === 'scale' ? await studyScale(workshop, options, say) : await studyMigration(workshop, options, say)
      all.push(...study.rows)
      tables.push(study.table)
    }
    print(all, tables, options.json)
    return EXIT_GOOD
  } catch (error) {
    const fallen = workshop.fallenServer()
    if (fallen !== null && !endedBySignal) say(fallen)
    throw error
  } finally {
    await workshop.clear()
  }
}

function warnIfBusy(): void {
  const [load] = loadavg()
  const cores = availableParallelism()
  if (load > cores / 2)
    say(`the machine is busy (load ${load.toFixed(1)} on ${cores} cores): trust ratios, not figures`)
}

async function measureAll(options: BenchOptions, workshop: Workshop): Promise<Row[]> {
  const systems: System[] = []
  for (const groups of options.groups) {
    const quorate = new QuorateSystem(workshop, groups)
    systems.push(quorate)
    if (groups === 1 && options.against.includes('redis-wait'))
      systems.push(new QuorateBySetWaitLoad(workshop, quorate))
  }
  for (const peer of options.against) systems.push(peerSystem(peer, workshop))
  for (const system of systems) {
    say(`starting ${system.name}`)
    await system.start()
  }
  const rows: Row[] = []
  for (const shape of shapesOf(options.scenarios)) {
    rows.push(...rowsOf(await measureShape(shape, systems, options, say)))
  }
  return rows
}

function peerSystem(peer: PeerName, workshop: Workshop): System {
  switch (peer) {
    case 'etcd':
      return new EtcdSystem(workshop)
    case 'redis':
      return new RedisSystem(workshop)
    case 'redis-wait':
      return new RedisWaitSystem(workshop)
  }
}

function print(rows: readonly object[], tables: readonly string[], json: BenchOptions['json']): void {
  const text = `${tables.join('\n\n')}\n`
  if (json === null) {
    process.stdout.write(text)
    return
  }
  const line = `${JSON.stringify(rows)}\n`
  if (json !== true) writeFileSync(json, line)
  process.stdout.write(line)
  process.stderr.write(text)
}

function clearOnSignals(workshop: Workshop): void {
  for (const [signal, number] of Object.entries(SIGNAL_NUMBERS)) {
    process.once(signal, () => {
      say(`${signal}: stopping the servers`)
      endedBySignal = true
      workshop.clear().finally(() => process.exit(128 + number))
    })
  }
  process.once('exit', () => workshop.clearAtOnce())
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (endedBySignal) return
    const known = error instanceof BenchError
    say(known ? `${error.message}\n  ${error.mend}` : String(error instanceof Error ? error.stack : error))
    process.exit(known ? error.exitCode : EXIT_FAILED_OPERATION)
  },
)
