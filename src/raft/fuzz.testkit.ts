/**
 * A seeded fuzz of the pure core: replicas with modelled disks under a network that loses, doubles, reorders and delays,
 * partitions, crashes that lose what was not synced, membership changes, transfers, images and reads. After every step
 * the oracles of raft-checklist's first lines must hold; a broken one throws. One seed is one run, exactly.
 */
import { asLogIndex, asNodeId, asReplicaId, type ReplicaId } from '../base/brand.ts'
import { utf8Bytes } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import type { Membership } from '../protocol/membership.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import { configOf, drawMixture, type Mixture } from './fuzz-mixture.testkit.ts'
import { FuzzOracle } from './fuzz-oracle.testkit.ts'
import type { RaftMutations } from './mutations.ts'
import { type Image, TestReplica } from './replica.testkit.ts'

interface ImageTransfer {
  readonly image: Image
  readonly from: ReplicaId
  readonly fromTerm: number
  readonly to: ReplicaId
}

const MAX_IN_FLIGHT = 400
const MAX_REPLICAS = 7

interface FuzzResult {
  readonly committed: number
  readonly elections: number
  readonly readsServed: number
  readonly readsRefused: number
  readonly membershipChanges: number
  readonly imagesInstalled: number
  readonly crashes: number
  readonly transfers: number
  readonly traceHash: number
}

export class Fuzz {
  readonly #random: Prng
  readonly #mixture: Mixture
  readonly #replicas = new Map<ReplicaId, TestReplica>()
  readonly #oracle: FuzzOracle
  readonly #mutations: RaftMutations | undefined
  #inFlight: RaftMessage[] = []
  #images: ImageTransfer[] = []
  /** Links that are cut, as "from>to". */
  readonly #cut = new Set<string>()
  /** Processes that stand still: they hear nothing, and do not know it. */
  readonly #paused = new Set<ReplicaId>()
  readonly #clocks = new Map<ReplicaId, number>()
  #proposals = 0
  #nextReplica: number
  #trace = 0
  readonly #counts = { elections: 0, membershipChanges: 0, images: 0, crashes: 0, transfers: 0, refused: 0 }

  /** `fixed` holds parts of the mixture still that the seed would draw. */
  constructor(seed: number, mutations?: RaftMutations, fixed: Partial<Mixture> = {}) {
    this.#random = new Prng(seed)
    this.#mutations = mutations
    this.#mixture = { ...drawMixture(this.#random), ...fixed }
    this.#oracle = new FuzzOracle(this.#replicas)
    const ids = Array.from({ length: this.#mixture.replicas }, (_, i) => asReplicaId(i + 1))
    const membership: Membership = {
      members: ids.map((replicaId) => ({ replicaId, nodeId: asNodeId(replicaId), role: 'voter' })),
    }
    for (const id of ids) this.#add(id, membership)
    this.#nextReplica = ids.length + 1
  }

  /** Faults all the way, then none until the group is whole again: progress must come back (liveness). */
  run(steps: number): FuzzResult {
    for (let i = 0; i < steps; i++) {
      this.#step()
      this.#readAtStaleLeader()
      this.#oracle.check()
    }
    this.#heal()
    const { elections, membershipChanges, images, crashes, transfers, refused } = this.#counts
    return {
      committed: this.#oracle.committedCount,
      elections,
      readsServed: this.#oracle.readsServed,
      readsRefused: refused,
      membershipChanges,
      imagesInstalled: images,
      crashes,
      transfers,
      traceHash: this.#trace >>> 0,
    }
  }

  #add(id: ReplicaId, membership: Membership): void {
    const replica = new TestReplica(
      configOf(id, this.#random, this.#mixture),
      membership,
      {
        send: (message) => this.#send(message),
        onReady: (sender, ready) => {
          this.#mix(ready.number, sender.id, ready.entries.length, ready.committed.length, ready.messagesNow.length)
          if (ready.status?.role === 'leader') this.#counts.elections++
          if (ready.installed !== null) this.#counts.images++
          this.#counts.refused += ready.readsRefused.length
          this.#oracle.onReady(sender, ready)
        },
        onApply: (applier, entry) => this.#oracle.onApply(applier, entry),
      },
      this.#mutations,
    )
    this.#replicas.set(id, replica)
    this.#clocks.set(id, this.#mixture.slowestClock + this.#random.unit() * (1 - this.#mixture.slowestClock))
    replica.start(this.#random.u32())
  }

  #mix(...values: number[]): void {
    for (const value of values) this.#trace = Math.imul(this.#trace ^ value, 0x01000193) + 1
  }

  #send(message: RaftMessage): void {
    this.#oracle.onSend(message)
    if (this.#inFlight.length < MAX_IN_FLIGHT) this.#inFlight.push(message)
  }

  #up(): TestReplica[] {
    return [...this.#replicas.values()].filter((replica) => replica.core !== null && !this.#paused.has(replica.id))
  }

  #step(): void {
    const m = this.#mixture
    const actions: readonly (readonly [number, () => void])[] = [
      [80, () => this.#deliverSome()],
      [m.syncWeight, () => this.#sync()],
      [m.tickWeight, () => this.#tick()],
      [m.proposeWeight, () => this.#propose()],
      [m.readWeight, () => this.#read()],
      [m.crashWeight, () => this.#crashOne()],
      [m.partitionWeight, () => this.#partition()],
      [m.memberWeight, () => this.#changeMembership()],
      [m.transferWeight, () => this.#transfer()],
      [m.checkpointWeight, () => this.#checkpoint()],
      [m.campaignWeight, () => this.#campaign()],
      [m.strikeWeight, () => this.#strikeLeader()],
      [m.pauseWeight, () => this.#pause()],
      [m.blinkWeight, () => this.#blink()],
      [4, () => this.#moveImage()],
      [m.recoverWeight, () => this.#recover()],
    ]
    let total = 0
    for (const [weight] of actions) total += weight
    let at = this.#random.unit() * total
    for (const [weight, action] of actions) {
      at -= weight
      if (at >= 0) continue
      action()
      break
    }
    // Most of the time the engine takes Readys at once; sometimes several inputs come between.
    if (this.#random.chance(0.9)) for (const replica of this.#up()) this.#takeAll(replica)
  }

  #takeAll(replica: TestReplica): void {
    for (let i = 0; i < 20 && replica.takeReady() !== null; i++);
    for (const to of replica.imagesWanted.splice(0)) {
      const image = replica.image()
      if (image === null) replica.live.imageOutcome(to, asLogIndex(0), false)
      else this.#images.push({ image, from: replica.id, fromTerm: replica.live.term, to })
    }
  }

  #deliverSome(): void {
    // Nothing on the way: time passes until something is.
    if (this.#inFlight.length === 0) {
      this.#sync()
      for (const { id, live } of this.#up()) if (this.#random.chance((this.#clocks.get(id) ?? 1) / 3)) live.tick()
    }
    for (let count = this.#random.between(1, 10); count > 0; count--) this.#deliver()
  }

  #deliver(): void {
    if (this.#inFlight.length === 0) return
    const m = this.#mixture
    const at = this.#random.chance(m.reorderChance) ? this.#random.below(this.#inFlight.length) : 0
    if (this.#paused.has(this.#inFlight[at].to)) {
      // It waits in the socket of a process that stands still.
      this.#inFlight.push(...this.#inFlight.splice(at, 1))
      return
    }
    const [message] = this.#random.chance(m.doubleChance) ? [this.#inFlight[at]] : this.#inFlight.splice(at, 1)
    if (this.#random.chance(m.lossChance) || this.#cut.has(`${message.from}>${message.to}`)) return
    const core = this.#replicas.get(message.to)?.core
    if (core) core.step(message)
  }

  #sync(): void {
    const replica = this.#pickUp()
    if (replica !== null && replica.pending.length > 0) replica.sync(this.#random.between(1, replica.pending.length))
  }

  #pickUp(): TestReplica | null {
    const up = this.#up()
    return up.length === 0 ? null : this.#random.pick(up)
  }

  #tick(): void {
    const replica = this.#pickUp()
    if (replica !== null && this.#random.chance(this.#clocks.get(replica.id) ?? 1)) replica.live.tick()
  }

  /** Several at once: split votes. */
  #campaign(): void {
    for (let count = this.#random.between(1, 3); count > 0; count--) this.#pickUp()?.live.campaign()
  }

  #strikeLeader(): void {
    const leaders = this.#up().filter((replica) => replica.live.role === 'leader')
    if (leaders.length > 0) this.#strike(this.#random.pick(leaders))
  }

  /** The leader dies, or is cut off, or stands still. */
  #strike(leader: TestReplica): void {
    const dice = this.#random.unit()
    if (dice < 0.4) this.#crash(leader)
    else if (dice < 0.7) this.#isolate(leader.id)
    else this.#paused.add(leader.id)
    // The others notice after a silence that costs no steps; one of them stands first.
    const others = this.#up().filter((replica) => replica !== leader)
    if (others.length === 0) return
    const first = this.#random.pick(others)
    for (const replica of others) {
      const ticks = replica === first || this.#random.chance(0.1) ? 12 : 5
      for (let i = 0; i < ticks; i++) replica.live.tick()
    }
  }

  #isolate(id: ReplicaId): void {
    this.#cut.clear()
    // Sometimes with one companion, so that its log still grows somewhere.
    const companion = this.#random.chance(0.5) ? this.#random.pick([...this.#replicas.keys()]) : id
    for (const other of this.#replicas.keys()) {
      if (other === id || other === companion) continue
      for (const inside of [id, companion]) this.#cut.add(`${inside}>${other}`).add(`${other}>${inside}`)
    }
  }

  #pause(): void {
    const replica = this.#pickUp()
    if (replica !== null) this.#paused.add(replica.id)
  }

  #resume(id: ReplicaId): void {
    this.#paused.delete(id)
    // What clients sent meanwhile is read before what the peers sent (redisraft 19: stale reads after a pause).
    const replica = this.#replicas.get(id)
    if (replica !== undefined && replica.core !== null) this.#readAt(replica)
  }

  #leaderOrAny(): TestReplica | null {
    const leaders = this.#up().filter((replica) => replica.live.role === 'leader')
    return leaders.length > 0 && this.#random.chance(0.95) ? this.#random.pick(leaders) : this.#pickUp()
  }

  #propose(): void {
    const replica = this.#leaderOrAny()
    if (replica === null) return
    const payloads = Array.from({ length: this.#random.between(1, 3) }, () => utf8Bytes(`v${this.#proposals++}`))
    replica.live.propose(payloads)
  }

  #read(): void {
    const replica = this.#random.chance(0.5) ? this.#leaderOrAny() : this.#pickUp()
    if (replica !== null) this.#readAt(replica)
  }

  /** Clients still ask a leader that has been replaced and does not know it yet. */
  #readAtStaleLeader(): void {
    const leaders = this.#up().filter((replica) => replica.live.role === 'leader')
    if (leaders.length < 2 || !this.#random.chance(0.2)) return
    leaders.sort((a, b) => a.live.term - b.live.term)
    this.#readAt(leaders[0])
  }

  #readAt(replica: TestReplica): void {
    const result = replica.live.readIndex()
    if (result.kind === 'pending') this.#oracle.onReadAsked(replica, result.read)
  }

  /** Faults end, too. */
  #recover(): void {
    const down = [...this.#replicas.values()].filter((replica) => replica.core === null)
    if (down.length > 0) this.#random.pick(down).start(this.#random.u32())
    else if (this.#paused.size > 0) this.#resume(this.#random.pick([...this.#paused]))
    else this.#cut.clear()
  }

  #crash(replica: TestReplica): void {
    // Sometimes the disk had done its work, and only the process did not live to know.
    replica.crash(this.#random.chance(0.3) ? this.#random.between(0, replica.pending.length) : 0)
    this.#oracle.onCrash(replica)
    this.#counts.crashes++
  }

  #crashOne(): void {
    const replica = this.#pickUp()
    if (replica !== null) this.#crash(replica)
  }

  #blink(): void {
    const replica = this.#pickUp()
    if (replica === null) return
    this.#crash(replica)
    replica.start(this.#random.u32())
  }

  #partition(): void {
    this.#cut.clear()
    if (this.#random.chance(0.5)) return
    const ids = [...this.#replicas.keys()]
    const oneWay = this.#random.chance(0.2)
    const side = new Set(ids.filter(() => this.#random.chance(0.4)))
    for (const a of ids) {
      for (const b of ids) {
        if (!side.has(a) || side.has(b)) continue
        this.#cut.add(`${a}>${b}`)
        if (!oneWay) this.#cut.add(`${b}>${a}`)
      }
    }
  }

  #changeMembership(): void {
    const leader = this.#leaderOrAny()
    if (leader === null || leader.live.role !== 'leader') return
    const { members } = leader.live.membership
    const learner = members.find((member) => member.role === 'learner')
    const dice = this.#random.unit()
    let change = null
    if (learner !== undefined && dice < 0.6) change = { kind: 'promote', ...learner } as const
    else if (dice < 0.7 && members.length < 5 && this.#replicas.size < MAX_REPLICAS) {
      const replicaId = asReplicaId(this.#nextReplica++)
      this.#add(replicaId, { members: [] })
      change = { kind: 'addLearner', replicaId, nodeId: asNodeId(replicaId) } as const
    } else {
      // Someone who was made but never got in, or leaves and must not come back under its id.
      const outside = [...this.#replicas.keys()].filter((id) => id > this.#mixture.replicas)
      const replicaId =
        outside.length > 0 && dice < 0.85 ? this.#random.pick(outside) : this.#random.pick(members).replicaId
      const isIn = members.some((member) => member.replicaId === replicaId)
      if (isIn && members.length <= 2) return
      change = { kind: isIn ? 'remove' : 'addLearner', replicaId, nodeId: asNodeId(replicaId) } as const
    }
    if (leader.live.proposeMembership(change).kind === 'accepted') this.#counts.membershipChanges++
  }

  #transfer(): void {
    const leader = this.#leaderOrAny()
    if (leader === null || leader.live.membership.members.length === 0) return
    if (leader.live.transferLeadership(this.#random.pick(leader.live.membership.members).replicaId)) {
      this.#counts.transfers++
    }
  }

  #checkpoint(): void {
    this.#pickUp()?.checkpoint(this.#random.below(4))
  }

  #moveImage(): void {
    if (this.#images.length === 0) return
    const transfer = this.#images.splice(this.#random.below(this.#images.length), 1)[0]
    const to = this.#replicas.get(transfer.to)
    const lost = this.#cut.has(`${transfer.from}>${transfer.to}`) || this.#random.chance(0.2)
    let ok = false
    if (!lost && to !== undefined && to.core !== null) {
      ok = to.receiveImage(transfer.image, transfer.fromTerm, transfer.from) === true
    }
    const core = this.#replicas.get(transfer.from)?.core
    if (core) core.imageOutcome(transfer.to, transfer.image.meta.index, ok)
  }

  /** Faults off: everybody up, the network whole. Within a bounded time a write must commit and a read be served. */
  #heal(): void {
    this.#cut.clear()
    this.#paused.clear()
    for (const replica of this.#replicas.values()) if (replica.core === null) replica.start(this.#random.u32())
    const before = this.#oracle.committedCount
    const servedBefore = this.#oracle.readsServed
    for (let round = 0; round < 600; round++) {
      this.#quietRound(round)
      this.#oracle.check()
      if (this.#oracle.committedCount > before + 2 && this.#oracle.readsServed > servedBefore && this.#settled()) return
    }
    throw new Error(`no progress after the faults ended: ${this.describe()}`)
  }

  #quietRound(round: number): void {
    for (const replica of this.#up()) {
      replica.live.tick()
      this.#takeAll(replica)
      replica.sync()
    }
    for (let i = 0; i < 200 && this.#inFlight.length > 0; i++) {
      const message = this.#inFlight.shift()
      if (message !== undefined) this.#replicas.get(message.to)?.live.step(message)
      for (const replica of this.#up()) {
        this.#takeAll(replica)
        replica.sync()
      }
    }
    while (this.#images.length > 0) this.#moveImage()
    if (round % 5 !== 0) return
    for (const replica of this.#up()) {
      if (replica.live.role !== 'leader') continue
      replica.live.propose([utf8Bytes(`w${this.#proposals++}`)])
      const result = replica.live.readIndex()
      if (result.kind === 'pending') this.#oracle.onReadAsked(replica, result.read)
    }
  }

  /** Every member has all that is committed, and equal state. */
  #settled(): boolean {
    const leader = this.#up().find(
      (replica) => replica.live.role === 'leader' && replica.live.term === this.#newestLeaderTerm(),
    )
    if (leader === undefined) return false
    return leader.live.membership.members.every((member) => {
      const machine = this.#replicas.get(member.replicaId)?.machine
      return machine !== undefined && machine.index >= leader.live.commitIndex - 1
    })
  }

  /** Not the newest term of all: a removed replica may have a higher one, and disturbs nobody with it. */
  #newestLeaderTerm(): number {
    let newest = 0
    for (const { live } of this.#up()) if (live.role === 'leader' && live.term > newest) newest = live.term
    return newest
  }

  describe(): string {
    const lines = [...this.#replicas.values()].map(({ id, core, machine }) =>
      core === null
        ? `${id} down`
        : `${id} ${core.role} t${core.term} l${core.leader} c${core.commitIndex} last${core.lastIndex} a${machine.index} ${JSON.stringify(
            core.membership.members.map((member) => `${member.replicaId}${member.role[0]}`),
          )} ${JSON.stringify(core.progress())}`,
    )
    return lines.join('\n')
  }
}
