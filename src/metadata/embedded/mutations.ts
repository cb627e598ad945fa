/** Known bugs that the tests put back one by one, to show that they catch them. All false in real use. */
export interface EmbeddedMutations {
  /** The holder ends its session by its own clock, whatever the log says. */
  readonly expiryByLocalTimer: boolean
  /** A new leader gives every session a part of its time only. */
  readonly newLeaderStartsShorter: boolean
  /** A leader tells sessions that they are alive without having learnt that it still leads. */
  readonly aliveUnconfirmed: boolean
  /** Reads take what the attached master has applied, however little that is. */
  readonly readsGoBack: boolean
  /** Watches that are registered again at another master count as unchanged. */
  readonly quietReattachment: boolean
  /** A write that is sent again takes a new sequence. */
  readonly newSequenceOnRepeat: boolean
  /** `sync` asks the attached master alone. */
  readonly syncUnconfirmed: boolean
}

export const NO_EMBEDDED_MUTATIONS: EmbeddedMutations = {
  expiryByLocalTimer: false,
  newLeaderStartsShorter: false,
  aliveUnconfirmed: false,
  readsGoBack: false,
  quietReattachment: false,
  newSequenceOnRepeat: false,
  syncUnconfirmed: false,
}
