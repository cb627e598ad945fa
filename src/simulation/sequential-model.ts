/**
 * What the linearizability checker must know of an object: its sequential specification, and a few facts about single
 * operations that let the search cut whole branches. The facts may be left weaker than the truth, never stronger.
 */

export const REJECT: unique symbol = Symbol('the result is impossible from this state')

/** Equal keys mean equal states. */
export type StateKey = string | number | null

/** A `result` of undefined means that nobody saw it: then every result is possible, and the state follows. State is never undefined. */
export interface Model<State, Operation, Result> {
  readonly initial: State
  /** The next state, or REJECT where the operation would have answered otherwise. Never REJECT for an unseen result. */
  step(state: State, operation: Operation, result: Result | undefined): State | typeof REJECT
  stateKey(state: State): StateKey
  /** Wherever it is accepted, it leaves the state as it is. */
  isReadOnly(operation: Operation, result: Result | undefined): boolean
  /** Accepted from every state, and always leading to the same one. */
  isBlind(operation: Operation, result: Result | undefined): boolean
  /** The only state from which it is accepted (result seen) or changes anything (unseen); undefined where there may be more. */
  sourceState(operation: Operation, result: Result | undefined): State | undefined
  /** The only state that it can lead to where it changes anything; undefined where there may be more. */
  targetState(operation: Operation, result: Result | undefined): State | undefined
  /** Could it lead to this state? Asked only where `targetState` is undefined. */
  mayLeadTo(operation: Operation, result: Result | undefined, state: State): boolean
  /** For people, and for telling equal operations: equal texts mean that two operations with unseen results are the same. */
  describe(operation: Operation, result: Result | undefined): string
}
