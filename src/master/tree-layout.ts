/**
 * Where things stand in the metadata tree: NaiveKV's nodes. Values are small versioned JSON in ASCII (tree-value.ts), but for the slot table.
 *
 *   /kv                            {clusterEpoch, slotCount}                    written once, by init or recover-masters
 *   /kv/masters                    {fence, episode, write}                      who wrote last, and the number of that write (fenced-store.ts)
 *   /kv/masters/master-0000000007  {node}                                       ephemeral, sequential: the lowest is the active master
 *   /kv/masters/group              as /kv/workers/<group>, for the masters' own group, 0; weight 0
 *   /kv/workers                    {rebalance}                                  slots are to be planned afresh by weight
 *   /kv/workers/<group>            {weight, draining, members, nextReplica}     members as desired, each {node, replica}
 *   /kv/workers/<group>/genesis    {slots, replicas}                            how it begins; replicas: {node, replica, made}, made by the node itself
 *   /kv/workers/<group>/report     {index, members, learners, leader}           as the group's own log has it; a higher index wins
 *   /kv/slots                      slot -> (group, reconfig that touched it last), in runs (slot-table.ts)
 *   /kv/version                    {version}                                    one more in each multi that sets /kv/slots
 *   /kv/migrations                 {last, first, open}                          last id; first bucket kept; buckets with reconfigs that are not over
 *   /kv/migrations/<bucket>        {reconfigs}                                  ids bucket * 32 to bucket * 32 + 31 (reconfig.ts)
 *   /kv/workerId                   {next}                                       next group id
 *   /kv/nodes                      {next}                                       counter of the next node id; ids are never given out twice
 *   /kv/nodes/<node>               {peer, resp, cluster, roles, leaving}        addresses, and what it may be
 *   /kv/election/<group>           -                                            elections of semi-synchronous groups
 *
 * A bucket holds 32 reconfigs of at most MAX_RUNS runs each, so it stays below 600 KiB. Kept are all buckets in use and the newest 32 (1,024
 * reconfigs); an older one is deleted, oldest first, in the write that opens a new one.
 */
import { asGroupId, type GroupId, type NodeId } from '../base/brand.ts'
import type { MetadataPath } from '../protocol/metadata-operation.ts'

export const KV = '/kv'
export const MASTERS = '/kv/masters'
export const MASTER_PREFIX = 'master-'
/** Of the masters' own group. */
export const MASTERS_GROUP_PATH = '/kv/masters/group'
export const WORKERS = '/kv/workers'
export const SLOTS = '/kv/slots'
export const VERSION = '/kv/version'
export const MIGRATIONS = '/kv/migrations'
export const WORKER_ID = '/kv/workerId'
export const NODES = '/kv/nodes'
export const ELECTION = '/kv/election'

export const BUCKET_SIZE = 32
export const KEPT_BUCKETS = 32
/** Runs of neighbouring slots of one reconfig. */
export const MAX_RUNS = 512

/** The masters' own. */
export const MASTERS_GROUP: GroupId = asGroupId(0)

export function groupPath(group: GroupId): MetadataPath {
  return group === MASTERS_GROUP ? MASTERS_GROUP_PATH : `${WORKERS}/${group}`
}

export function genesisPath(group: GroupId): MetadataPath {
  return `${groupPath(group)}/genesis`
}

export function reportPath(group: GroupId): MetadataPath {
  return `${groupPath(group)}/report`
}

export function nodePath(node: NodeId): MetadataPath {
  return `${NODES}/${node}`
}

export function bucketOf(reconfigId: number): number {
  return Math.floor(reconfigId / BUCKET_SIZE)
}

/** Ten digits, so that names sort as numbers. */
export function bucketPath(bucket: number): MetadataPath {
  return `${MIGRATIONS}/${String(bucket).padStart(10, '0')}`
}
