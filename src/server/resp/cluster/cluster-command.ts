/** CLUSTER, in Redis 7's forms, on both ports: what it names is always the port that speaks Redis Cluster. READONLY and READWRITE. */
import { REDIS_SLOT_COUNT, redisSlot } from '../../../base/slot.ts'
import type { NodeView } from '../../../ports/cluster-view.ts'
import {
  arrayReply,
  bulkText,
  errorReply,
  integerReply,
  mapReply,
  OK_REPLY,
  verbatimReply,
} from '../../../protocol/resp-reply.ts'
import type { NamedReplies } from '../commands.ts'
import type { Door, DoorReply } from '../door.ts'
import { wordText, wordView } from '../words.ts'
import { type ClusterShape, type ShownNode, type SlotRange, splitAddress } from './cluster-shape.ts'

export const NO_CLUSTER = errorReply('ERR This instance has cluster support disabled')
const NOT_A_MASTER = errorReply('ERR The specified node is not a master')

function withShape(reply: (shape: ClusterShape, ...rest: Parameters<DoorReply>) => Uint8Array): DoorReply {
  return (door, client, words) => {
    const { shape } = door
    return shape === null ? NO_CLUSTER : reply(shape, door, client, words)
  }
}

const slotsReply = withShape((shape, _door, client) => {
  const entries: Uint8Array[] = []
  for (const { ranges, master, replicas } of shape.shards()) {
    if (master === null) continue
    const nodes = [master, ...replicas].map((node) => {
      const { host, port } = splitAddress(node.cluster)
      const metadata = client.protocol === 2 ? arrayReply([]) : mapReply([])
      return arrayReply([bulkText(host), integerReply(port), bulkText(shape.idOf(node.nodeId)), metadata])
    })
    for (const [first, last] of ranges) {
      entries.push(arrayReply([integerReply(first), integerReply(last), ...nodes]))
    }
  }
  return arrayReply(entries)
})

const shardsReply = withShape((shape) =>
  arrayReply(
    shape.shards().flatMap(({ ranges, master, replicas }) => {
      if (master === null) return []
      const nodes = [shardNode(shape, master, 'master'), ...replicas.map((node) => shardNode(shape, node, 'replica'))]
      const slots = ranges.flatMap(([first, last]) => [integerReply(first), integerReply(last)])
      return [
        mapReply([
          [bulkText('slots'), arrayReply(slots)],
          [bulkText('nodes'), arrayReply(nodes)],
        ]),
      ]
    }),
  ),
)

function shardNode(shape: ClusterShape, node: NodeView, role: 'master' | 'replica'): Uint8Array {
  const { host, port } = splitAddress(node.cluster)
  return mapReply([
    [bulkText('id'), bulkText(shape.idOf(node.nodeId))],
    [bulkText('port'), integerReply(port)],
    [bulkText('ip'), bulkText(host)],
    [bulkText('endpoint'), bulkText(host)],
    [bulkText('role'), bulkText(role)],
    // Groups have logs of their own: there is no one offset of a node.
    [bulkText('replication-offset'), integerReply(0)],
    [bulkText('health'), bulkText('online')],
  ])
}

function nodeLine(shape: ClusterShape, { node, master, ranges }: ShownNode): string {
  const { host, port } = splitAddress(node.cluster)
  const bus = splitAddress(node.peer).port
  const role = master === null ? 'master' : 'slave'
  const flags = node.nodeId === shape.view.self ? `myself,${role}` : role
  const of = master === null ? '-' : shape.idOf(master.nodeId)
  const line = `${shape.idOf(node.nodeId)} ${host}:${port}@${bus} ${flags} ${of} 0 0 ${shape.view.tableVersion} connected`
  return [line, ...ranges.map(rangeText)].join(' ')
}

function rangeText([first, last]: SlotRange): string {
  return first === last ? String(first) : `${first}-${last}`
}

const nodesReply = withShape((shape) =>
  verbatimReply(
    'txt',
    shape
      .nodes()
      .map((shown) => `${nodeLine(shape, shown)}\n`)
      .join(''),
  ),
)

const infoReply = withShape((shape) => {
  const served = shape.slotsServed()
  const { tableVersion } = shape.view
  const nodes = shape.nodes()
  const fields: readonly (readonly [string, string | number])[] = [
    ['cluster_state', served === REDIS_SLOT_COUNT ? 'ok' : 'fail'],
    ['cluster_slots_assigned', REDIS_SLOT_COUNT],
    ['cluster_slots_ok', served],
    ['cluster_slots_pfail', 0],
    ['cluster_slots_fail', REDIS_SLOT_COUNT - served],
    ['cluster_known_nodes', nodes.length],
    ['cluster_size', nodes.filter(({ ranges }) => ranges.length > 0).length],
    ['cluster_current_epoch', tableVersion],
    ['cluster_my_epoch', tableVersion],
    ['total_cluster_links_buffer_limit_exceeded', 0],
  ]
  return verbatimReply('txt', fields.map(([name, value]) => `${name}:${value}\r\n`).join(''))
})

/** As of a node that is not known. */
function unknownNode(id: string): Uint8Array {
  return errorReply(`ERR Unknown node ${id.slice(0, 128)}`)
}

const replicasReply = withShape((shape, _door, _client, words) => {
  const id = wordText(words, 2)
  const asked = shape.nodeOf(id)
  if (asked === null) return unknownNode(id)
  const nodes = shape.nodes()
  if (nodes.some(({ node, master }) => node.nodeId === asked.nodeId && master !== null)) return NOT_A_MASTER
  const replicas = nodes.filter(({ master }) => master?.nodeId === asked.nodeId)
  return arrayReply(replicas.map((shown) => bulkText(nodeLine(shape, shown))))
})

const failureReportsReply = withShape((shape, _door, _client, words) => {
  const id = wordText(words, 2)
  return shape.nodeOf(id) === null ? unknownNode(id) : integerReply(0)
})

/** Slots, members and leaders are the masters' and the groups' affair: what Redis changes by hand here is changed with `quorate admin`. */
const ADMINISTRATIVE =
  'addslots addslotsrange bumpepoch delslots delslotsrange failover flushslots forget meet replicate reset saveconfig set-config-epoch setslot'

function refused(name: string): DoorReply {
  const reply = errorReply(
    `ERR CLUSTER ${name.toUpperCase()} is not how this cluster is changed: use 'quorate admin' (see 'quorate admin --help')`,
  )
  return withShape(() => reply)
}

function readOnly(on: boolean): DoorReply {
  return (door: Door, client) => {
    if (door.shape === null) return NO_CLUSTER
    client.readOnly = on
    client.readLevel = on ? 'nearest' : 'linearizable'
    return OK_REPLY
  }
}

export const CLUSTER_REPLIES: NamedReplies = [
  ['cluster|slots', slotsReply],
  ['cluster|shards', shardsReply],
  ['cluster|nodes', nodesReply],
  ['cluster|info', infoReply],
  ['cluster|myid', withShape((shape) => bulkText(shape.idOf(shape.view.self)))],
  ['cluster|keyslot', withShape((_shape, _door, _client, words) => integerReply(redisSlot(wordView(words, 2))))],
  ['cluster|replicas', replicasReply],
  ['cluster|slaves', replicasReply],
  ['cluster|count-failure-reports', failureReportsReply],
  ['cluster|links', withShape(() => arrayReply([]))],
  ...ADMINISTRATIVE.split(' ').map((name) => [`cluster|${name}`, refused(name)] as const),
  ['readonly', readOnly(true)],
  ['readwrite', readOnly(false)],
]
