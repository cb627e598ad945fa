/** `--wait`: has what was asked for come true? Each look is one or a few reads; what it sees on the way is shown. */
import { type Failure, fail, type Outcome, succeed } from '../../platform/failure.ts'
import type { AdminLink } from './admin-link.ts'
import { fieldsOf, listOf } from './admin-tables.ts'
import type { AdminTask } from './admin-words.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Look {
  readonly isOver: boolean
  readonly failure: Failure | null
  /** The moves under way. */
  readonly migrations: readonly Fields[]
}

export async function lookAt(link: AdminLink, task: AdminTask, answer: unknown): Promise<Outcome<Look>> {
  switch (task.wait) {
    case 'moves':
      return movesLook(link, idsOf(answer))
    case 'balance':
      return balanceLook(link, task, answer)
    case 'drained':
      return drainedLook(link, Number(task.args.group))
    default:
      return membersLook(link, task, answer)
  }
}

const idsOf = (answer: unknown): number[] => {
  const { reconfigIds } = fieldsOf(answer)
  return Array.isArray(reconfigIds) ? reconfigIds.map(Number) : []
}

async function movesLook(link: AdminLink, ids: readonly number[]): Promise<Outcome<Look>> {
  let open = 0
  for (const id of ids) {
    const reply = await link('reconfig', { reconfig: id })
    // So long ago that it is no longer kept: it is over.
    if (!reply.ok && reply.failure.code === 'pruned') continue
    if (!reply.ok) return reply
    const { phase, reason, clean } = fieldsOf(reply.value)
    if (phase === 'failed' || phase === 'cancelled') {
      const why = reason === '' || typeof reason !== 'string' ? '' : `: ${reason}`
      const message = `reconfig ${id} was ${phase === 'failed' ? 'given up' : 'cancelled'}${why}`
      const failure = { code: String(phase), message, mend: 'the slots stayed where they were; ask again' }
      return succeed({ isOver: true, failure, migrations: [] })
    }
    if (clean !== true) open++
  }
  if (open === 0) return succeed({ isOver: true, failure: null, migrations: [] })
  const migrations = await openMigrations(link)
  return migrations.ok ? succeed({ isOver: false, failure: null, migrations: migrations.value }) : migrations
}

async function openMigrations(link: AdminLink): Promise<Outcome<Fields[]>> {
  const reply = await link('migrations', {})
  return reply.ok ? succeed(listOf(fieldsOf(reply.value).migrations).filter(({ clean }) => clean !== true)) : reply
}

/** The slots stand as the weights want them, nothing moves, and a new group has a leader and its members. */
async function balanceLook(link: AdminLink, task: AdminTask, answer: unknown): Promise<Outcome<Look>> {
  const moves = await movesLook(link, idsOf(answer))
  if (!moves.ok || moves.value.failure !== null) return moves
  const plan = await link('rebalance', { dryRun: true })
  // Where no group may hold slots there is nothing to balance.
  const isBalanced = plan.ok ? listOf(fieldsOf(plan.value).moves).length === 0 : plan.failure.code === 'no-groups'
  if (!plan.ok && !isBalanced) return plan
  const migrations = await openMigrations(link)
  if (!migrations.ok) return migrations
  const group = task.call === 'rebalance' ? null : Number(fieldsOf(answer).group)
  const known = group === null ? null : await groupOf(link, group)
  if (known !== null && !known.ok) return known
  const isSettled = known === null || (known.value.settled === true && typeof known.value.leader === 'number')
  const isOver = isBalanced && migrations.value.length === 0 && isSettled
  return succeed({ isOver, failure: null, migrations: migrations.value })
}

async function groupOf(link: AdminLink, group: number): Promise<Outcome<Fields>> {
  const reply = await link('groups', {})
  if (!reply.ok) return reply
  const found = listOf(fieldsOf(reply.value).groups).find((one) => one.id === group)
  return found === undefined
    ? fail('unknown-group', `there is no group ${group} any more`, 'see quorate admin groups')
    : succeed(found)
}

async function drainedLook(link: AdminLink, group: number): Promise<Outcome<Look>> {
  const migrations = await openMigrations(link)
  if (!migrations.ok) return migrations
  const known = await groupOf(link, group)
  if (!known.ok) return known
  if (known.value.draining !== true) {
    const message = `group ${group} is no longer being drained`
    return succeed({ isOver: true, failure: { code: 'cancelled', message, mend: 'ask again' }, migrations: [] })
  }
  const concerned = migrations.value.some(({ from, to }) => from === group || to === group)
  return succeed({ isOver: known.value.slots === 0 && !concerned, failure: null, migrations: migrations.value })
}

/** The groups concerned have the members that they are to have, and all of them vote. */
async function membersLook(link: AdminLink, task: AdminTask, answer: unknown): Promise<Outcome<Look>> {
  const reply = await link('status', {})
  if (!reply.ok) return reply
  const status = fieldsOf(reply.value)
  const replaced = listOf(fieldsOf(answer).groups).map(({ group }) => Number(group))
  const ids = task.call === 'replace' ? replaced : [task.args.masters === true ? 0 : Number(task.args.group)]
  const all = [{ ...fieldsOf(status.masters), id: 0 } as Fields, ...listOf(status.groups)]
  const concerned = all.filter(({ id }) => ids.includes(Number(id)))
  const isOver = concerned.every(({ settled }) => settled === true)
  return succeed({ isOver, failure: null, migrations: [] })
}
