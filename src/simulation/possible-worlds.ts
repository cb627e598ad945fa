/**
 * What a session knows of its keys: all states that they may be in by its replies. Usually one. A write with an unknown outcome makes them more:
 * in each it is held, to run at any later time or never (a retry may lie in a log that is committed late); so is the end of a key with a short
 * life, because nobody but the group's log time says when it comes. Each reply leaves the worlds that give it; when none is left, no
 * order of what was done explains what was seen.
 */
import { latin1Bytes } from '../base/bytes.ts'
import { slotOf } from '../base/slot.ts'
import { COMMANDS_BY_NAME } from '../protocol/command-table.ts'
import { type ModelOperation, RedisModel } from './redis-model.ts'
import { sameReply } from './reply-comparison.ts'

/** Beyond, the session goes on with new keys. */
const WORLDS_MAX = 64
const HELD_MAX = 3
/** Commands over several slots, one part each: every how many words a key stands. */
const SPLIT_STEP: ReadonlyMap<string, number> = new Map([
  ['del', 1],
  ['unlink', 1],
  ['mset', 2],
])

export class PossibleWorlds {
  readonly #slotCount: number
  #worlds: readonly RedisModel[]
  #doubtful = false

  /** `slotsMove`: at any time, so that EXEC may find a watched key changed that nobody has changed. */
  constructor(slotCount: number, slotsMove = false) {
    this.#slotCount = slotCount
    this.#worlds = [new RedisModel({ expiry: 'open', roughTimes: true, slotsMove }, 2)]
  }

  /** More than one state is possible: each reply may then be right for more than one reason. */
  get doubtful(): boolean {
    return this.#doubtful
  }

  set nowMs(nowMs: number) {
    for (const world of this.#worlds) world.nowMs = nowMs
  }

  /** As the session's connection is told of an absent key. */
  get nil(): string {
    return this.#worlds[0].protocol === 3 ? '_\r\n' : '$-1\r\n'
  }

  get inMulti(): boolean {
    return this.#worlds[0].inMulti
  }

  get tooMany(): boolean {
    return this.#worlds.length > WORLDS_MAX || this.#worlds[0].heldCount > HELD_MAX
  }

  connect(protocol: 2 | 3): void {
    for (const world of this.#worlds) world.connect(protocol)
  }

  /** The keys are left behind, and others have taken their place; the connection is the same. */
  forgetKeys(): void {
    this.#worlds = [this.#worlds[0]]
    this.#worlds[0].forgetKeys()
    this.#doubtful = false
  }

  /** The replies that were possible, where this one was not; null: it was. */
  judge(words: readonly string[], got: string): string[] | null {
    const left: RedisModel[] = []
    const possible = new Set<string>()
    for (const world of this.#reachable()) {
      const expected = world.run(words)
      if (sameReply(words, expected, got)) left.push(world)
      else possible.add(expected)
    }
    if (left.length === 0) return [...possible]
    this.#worlds = distinct(left)
    this.#weigh()
    return null
  }

  /** It did not run. */
  refused(words: readonly string[]): void {
    const name = words[0].toLowerCase()
    const split = !this.inMulti && SPLIT_STEP.has(name) && this.#slotsOf(name, words.slice(1)).size > 1
    // One part may have run where another was refused.
    if (split) return this.unknown(words)
    for (const world of this.#worlds) {
      world.plan(words)
      // A WATCH that fails leaves the connection as if a key had changed.
      if (name === 'watch') world.spoilWatch()
    }
    this.#weigh()
  }

  /** It may have run, may run yet, or never. */
  unknown(words: readonly string[]): void {
    for (const world of this.#worlds) {
      const plan = world.plan(words)
      if (!('operation' in plan)) continue
      for (const part of this.#parts(plan.operation)) {
        if (writes(part)) world.hold(part)
      }
    }
    this.#weigh()
  }

  /** The keys that are there for certain, and those that may be. */
  names(): { readonly certain: ReadonlySet<string>; readonly possible: ReadonlySet<string> } {
    const names = this.#reachable().map((world) => new Set(world.names()))
    const certain = [...names[0]].filter((name) => names.every((one) => one.has(name)))
    return { certain: new Set(certain), possible: new Set(names.flatMap((one) => [...one])) }
  }

  #slotsOf(name: string, args: readonly string[]): Map<number, string[]> {
    const step = SPLIT_STEP.get(name) ?? 1
    const slots = new Map<number, string[]>()
    for (let i = 0; i < args.length; i += step) {
      const slot = slotOf(latin1Bytes(args[i]), this.#slotCount)
      slots.set(slot, [...(slots.get(slot) ?? []), ...args.slice(i, i + step)])
    }
    return slots
  }

  #parts(operation: ModelOperation): ModelOperation[] {
    if (operation.kind === 'exec' || !SPLIT_STEP.has(operation.name)) return [operation]
    const { name, args } = operation
    if (args.length % (SPLIT_STEP.get(name) ?? 1) !== 0) return []
    return [...this.#slotsOf(name, args).values()].map((part) => ({ kind: 'command', name, args: part }))
  }

  /** All worlds that those known may have become by now. Copies where more than one comes of one. */
  #reachable(): RedisModel[] {
    if (!this.#doubtful) return [...this.#worlds]
    const found = new Map(this.#worlds.map((world) => [world.stateText(), world]))
    for (const world of found.values()) {
      for (const other of successors(world)) {
        const text = other.stateText()
        if (!found.has(text)) found.set(text, other)
      }
      if (found.size > 8 * WORLDS_MAX) break
    }
    return [...found.values()].map((world) => world.clone())
  }

  #weigh(): void {
    this.#doubtful =
      this.#worlds.length > 1 ||
      this.#worlds.some((world) => world.heldCount > 0 || world.watchMayFail || world.shortLived().length > 0)
  }
}

function successors(world: RedisModel): RedisModel[] {
  const found: RedisModel[] = []
  const changed = (change: (twin: RedisModel) => void): void => {
    const twin = world.clone()
    change(twin)
    found.push(twin)
  }
  for (let i = 0; i < world.heldCount; i++) changed((twin) => twin.runHeld(i))
  for (const key of world.shortLived()) changed((twin) => twin.remove(key))
  // An absent key's version is its slot's last delete: anybody's DEL there counts as a change. A move changes the versions of all keys.
  if (world.watchMayFail) changed((twin) => twin.spoilWatch())
  return found
}

function distinct(worlds: readonly RedisModel[]): RedisModel[] {
  return worlds.length === 1 ? [...worlds] : [...new Map(worlds.map((world) => [world.stateText(), world])).values()]
}

function writes(operation: ModelOperation): boolean {
  if (operation.kind === 'exec') return operation.queue.some(writes)
  return COMMANDS_BY_NAME.get(operation.name)?.flags.includes('write') ?? false
}
