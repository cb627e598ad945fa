/** Known bugs that the simulator puts back one by one, to show that its checks catch them. All false in real use. */
export interface WalMutations {
  /** Recovery does not check whose batch it reads, so a recycled segment's old batches are taken for new ones. */
  readonly acceptStaleSegments: boolean
  /** Flush calls back without the sync. */
  readonly skipSync: boolean
  /** A bad batch below the synced mark is treated as a torn tail and cut off. */
  readonly cutAnywhere: boolean
}

export const NO_WAL_MUTATIONS: WalMutations = { acceptStaleSegments: false, skipSync: false, cutAnywhere: false }
