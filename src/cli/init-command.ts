/** `quorate init`: a cluster of one node, its directory only; the others join it by token once it runs. */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { completeShape, nodeAddresses, planIdentities } from '../embedding/cluster-shape.ts'
import { newSecrets } from '../embedding/dev-data.ts'
import { createNodeDirectory } from '../platform/data-directory.ts'
import { lockDataDirectory } from '../platform/directory-lock.ts'
import { type Outcome, succeed } from '../platform/failure.ts'
import type { NodeIdentity } from '../platform/identity.ts'
import { withSystemErrors } from '../platform/system-error.ts'
import { EXIT_GOOD, EXIT_USAGE, type ExitCode, reportFailure } from './exit.ts'

export interface InitOptions {
  readonly data: string
  readonly port?: number
  readonly host?: string
  readonly slots?: number
  readonly groups?: number
  readonly json?: boolean
}

export async function runInit(options: InitOptions): Promise<ExitCode> {
  const directory = resolve(options.data)
  const made = await initCluster(directory, options)
  if (!made.ok) {
    reportFailure(made.failure, options.json === true)
    return EXIT_USAGE
  }
  const { host, port, slotCount, groups, clusterId, nodeId, secret } = made.value
  const { resp: join } = nodeAddresses(host, port)
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ data: directory, nodeId, clusterId, slotCount, join, token: secret })}\n`)
    return EXIT_GOOD
  }
  const lines = [
    `A cluster of one node is in ${directory}: ${groups.length - 1} data group(s), ${slotCount} slots, master and worker in one.`,
    '',
    `  start it     quorate node --data ${directory} --port ${port}`,
    `  let others   quorate node --data DIR --port PORT --host HOST --join ${join} --token ${secret}`,
    '  join         (on each machine, with a directory of its own; HOST: how the others reach it)',
    '',
  ]
  process.stdout.write(lines.join('\n'))
  return EXIT_GOOD
}

/** The directory is empty or absent before, and holds the cluster's first node after. */
export async function initCluster(
  directory: string,
  options: Omit<InitOptions, 'data'>,
): Promise<Outcome<NodeIdentity>> {
  const { port, host, slots, groups = 1 } = options
  const shape = completeShape({ nodes: 1, groups, slotCount: slots, host, port })
  if (!shape.ok) return shape
  const made = withSystemErrors(directory, () => succeed(mkdirSync(directory, { recursive: true })))
  if (!made.ok) return made
  const lock = await lockDataDirectory(directory, 'stop what runs there first')
  if (!lock.ok) return lock
  try {
    const [identity] = planIdentities(shape.value, newSecrets())
    return createNodeDirectory(directory, identity)
  } finally {
    await lock.value.release()
  }
}
