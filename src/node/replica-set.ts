/**
 * The replicas that this node has, and their coming and going. What lasts of each stands in three places, and this is the order in which they change, so
 * that a crash in between leaves something that the next start understands:
 *
 *   comes   identity (made: false) -> the log's record -> identity (made: true) -> opened, may vote
 *   goes    closed -> out of the identity -> forgotten by the log -> its directory removed
 *   anew    closed -> the log's record of the new one, with its entries, in place of the old one -> identity -> opened      (the masters' own, recovery/)
 *
 * `made` without a record in the log means that the disk was wiped (open-node-log.ts); a record without a place in the identity is one on its way out.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, type GroupId, type NodeId, type ReplicaId } from '../base/brand.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { GroupGenesisConfig, MastersPlace, NodeError, NodePorts } from './node-config.ts'
import { aloneGenesis, newReplica } from './open-node-log.ts'
import { openReplica, type ReplicaOpening, replicaPath } from './open-replica.ts'

export type ReplicaDone = (error: NodeError | null) => void

const STOPPED: NodeError = { code: 'stopped', message: 'the node stops', mend: 'start it again' }

export class ReplicaSet {
  readonly #ports: NodePorts
  readonly #replicas = new Map<GroupId, RaftReplica>()
  /** What each group began with: of all groups that this node knows, with or without a replica of its own. */
  readonly #genesis = new Map<GroupId, GroupGenesisConfig>()
  /** One change at a time of each group's replica. */
  readonly #changing = new Set<GroupId>()
  #opening: ReplicaOpening | null = null
  #stopped = false

  constructor(ports: NodePorts) {
    this.#ports = ports
  }

  /** Before the log's replicas are opened. */
  begin(opening: ReplicaOpening): void {
    this.#opening = opening
  }

  /** What the identity says of groups, once the log was looked at. */
  learn(genesis: readonly GroupGenesisConfig[]): void {
    for (const group of genesis) this.#genesis.set(asGroupId(group.groupId), group)
  }

  get(group: GroupId): RaftReplica | undefined {
    return this.#replicas.get(group)
  }

  values(): IterableIterator<RaftReplica> {
    return this.#replicas.values()
  }

  entries(): IterableIterator<[GroupId, RaftReplica]> {
    return this.#replicas.entries()
  }

  genesisOf(group: GroupId): GroupGenesisConfig | undefined {
    return this.#genesis.get(group)
  }

  genesisOfAll(): readonly GroupGenesisConfig[] {
    return [...this.#genesis.values()]
  }

  isChanging(group: GroupId): boolean {
    return this.#changing.has(group)
  }

  /** What the log holds, one after the other. A replica that was on its way out goes. */
  openAll(recovered: readonly RecoveredGroup[], done: ReplicaDone): void {
    const [first, ...rest] = recovered
    if (first === undefined || this.#stopped) return done(null)
    if (!this.#genesis.has(first.group)) {
      this.#forget(first.group, first.replicaId)
      return this.openAll(rest, done)
    }
    this.#open(first, (error) => {
      if (error !== null) return done(error)
      this.openAll(rest, done)
    })
  }

  /**
   * A replica that knows nothing yet: a member of the group's genesis, or one that waits for a leader to add it. `mayOpen` is called once its record is
   * durable; it takes part from when that has called back.
   */
  create(
    genesis: GroupGenesisConfig,
    group: GroupId,
    replicaId: ReplicaId,
    mayOpen: (open: () => void) => void,
    done: ReplicaDone,
  ): void {
    assert(!this.#replicas.has(group) && !this.#changing.has(group), `group ${group}: a second replica on one node`)
    this.#changing.add(group)
    const finish = (error: NodeError | null): void => {
      this.#changing.delete(group)
      done(error)
    }
    this.#record({ ...genesis, made: false }, (unsaved) => {
      if (unsaved !== null) return finish(unsaved)
      const fresh = newReplica(group, replicaId)
      const { log } = this.#wired()
      log.append({ group, replicaId, hardState: fresh.hardState })
      log.flush(() => {
        if (this.#stopped) return
        this.#record({ ...genesis, made: true }, (unmarked) => {
          if (unmarked !== null) return finish(unmarked)
          mayOpen(() => {
            if (this.#stopped) return finish(STOPPED)
            this.#open(fresh, finish)
          })
        })
      })
    })
  }

  /**
   * This node's replica of the group, which its members have removed, gives way to a new one under an id that was never used: it knows nothing,
   * belongs to nothing until a leader adds it as a learner, and gets everything from there. One durable write makes the change.
   */
  replace(group: GroupId, replicaId: ReplicaId, done: ReplicaDone): void {
    const old = present(this.#replicas.get(group), `group ${group}: no replica here to give way`)
    assert(old.replicaId !== replicaId && !this.#changing.has(group), 'a replica id is never used again')
    this.#changing.add(group)
    const { log } = this.#wired()
    const fresh = newReplica(group, replicaId)
    old.close(() => {
      if (this.#stopped) return
      this.#replicas.delete(group)
      log.forget(group)
      log.append({ group, replicaId, hardState: fresh.hardState })
      log.flush(() => {
        if (this.#stopped) return
        this.#open(fresh, (error) => {
          this.#changing.delete(group)
          if (error === null) this.#removeDirectory(group, old.replicaId)
          done(error)
        })
      })
    })
  }

  /**
   * A group of which only this node's replica is left begins anew with that one, under an id of a later cluster epoch; what this node had of it is over. The log's record
   * comes first: a restart reads from it what the identity is to say (open-node-log.ts).
   */
  beginAnew(fresh: RecoveredGroup, self: NodeId, masters: MastersPlace, done: ReplicaDone): void {
    const { group, replicaId, hardState, entries } = fresh
    assert(!this.#changing.has(group), `group ${group}: two changes at once`)
    this.#changing.add(group)
    const finish = (error: NodeError | null): void => {
      this.#changing.delete(group)
      done(error)
    }
    const old = this.#replicas.get(group)
    const begin = (): void => {
      if (this.#stopped) return
      const { log } = this.#wired()
      this.#replicas.delete(group)
      if (old !== undefined) log.forget(group)
      log.append({ group, replicaId, hardState, entries })
      log.flush(() => {
        if (this.#stopped) return
        this.#genesis.set(group, aloneGenesis(group, replicaId, self))
        this.#save((unsaved) => {
          if (unsaved !== null) return finish(unsaved)
          this.#open(fresh, (error) => {
            if (error === null && old !== undefined) this.#removeDirectory(group, old.replicaId)
            finish(error)
          })
        }, masters)
      })
    }
    if (old === undefined) begin()
    else old.close(begin)
  }

  /** For good: its members have removed it, or the group is gone. */
  remove(group: GroupId, done: ReplicaDone): void {
    const old = present(this.#replicas.get(group), `group ${group}: no replica here to go`)
    assert(!this.#changing.has(group), `group ${group}: two changes at once`)
    this.#changing.add(group)
    old.close(() => {
      if (this.#stopped) return
      this.#replicas.delete(group)
      this.#genesis.delete(group)
      this.#save((error) => {
        this.#changing.delete(group)
        if (error !== null) return done(error)
        this.#forget(group, old.replicaId)
        done(null)
      })
    })
  }

  /** All of them; the log stays open. */
  close(done: () => void): void {
    this.#stopped = true
    const replicas = [...this.#replicas.values()]
    let open = replicas.length
    if (open === 0) return done()
    for (const replica of replicas) {
      replica.close(() => {
        open--
        if (open === 0) done()
      })
    }
  }

  #open(recovered: RecoveredGroup, done: ReplicaDone): void {
    openReplica(this.#wired(), recovered, (error, replica) => {
      if (replica === null) return done(error)
      if (this.#stopped) return replica.close(() => done(STOPPED))
      this.#replicas.set(recovered.group, replica)
      done(null)
    })
  }

  #record(genesis: GroupGenesisConfig, done: ReplicaDone): void {
    if (this.#stopped) return done(STOPPED)
    this.#genesis.set(asGroupId(genesis.groupId), genesis)
    this.#save(done)
  }

  #save(done: ReplicaDone, masters?: MastersPlace): void {
    const groups = [...this.#genesis.values()]
    this.#ports.saveIdentity(masters === undefined ? { groups } : { groups, masters }, (error) => {
      if (this.#stopped) return
      if (error === null) return done(null)
      done({ code: 'data-directory', message: error, mend: 'check that the directory can be written' })
    })
  }

  #forget(group: GroupId, replicaId: ReplicaId): void {
    const { log } = this.#wired()
    log.forget(group)
    log.flush(() => {
      if (!this.#stopped) this.#removeDirectory(group, replicaId)
    })
  }

  #removeDirectory(group: GroupId, replicaId: ReplicaId): void {
    const { config } = this.#wired()
    this.#ports.disk.removeTree(replicaPath(config, group, replicaId), (error) => {
      if (error === null) return
      this.#ports.logger.warn('the old replica stays on disk', { group, replicaId, error: error.message })
    })
  }

  #wired(): ReplicaOpening {
    return present(this.#opening, 'ReplicaSet: the log is not open')
  }
}
