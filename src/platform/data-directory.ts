/**
 * A node's data directory: made once, claimed by one process at a time, never touched where it is not ours.
 *
 *   DIR/identity.json     who the node is (identity.ts); everything else in DIR belongs to the log and the store
 *
 * All changes of identity.json are atomic and durable before the call returns. Blocking: start-up only.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { assert } from '../base/assert.ts'
import { LOCK_FILE } from './directory-lock.ts'
import { replaceFileDurably, syncDirectory } from './durable-file.ts'
import { fail, type Outcome, succeed } from './failure.ts'
import { decodeIdentity, encodeIdentity, type NodeIdentity } from './identity.ts'
import { systemErrorCode, withSystemErrors } from './system-error.ts'

export const IDENTITY_FILE = 'identity.json'
/** What an unfinished creation, or a look at a directory that had been emptied, leaves: no data of anybody. */
const TRACES: readonly string[] = [`${IDENTITY_FILE}.new`, LOCK_FILE]

/** Makes the directory (and its parents) where needed. Refuses one that has files in it, whoever put them there. */
export function createNodeDirectory(directory: string, identity: NodeIdentity): Outcome<NodeIdentity> {
  assert(identity.incarnation === 0 && identity.groups.every(({ made }) => !made), 'a new node has not started yet')
  return withSystemErrors(directory, () => {
    mkdirSync(directory, { recursive: true })
    const names = readdirSync(directory)
    if (names.includes(IDENTITY_FILE)) {
      return fail('exists', `${directory} holds a Quorate node already`, 'give another directory')
    }
    if (names.some((name) => !TRACES.includes(name))) return foreign(directory)
    replaceFileDurably(join(directory, IDENTITY_FILE), encodeIdentity(identity))
    syncDirectory(dirname(resolve(directory)))
    return succeed(identity)
  })
}

/** Changes nothing: see `claimNodeDirectory` for a start. */
export function readIdentity(directory: string): Outcome<NodeIdentity> {
  return withSystemErrors(directory, () => {
    let names: readonly string[]
    try {
      names = readdirSync(directory)
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return missing(directory)
      throw error
    }
    if (!names.includes(IDENTITY_FILE)) {
      return names.every((name) => TRACES.includes(name)) ? missing(directory) : foreign(directory)
    }
    const path = join(directory, IDENTITY_FILE)
    return decodeIdentity(readFileSync(path, 'utf8'), path)
  })
}

/** Counts one more start, on disk. The caller holds the directory's lock. */
export function bumpIncarnation(directory: string, identity: NodeIdentity): Outcome<NodeIdentity> {
  return writeIdentity(directory, { ...identity, incarnation: identity.incarnation + 1 })
}

/** Replaces the identity. The caller holds the directory's lock. */
export function writeIdentity(directory: string, identity: NodeIdentity): Outcome<NodeIdentity> {
  return withSystemErrors(directory, () => {
    replaceFileDurably(join(directory, IDENTITY_FILE), encodeIdentity(identity))
    return succeed(identity)
  })
}

export interface ExpectedNode {
  readonly nodeId?: number
  readonly host?: string
  readonly port?: number
}

/** Whether the command line speaks of the node that lives here. */
export function checkExpected(
  directory: string,
  identity: NodeIdentity,
  expected: ExpectedNode,
): Outcome<NodeIdentity> {
  if (expected.nodeId !== undefined && expected.nodeId !== identity.nodeId) {
    const message = `${directory} holds node ${identity.nodeId}, not node ${expected.nodeId}`
    return fail('wrong-node', message, 'leave out --id, or give the directory of that node')
  }
  if (expected.port !== undefined && expected.port !== identity.port) {
    const message = `node ${identity.nodeId} in ${directory} is known to its peers at port ${identity.port}, not ${expected.port}`
    return fail('wrong-port', message, `start it with --port ${identity.port}, or leave out --port`)
  }
  if (expected.host !== undefined && expected.host !== identity.host) {
    const message = `node ${identity.nodeId} in ${directory} is known to its peers at host ${identity.host}, not ${expected.host}`
    return fail('wrong-host', message, `start it with --host ${identity.host}, or leave out --host`)
  }
  return succeed(identity)
}

function missing(directory: string): Outcome<never> {
  const mend =
    'join a cluster (--join HOST:PORT --token TOKEN), or make one: `quorate init`, or `quorate dev` for all of it'
  return fail('no-node', `no Quorate node in ${directory}`, mend)
}

function foreign(directory: string): Outcome<never> {
  const message = `${directory} holds other files and no Quorate node; nothing was touched`
  return fail('foreign-directory', message, 'give an empty directory, or the one of a node')
}
