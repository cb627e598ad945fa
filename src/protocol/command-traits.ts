/**
 * What Redis's COMMAND INFO tells of a command beside its flags: access categories and tips. Both are Redis 7.0.15's. Its tips on which shards to
 * ask and how to join their replies are left out: any node of a cluster answers for all of it.
 */
import type { CommandSpec } from './command-table.ts'

/** Categories by the group of the documents; null where the commands of a group differ. */
const BY_GROUP: ReadonlyMap<string, string> = new Map([
  ['string', '@string'],
  ['bitmap', '@bitmap'],
  ['generic', '@keyspace'],
  ['transactions', '@transaction'],
  ['connection', '@connection'],
  ['scripting', '@scripting'],
])

/** In place of the group's. */
const BY_NAME: ReadonlyMap<string, readonly string[]> = new Map([
  ['wait', ['@connection']],
  ['restore', ['@keyspace', '@dangerous']],
  ['keys', ['@keyspace', '@dangerous']],
  ['flushall', ['@keyspace', '@dangerous']],
  ['flushdb', ['@keyspace', '@dangerous']],
  ['dbsize', ['@keyspace']],
  ['info', ['@dangerous']],
  ['readonly', ['@connection']],
  ['readwrite', ['@connection']],
  ['kv.cas', ['@string']],
  ['kv.read', ['@connection']],
  ['kv.session', ['@connection']],
  ...['', '|count', '|docs', '|getkeys', '|getkeysandflags', '|help', '|info', '|list'].map(
    (name): [string, string[]] => [`command${name}`, ['@connection']],
  ),
])

/** As Redis tells them. */
const ORDER: readonly string[] =
  '@keyspace @read @write @string @bitmap @pubsub @admin @fast @slow @dangerous @connection @transaction @scripting'.split(
    ' ',
  )

export function categoriesOf(spec: CommandSpec): string[] {
  const { flags, name, doc, subcommands } = spec
  const found = new Set<string>()
  if (flags.includes('write')) found.add('@write')
  if (flags.includes('readonly')) found.add('@read')
  if (flags.includes('admin')) found.add('@admin').add('@dangerous')
  if (flags.includes('pubsub')) found.add('@pubsub')
  found.add(flags.includes('fast') ? '@fast' : '@slow')
  const byGroup = BY_GROUP.get(doc.group)
  // A container does nothing by itself; COMMAND is a command, too.
  const own = BY_NAME.get(name) ?? (byGroup === undefined || subcommands.length > 0 ? [] : [byGroup])
  for (const category of own) found.add(category)
  return ORDER.filter((category) => found.has(category))
}

/** Whether a second call may be answered differently, with nothing changed. */
const NONDETERMINISTIC: ReadonlySet<string> = new Set(
  (
    'ttl pttl dump object|encoding object|freq object|idletime object|refcount randomkey scan client|info client|list info latency|doctor ' +
    'latency|graph latency|histogram latency|history latency|latest memory|doctor memory|malloc-stats memory|stats slowlog|get slowlog|len ' +
    'cluster|bumpepoch cluster|count-failure-reports cluster|getkeysinslot cluster|info cluster|links cluster|nodes cluster|replicas ' +
    'cluster|shards cluster|slaves cluster|slots time kv.session kv.status kv.table'
  ).split(' '),
)

const NONDETERMINISTIC_ORDER: ReadonlySet<string> = new Set([
  'keys',
  'command',
  'command|docs',
  'command|info',
  'command|list',
  'function|list',
])

export function tipsOf({ name }: CommandSpec): string[] {
  if (NONDETERMINISTIC.has(name)) return ['nondeterministic_output']
  return NONDETERMINISTIC_ORDER.has(name) ? ['nondeterministic_output_order'] : []
}
