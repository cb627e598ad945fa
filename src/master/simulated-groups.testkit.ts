/**
 * Groups whose logs are lists, with the real apply rules: what the master's commands come to, and drivers that carry the moves out from applied state alone.
 * A command may be lost, come late, or leave its sender without an answer. After each step at most one group serves a slot.
 */
import { assert, present } from '../base/assert.ts'
import { asGroupId, asLogIndex, type GroupId, type SlotId } from '../base/brand.ts'
import type { Prng } from '../base/prng.ts'
import { KvDriver } from '../kv/kv-driver.testkit.ts'
import { move } from '../kv/moves/move-world.testkit.ts'
import type { GroupAnswer, GroupBegin, GroupCommands } from '../ports/group-commands.ts'
import type { MoveCommand, MoveOutcome } from '../protocol/move-command.ts'
import { destinationStandingOf, sourceStandingOf } from './group-standing.ts'
import type { VirtualClock } from './virtual-clock.testkit.ts'

export interface GroupFaults {
  /** Probabilities of each command and question. */
  lost: number
  answerLost: number
  late: number
  /** Longest delay of anything. */
  delayMs: number
  /** Probability, at each turn of a destination's driver, that an operator refuses. */
  refuse: number
}

export const CALM_GROUPS: GroupFaults = { lost: 0, answerLost: 0, late: 0, delayMs: 3, refuse: 0 }
export const ROUGH_GROUPS: GroupFaults = { lost: 0.1, answerLost: 0.1, late: 0.1, delayMs: 20, refuse: 0 }

interface Step {
  readonly group: GroupId
  readonly command: MoveCommand
  readonly outcome: MoveOutcome
}

const PUMP_MS = 8
const LATE_MS = 3_000

export class SimulatedGroups implements GroupCommands {
  readonly groups = new Map<GroupId, KvDriver>()
  /** Everything that was applied, but for STAGE. */
  readonly steps: Step[] = []
  readonly faults: GroupFaults = { ...CALM_GROUPS }
  readonly slotCount: number
  readonly #clock: VirtualClock
  readonly #random: Prng
  /** Nobody reaches these. */
  readonly unreachable = new Set<GroupId>()

  constructor(ids: readonly GroupId[], owners: readonly GroupId[], clock: VirtualClock, random: Prng) {
    this.slotCount = owners.length
    this.#clock = clock
    this.#random = random
    for (const group of ids) this.add(group, owners)
    this.#pump()
  }

  add(group: GroupId, owners: readonly GroupId[] = []): void {
    const owned = owners.flatMap((owner, slot) => (owner === group ? [[slot, slot] as const] : []))
    this.groups.set(group, new KvDriver({ slotCount: this.slotCount, ownedSlots: owned }))
  }

  /** Of each slot: the group that serves it; 0: none. */
  owners(): GroupId[] {
    return Array.from({ length: this.slotCount }, (_, slot) => this.#ownerOf(slot))
  }

  /** Whether any move is open. */
  get isMoving(): boolean {
    return [...this.groups.values()].some(({ machine }) => machine.moves.length > 0)
  }

  applied(reconfigId: number, kind: MoveCommand['kind'], outcome: MoveOutcome = 'done'): boolean {
    return this.steps.some((step) => {
      return step.command.reconfigId === reconfigId && step.command.kind === kind && step.outcome === outcome
    })
  }

  // --- the port -------------------------------------------------------------------------------------------------------

  beginSource(group: GroupId, begin: GroupBegin, done: (answer: GroupAnswer) => void): void {
    this.#command(group, { kind: 'begin-source', ...begin }, done)
  }

  beginDestination(group: GroupId, begin: GroupBegin, done: (answer: GroupAnswer) => void): void {
    this.#command(group, { kind: 'begin-destination', ...begin }, done)
  }

  cancel(group: GroupId, reconfigId: number, fence: number, done: (answer: GroupAnswer) => void): void {
    this.#command(group, { kind: 'cancel', reconfigId, fence }, done)
  }

  sourceStanding: GroupCommands['sourceStanding'] = (group, reconfigId, slots, done) => {
    this.#question(group, ({ machine }) => sourceStandingOf(machine, reconfigId, slots), done)
  }

  checkCommit: GroupCommands['checkCommit'] = (group, reconfigId, slots, done) => {
    this.#question(group, ({ machine }) => destinationStandingOf(machine, reconfigId, slots), done)
  }

  #command(group: GroupId, command: MoveCommand, done: (answer: GroupAnswer) => void): void {
    const after = (ms: number, run: () => void): void => this.#clock.after(ms, run)
    const { lost, answerLost, late, delayMs } = this.faults
    const delay = (): number => this.#random.between(0, delayMs)
    if (this.#random.chance(lost) || this.unreachable.has(group) || !this.groups.has(group)) {
      return after(delay(), () => done({ kind: 'unreachable' }))
    }
    if (this.#random.chance(late)) {
      after(this.#random.between(0, LATE_MS), () => this.#apply(group, command))
      return after(delay(), () => done({ kind: 'unknown' }))
    }
    const isAnswered = !this.#random.chance(answerLost)
    after(delay(), () => {
      const outcome = this.#apply(group, command)
      after(delay(), () => done(isAnswered ? { kind: 'applied', outcome } : { kind: 'unknown' }))
    })
  }

  #question<T>(group: GroupId, read: (driver: KvDriver) => T, done: (answer: T | null) => void): void {
    const delay = (): number => this.#random.between(0, this.faults.delayMs)
    const isLost = this.#random.chance(this.faults.lost + this.faults.answerLost) || this.unreachable.has(group)
    this.#clock.after(delay(), () => {
      const driver = this.groups.get(group)
      const answer = isLost || driver === undefined ? null : read(driver)
      this.#clock.after(delay(), () => done(answer))
    })
  }

  // --- the groups' logs and drivers -------------------------------------------------------------------------------------

  #apply(group: GroupId, command: MoveCommand): MoveOutcome {
    const { outcome } = move(present(this.groups.get(group), `no group ${group}`), command)
    this.steps.push({ group, command, outcome })
    const touched = outcome === 'done' && (command.kind === 'enable' || command.kind === 'resume')
    if (touched) for (let slot = 0; slot < this.slotCount; slot++) this.#ownerOf(slot)
    return outcome
  }

  #ownerOf(slot: number): GroupId {
    let found = asGroupId(0)
    for (const [group, { machine }] of this.groups) {
      if (!machine.slots.owns(slot)) continue
      assert(found === 0, `slot ${slot} is served by groups ${found} and ${group}`)
      found = group
    }
    return found
  }

  #pump(): void {
    for (const [group, driver] of this.groups) {
      for (const open of [...driver.machine.moves]) {
        if (this.#random.chance(0.3) || this.unreachable.has(group) || this.unreachable.has(open.peer.group)) continue
        if (open.role === 'source') this.#driveSource(group, driver, open.reconfigId)
        else this.#driveDestination(group, driver, open.reconfigId)
      }
    }
    this.#clock.after(this.#random.between(1, PUMP_MS), () => this.#pump())
  }

  #driveSource(group: GroupId, driver: KvDriver, reconfigId: number): void {
    const open = present(openOf(driver, reconfigId), 'no open move')
    const peer = this.groups.get(open.peer.group)
    if (peer === undefined) return
    const slots = open.slots.map(({ slot }) => slot)
    const standing = destinationStandingOf(peer.machine, reconfigId, slots)
    if (standing === 'refused') this.#apply(group, { kind: 'resume', reconfigId })
    else if (open.phase === 'begun' && standing === 'staging') {
      if (stage(driver, peer, reconfigId, 0)) this.#apply(group, { kind: 'disable', reconfigId })
    } else if (open.phase === 'disabled' && standing === 'committed') {
      this.#apply(group, { kind: 'forget', reconfigId })
      driver.keepHouse(100)
    }
  }

  #driveDestination(group: GroupId, driver: KvDriver, reconfigId: number): void {
    const open = present(openOf(driver, reconfigId), 'no open move')
    const peer = this.groups.get(open.peer.group)
    if (peer === undefined) return
    const slots: SlotId[] = open.slots.map(({ slot }) => slot)
    const standing = sourceStandingOf(peer.machine, reconfigId, slots)
    // A BEGIN that came late: the source has been through with it since.
    if (standing === 'kept' || standing === 'left') this.#apply(group, { kind: 'drop', reconfigId })
    else if (open.phase === 'staging' && this.#random.chance(this.faults.refuse)) {
      this.#apply(group, { kind: 'refuse', reconfigId })
    } else if (open.phase === 'staging' && standing === 'disabled') {
      const disableIndex = asLogIndex(openOf(peer, reconfigId)?.disableIndex ?? 0)
      if (!stage(peer, driver, reconfigId, disableIndex)) return
      this.#apply(group, { kind: 'enable', reconfigId, disableIndex, sourceLogTimeMs: peer.machine.logTimeMs })
    }
  }
}

function openOf(driver: KvDriver, reconfigId: number) {
  return driver.machine.moves.find((open) => open.reconfigId === reconfigId)
}

/** One round of copying. True: nothing is left to copy. */
function stage(source: KvDriver, destination: KvDriver, reconfigId: number, throughIndex: number): boolean {
  const cursors = openOf(destination, reconfigId)?.slots ?? []
  const parts = cursors
    .map(({ slot, cursor }) => source.machine.readPart(reconfigId, slot, cursor, throughIndex, 1000))
    .filter((part) => part !== null)
  if (parts.length > 0) move(destination, { kind: 'stage', reconfigId, parts })
  return parts.length === 0
}
