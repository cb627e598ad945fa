/**
 * INFO [section ...] in Redis 7's sections, rules and text. Figures are true or left out. The door knows versions, connections and counters; the
 * node adds and overrides (node-info.ts).
 */
import { verbatimReply } from '../../protocol/resp-reply.ts'
import { isSubscriber } from './client-state.ts'
import type { Door, DoorCommand, DoorReply } from './door.ts'
import { REDIS_VERSION } from './hello.ts'
import { INFO_SECTIONS, type InfoSection } from './node-info.ts'
import { wordLower } from './words.ts'

export type InfoField = readonly [name: string, value: string | number]

/** Shown where they are asked for by name or with all the others. */
const ON_REQUEST: ReadonlySet<InfoSection> = new Set<InfoSection>(['commandstats', 'latencystats'])
const MIB = 1024 ** 2

export const infoReply: DoorReply = (door, _client, words) => {
  const asked = new Set<string>()
  for (let i = 1; i < words.wordCount; i++) asked.add(wordLower(words, i))
  const everything = asked.has('all') || asked.has('everything')
  const usual = asked.size === 0 || asked.has('default')
  const shown = INFO_SECTIONS.filter(
    (section) => everything || asked.has(section) || (usual && !ON_REQUEST.has(section)),
  )
  return verbatimReply('txt', shown.map((section) => sectionText(door, section)).join('\r\n'))
}

const TITLES: Readonly<Partial<Record<InfoSection, string>>> = { cpu: 'CPU' }

function sectionText(door: Door, section: InfoSection): string {
  const fields = new Map<string, string | number>(doorFields(door, section))
  for (const [name, value] of door.options.nodeInfo.infoFields(section)) fields.set(name, value)
  const title = TITLES[section] ?? `${section[0].toUpperCase()}${section.slice(1)}`
  return `# ${title}\r\n${[...fields].map(([name, value]) => `${name}:${value}\r\n`).join('')}`
}

function doorFields(door: Door, section: InfoSection): readonly InfoField[] {
  switch (section) {
    case 'server':
      return serverFields(door)
    case 'clients':
      return clientFields(door)
    case 'memory':
      return memoryFields(door)
    case 'persistence':
      // Every write is in the log and synced before it is answered: Redis's appendonly with appendfsync always.
      return [
        ['loading', 0],
        ['aof_enabled', 1],
        ['aof_rewrite_in_progress', 0],
        ['aof_last_write_status', 'ok'],
        ['rdb_bgsave_in_progress', 0],
      ]
    case 'stats':
      return statsFields(door)
    case 'replication':
      // Every node takes writes, whichever leads: to a client each is a master without replicas.
      return [
        ['role', 'master'],
        ['connected_slaves', 0],
      ]
    case 'cpu':
      return cpuFields(door)
    case 'commandstats':
      return allCommands(door).flatMap(commandFields)
    case 'errorstats':
      return [...door.measures.errors].sort().map(([code, count]) => [`errorstat_${code}`, `count=${count}`])
    case 'latencystats':
      return door.config.latencyTracking ? allCommands(door).flatMap((command) => latencyFields(door, command)) : []
    case 'cluster':
      return [['cluster_enabled', door.cluster === null ? 0 : 1]]
    case 'keyspace':
      return []
  }
}

function serverFields(door: Door): readonly InfoField[] {
  const { address, nodeInfo } = door.options
  const uptimeSeconds = Math.floor((door.clock.monotonicMs() - door.startedAtMs) / 1000)
  return [
    ['redis_version', REDIS_VERSION],
    ['quorate_version', nodeInfo.version],
    ['quorate_node_id', nodeInfo.nodeId],
    ['redis_mode', door.cluster === null ? 'standalone' : 'cluster'],
    ['os', nodeInfo.usage.system],
    ['arch_bits', 64],
    ['process_id', nodeInfo.usage.processId],
    ['run_id', door.runId],
    ['tcp_port', address.slice(address.lastIndexOf(':') + 1)],
    ['server_time_usec', door.clock.wallMs() * 1000],
    ['uptime_in_seconds', uptimeSeconds],
    ['uptime_in_days', Math.floor(uptimeSeconds / 86_400)],
  ]
}

function clientFields(door: Door): readonly InfoField[] {
  let pubsub = 0
  let largestInput = 0
  let largestOutput = 0
  for (const connection of door.connections()) {
    const state = connection.describe(false)
    if (isSubscriber(connection.client)) pubsub++
    largestInput = Math.max(largestInput, state.queryBytes)
    largestOutput = Math.max(largestOutput, state.outputBytes)
  }
  return [
    ['connected_clients', door.connectionCount],
    ['cluster_connections', 0],
    ['maxclients', door.config.maxClients],
    ['client_recent_max_input_buffer', largestInput],
    ['client_recent_max_output_buffer', largestOutput],
    // No command waits for anything but its group.
    ['blocked_clients', 0],
    ['tracking_clients', 0],
    ['pubsub_clients', pubsub],
  ]
}

function memoryFields(door: Door): readonly InfoField[] {
  const { memory } = door.gates
  const { usage } = door.options.nodeInfo
  const use = memory.sample(door.clock.monotonicMs())
  const { maxMemoryBytes } = door.config
  return [
    ...withHuman('used_memory', use.usedBytes),
    ...withHuman('used_memory_rss', use.residentBytes),
    ...withHuman('used_memory_peak', memory.peakBytes),
    ...withHuman('total_system_memory', usage.machineMemoryBytes),
    ...withHuman('maxmemory', maxMemoryBytes),
    ['maxmemory_policy', 'noeviction'],
    ['mem_fragmentation_ratio', (use.residentBytes / Math.max(1, use.usedBytes)).toFixed(2)],
  ]
}

function withHuman(name: string, bytes: number): readonly InfoField[] {
  return [
    [name, bytes],
    [`${name}_human`, bytes < MIB ? `${(bytes / 1024).toFixed(2)}K` : bytesText(bytes)],
  ]
}

function bytesText(bytes: number): string {
  return bytes < 1024 * MIB ? `${(bytes / MIB).toFixed(2)}M` : `${(bytes / (1024 * MIB)).toFixed(2)}G`
}

function statsFields(door: Door): readonly InfoField[] {
  const { stats, measures, subscriptions } = door
  const rates = measures.rates.rates(door.clock.monotonicMs(), stats)
  const kilobytes = (bytes: number): string => (bytes / 1024).toFixed(2)
  return [
    ['total_connections_received', stats.connectionsReceived],
    ['total_commands_processed', stats.commandsProcessed],
    ['instantaneous_ops_per_sec', Math.round(rates.commandsPerSecond)],
    ['total_net_input_bytes', stats.bytesReceived],
    ['total_net_output_bytes', stats.bytesSent],
    ['instantaneous_input_kbps', kilobytes(rates.receivedPerSecond)],
    ['instantaneous_output_kbps', kilobytes(rates.sentPerSecond)],
    ['rejected_connections', stats.connectionsRejected],
    ['evicted_keys', 0],
    ['pubsub_channels', subscriptions.channelCount],
    ['pubsub_patterns', subscriptions.patternCount],
    ['pubsubshard_channels', subscriptions.shardChannelCount],
    ['total_error_replies', stats.errorReplies],
    ['total_reads_processed', stats.reads],
    ['total_writes_processed', stats.writes],
    ['protocol_errors', stats.protocolErrors],
    ['client_output_buffer_limit_disconnections', stats.outputLimitDisconnections],
    ['client_query_buffer_limit_disconnections', stats.queryLimitDisconnections],
  ]
}

function cpuFields(door: Door): readonly InfoField[] {
  const { systemSeconds, userSeconds } = door.options.nodeInfo.usage.cpu()
  // A node has no child processes.
  return [
    ['used_cpu_sys', systemSeconds.toFixed(6)],
    ['used_cpu_user', userSeconds.toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
  ]
}

/** Subcommands in their containers' place, as Redis counts them. */
export function allCommands(door: Door): readonly DoorCommand[] {
  return door.commands.flatMap((command) => [command, ...(command.subcommands?.values() ?? [])])
}

function commandFields({ fullName, stats }: DoorCommand): readonly InfoField[] {
  if (stats.isEmpty) return []
  const us = Math.round(stats.ms * 1000)
  const perCall = stats.calls === 0 ? 0 : (stats.ms * 1000) / stats.calls
  const value = `calls=${stats.calls},usec=${us},usec_per_call=${perCall.toFixed(2)},rejected_calls=${stats.rejected},failed_calls=${stats.failed}`
  return [[`cmdstat_${fullName}`, value]]
}

function latencyFields(door: Door, { fullName, stats }: DoorCommand): readonly InfoField[] {
  const { histogram } = stats
  if (histogram === null || histogram.total === 0) return []
  const parts = door.config.latencyPercentiles.map(
    (percent) => `p${percent}=${histogram.percentile(percent).toFixed(3)}`,
  )
  return [[`latency_percentiles_usec_${fullName}`, parts.join(',')]]
}
