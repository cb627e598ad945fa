/**
 * Two groups, a move between them, clients, and a network that loses, doubles, delays and reorders; one seed decides everything. After every step is
 * checked what must always hold: at most one group serves a slot, nothing is forgotten before the other has it, every read gives what was written.
 */
import { assert } from '../base/assert.ts'
import { asNodeId, asSlotId, type NodeId } from '../base/brand.ts'
import { Prng } from '../base/prng.ts'
import { commandBytes, slotOfText } from '../kv/kv-driver.testkit.ts'
import { decodeMigrationMessage, encodeMigrationMessage, type MigrationMessage } from '../protocol/migration-message.ts'
import type { MoveCommand } from '../protocol/move-command.ts'
import { EventQueue } from './event-queue.testkit.ts'
import { redirectOf } from './group-migration.ts'
import type { MigrationSettings } from './migration-driver.ts'
import { type ClientOptions, SimulatedClients } from './simulated-clients.testkit.ts'
import { SimulatedGroup, SLOTS, writePayload } from './simulated-group.testkit.ts'
import { partBytes } from './stage-batches.ts'

const WIRE_MS = 2
export const CALM = { lose: 0, double: 0, delayMs: 0, proposalFailure: 0, crashEveryMs: 0 }
export const ROUGH = { lose: 0.01, double: 0.05, delayMs: 6, proposalFailure: 0.03, crashEveryMs: 500 }

export interface WorldOptions extends ClientOptions {
  readonly faults: typeof CALM
  readonly settings: MigrationSettings
  /** Keys that are there before the move, with values of `valueBytes`. */
  readonly preload: number
}

export const OPTIONS: WorldOptions = {
  faults: CALM,
  settings: { maxStageBytes: 400, bytesPerSecond: 0 },
  preload: 30,
  clients: 4,
  keys: 40,
  valueBytes: 60,
  largeValueBytes: 0,
  thinkMs: 5,
  flushes: false,
  oneSlot: false,
}

export class MigrationWorld {
  readonly events = new EventQueue()
  readonly source: SimulatedGroup
  readonly destination: SimulatedGroup
  readonly clients: SimulatedClients
  readonly options: WorldOptions
  readonly #random: Prng
  readonly #faults: { lose: number; double: number; delayMs: number; proposalFailure: number; crashEveryMs: number }
  messages = 0
  /** Called before each step. */
  beforeStep: (step: number) => void = () => {}

  constructor(seed: number, options: Partial<WorldOptions> = {}) {
    this.options = { ...OPTIONS, ...options }
    this.#random = new Prng(seed)
    this.#faults = { ...this.options.faults }
    const { settings } = this.options
    const group = (number: number, owned: readonly (readonly [number, number])[]): SimulatedGroup =>
      new SimulatedGroup(number, owned, settings, this.events, this.#random.fork(), this.#faults, (from, to, message) =>
        this.#send(from, to, message),
      )
    this.source = group(1, [[0, SLOTS - 1]])
    this.destination = group(2, [])
    const groups = [this.source, this.destination]
    this.clients = new SimulatedClients(this.options, groups, this.events, this.#random.fork())
    this.#preload()
    if (this.#faults.crashEveryMs > 0) for (const each of groups) this.#crashLater(each)
  }

  get groups(): readonly [SimulatedGroup, SimulatedGroup] {
    return [this.source, this.destination]
  }

  /** Both groups hear of the reconfig, the destination so much later; a master sends it again until they have. */
  begin(reconfigId: number, slots: readonly number[], lateMs = 0): void {
    const runs = slots.map((slot) => ({ first: asSlotId(slot), last: asSlotId(slot), predecessor: 0 }))
    const peer = (group: SimulatedGroup) => ({
      group: group.group,
      nodes: group.replicas.map(({ nodeId }) => ({ nodeId, address: `node-${nodeId}` })),
    })
    const begin = { reconfigId, fence: 1, slots: runs }
    this.insist(this.source, { kind: 'begin-source', ...begin, peer: peer(this.destination) })
    this.events.after(lateMs, () =>
      this.insist(this.destination, { kind: 'begin-destination', ...begin, peer: peer(this.source) }),
    )
  }

  /** As a master would: until it has an answer. */
  insist(group: SimulatedGroup, command: MoveCommand): void {
    const { steps } = group
    const isApplied = steps.some(
      (step) => step.command.kind === command.kind && step.command.reconfigId === command.reconfigId,
    )
    if (isApplied) return
    group.propose(group.move(command), () => {})
    this.events.after(50, () => this.insist(group, command))
  }

  /** A master wants it called off, and says so to whoever leads, until it is over. */
  callOff(reconfigId: number, how: 'cancel' | 'refuse'): void {
    if (this.isOver(reconfigId)) return
    const group = how === 'cancel' ? this.source : this.destination
    const { nowMs } = this.events
    if (how === 'cancel') group.leader?.migration.cancel(reconfigId, 1, nowMs)
    else group.leader?.migration.refuse(reconfigId, nowMs)
    group.carryOut()
    this.events.after(30, () => this.callOff(reconfigId, how))
  }

  /** Outcomes of a step in the order of the group's log. */
  outcomes(group: SimulatedGroup, kind: MoveCommand['kind']): string[] {
    return group.steps.filter(({ command }) => command.kind === kind).map(({ outcome }) => outcome)
  }

  /** For how long nobody served the slots. */
  pauseMs(): number {
    const at = (group: SimulatedGroup, kind: MoveCommand['kind']): number =>
      group.steps.findLast(({ command, outcome }) => command.kind === kind && outcome === 'done')?.atMs ?? 0
    return at(this.destination, 'enable') - at(this.source, 'disable')
  }

  /** Bytes that were staged after the source had let go: nobody served the slots meanwhile. */
  handoverBytes(): number {
    const disabledAtMs = this.source.steps.find(({ command }) => command.kind === 'disable')?.atMs ?? 0
    let bytes = 0
    for (const { command, outcome, atMs } of this.destination.steps) {
      if (command.kind !== 'stage' || outcome !== 'done' || atMs < disabledAtMs) continue
      for (const part of command.parts) bytes += partBytes(part)
    }
    return bytes
  }

  isOver(reconfigId: number): boolean {
    const begun = this.groups.every(({ steps }) => steps.some(({ command }) => command.reconfigId === reconfigId))
    return (
      begun && this.groups.every(({ authority }) => authority.machine.moves.every((m) => m.reconfigId !== reconfigId))
    )
  }

  /** Runs until `done`. Throws where that takes more steps. */
  run(maxSteps: number, done: () => boolean): void {
    const last = this.events.steps + maxSteps
    while (!done()) {
      if (this.events.steps >= last) throw new Error(`not done after ${maxSteps} steps: ${this.describe()}`)
      this.beforeStep(this.events.steps)
      if (!this.events.step()) throw new Error(`nothing happens any more: ${this.describe()}`)
      this.#check()
    }
  }

  /** No fault from here on. */
  calm(): void {
    Object.assign(this.#faults, CALM)
  }

  /** Nothing is under way any more: what is left must be exactly the model. */
  finish(): void {
    this.calm()
    this.clients.stop()
    this.run(100_000, () => this.clients.isQuiet && this.groups.every(({ leader }) => leader !== null))
    for (let number = 0; number < this.options.keys; number++) this.clients.checkNow(this.clients.keyOf(number))
    for (let slot = 0; slot < SLOTS; slot++) {
      const owners = this.groups.filter(({ authority }) => authority.machine.slots.owns(asSlotId(slot)))
      assert(owners.length === 1, `slot ${slot} has ${owners.length} owners at the end`)
    }
    const stored = (): number => this.groups.reduce((sum, { authority }) => sum + authority.totalKeys, 0)
    const expected = this.clients.model.size
    for (let round = 0; round < 50 && stored() !== expected; round++)
      for (const group of this.groups) group.housekeeping()
    assert(stored() === expected, `${stored()} keys are stored for ${expected}`)
    for (const { authority } of this.groups) {
      const { moves, slots, sessionUsage } = authority.machine
      assert(moves.length === 0, 'a move is left open')
      const ownsNothing = allSlots().every((slot) => !slots.owns(slot))
      assert(!ownsNothing || sessionUsage.records === 0, 'sessions of slots that are elsewhere')
    }
  }

  describe(): string {
    const groups = this.groups.map(({ authority, leader, steps }) => {
      const moves = authority.machine.moves.map(({ reconfigId, role, phase }) => `${reconfigId} ${role} ${phase}`)
      const last = steps.slice(-4).map(({ command, outcome }) => `${command.kind}: ${outcome}`)
      return `[${moves.join(', ')}; ${leader === null ? 'no leader' : 'leader'}; ${last.join(', ')}]`
    })
    return `${this.events.nowMs.toFixed(0)} ms ${groups.join(' ')}`
  }

  #preload(): void {
    for (let number = 0; number < this.options.preload; number++) {
      const key = this.clients.keyOf(number)
      const value = `p${number}`.padEnd(this.options.valueBytes, '.')
      const slot = slotOfText(key, SLOTS)
      this.source.seed(writePayload(slot, 0, 0, 0, commandBytes(['SET', key, value])))
      this.clients.model.set(key, value)
    }
  }

  // --- The network --------------------------------------------------------------------------------------------

  #send(from: NodeId, to: NodeId, message: MigrationMessage): void {
    this.messages++
    const bytes = encodeMigrationMessage(message).slice()
    const copies = this.#random.chance(this.#faults.double) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.chance(this.#faults.lose)) continue
      const delayMs = this.#random.unit() * (WIRE_MS + this.#faults.delayMs)
      this.events.after(delayMs, () => this.#deliver(from, to, decodeMigrationMessage(bytes)))
    }
  }

  #deliver(from: NodeId, to: NodeId, message: MigrationMessage): void {
    const group = this.groups.find(({ group }) => group === message.toGroup)
    assert(group?.replicas.some(({ nodeId }) => nodeId === to) === true, 'a message to a node without the group')
    const { nowMs } = this.events
    if (group.onLeader(to, (migration) => migration.receive(from, message, nowMs))) return
    const hint = group.leader?.replica.nodeId ?? null
    // It may know of the new leader, or not yet.
    const leader = hint === null || this.#random.chance(0.3) ? null : { nodeId: hint, address: `node-${hint}` }
    const redirect = redirectOf(message, leader)
    if (redirect !== null) this.#send(asNodeId(to), from, redirect)
  }

  #crashLater(group: SimulatedGroup): void {
    this.events.after(this.#random.unit() * 2 * this.#faults.crashEveryMs, () => {
      if (this.#faults.crashEveryMs === 0) return
      group.crash(1 + this.#random.below(100))
      this.#crashLater(group)
    })
  }

  // --- What must always hold ----------------------------------------------------------------------------------

  #check(): void {
    const [a, b] = this.groups.map(({ authority }) => authority.machine)
    for (let number = 0; number < SLOTS; number++) {
      const slot = asSlotId(number)
      assert(!a.slots.owns(slot) || !b.slots.owns(slot), `slot ${slot} is served by two groups`)
      const hasNone = !a.slots.owns(slot) && !b.slots.owns(slot)
      const isKept = a.slots.generation(slot) !== 0 || b.slots.generation(slot) !== 0
      assert(!hasNone || isKept, `slot ${slot} is forgotten, and nobody has it`)
    }
    this.clients.check(this.clients.keyOf(this.#random.below(this.options.keys)))
  }
}

export function allSlots(): number[] {
  return Array.from({ length: SLOTS }, (_, slot) => slot)
}
