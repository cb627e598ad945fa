/**
 * The active master's work on the list of reconfigs, from taking over to being deposed: writes what the groups have told, lets begin what may begin, and keeps
 * one driver for each that is under way. All it knows is in the tree and in the groups, so the next master goes on from there.
 *
 *   tree --> pass --> write --> tree ...  until nothing is to be written; then drivers, whose findings wake the next pass
 */
import type { GroupId } from '../base/brand.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type { GroupCommands } from '../ports/group-commands.ts'
import type { StopWatching } from '../ports/metadata-store.ts'
import type { MovePeer } from '../protocol/move-command.ts'
import type { ActiveMaster, JobPlan } from './active-master.ts'
import { type ClusterSnapshot, openReconfigs } from './cluster-snapshot.ts'
import type { MasterMutations } from './mutations.ts'
import { type PassLimits, pass } from './orchestration-pass.ts'
import { type Finding, ReconfigDriver } from './reconfig-driver.ts'
import { TreeDraft } from './tree-draft.ts'
import { NODES, WORKERS } from './tree-layout.ts'

export interface OrchestratorSettings extends PassLimits {
  /** First and longest wait between two tries of a command, or two questions after an outcome. */
  readonly retryMs: readonly [first: number, most: number]
}

export const DEFAULT_ORCHESTRATION: OrchestratorSettings = { maxBegun: 16, maxBegunPerGroup: 4, retryMs: [20, 250] }

/** Changes of one pass; halved until the write fits. */
const MAX_CHANGES = 64
const RETRY_MS = 200

interface Passed {
  readonly snapshot: ClusterSnapshot
  readonly hasWritten: boolean
}

export class Orchestrator {
  readonly #active: ActiveMaster
  readonly #commands: GroupCommands
  readonly #clock: Clock
  readonly #settings: OrchestratorSettings
  readonly #mutations: MasterMutations
  readonly #drivers = new Map<number, ReconfigDriver>()
  /** By reconfig: what its driver found last, until the tree says so. */
  readonly #findings = new Map<number, Finding>()
  #peers: ReadonlyMap<GroupId, MovePeer> = new Map()
  #passing: 'no' | 'yes' | 'again' = 'no'
  #retry: Timer | null = null
  #stopWatching: readonly StopWatching[] = []
  #isOver = false

  constructor(
    active: ActiveMaster,
    commands: GroupCommands,
    clock: Clock,
    settings: OrchestratorSettings,
    mutations: MasterMutations,
  ) {
    this.#active = active
    this.#commands = commands
    this.#clock = clock
    this.#settings = settings
    this.#mutations = mutations
  }

  start(): void {
    const { store } = this.#active
    this.#stopWatching = [WORKERS, NODES].map((path) => store.watchTree(path, () => this.wake()))
    this.wake()
  }

  stop(): void {
    this.#isOver = true
    this.#retry?.cancel()
    for (const stop of this.#stopWatching) stop()
    for (const driver of this.#drivers.values()) driver.stop()
    this.#drivers.clear()
  }

  /** Why a reconfig that is under way does not get on. */
  problem(reconfigId: number): string {
    return this.#drivers.get(reconfigId)?.problem ?? ''
  }

  /** The tree has changed, or a driver has found something. */
  wake(): void {
    if (this.#isOver) return
    if (this.#passing !== 'no') {
      this.#passing = 'again'
      return
    }
    this.#passing = 'yes'
    const known = new Map(this.#findings)
    this.#active.submit<Passed>(
      (snapshot) => this.#plan(snapshot, known),
      (error, passed) => {
        if (this.#isOver) return
        if (passed === null) return this.#failed(error?.code === 'not-active')
        if (!passed.hasWritten) this.#drive(passed.snapshot, known)
        const again = passed.hasWritten || this.#passing === 'again'
        this.#passing = 'no'
        if (again) this.wake()
      },
    )
  }

  #plan(snapshot: ClusterSnapshot, findings: ReadonlyMap<number, Finding>): JobPlan<Passed> {
    for (let most = MAX_CHANGES; ; most = Math.floor(most / 2)) {
      const draft = new TreeDraft(snapshot)
      pass(draft, findings, this.#settings, most, this.#mutations)
      const operations = draft.operations()
      // A single change always fits: one bucket and the table.
      if (most > 1 && !TreeDraft.fits(operations)) continue
      return { kind: 'write', operations, answer: { snapshot, hasWritten: operations.length > 0 } }
    }
  }

  #failed(isOver: boolean): void {
    this.#passing = 'no'
    if (isOver || this.#retry !== null) return
    this.#retry = this.#clock.setTimer(RETRY_MS, () => {
      this.#retry = null
      this.wake()
    })
  }

  /** The tree says all that was found: a driver for each reconfig that is begun or not clean yet. */
  #drive(snapshot: ClusterSnapshot, told: ReadonlyMap<number, Finding>): void {
    for (const [reconfigId, finding] of told) {
      if (this.#findings.get(reconfigId) === finding) this.#findings.delete(reconfigId)
    }
    this.#peers = peersOf(snapshot)
    const open = new Map(openReconfigs(snapshot).map((reconfig) => [reconfig.reconfigId, reconfig]))
    for (const [reconfigId, driver] of this.#drivers) {
      if (open.has(reconfigId)) continue
      driver.stop()
      this.#drivers.delete(reconfigId)
    }
    for (const [reconfigId, reconfig] of open) {
      if (reconfig.status === 'planned') continue
      const driver = this.#drivers.get(reconfigId)
      if (driver !== undefined) {
        driver.update(reconfig)
        continue
      }
      const made = new ReconfigDriver(reconfig, {
        clock: this.#clock,
        commands: this.#commands,
        fence: this.#active.fence,
        retryMs: this.#settings.retryMs,
        mutations: this.#mutations,
        peer: (group) => this.#peers.get(group) ?? null,
        found: (id, finding) => this.#found(id, finding),
      })
      this.#drivers.set(reconfigId, made)
      made.step()
    }
  }

  #found(reconfigId: number, finding: Finding): void {
    this.#findings.set(reconfigId, finding)
    this.wake()
  }
}

/** Where each group is: its own word on its members, else what is desired; those that are registered. */
function peersOf({ groups, nodes }: ClusterSnapshot): Map<GroupId, MovePeer> {
  const peers = new Map<GroupId, MovePeer>()
  for (const [group, { value, report }] of groups) {
    const members = report?.value.members ?? value.members
    const known = members.flatMap(({ nodeId }) => {
      const node = nodes.get(nodeId)
      return node === undefined ? [] : [{ nodeId, address: node.value.peer }]
    })
    if (known.length > 0) peers.set(group, { group, nodes: known })
  }
  return peers
}
