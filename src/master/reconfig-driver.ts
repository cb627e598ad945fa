/**
 * The active master's side of one reconfig that is begun in the tree: sees to it that both groups have applied BEGIN, calls the move off where that is wanted,
 * and asks for what came of it until it knows. It decides nothing: outcomes come from the groups' applied state. It remembers only what it need not say
 * again, so a new master's driver starts from nothing and says everything once more.
 *
 *   begin source --> begin destination --> ask until B has committed (done) or A has kept the slots (called off)
 *        |                  |                                                              then: ask until nobody has an open move (clean)
 *        |                  +-- refused for good: called off at A
 *        +-- refused for good, so never begun: failed
 */
import type { GroupId } from '../base/brand.ts'
import type { Clock, Timer } from '../ports/clock.ts'
import type {
  DestinationStanding,
  GroupAnswer,
  GroupBegin,
  GroupCommands,
  SourceStanding,
} from '../ports/group-commands.ts'
import type { MoveOutcome, MovePeer } from '../protocol/move-command.ts'
import { BackOff } from './back-off.ts'
import type { MasterMutations } from './mutations.ts'
import { hasOutcome, type Reconfig, slotsOf } from './reconfig.ts'

export type Finding =
  /** B's applied ENABLE. */
  | { readonly kind: 'done' }
  /** A's applied CANCEL or RESUME: the slots are A's, last touched by this reconfig. */
  | { readonly kind: 'kept' }
  /** A will never begin it, and has not: its slots are as they were. */
  | { readonly kind: 'never-begun'; readonly reason: string }
  /** B will never begin it: it is to be called off at A. */
  | { readonly kind: 'call-off'; readonly reason: string }
  /** No group has an open move of it. */
  | { readonly kind: 'clean' }

export interface DriverPorts {
  readonly clock: Clock
  readonly commands: GroupCommands
  readonly fence: number
  /** First and longest wait between two tries or questions. */
  readonly retryMs: readonly [first: number, most: number]
  readonly mutations: MasterMutations
  /** Where the group is now, at least one node; null: nobody knows. */
  peer(group: GroupId): MovePeer | null
  /** May be told more than once. */
  found(reconfigId: number, finding: Finding): void
}

/** No entry of any log will change these answers to a BEGIN that was not begun before. */
const SOURCE_REFUSALS: ReadonlySet<MoveOutcome> = new Set(['not-owner', 'exhausted', 'malformed'])
const DESTINATION_REFUSALS: ReadonlySet<MoveOutcome> = new Set(['owner', 'wrong-predecessor', 'exhausted', 'malformed'])

export class ReconfigDriver {
  readonly #ports: DriverPorts
  readonly #backOff: BackOff
  #reconfig: Reconfig
  #sourceBegun = false
  #destinationBegun = false
  /** DISABLE was first. */
  #isTooLate = false
  /** Something is asked, or a timer runs. */
  #isWaiting = false
  #timer: Timer | null = null
  #isOver = false
  /** Why it does not get on; empty: it does. */
  problem = ''

  constructor(reconfig: Reconfig, ports: DriverPorts) {
    this.#reconfig = reconfig
    this.#ports = ports
    this.#backOff = new BackOff(...ports.retryMs)
  }

  /** As it stands in the tree now. */
  update(reconfig: Reconfig): void {
    if (reconfig.status !== this.#reconfig.status || reconfig.callOff !== this.#reconfig.callOff) this.#backOff.reset()
    this.#reconfig = reconfig
    this.step()
  }

  stop(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  step(): void {
    if (this.#isOver || this.#isWaiting) return
    if (hasOutcome(this.#reconfig)) return this.#askClean()
    if (!this.#sourceBegun) return this.#beginSource()
    if (this.#reconfig.callOff !== 'no' && !this.#isTooLate) return this.#cancel()
    if (!this.#destinationBegun && this.#reconfig.callOff === 'no') return this.#beginDestination()
    if (this.#ports.mutations.publishBeforeEnable && this.#destinationBegun) this.#found({ kind: 'done' })
    this.#askOutcome()
  }

  // --- commands -----------------------------------------------------------------------------------------------------

  #beginSource(): void {
    const { source, destination } = this.#reconfig
    const begin = this.#begin(destination)
    if (begin === null) return this.#again(`group ${destination} has no known node`)
    this.#wait<GroupAnswer>(
      (next) => this.#ports.commands.beginSource(source, begin, next),
      (answer) => {
        const outcome = outcomeOf(answer)
        if (outcome === 'done' || outcome === 'ended') {
          this.#sourceBegun = true
          return this.#goOn()
        }
        const reason = `BEGIN at group ${source}: ${outcome}`
        if (SOURCE_REFUSALS.has(outcome as MoveOutcome)) this.#found({ kind: 'never-begun', reason })
        this.#again(reason)
      },
    )
  }

  #beginDestination(): void {
    const { source, destination } = this.#reconfig
    const begin = this.#begin(source)
    if (begin === null) return this.#again(`group ${source} has no known node`)
    this.#wait<GroupAnswer>(
      (next) => this.#ports.commands.beginDestination(destination, begin, next),
      (answer) => {
        const outcome = outcomeOf(answer)
        // Of a refused one the two groups settle by themselves: the source takes its slots back.
        if (outcome === 'done' || outcome === 'ended' || outcome === 'refused') {
          this.#destinationBegun = true
          return this.#goOn()
        }
        const reason = `BEGIN at group ${destination}: ${outcome}`
        if (DESTINATION_REFUSALS.has(outcome as MoveOutcome)) this.#found({ kind: 'call-off', reason })
        this.#again(reason)
      },
    )
  }

  #cancel(): void {
    const { source, reconfigId } = this.#reconfig
    const { commands, fence, mutations } = this.#ports
    this.#wait<GroupAnswer>(
      (next) => commands.cancel(source, reconfigId, fence, next),
      (answer) => {
        const outcome = outcomeOf(answer)
        if (mutations.outcomeFromMemory) this.#found({ kind: 'kept' })
        if (outcome === 'too-late') this.#isTooLate = true
        if (outcome === 'done' || outcome === 'too-late' || outcome === 'unknown-move') return this.#askOutcome()
        this.#again(`CANCEL at group ${source}: ${outcome}`)
      },
    )
  }

  #begin(peer: GroupId): GroupBegin | null {
    const { reconfigId, slots, callOff } = this.#reconfig
    // What is to be called off need not find its peer: it is begun only so that the source's log can say that it is over.
    const found = this.#ports.peer(peer) ?? (callOff === 'no' ? null : { group: peer, nodes: [] })
    if (found === null) return null
    return { reconfigId, fence: this.#ports.fence, peer: found, slots }
  }

  // --- questions ----------------------------------------------------------------------------------------------------

  /** B first: it alone can say that it is done. */
  #askOutcome(): void {
    const { source, destination, reconfigId } = this.#reconfig
    const { commands } = this.#ports
    const slots = slotsOf(this.#reconfig)
    this.#wait<DestinationStanding | null>(
      (next) => commands.checkCommit(destination, reconfigId, slots, next),
      (committed) => {
        if (committed === 'committed') {
          this.#found({ kind: 'done' })
          return this.#again('')
        }
        this.#wait<SourceStanding | null>(
          (next) => commands.sourceStanding(source, reconfigId, slots, next),
          (standing) => {
            if (standing === 'kept') this.#found({ kind: 'kept' })
            const silent = standing === null ? source : committed === null ? destination : null
            this.#again(silent === null ? '' : `group ${silent} does not answer`)
          },
        )
      },
    )
  }

  /** Done: the source has forgotten its keys. Called off: the destination has dropped what it staged. */
  #askClean(): void {
    const { source, destination, reconfigId, status } = this.#reconfig
    const { commands } = this.#ports
    const slots = slotsOf(this.#reconfig)
    if (status === 'done') {
      this.#wait<SourceStanding | null>(
        (next) => commands.sourceStanding(source, reconfigId, slots, next),
        (standing) => {
          if (standing === 'left' || standing === 'kept') this.#found({ kind: 'clean' })
          this.#again(standing === null ? `group ${source} does not answer` : '')
        },
      )
      return
    }
    this.#wait<DestinationStanding | null>(
      (next) => commands.checkCommit(destination, reconfigId, slots, next),
      (standing) => {
        if (standing === 'unknown' || standing === 'committed') this.#found({ kind: 'clean' })
        this.#again(standing === null ? `group ${destination} does not answer` : '')
      },
    )
  }

  // --- inside -------------------------------------------------------------------------------------------------------

  #wait<T>(ask: (done: (answer: T) => void) => void, answered: (answer: T) => void): void {
    this.#isWaiting = true
    ask((answer) => {
      if (this.#isOver) return
      this.#isWaiting = false
      answered(answer)
    })
  }

  #goOn(): void {
    this.problem = ''
    this.#backOff.reset()
    this.step()
  }

  #again(problem: string): void {
    if (this.#isOver) return
    this.problem = problem
    this.#isWaiting = true
    this.#timer = this.#ports.clock.setTimer(this.#backOff.next(), () => {
      this.#isWaiting = false
      this.step()
    })
  }

  #found(finding: Finding): void {
    this.#ports.found(this.#reconfig.reconfigId, finding)
  }
}

function outcomeOf(answer: GroupAnswer): MoveOutcome | 'unreachable' | 'unknown' {
  return answer.kind === 'applied' ? answer.outcome : answer.kind
}
