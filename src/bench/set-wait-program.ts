/** Runs our own load generator as a process of its own, so that its work is not ours. */
import { fileURLToPath } from 'node:url'
import { failedOperation } from './bench-error.ts'
import { KEY_COUNT, VALUE_BYTES } from './scenarios.ts'
import type { LoadResult } from './system.ts'
import type { Workshop } from './workshop.ts'

const PROGRAM = fileURLToPath(new URL('./set-wait-load.js', import.meta.url))
const LOAD_CONNECTIONS = 16
const LOAD_PIPELINE = 64

export interface SetWaitRun {
  readonly port: number
  readonly connections: number
  readonly pipeline: number
  readonly operations: number
  readonly setsPerWait: number
  readonly sequential?: boolean
}

export async function runSetWait(workshop: Workshop, run: SetWaitRun): Promise<LoadResult> {
  const { code, stdout, stderr } = await workshop.runProgram(process.execPath, [
    PROGRAM,
    ...['--port', `${run.port}`, '--connections', `${run.connections}`, '--pipeline', `${run.pipeline}`],
    ...['--operations', `${run.operations}`, '--sets-per-wait', `${run.setsPerWait}`],
    ...['--keys', `${KEY_COUNT}`, '--value-bytes', `${VALUE_BYTES}`],
    ...(run.sequential ? ['--sequential'] : []),
  ])
  if (code !== 0) throw failedOperation(stderr.trim() || `set-wait-load ended with ${code}`, 'see the server’s log')
  return JSON.parse(stdout) as LoadResult
}

/** Writes every key once, so that each read finds one. */
export async function loadAllKeys(workshop: Workshop, port: number): Promise<void> {
  await runSetWait(workshop, {
    port,
    connections: LOAD_CONNECTIONS,
    pipeline: LOAD_PIPELINE,
    operations: KEY_COUNT,
    setsPerWait: 0,
    sequential: true,
  })
}
