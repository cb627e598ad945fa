/**
 * Who may talk: both sides check the other's HELLO against what they know, so foreign clusters, misdirected
 * connections (a node that moved to another's address) and newer versions end before a message passes.
 */
import type { NodeId } from '../base/brand.ts'
import { equalBytes } from '../base/bytes.ts'
import { LANE_COUNT } from '../ports/peer-channel.ts'
import { type Hello, PROTOCOL_VERSION, type Refusal } from '../protocol/frame.ts'

export interface HelloExpectation {
  readonly clusterId: Uint8Array
  readonly authToken: Uint8Array
  readonly self: NodeId
  /** The dialling side knows whom it called. */
  readonly from: NodeId | null
  readonly lane: number | null
  /** The accepting side takes only nodes that it knows. */
  isPeer(node: NodeId): boolean
}

/** Why the HELLO is not good enough; null where it is. Texts hold no secrets: the other side gets to read them. */
export function refusalFor(hello: Hello, expected: HelloExpectation): Refusal | null {
  if (hello.protocolVersion !== PROTOCOL_VERSION) {
    const age = hello.protocolVersion > PROTOCOL_VERSION ? 'newer' : 'older'
    const text = `protocol version ${hello.protocolVersion} is ${age} than version ${PROTOCOL_VERSION} spoken here`
    return { code: 'version', text }
  }
  if (!equalBytes(hello.clusterId, expected.clusterId)) {
    return { code: 'cluster', text: `cluster ${hex(hello.clusterId)} is not this cluster` }
  }
  if (!equalSecrets(hello.authentication, expected.authToken)) {
    return { code: 'authentication', text: 'the authentication token is not the one configured here' }
  }
  if (hello.to !== expected.self) {
    return { code: 'node', text: `node ${hello.to} was called, this is node ${expected.self}` }
  }
  if (expected.from !== null && hello.from !== expected.from) {
    return { code: 'node', text: `node ${expected.from} was called, node ${hello.from} answered` }
  }
  if (hello.from === expected.self || !expected.isPeer(hello.from)) {
    return { code: 'node', text: `node ${hello.from} is no peer of node ${expected.self}` }
  }
  if (hello.lane >= LANE_COUNT || (expected.lane !== null && hello.lane !== expected.lane)) {
    return { code: 'lane', text: `lane ${hello.lane} is unknown or not the one opened` }
  }
  return null
}

/** The time does not tell how many bytes were right. */
function equalSecrets(given: Uint8Array, expected: Uint8Array): boolean {
  let difference = given.length ^ expected.length
  for (let i = 0; i < given.length; i++)
    difference |= given[i] ^ (expected.length > 0 ? expected[i % expected.length] : 0)
  return difference === 0
}

function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
