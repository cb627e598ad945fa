/** INFO [section ...] in Redis's text form. The door knows versions and connections; the node adds and overrides. */
import { verbatimReply } from '../../protocol/resp-reply.ts'
import type { Door, DoorReply } from './door.ts'
import { REDIS_VERSION } from './hello.ts'
import type { InfoSection } from './node-info.ts'
import { wordLower } from './words.ts'

type Field = readonly [name: string, value: string | number]

/** In the order in which Redis prints them; those without an InfoSection are the door's alone. */
const SECTIONS = [
  'server',
  'clients',
  'memory',
  'persistence',
  'stats',
  'replication',
  'cpu',
  'cluster',
  'keyspace',
] as const
type Section = (typeof SECTIONS)[number]

const EVERYTHING: ReadonlySet<string> = new Set(['all', 'everything', 'default'])

export const infoReply: DoorReply = (door, _client, words) => {
  const asked = new Set<string>()
  for (let i = 1; i < words.wordCount; i++) asked.add(wordLower(words, i))
  const all = asked.size === 0 || [...asked].some((name) => EVERYTHING.has(name))
  const shown = SECTIONS.filter((section) => all || asked.has(section))
  return verbatimReply('txt', shown.map((section) => sectionText(door, section)).join('\r\n'))
}

function sectionText(door: Door, section: Section): string {
  const fields = new Map<string, string | number>(doorFields(door, section))
  if (section !== 'cluster') {
    for (const [name, value] of door.options.nodeInfo.infoFields(section satisfies InfoSection)) fields.set(name, value)
  }
  const title = section === 'cpu' ? 'CPU' : `${section[0].toUpperCase()}${section.slice(1)}`
  return `# ${title}\r\n${[...fields].map(([name, value]) => `${name}:${value}\r\n`).join('')}`
}

function doorFields(door: Door, section: Section): readonly Field[] {
  const { options, stats } = door
  switch (section) {
    case 'server':
      return serverFields(door)
    case 'clients':
      return [
        ['connected_clients', door.connectionCount],
        ['cluster_connections', 0],
        ['maxclients', options.maxClients],
        ['blocked_clients', 0],
      ]
    case 'memory':
      return [
        ['used_memory', 0],
        ['maxmemory', 0],
        ['maxmemory_human', '0B'],
        ['maxmemory_policy', 'noeviction'],
      ]
    case 'persistence':
      return [
        ['loading', 0],
        ['rdb_bgsave_in_progress', 0],
        ['aof_enabled', 1],
        ['aof_rewrite_in_progress', 0],
        ['aof_last_write_status', 'ok'],
      ]
    case 'stats':
      return [
        ['total_connections_received', stats.connectionsReceived],
        ['total_commands_processed', stats.commandsProcessed],
        ['total_net_input_bytes', stats.bytesReceived],
        ['total_net_output_bytes', stats.bytesSent],
        ['rejected_connections', stats.connectionsRejected],
        ['total_error_replies', stats.errorReplies],
        ['protocol_errors', stats.protocolErrors],
        ['client_output_buffer_limit_disconnections', stats.outputLimitDisconnections],
      ]
    case 'replication':
      // Every node takes writes, whichever leads: to a client each is a master without replicas.
      return [
        ['role', 'master'],
        ['connected_slaves', 0],
      ]
    case 'cluster':
      return [['cluster_enabled', 0]]
    case 'cpu':
    case 'keyspace':
      return []
  }
}

function serverFields(door: Door): readonly Field[] {
  const { address, nodeInfo } = door.options
  const uptimeSeconds = Math.floor((door.clock.monotonicMs() - door.startedAtMs) / 1000)
  return [
    ['redis_version', REDIS_VERSION],
    ['quorate_version', nodeInfo.version],
    ['quorate_node_id', nodeInfo.nodeId],
    ['redis_mode', 'standalone'],
    ['run_id', door.runId],
    ['tcp_port', address.slice(address.lastIndexOf(':') + 1)],
    ['server_time_usec', door.clock.wallMs() * 1000],
    ['uptime_in_seconds', uptimeSeconds],
    ['uptime_in_days', Math.floor(uptimeSeconds / 86_400)],
  ]
}
