/**
 * What the embedded metadata store needs of this node's replica of the masters' group, and of the wires to other nodes. The node makes both from its
 * replica and its peers; metadata/embedded/ sees this much.
 */
import type { NodeId, Term } from '../base/brand.ts'
import type { RequestOutcome } from '../protocol/request-message.ts'
import type { StateMachine } from './state-machine.ts'

/** One replica of the masters' group. Nothing of it calls back inside the call, except that a confirmation may come from within a turn. */
export interface MastersGroup {
  readonly term: Term
  /** As far as this replica knows: another may lead a later term already. Only `confirm` tells. */
  readonly isLeader: boolean
  /** Who leads, as far as known; this node itself where `isLeader`. */
  readonly leaderNode: NodeId | null
  /** The one in use now, made by metadata/embedded; an image brings another. */
  readonly machine: StateMachine
  /** Proposes an entry; the payload belongs to this call. `settle` comes once. False: nothing was queued, and nothing comes. */
  propose(payload: Uint8Array, settle: (outcome: RequestOutcome, reply: Uint8Array) => void): boolean
  /**
   * ReadIndex: `done(true)` once a majority has said, after this call, that this replica leads, and it has applied what was committed by then, which
   * includes an entry of its own term. `done(false)`: it does not lead, or did not learn it. False: nothing comes.
   */
  confirm(done: (confirmed: boolean) => void): boolean
}

/** Messages of protocol/metadata-message.ts. To this node itself too: then they arrive as an event of their own. */
export interface MetadataWire {
  /** False: not connected, or no room: as good as lost. Whatever is sent may be lost, late, or come twice. */
  send(to: NodeId, bytes: Uint8Array): boolean
}
