/** Which node `quorate node` is to start: the one that the directory holds, or, in an empty one, a new one that joins a cluster. */
import { type ExpectedNode, readIdentity } from '../platform/data-directory.ts'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { type NodeIdentity, PEER_PORT_OFFSET } from '../platform/identity.ts'
import type { NodeRole } from '../ports/cluster-view.ts'
import type { JoinRequest } from './join-cluster.ts'
import { parseAddresses } from './prompt/cluster-addresses.ts'

export interface DirectoryOptions {
  readonly port?: number
  readonly host?: string
  readonly id?: number
  readonly join?: string
  readonly token?: string
  /** master, worker or both, parted by a comma. */
  readonly roles?: string
}

export type FoundDirectory =
  | { readonly kind: 'node'; readonly identity: NodeIdentity; readonly expected: ExpectedNode }
  | { readonly kind: 'join'; readonly request: JoinRequest }

/** `needed`: a role that the node must have, whether or not --roles is given. Changes nothing. */
export function findNode(directory: string, options: DirectoryOptions, needed?: NodeRole): Outcome<FoundDirectory> {
  const roles = parseRoles(options.roles)
  if (!roles.ok) return roles
  const found = readIdentity(directory)
  if (!found.ok) {
    if (found.failure.code !== 'no-node') return found
    const { id, join, token } = options
    if (id === undefined && join === undefined && token === undefined) return found
    return newNode(directory, options, roles.value ?? (needed === undefined ? ['master', 'worker'] : [needed]))
  }
  const identity = found.value
  const fits = checkRoles(directory, identity, roles.value, needed)
  if (!fits.ok) return fits
  const { id, host, port } = options
  return succeed({ kind: 'node', identity, expected: { nodeId: id, host, port } })
}

function newNode(directory: string, options: DirectoryOptions, roles: readonly NodeRole[]): Outcome<FoundDirectory> {
  const { id, join, token, port, host = '127.0.0.1' } = options
  if (id !== undefined) {
    const message = `--id ${id}: there is no node in ${directory}, and an id is never used again`
    return fail('no-node', message, "leave out --id and join as a new node, or give that node's directory")
  }
  if (join === undefined) return usage('--token without --join', 'give --join HOST:PORT too: a node of the cluster')
  if (token === undefined) {
    return usage('--join without --token', 'give --token too: `quorate admin token` or `quorate init` prints it')
  }
  if (!/^[0-9a-f]{32}$/.test(token)) {
    return usage('--token is not 32 hex digits', 'give what `quorate admin token` or `quorate init` printed')
  }
  if (port === undefined) return usage('--join without --port', "give --port: the new node's first port; it takes five")
  const maxPort = 65_535 - PEER_PORT_OFFSET
  if (port < 1 || port > maxPort) return usage(`--port ${port} is out of range`, `give 1 to ${maxPort}`)
  if (host === '')
    return usage('--host is empty', 'give the name or address under which the other nodes reach this one')
  const addresses = parseAddresses(join)
  if (!addresses.ok) {
    return usage(`--join ${join} is no address`, 'give HOST:PORT of a node that runs, or several parted by commas')
  }
  return succeed({ kind: 'join', request: { directory, host, port, roles, addresses: addresses.value, token } })
}

function parseRoles(text: string | undefined): Outcome<readonly NodeRole[] | null> {
  if (text === undefined) return succeed(null)
  const words = text.split(',').map((word) => word.trim())
  const unknown = words.find((word) => word !== 'master' && word !== 'worker')
  if (unknown !== undefined)
    return usage(`--roles ${text}: there is no role '${unknown}'`, 'give master, worker, or master,worker')
  return succeed((['master', 'worker'] as const).filter((role) => words.includes(role)))
}

/** Roles are part of how the cluster knows a node: a start does not change them in passing. */
function checkRoles(
  directory: string,
  { nodeId, roles }: NodeIdentity,
  wanted: readonly NodeRole[] | null,
  needed: NodeRole | undefined,
): Outcome<null> {
  const has = roles.join(',')
  if (wanted !== null && wanted.join() !== [...roles].sort().join()) {
    const message = `node ${nodeId} in ${directory} joined with --roles ${has}, not ${wanted.join(',')}`
    return fail('wrong-roles', message, 'leave out --roles, or let a new node join with them')
  }
  if (needed !== undefined && !roles.includes(needed)) {
    const message = `node ${nodeId} in ${directory} joined with --roles ${has}, and is no ${needed}`
    return fail('wrong-roles', message, 'start it with `quorate node`, or let a new node join in another directory')
  }
  return succeed(null)
}

function usage(message: string, mend: string): Outcome<never> {
  return fail('usage', message, mend)
}
