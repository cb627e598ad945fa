/** Gathers what the driver has to do into a Ready, and takes its reports back: persisted, applied, compacted. */
import { assert } from '../base/assert.ts'
import { asLogIndex, asTerm, type LogIndex } from '../base/brand.ts'
import type { CompactionPoint, HardState } from '../ports/log.ts'
import { type Entry, encodedEntryBytes } from '../protocol/entry.ts'
import { selfVotePersisted } from './election.ts'
import { Outbox } from './outbox.ts'
import type { RaftState } from './raft-state.ts'
import { startReads } from './reads.ts'
import type { RaftStatus, Ready } from './ready.ts'
import { maybeCommit, sendAppends, sendReadHeartbeats, syncPeers } from './replication.ts'
import { handOverIfLeft } from './transfer.ts'

const NOTHING: readonly Entry[] = []

export class ReadyBuilder {
  readonly #state: RaftState
  #number = 0
  #persisted = 0
  /** As last handed to the disk. */
  #written: HardState
  #shown: RaftStatus

  constructor(state: RaftState) {
    this.#state = state
    const { term, votedFor } = state
    this.#written = { term, votedFor, commit: state.commitIndex }
    // Unlike any real status: the first Ready tells the driver how things stand.
    this.#shown = { role: 'follower', term: asTerm(0), leader: state.leader, membership: { members: [] } }
  }

  hasReady(): boolean {
    this.#pump()
    const state = this.#state
    return (
      !state.outbox.isEmpty ||
      state.log.hasWrites ||
      this.#voteChanged ||
      this.#statusChanged ||
      this.#nextToGive() !== null
    )
  }

  takeReady(): Ready | null {
    if (!this.hasReady()) return null
    const state = this.#state
    const outbox = state.outbox
    state.outbox = new Outbox()
    const number = ++this.#number
    const committed = this.#takeCommitted()
    const hardState = this.#takeHardState(outbox.installed !== null)
    const { truncateFrom, entries } = state.log.takeWrites(number, outbox.installed !== null)
    if (state.selfVoteReady === 0) state.selfVoteReady = number
    const status = this.#statusChanged ? this.#status() : null
    if (status !== null) this.#shown = status
    const { messagesNow, messagesAfterDisk, readStates, readsRefused, installed, imagesWanted } = outbox
    return {
      number,
      hardState,
      truncateFrom,
      entries,
      messagesNow,
      messagesAfterDisk,
      committed,
      readStates,
      readsRefused,
      installed,
      imagesWanted,
      status,
    }
  }

  /** All Readys up to this one are on disk. */
  persisted(number: number): void {
    assert(number <= this.#number, 'persisted: a Ready that was never taken')
    if (number <= this.#persisted) return
    this.#persisted = number
    const state = this.#state
    state.log.persisted(number)
    const ready = state.selfVoteReady
    if (ready !== null && ready > 0 && ready <= number) selfVotePersisted(state)
    if (state.role === 'leader') maybeCommit(state)
  }

  /** The state machine holds everything up to `index`: more may be given. */
  applied(index: LogIndex): void {
    const state = this.#state
    assert(index <= state.givenIndex, 'applied: more than was given')
    // After an image, reports of what was given before it are old news.
    for (let i = state.appliedIndex + 1; i <= index; i++) state.givenBytes -= encodedEntryBytes(state.log.entryAt(i))
    if (index > state.appliedIndex) state.appliedIndex = index
  }

  compact(point: CompactionPoint): void {
    const state = this.#state
    assert(point.index <= state.appliedIndex, 'compact: entries that are not applied')
    // Nothing to drop; or a base file that is ahead of the log (see RestoredState.applied): the log has to catch up first.
    if (point.index <= state.log.compaction.index || point.index > state.log.lastIndex) return
    state.log.compact(point)
    state.memberships.compact(point.index)
  }

  /** What state changes have made due, done once a Ready and not once a change: so that appends and reads gather. */
  #pump(): void {
    const state = this.#state
    if (state.role === 'leader') {
      if (state.peersFor !== state.membership) syncPeers(state)
      handOverIfLeft(state)
    }
    if (startReads(state)) sendReadHeartbeats(state)
    if (state.role === 'leader') sendAppends(state)
  }

  get #voteChanged(): boolean {
    return this.#state.term !== this.#written.term || this.#state.votedFor !== this.#written.votedFor
  }

  /**
   * The commit index is a hint for restarts: it rides along with other writes and is not worth one of its own. It never speaks of more than earlier
   * writes hold: a crash can keep the hint and lose the entries behind it in the same write, and what then stands at
   * those indexes may be an older branch.
   */
  #takeHardState(withInstall: boolean): HardState | null {
    const state = this.#state
    const { term, votedFor, commitIndex } = state
    const provable = asLogIndex(Math.max(this.#written.commit, Math.min(commitIndex, state.log.takenIndex)))
    const rides = state.log.hasWrites && provable > this.#written.commit && !withInstall
    if (!this.#voteChanged && !rides) return null
    // An image's commit index may be written only once its switch is: one Ready later.
    const commit = withInstall ? this.#written.commit : provable
    this.#written = { term, votedFor, commit }
    return this.#written
  }

  /** The highest index that may be applied now. A leader does not wait for its own disk: a quorum's disks have it. */
  #committedLimit(): number {
    const { mutations, log, role, commitIndex } = this.#state
    if (mutations.applyBeforeCommit) return log.lastIndex
    return role === 'leader' ? commitIndex : Math.min(commitIndex, log.durableIndex)
  }

  /** Null where nothing more is committed, or the state machine has enough to do; one entry always passes. */
  #nextToGive(): Entry | null {
    const { log, givenIndex, givenBytes, config } = this.#state
    if (givenIndex >= this.#committedLimit()) return null
    const entry = log.entryAt(givenIndex + 1)
    return givenBytes > 0 && givenBytes + encodedEntryBytes(entry) > config.maxApplyBytes ? null : entry
  }

  #takeCommitted(): readonly Entry[] {
    const state = this.#state
    let entry = this.#nextToGive()
    if (entry === null) return NOTHING
    const committed: Entry[] = []
    for (; entry !== null; entry = this.#nextToGive()) {
      committed.push(entry)
      state.givenIndex = asLogIndex(entry.index)
      state.givenBytes += encodedEntryBytes(entry)
    }
    return committed
  }

  #status(): RaftStatus {
    const { role, term, leader, membership } = this.#state
    return { role, term, leader, membership }
  }

  get #statusChanged(): boolean {
    const { role, term, leader, membership } = this.#state
    const shown = this.#shown
    return shown.role !== role || shown.term !== term || shown.leader !== leader || shown.membership !== membership
  }
}
