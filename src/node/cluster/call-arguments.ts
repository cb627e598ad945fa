/**
 * The arguments of an administration call, checked against what the call takes: they come from programs of all kinds. A field that the call does not have, a
 * wrong type and a value out of range are errors that name the field.
 */

import type { AdminArguments, AdminError } from '../../ports/cluster-admin.ts'
import type { NodeRole } from '../../ports/cluster-view.ts'

const MAX_ID = 2 ** 32 - 1
const MAX_WEIGHT = 2 ** 31
const MAX_TEXT = 1024
const MAX_NODES = 31
const MAX_RANGES = 16_384
const HIGHEST_SLOT = 16_383

export type SlotRanges = readonly (readonly [first: number, last: number])[]

/** What a field may hold, and how it is told to people. */
interface Kinds {
  id: number
  weight: number
  flag: boolean
  text: string
  nodes: readonly number[]
  roles: readonly NodeRole[]
  ranges: SlotRanges
}
export type FieldKind = keyof Kinds

export interface Field {
  readonly kind: FieldKind
  readonly optional?: boolean
}
export type Schema = Readonly<Record<string, Field>>

const WANTED: Readonly<Record<FieldKind, string>> = {
  id: `a whole number from 0 to ${MAX_ID}`,
  weight: `a whole number from 0 to ${MAX_WEIGHT}`,
  flag: 'true or false',
  text: `a text of 1 to ${MAX_TEXT} characters`,
  nodes: `a list of up to ${MAX_NODES} node ids`,
  roles: 'a list of "master" and "worker"',
  ranges: 'slots as FIRST-LAST,... or [[first,last],...]',
}

/** The checked arguments; each field's reader asks for the kind that the schema gave it. */
export class CallArguments {
  readonly #values: AdminArguments

  constructor(values: AdminArguments) {
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  number(name: string): number {
    return this.#values[name] as number
  }

  text(name: string): string {
    return this.#values[name] as string
  }

  /** `otherwise` where it was left out. */
  flag(name: string, otherwise: boolean): boolean {
    return (this.#values[name] as boolean | undefined) ?? otherwise
  }

  nodes(name: string): readonly number[] {
    return (this.#values[name] as readonly number[] | undefined) ?? []
  }

  roles(name: string): readonly NodeRole[] {
    return this.#values[name] as readonly NodeRole[]
  }

  ranges(name: string): SlotRanges {
    return rangesOf(this.#values[name]) ?? []
  }
}

/** An error, or the arguments. */
export function checkArguments(call: string, schema: Schema, args: AdminArguments): AdminError | CallArguments {
  const names = Object.keys(schema)
  const list = names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`
  for (const name of Object.keys(args)) {
    if (Object.hasOwn(schema, name)) continue
    return malformed(`${call}: there is no argument ${shown(name)}`, list)
  }
  for (const [name, { kind, optional = false }] of Object.entries(schema)) {
    const value = args[name]
    if (value === undefined) {
      if (!optional) return malformed(`${call}: the argument ${name} is missing`, `give ${WANTED[kind]}`)
    } else if (!fits(kind, value)) {
      return malformed(`${call}: ${name} is ${shown(value)}`, `give ${WANTED[kind]}`)
    }
  }
  return new CallArguments(args)
}

export function malformed(message: string, mend: string): AdminError {
  return { code: 'malformed-argument', message, mend }
}

function fits(kind: FieldKind, value: unknown): boolean {
  switch (kind) {
    case 'id':
      return isWhole(value, MAX_ID)
    case 'weight':
      return isWhole(value, MAX_WEIGHT)
    case 'flag':
      return typeof value === 'boolean'
    case 'text':
      return typeof value === 'string' && value.length >= 1 && value.length <= MAX_TEXT
    case 'nodes':
      return Array.isArray(value) && value.length <= MAX_NODES && value.every((node) => isWhole(node, MAX_ID))
    case 'roles':
      return Array.isArray(value) && value.length <= 2 && value.every((role) => role === 'master' || role === 'worker')
    case 'ranges':
      return rangesOf(value) !== null
  }
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
}

/** `3`, `0-5,7`, or pairs; null where it is neither. That the slots exist the master checks. */
export function rangesOf(value: unknown): SlotRanges | null {
  if (Array.isArray(value)) {
    const sound = value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((end) => isSlot(end)))
    return sound && value.length > 0 && value.length <= MAX_RANGES ? (value as SlotRanges) : null
  }
  if (typeof value !== 'string') return null
  const parts = value.split(',', MAX_RANGES + 1)
  if (parts.length > MAX_RANGES) return null
  const ranges: [number, number][] = []
  for (const part of parts) {
    const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim())
    if (found === null) return null
    ranges.push([Number(found[1]), Number(found[2] ?? found[1])])
  }
  return ranges
}

function isSlot(value: unknown): boolean {
  return isWhole(value, HIGHEST_SLOT)
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100)
}
