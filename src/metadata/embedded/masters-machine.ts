/**
 * The masters' group's state machine on one node: the tree, and the word that something has been applied. A failed write changes no
 * path, and still moves the index that reads wait for; so the tree's own listener is not enough.
 */
import type { SlotId } from '../../base/brand.ts'
import type { QueryResult, StateMachine } from '../../ports/state-machine.ts'
import type { Entry } from '../../protocol/entry.ts'
import type { TreeStateMachine } from '../tree/tree-state-machine.ts'

export class MastersMachine implements StateMachine {
  readonly tree: TreeStateMachine
  readonly #applied: () => void

  /** `applied` must not call back into the replica. */
  constructor(tree: TreeStateMachine, applied: () => void) {
    this.tree = tree
    this.#applied = applied
  }

  get logTimeMs(): number {
    return this.tree.logTimeMs
  }

  apply(entry: Entry): Uint8Array {
    const reply = this.tree.apply(entry)
    this.#applied()
    return reply
  }

  query(command: Uint8Array, nowMs: number, slot: SlotId): QueryResult {
    return this.tree.query(command, nowMs, slot)
  }

  checkpointState(): Uint8Array {
    return this.tree.checkpointState()
  }

  restore(state: Uint8Array | null): void {
    this.tree.restore(state)
    this.#applied()
  }
}
