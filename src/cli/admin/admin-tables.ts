/** Answers of the cluster as people read them: aligned tables, bars for what takes long. The JSON comes from another process: what is missing shows as `-`. */
import type { Palette } from '../prompt/palette.ts'

type Fields = Readonly<Record<string, unknown>>

const BAR_CELLS = 20

/** The lines of one answer. */
export function adminLines(call: string, answer: unknown, palette: Palette): string[] {
  const fields = fieldsOf(answer)
  switch (call) {
    case 'status':
      return statusLines(fields, palette)
    case 'nodes':
      return nodeLines(listOf(fields.nodes))
    case 'groups':
      return groupLines(listOf(fields.groups))
    case 'slots':
      return slotLines(fields)
    case 'reconfigs':
      return reconfigLines(listOf(fields.reconfigs))
    case 'reconfig':
      return fields.upToDate === true
        ? [`up to date: the last reconfig is ${shown(fields.last)}`]
        : reconfigLines([fields])
    case 'migrations':
      return migrationLines(listOf(fields.migrations))
    case 'key-group':
      return [
        `group ${shown(fields.group)}   (slot ${shown(fields.slot)}, version ${shown(fields.version)} of the table)`,
      ]
    case 'digest':
      return digestLines(fields, palette)
    case 'token':
      return [shown(fields.token)]
    case 'rebalance':
      return rebalanceLines(fields)
    case 'move':
      return [moveLine(fields)]
    case 'recover-masters':
      return recoveryLines(fields, palette)
    default:
      return [
        Object.entries(fields)
          .map(([name, value]) => `${name} ${shown(value)}`)
          .join('   ') || 'done',
      ]
  }
}

function statusLines(status: Fields, palette: Palette): string[] {
  const masters = fieldsOf(status.masters)
  const active = status.activeMaster === null ? 'none is active' : `active: node ${shown(status.activeMaster)}`
  const members = listOf(masters.members).map(({ node }) => shown(node))
  const problems = Array.isArray(status.problems) ? status.problems.map(String) : []
  const moves = listOf(status.migrations).filter(({ clean }) => clean !== true)
  return [
    `cluster ${shown(status.clusterId)}   ${shown(status.slotCount)} slots, version ${shown(status.version)} of the table`,
    `masters on nodes ${members.join(', ')}   ${active}`,
    '',
    ...nodeLines(listOf(status.nodes)),
    '',
    ...groupLines(listOf(status.groups)),
    '',
    ...(moves.length === 0 ? ['no slots are moving'] : migrationLines(moves)),
    '',
    ...(problems.length === 0 ? ['all is well'] : problems.map((problem) => palette.error(`! ${problem}`))),
  ]
}

function nodeLines(nodes: readonly Fields[]): string[] {
  const rows = nodes.map((node) => [
    shown(node.id),
    node.away === true ? 'away' : node.leaving === true ? 'leaving' : 'up',
    shown(node.resp),
    shown(node.cluster),
    shown(node.peer),
    shown(node.roles),
    shown(node.groups),
    shown(node.leads),
  ])
  return table(['NODE', 'STATE', 'RESP', 'CLUSTER', 'PEER', 'ROLES', 'REPLICAS OF', 'LEADS'], rows)
}

function groupLines(groups: readonly Fields[]): string[] {
  const rows = groups.map((group) => [
    shown(group.id),
    shown(group.weight),
    shown(group.slots),
    shown(group.leader),
    listOf(group.members).map(memberText).join(' '),
    [group.draining === true ? 'draining' : '', shown(group.problem === '' ? null : group.problem)]
      .filter((word) => word !== '' && word !== '-')
      .join(', '),
  ])
  return table(['GROUP', 'WEIGHT', 'SLOTS', 'LEADER', 'NODES', ''], rows)
}

function memberText({ node, standing, role }: Fields): string {
  const note = standing !== 'voter' ? `(${shown(standing)})` : role === null ? '(away)' : ''
  return `${shown(node)}${note}`
}

function slotLines({ version, slotCount, ranges }: Fields): string[] {
  const rows = (Array.isArray(ranges) ? ranges : []).map((range: unknown) => {
    const [first, last, group] = Array.isArray(range) ? range.map(Number) : [0, 0, 0]
    return [`${first}-${last}`, String(last - first + 1), String(group)]
  })
  return [`${shown(slotCount)} slots, version ${shown(version)}`, '', ...table(['SLOTS', 'COUNT', 'GROUP'], rows)]
}

function reconfigLines(reconfigs: readonly Fields[]): string[] {
  if (reconfigs.length === 0) return ['there are no reconfigs']
  const rows = reconfigs.map((one) => [
    shown(one.reconfigId),
    shown(one.from),
    shown(one.to),
    rangesText(one.slots),
    shown(one.phase),
    shown(one.reason === '' ? null : one.reason).replace(/^-$/, ''),
  ])
  return table(['RECONFIG', 'FROM', 'TO', 'SLOTS', 'PHASE', ''], rows)
}

export function migrationLines(migrations: readonly Fields[]): string[] {
  if (migrations.length === 0) return ['no slots are moving']
  const rows = migrations.map((one) => [
    shown(one.reconfigId),
    `${shown(one.from)} -> ${shown(one.to)}`,
    rangesText(one.slots),
    shown(one.phase),
    bar(one),
    `${shown(one.keys)} keys`,
    bytesText(one.bytes),
    `${bytesText(one.bytesPerSecond)}/s`,
    typeof one.secondsLeft === 'number' ? `${one.secondsLeft} s left` : '',
  ])
  return table(['RECONFIG', 'GROUPS', 'SLOTS', 'PHASE', '', 'KEYS', 'BYTES', 'RATE', ''], rows)
}

const PHASES_BEHIND: Readonly<Record<string, number>> = { streaming: 0.9, handover: 0.95, cleaning: 1, done: 1 }

/** How much of it is behind: while it copies, by what has come and what the present pace still needs. */
export function bar({ phase, bytes, bytesPerSecond, secondsLeft }: Fields): string {
  let part = PHASES_BEHIND[String(phase)] ?? 0
  if (phase === 'copying' && [bytes, bytesPerSecond, secondsLeft].every((value) => typeof value === 'number')) {
    const total = Number(bytes) + Number(bytesPerSecond) * Number(secondsLeft)
    part = total > 0 ? (0.9 * Number(bytes)) / total : 0
  }
  const full = Math.round(part * BAR_CELLS)
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}]`
}

function digestLines(answer: Fields, palette: Palette): string[] {
  const groups = Array.isArray(answer.groups) ? listOf(answer.groups) : [answer]
  return groups.flatMap((group) => {
    const rows = listOf(group.replicas).map(({ node, digest, keys }) => [shown(node), shown(digest), shown(keys)])
    const verdict =
      group.same === true ? 'the replicas are the same' : palette.error('the replicas are not all the same')
    return [
      `group ${shown(group.group)} at index ${shown(group.index)}: ${verdict}`,
      ...table(['NODE', 'DIGEST', 'KEYS'], rows),
    ]
  })
}

function rebalanceLines(answer: Fields): string[] {
  const moves = listOf(answer.moves)
  if (moves.length === 0) return ['the slots stand as the weights want them']
  const rows = moves.map((move) => [shown(move.from), shown(move.to), rangesText(move.slots)])
  const isPlan = Array.isArray(answer.reconfigIds) && answer.reconfigIds.length === 0
  return [...table(['FROM', 'TO', 'SLOTS'], rows), isPlan ? 'a dry run: nothing was changed' : moveLine(answer)]
}

function recoveryLines(answer: Fields, palette: Palette): string[] {
  const { done, epoch, master, answered, silent, writes, groups, lost, slotsOfLost, openReconfigs } = answer
  const copy =
    writes === null
      ? 'nobody has a copy of the tree'
      : `the newest copy of the tree has ${shown(writes)} of the masters' writes`
  const losses = [
    `${copy}: registrations and moves after it are forgotten`,
    ...(Number(answer.forgottenReconfigs) > 0
      ? [`${shown(answer.forgottenReconfigs)} moves that had not begun are forgotten`]
      : []),
    ...(Number(slotsOfLost) > 0
      ? [palette.error(`! groups ${shown(lost)} are lost: nobody serves their ${shown(slotsOfLost)} slots`)]
      : []),
  ]
  const rows = [
    `nodes that answer ${shown(answered)}   that do not ${shown(silent)}`,
    `groups ${shown(groups)} have answered for their slots   moves under way ${shown(openReconfigs)}`,
    ...losses,
  ]
  if (done !== true) {
    return [
      `node ${shown(master)} would begin cluster epoch ${shown(epoch)} as the only master`,
      ...rows,
      '',
      'nothing was done: add --yes',
    ]
  }
  const next = 'let others join: quorate admin join NODE --masters'
  return [`node ${shown(master)} has begun cluster epoch ${shown(epoch)}, and is the only master`, ...rows, '', next]
}

function moveLine({ reconfigIds }: Fields): string {
  const ids = Array.isArray(reconfigIds) ? reconfigIds.map(String) : []
  return ids.length === 0 ? 'nothing has to move' : `reconfig ${ids.join(', ')}`
}

/** Left-aligned columns, two blanks between them. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, i) => rows.reduce((width, row) => Math.max(width, row[i].length), head.length))
  return [heads, ...rows].map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  )
}

export function bytesText(bytes: unknown): string {
  if (typeof bytes !== 'number') return '-'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

const RANGES_SHOWN = 8

function rangesText(ranges: unknown): string {
  if (!Array.isArray(ranges)) return '-'
  const texts = ranges.map((range: unknown) => {
    const [first, last] = Array.isArray(range) ? range : [range, range]
    return first === last ? String(first) : `${first}-${last}`
  })
  const more = texts.length > RANGES_SHOWN ? `,... (${texts.length} ranges)` : ''
  return `${texts.slice(0, RANGES_SHOWN).join(',')}${more}`
}

/** Control characters of another process do not reach the terminal. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return '-'
  const text = Array.isArray(value)
    ? value.every((item) => typeof item !== 'object')
      ? value.join(',') || '-'
      : JSON.stringify(value)
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value)
  return text.replaceAll(/\p{Cc}/gu, '?')
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

export function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : []
}
