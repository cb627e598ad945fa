/** A `quorate dev` of three nodes, started as a user starts it: separate processes, everything durable. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setupError } from './bench-error.ts'
import { freePorts } from './free-ports.ts'
import { waitUntil } from './wait-until.ts'
import type { Workshop } from './workshop.ts'

export const QUORATE_MAIN = fileURLToPath(new URL('../cli/main.js', import.meta.url))
const NODES = 3
/** Node i takes the ports from P + 10 (i - 1) on. */
const PORTS = 10 * NODES
const START_TIMEOUT_MS = 30_000
/** A group has a base file to open on each node, and the machine may be small. */
const START_TIMEOUT_MS_PER_GROUP = 120

/** The part of the ready line that the bench relies on. */
export interface ReadyLine {
  readonly ready: true
  readonly nodes: ReadonlyArray<{ readonly id: number; readonly pid: number; readonly resp: string }>
  readonly groups: ReadonlyArray<{ readonly id: number }>
}

export async function startDevCluster(workshop: Workshop, name: string, groups: number): Promise<ReadyLine> {
  if (!existsSync(QUORATE_MAIN)) throw setupError(`there is no ${QUORATE_MAIN}`, 'run: npm run build')
  const port = await freePorts(PORTS)
  const data = join(workshop.makeDirectory(name), 'data')
  const lines: string[] = []
  const args = [
    ...[QUORATE_MAIN, 'dev', '--nodes', `${NODES}`, '--groups', `${groups}`],
    ...['--data', data, '--port', `${port}`, '--json', '--no-repl'],
  ]
  workshop.startServer(name, process.execPath, args, (line) => lines.push(line))
  const timeoutMs = START_TIMEOUT_MS + groups * START_TIMEOUT_MS_PER_GROUP
  const line = await waitUntil(workshop, `${name} is ready`, timeoutMs, async () => lines[0] ?? null)
  const ready = parseReadyLine(line)
  workshop.watchOver(ready.nodes.map((node) => node.pid))
  return ready
}

export function parseReadyLine(line: string): ReadyLine {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    value = null
  }
  const ready = value as Partial<ReadyLine> | null
  const sound =
    ready?.ready === true &&
    Array.isArray(ready.nodes) &&
    Array.isArray(ready.groups) &&
    ready.groups.length > 0 &&
    ready.nodes.every((node) => typeof node.pid === 'number' && typeof node.resp === 'string')
  if (!sound) throw setupError(`quorate dev said no ready line, but: ${line.slice(0, 500)}`, 'run: npm run build')
  return ready as ReadyLine
}
