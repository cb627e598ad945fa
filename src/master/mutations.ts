/** Known bugs that tests put back in, one at a time, to show that they would be found. None is ever set elsewhere. */
export interface MasterMutations {
  /** BEGIN is sent whether or not the reconfigs that this one follows have an outcome. */
  readonly beginBeforePredecessor?: boolean
  /** A reconfig is published as done once both groups have begun. */
  readonly publishBeforeEnable?: boolean
  /** Writes check neither the election node nor who wrote last. */
  readonly writesUnchecked?: boolean
  /** Leadership goes on while the session is suspended. */
  readonly leadsWhileSuspended?: boolean
  /** A reconfig that was asked to be called off is taken for cancelled, whatever the source's log says. */
  readonly outcomeFromMemory?: boolean
}
