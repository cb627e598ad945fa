/**
 * The replicas that this node has, and their coming and going. What lasts of each stands in three places, and this is the order in which they change, so
 * that a crash in between leaves something that the next start understands:
 *
 *   comes   identity (its id, made: false) -> the log's record -> the tree's mark, of a first member -> identity (made: true) -> opened, may vote
 *   goes    closed -> identity (going) -> forgotten by the log -> out of the identity -> its directory removed
 *   anew    closed -> the log's record of the new one, with its entries, in place of the old one -> identity -> opened      (the masters' own, recovery/)
 *
 * `made` without a record in the log means that the disk was wiped; an id that came to the identity and was not made, that nothing has begun; a record that the
 * identity does not know, that one of the two is an older copy (open-node-log.ts).
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, type GroupId, type NodeId, type ReplicaId } from '../base/brand.ts'
import type { RecoveredGroup } from '../ports/log.ts'
import type { RaftReplica } from '../replication/raft/raft-replica.ts'
import type { GroupGenesisConfig, MastersPlace, NodeError, NodePorts } from './node-config.ts'
import { aloneGenesis, newReplica } from './open-node-log.ts'
import { openReplica, type ReplicaOpening, replicaPath } from './open-replica.ts'

export type ReplicaDone = (error: NodeError | null) => void

const AGAIN_MS = 3_000
/** Of replicas that went while this process ran. */
const GONE_MAX = 10_000

const NOT_OURS: NodeError = {
  code: 'not-ours',
  message: 'the group does not begin with this replica, or began with it in an earlier life of this disk',
  mend: 'nothing: the masters give out another one',
}
const STOPPED: NodeError = { code: 'stopped', message: 'the node stops', mend: 'start it again' }

export class ReplicaSet {
  readonly #ports: NodePorts
  readonly #replicas = new Map<GroupId, RaftReplica>()
  /** What each group began with: of all groups that this node knows, with or without a replica of its own. */
  readonly #genesis = new Map<GroupId, GroupGenesisConfig>()
  /** One change at a time of each group's replica. */
  readonly #changing = new Set<GroupId>()
  /** What the log has a record of, open or not. */
  readonly #logged = new Map<GroupId, ReplicaId>()
  /** Recorded, and not to be opened so far: a disk without room, say. */
  readonly #unopened = new Map<GroupId, RecoveredGroup>()
  readonly #gone = new Set<string>()
  #opening: ReplicaOpening | null = null
  /** Base files that are being opened. */
  #inOpen = 0
  #whenOpened: (() => void) | null = null
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

  /** Something is under way with this group's replica here. */
  isChanging(group: GroupId): boolean {
    return this.#changing.has(group)
  }

  /** Recorded, but not open. */
  isUnopened(group: GroupId): boolean {
    return this.#unopened.has(group)
  }

  /** This process had that replica, and let it go. */
  wasHere(group: GroupId, replicaId: ReplicaId): boolean {
    return this.#gone.has(`${group}/${replicaId}`)
  }

  /** Tries again what could not be opened. */
  openRest(opened: (replica: RaftReplica) => void): void {
    for (const [group, recovered] of this.#unopened) {
      if (this.#changing.has(group)) continue
      this.#changing.add(group)
      this.#open(recovered, () => {
        this.#changing.delete(group)
        const replica = this.#replicas.get(group)
        if (replica !== undefined && !this.#stopped) opened(replica)
      })
    }
  }

  /** What the log holds, one after the other. */
  openAll(recovered: readonly RecoveredGroup[], done: ReplicaDone): void {
    const [first, ...rest] = recovered
    if (first === undefined || this.#stopped) return done(null)
    this.#logged.set(first.group, first.replicaId)
    this.#open(first, (error) => {
      if (error !== null) return done(error)
      this.openAll(rest, done)
    })
  }

  /**
   * A replica that knows nothing yet: a member of the group's genesis, or one that waits for a leader to add it. `mayOpen` is called once its record is
   * durable; it takes part some time after that has called back with true. False: it must not, and is forgotten.
   */
  create(
    genesis: GroupGenesisConfig,
    group: GroupId,
    replicaId: ReplicaId,
    mayOpen: (answer: (isOurs: boolean) => void) => void,
    done: ReplicaDone,
  ): void {
    assert(!this.#replicas.has(group) && !this.#changing.has(group), `group ${group}: a second replica on one node`)
    this.#changing.add(group)
    const finish = (error: NodeError | null): void => {
      this.#changing.delete(group)
      done(error)
    }
    const own = { ...genesis, ownReplica: replicaId }
    this.#record({ ...own, made: false }, (unsaved) => {
      if (unsaved !== null) return finish(unsaved)
      const fresh = newReplica(group, replicaId)
      this.#log(fresh, () => {
        mayOpen((isOurs) => {
          if (this.#stopped) return finish(STOPPED)
          if (!isOurs) return this.#letGo(group, replicaId, () => finish(NOT_OURS))
          this.#recordSurely({ ...own, made: true }, () => this.#open(fresh, finish))
        })
      })
    })
  }

  /** Its record, in place of whatever the log has of the group, durably. */
  #log({ group, replicaId, hardState, entries }: RecoveredGroup, done: () => void): void {
    const { log } = this.#wired()
    const known = this.#logged.get(group)
    if (known !== replicaId) {
      if (known !== undefined) log.forget(group)
      log.append(entries.length === 0 ? { group, replicaId, hardState } : { group, replicaId, hardState, entries })
      this.#logged.set(group, replicaId)
      this.#unopened.delete(group)
    }
    log.flush(() => {
      if (!this.#stopped) done()
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
    const fresh = newReplica(group, replicaId)
    old.close(() => {
      if (this.#stopped) return
      this.#replicas.delete(group)
      this.#log(fresh, () => {
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
    const { group, replicaId } = fresh
    assert(!this.#changing.has(group), `group ${group}: two changes at once`)
    this.#changing.add(group)
    const finish = (error: NodeError | null): void => {
      this.#changing.delete(group)
      done(error)
    }
    const old = this.#replicas.get(group)
    const begin = (): void => {
      if (this.#stopped) return
      this.#replicas.delete(group)
      this.#log(fresh, () => {
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
      this.#letGo(group, old.replicaId, () => {
        this.#changing.delete(group)
        done(null)
      })
    })
  }

  /** It is closed, or was never open. Tried until it is done: half of it is nothing that may stay. */
  #letGo(group: GroupId, replicaId: ReplicaId, done: () => void): void {
    if (this.#gone.size < GONE_MAX) this.#gone.add(`${group}/${replicaId}`)
    this.#unopened.delete(group)
    const genesis = present(this.#genesis.get(group), `group ${group}: a replica here has its place in the identity`)
    const { log } = this.#wired()
    this.#recordSurely({ ...genesis, going: true }, () => {
      log.forget(group)
      this.#logged.delete(group)
      log.flush(() => {
        if (this.#stopped) return
        this.#genesis.delete(group)
        this.#saveSurely(() => {
          this.#removeDirectory(group, replicaId)
          done()
        })
      })
    })
  }

  /** All of them; the log stays open. */
  close(done: () => void): void {
    this.#stopped = true
    const replicas = [...this.#replicas.values()]
    let open = replicas.length + (this.#inOpen > 0 ? 1 : 0)
    if (open === 0) return done()
    // What is being opened is closed as soon as it is: until then its files are in use.
    this.#whenOpened = () => {
      open--
      if (open === 0) done()
    }
    for (const replica of replicas) {
      replica.close(() => {
        open--
        if (open === 0) done()
      })
    }
  }

  #open(recovered: RecoveredGroup, done: ReplicaDone): void {
    const { group } = recovered
    this.#inOpen++
    const ended = (error: NodeError | null): void => {
      this.#inOpen--
      done(error)
      if (this.#inOpen === 0) this.#whenOpened?.()
    }
    openReplica(this.#wired(), recovered, (error, replica) => {
      if (replica === null) {
        if (!this.#stopped) this.#unopened.set(group, recovered)
        return ended(error)
      }
      if (this.#stopped) return replica.close(() => ended(STOPPED))
      this.#unopened.delete(group)
      this.#replicas.set(group, replica)
      ended(null)
    })
  }

  #record(genesis: GroupGenesisConfig, done: ReplicaDone): void {
    if (this.#stopped) return done(STOPPED)
    this.#genesis.set(asGroupId(genesis.groupId), genesis)
    this.#save(done)
  }

  /** There is no way back from here: tried again until it is on disk, or the node stops. */
  #recordSurely(genesis: GroupGenesisConfig, done: () => void): void {
    this.#genesis.set(asGroupId(genesis.groupId), genesis)
    this.#saveSurely(done)
  }

  #saveSurely(done: () => void): void {
    if (this.#stopped) return
    this.#save((error) => {
      if (error === null) return done()
      this.#ports.logger.warn('the identity was not saved', { error: error.message })
      this.#ports.clock.setTimer(AGAIN_MS, () => this.#saveSurely(done))
    })
  }

  #save(done: ReplicaDone, masters?: MastersPlace): void {
    const groups = [...this.#genesis.values()]
    this.#ports.saveIdentity(masters === undefined ? { groups } : { groups, masters }, (error) => {
      if (this.#stopped) return
      if (error === null) return done(null)
      done({ code: 'data-directory', message: error, mend: 'check that the directory can be written' })
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
