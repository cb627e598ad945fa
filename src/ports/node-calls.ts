/**
 * One question to one node, and one answer: what nodes ask of each other beside replication, clients' requests and moves. Nothing is repeated here.
 */
import type { NodeId } from '../base/brand.ts'

/** What may be asked; the numbers go over the wire. */
export const CALL_METHODS = {
  /** A move command for a group's log, or a question about a reconfig (node/moves/). */
  groupCommand: 1,
  /** A call of the ShardMaster for the active master (node/cluster/). */
  master: 2,
  /** What a node knows about itself, its replicas and their moves; hand over leadership (node/cluster/). */
  node: 3,
  /** Which cluster epoch a node has come to, and who the masters are in it (node/recovery/). */
  masters: 4,
  /** What a node still knows where the masters are gone for good; a group's last word to them (node/recovery/). */
  recovery: 5,
} as const
export type CallMethod = (typeof CALL_METHODS)[keyof typeof CALL_METHODS]

export type CallOutcome =
  | { readonly kind: 'answered'; readonly reply: Uint8Array }
  /** Not sent: nothing will come of it. */
  | { readonly kind: 'unreachable' }
  /** Sent, and no answer came: it may have been done, or may still be. */
  | { readonly kind: 'unknown' }

/** `answer` is called once at most, in the call or later. */
export type CallHandler = (from: NodeId, body: Uint8Array, answer: (reply: Uint8Array) => void) => void

export interface NodeCalls {
  /** To this node itself too. `done` is called once, as an event of its own. The body must not change any more. */
  call(to: NodeId, method: CallMethod, body: Uint8Array, timeoutMs: number, done: (outcome: CallOutcome) => void): void
  /** One handler a method; without one the asker is told `unreachable`. */
  serve(method: CallMethod, handler: CallHandler): void
}
