/** What the door tells clients about the node behind it. The node's host implements it; every call is off the hot path. */

import type { ProcessUsage } from '../../ports/process-usage.ts'

/** Sections of INFO, in the order in which Redis prints them. */
export const INFO_SECTIONS = [
  'server',
  'clients',
  'memory',
  'persistence',
  'stats',
  'replication',
  'cpu',
  'commandstats',
  'errorstats',
  'latencystats',
  'cluster',
  'keyspace',
] as const
export type InfoSection = (typeof INFO_SECTIONS)[number]

export interface NodeInfo {
  readonly nodeId: number
  readonly usage: ProcessUsage
  /** Quorate's own version. */
  readonly version: string
  /** For KV.STATUS: anything that JSON can write. */
  status(): unknown
  /** How many replicas beside the leader hold every acknowledged write on disk, in each group. */
  replicasHoldingWrites(): number
  /** Lines `name:value` of the section, after the door's own; one with a name that the door has too takes its place. */
  infoFields(section: InfoSection): readonly (readonly [name: string, value: string | number])[]
  /** For CONFIG GET, beside the door's own; one with a name that the door has too takes its place. */
  configEntries(): readonly (readonly [name: string, value: string])[]
}
